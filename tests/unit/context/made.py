"""Small context tables for tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

NAN = float("nan")


def utc(*times: Any) -> pd.Series:
    """Times in UTC; None is a missing one."""
    return pd.Series(pd.to_datetime(list(times), utc=True, format="ISO8601")).dt.as_unit("us")


def headlines(*rows: tuple[str, str, str]) -> pd.DataFrame:
    """(released, symbol, headline) each."""
    return pd.DataFrame(
        {
            "released": utc(*(row[0] for row in rows)),
            "symbol": pd.Series([row[1] for row in rows], dtype="str"),
            "headline": pd.Series([row[2] for row in rows], dtype="str"),
        }
    )


def event(at: str, released: str | None = "", scheduled_since: str | None = None, **others: Any) -> dict[str, Any]:
    """A policy event, released when it takes place where not said otherwise; the numbers are missing."""
    plain = {"symbol": "", "kind": "decision", "stance": NAN, "urgency": NAN, "impact": NAN}
    times = {"at": at, "released": at if released == "" else released, "scheduled_since": scheduled_since}
    return {**times, **plain, **others}


def policy(*rows: dict[str, Any]) -> pd.DataFrame:
    table = pd.DataFrame(list(rows))
    for name in ("at", "released", "scheduled_since"):
        table[name] = utc(*table[name])
    return table


def macro(*rows: tuple[str, str, str, float] | tuple[str, str, str, float, float]) -> pd.DataFrame:
    """(released, series, observed, value) and maybe a forecast each."""
    return pd.DataFrame(
        {
            "released": utc(*(row[0] for row in rows)),
            "series": pd.Series([row[1] for row in rows], dtype="str"),
            "observed": utc(*(row[2] for row in rows)),
            "value": np.array([row[3] for row in rows], dtype="float64"),
            "forecast": np.array([row[4] if len(row) > 4 else NAN for row in rows], dtype="float64"),
            "previous": NAN,
        }
    )


def bars(opens: pd.DatetimeIndex, symbol: str = "AAA") -> pd.DataFrame:
    """Bars that open at these times; their prices do not matter here."""
    return pd.DataFrame({"timestamp": opens.as_unit("us"), "symbol": symbol, "close": 1.0})
