"""Fixtures that every test may use: small synthetic bars, and where the real sample lies."""

from __future__ import annotations

from betti import threads

threads.pin()

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


def random_bars(
    rows: int, seed: int = 0, symbol: str = "AAA", start: str = "2001-01-01", freq: str = "1D"
) -> pd.DataFrame:
    """A log random walk with plausible ranges and volumes, in the layout of `betti.schemas.BARS`."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, rows)))
    open_ = np.concatenate([[100.0], close[:-1]]) * np.exp(rng.normal(0, 0.002, rows))
    high = np.maximum(open_, close) * np.exp(np.abs(rng.normal(0, 0.004, rows)))
    low = np.minimum(open_, close) * np.exp(-np.abs(rng.normal(0, 0.004, rows)))
    return pd.DataFrame(
        {
            "timestamp": pd.date_range(start, periods=rows, freq=freq, tz="UTC").as_unit("us"),
            "symbol": symbol,
            "open": open_,
            "high": high,
            "low": low,
            "close": close,
            "volume": rng.lognormal(10, 0.5, rows),
        }
    )


@pytest.fixture(scope="session")
def bars() -> pd.DataFrame:
    """900 daily bars of two symbols."""
    return pd.concat([random_bars(900, 1, "AAA"), random_bars(900, 2, "BBB")], ignore_index=True)
