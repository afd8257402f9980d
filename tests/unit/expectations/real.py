"""Real bars, where the folder of market data is there (`tests.unit.sources.files`); tests skip without it."""

from __future__ import annotations

import pandas as pd

from tests.unit.sources.files import recorded


def bars(file: str) -> pd.DataFrame:
    """The bars of one file in time order."""
    return pd.read_parquet(recorded(file)).sort_values("timestamp", kind="stable", ignore_index=True)
