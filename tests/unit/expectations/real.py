"""Real bars, where the folder of market data is there (`tests.unit.sources.files`); tests skip without it."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.unit.sources.files import MARKET


def bars(file: str) -> pd.DataFrame:
    """The bars of one file in time order."""
    path = MARKET / file
    if not path.is_file():
        pytest.skip(f"{path} is not there: set BETTI_SHARED_DATA to where the market data lie")
    return pd.read_parquet(path).sort_values("timestamp", kind="stable", ignore_index=True)
