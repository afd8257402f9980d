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


def check_split(labels: pd.DataFrame, folds: pd.DataFrame, embargo: str = "0D") -> None:
    """Every labelled row has one role per fold, and no train or valid span comes near a test span of its fold.

    Near is an overlap, or a distance of at most the embargo.
    """
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
            mine = rows[rows["role"] == role]
            assert leaking(mine, test) == 0, f"fold {fold}: a {role} span overlaps a test span"
            assert leaking(mine, test, embargo) == 0, f"fold {fold}: a {role} span lies within the embargo"
        train, valid = rows[rows["role"] == "train"], rows[rows["role"] == "valid"]
        assert leaking(train, valid) == 0, f"fold {fold}: a train span overlaps a validation span"


def leaking(rows: pd.DataFrame, others: pd.DataFrame, wait: str = "0D") -> int:
    """How many rows' spans share an instant with any of the others', pair by pair, or come within `wait` of one."""
    return int(touching(rows, others, wait).sum())


def touching(rows: pd.DataFrame, others: pd.DataFrame, wait: str = "0D") -> np.ndarray:
    """(rows,) whether a row's span shares an instant with any of the others', or comes within `wait` of one."""
    if rows.empty or others.empty:
        return np.zeros(len(rows), dtype=bool)
    distance = pd.Timedelta(wait).to_timedelta64()
    start, end = (rows[name].to_numpy(dtype="datetime64[us]")[:, None] for name in ("span_start", "span_end"))
    other_start, other_end = (others[name].to_numpy(dtype="datetime64[us]") for name in ("span_start", "span_end"))
    return ((start <= other_end + distance) & (end >= other_start - distance)).any(axis=1)


def literal_roles(
    labels: pd.DataFrame, tested: pd.DatetimeIndex, learnt: pd.DatetimeIndex, validating: pd.DatetimeIndex, embargo: str
) -> list[str]:
    """The roles of one fold as docs/concepts.md defines them, row by row and pair by pair.

    Args:
        tested: times that the fold tests.
        learnt: times that it may learn from.
        validating: those of them that validate.
    """
    test = labels[labels["timestamp"].isin(tested)]
    valid = labels[labels["timestamp"].isin(validating)]
    overlapping, waiting = touching(labels, test), touching(labels, test, embargo)
    beside_valid = touching(labels, valid)
    found = []
    for row, time in enumerate(labels["timestamp"]):
        if time in tested:
            found.append("test")
        elif time not in learnt:
            found.append("unused")
        elif overlapping[row]:
            found.append("purged")
        elif waiting[row]:
            found.append("embargoed")
        elif time in validating:
            found.append("valid")
        else:
            found.append("purged" if beside_valid[row] else "train")
    return found


def roles_by_row(labels: pd.DataFrame, folds: pd.DataFrame, fold: int) -> list[str]:
    """The roles of one fold in the order of the labels."""
    keyed = folds[folds["fold"] == fold].set_index(["symbol", "timestamp"])["role"]
    return [str(keyed[symbol, time]) for symbol, time in zip(labels["symbol"], labels["timestamp"], strict=True)]
