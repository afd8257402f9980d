"""What the tests of one fold share: real daily bars, their features, labels and folds."""

from __future__ import annotations

from functools import cache

import pandas as pd

from betti import features, labelling, sources, splits

FAMILIES = ("candle", "complexity", "technical")
KEY = ["timestamp", "symbol"]
HORIZON = 5
NAMES = {"run": "r", "set": "s", "target": "direction_5", "seed": 7, "classes": 3}
# Small, and the same by whatever door a model is trained.
LSTM = {"hidden": 8, "layers": 1, "epochs": 2, "warmup_epochs": 1, "batch_size": 128, "patience": 2, "device": "cpu"}
LENGTH = 12


@cache
def bars() -> pd.DataFrame:
    """Some years of the two indices of the sample."""
    return sources.fetch("sample", ("NASDAQ", "SP500"), "1d", pd.Timestamp("2002-12-31", tz="UTC"), {})


def features_of(clean: pd.DataFrame) -> pd.DataFrame:
    """Columns of three families side by side."""
    first, *others = (features.compute(family, clean) for family in FAMILIES)
    return pd.concat([first, *(table.drop(columns=KEY) for table in others)], axis=1)


@cache
def tables() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Features, labels and folds."""
    labels = labelling.label("direction", bars(), horizon=HORIZON, width=1.5, measure="atr")
    return features_of(bars()), labels, splits.split("walk_forward", labels, folds=2, embargo="5D")
