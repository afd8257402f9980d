"""Real bars, where the environment variable BETTI_BARS names a folder of Parquet files; tests skip without it."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest


def bars(file: str) -> pd.DataFrame:
    """The bars of one file in time order."""
    folder = os.environ.get("BETTI_BARS")
    if not folder:
        pytest.skip("BETTI_BARS names no folder of real bars")
    path = Path(folder) / file
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    return pd.read_parquet(path).sort_values("timestamp", kind="stable", ignore_index=True)
