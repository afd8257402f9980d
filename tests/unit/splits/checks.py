"""What every split must hold, as one checker; a splitter that leaks is caught by it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from betti.schemas import FOLDS, ROLES


def spans(seed: int, rows: int = 60, symbols: int = 2, longest: int = 12, before: int = 0) -> pd.DataFrame:
    """Labels of random span lengths, days apart; a symbol may start later and skip days.

    `before` is the most days that a span begins before its row's own time.
    """
    rng = np.random.default_rng(seed)
    tables = []
    for number in range(symbols):
        days = np.sort(rng.choice(np.arange(int(rows * 1.2)), rows, replace=False)) + int(rng.integers(0, 5))
        stamps = pd.Timestamp("2010-01-01", tz="UTC") + pd.to_timedelta(days, unit="D")
        tables.append(
            pd.DataFrame(
                {
                    "timestamp": stamps.as_unit("us"),
                    "symbol": f"S{number}",
                    "span_start": (stamps - pd.to_timedelta(rng.integers(0, before + 1, rows), unit="D")).as_unit("us"),
                    "span_end": (stamps + pd.to_timedelta(rng.integers(1, longest + 1, rows), unit="D")).as_unit("us"),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def joined(labels: pd.DataFrame, folds: pd.DataFrame) -> pd.DataFrame:
    return folds.merge(labels, on=["timestamp", "symbol"], how="left", validate="many_to_one")


def check_split(labels: pd.DataFrame, folds: pd.DataFrame) -> None:
    """Every labelled row has one role per fold, and no train or valid span overlaps a test span of its fold."""
    assert list(folds.columns) == list(FOLDS.names)
    assert set(folds["role"]) <= set(ROLES)
    expected = {(s, t) for s, t in zip(labels["symbol"], labels["timestamp"], strict=True)}
    for fold, rows in joined(labels, folds).groupby("fold"):
        keys = list(zip(rows["symbol"], rows["timestamp"], strict=True))
        assert len(keys) == len(set(keys)) == len(labels), f"fold {fold}: a row has no role, or two"
        assert set(keys) == expected, f"fold {fold}: other rows than the labels"
        test = rows[rows["role"] == "test"]
        assert len(test), f"fold {fold} tests nothing"
        for role in ("train", "valid"):
            assert leaking(rows[rows["role"] == role], test) == 0, f"fold {fold}: a {role} span overlaps a test span"
        train, valid = rows[rows["role"] == "train"], rows[rows["role"] == "valid"]
        assert leaking(train, valid) == 0, f"fold {fold}: a train span overlaps a validation span"


def leaking(rows: pd.DataFrame, others: pd.DataFrame) -> int:
    """How many rows' spans share an instant with any of the others', pair by pair."""
    if rows.empty or others.empty:
        return 0
    start, end = (rows[name].to_numpy(dtype="datetime64[us]")[:, None] for name in ("span_start", "span_end"))
    other_start, other_end = (others[name].to_numpy(dtype="datetime64[us]") for name in ("span_start", "span_end"))
    return int(((start <= other_end) & (end >= other_start)).any(axis=1).sum())
