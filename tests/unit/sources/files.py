"""What the tests of file sources share: small files, and the market data folder beside a checkout."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from betti import sources
from tests.conftest import REPOSITORY

END = pd.Timestamp("2100-01-01", tz="UTC")
MARKET = Path(os.environ.get("BETTI_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))

with_market_data = pytest.mark.skipif(
    not MARKET.is_dir(), reason=f"no recorded market data at {MARKET}: set BETTI_SHARED_DATA to where they lie"
)


def read(source: str, path: Path | str, symbol: str = "X", interval: str = "1d", **options: Any) -> pd.DataFrame:
    return sources.fetch(source, (symbol,), interval, END, {"path": str(path), **options})


def assert_bars(bars: pd.DataFrame, symbol: str, rows: int) -> None:
    """Bars as the contract has them, in time order."""
    assert list(bars.columns[:7]) == ["timestamp", "symbol", "open", "high", "low", "close", "volume"]
    assert str(bars["timestamp"].dtype) == "datetime64[us, UTC]"
    assert set(bars["symbol"]) == {symbol}
    assert len(bars) == rows
    assert bars["timestamp"].is_monotonic_increasing
    assert all(bars[name].dtype == "float64" for name in bars.columns[2:])


def recorded(name: str) -> Path:
    """One of the recorded files; the test skips where it is not there."""
    path = MARKET / name
    if not path.is_file():
        pytest.skip(f"{path} is not there: set BETTI_SHARED_DATA to where the market data lie")
    return path
