"""The six indicators against their formulas, written the slow way, and on markets whose answer is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from betti.features import complexity
from tests.conftest import random_bars

if TYPE_CHECKING:
    import pandas as pd

WINDOW = 20
BARS = random_bars(200, 12)


def directly(bars: pd.DataFrame, t: int) -> dict[str, float]:
    """One row, bar by bar."""
    close, low, high, volume = (bars[c].to_numpy() for c in ("close", "low", "high", "volume"))
    last = slice(t - WINDOW + 1, t + 1)
    moves = np.diff(np.log(close[t - WINDOW : t + 1]))
    rebounds = []
    for s in range(t - WINDOW + 1, t + 1):
        support = low[s - WINDOW : s].min()
        typical = (high - low)[s - WINDOW + 1 : s + 1].mean()
        if low[s] <= support + 0.25 * typical:
            rebounds.append(np.clip((close[s] - support) / typical, -1, 1))
    path = np.abs(np.diff(close[t - WINDOW : t + 1])).sum()
    return {
        "ma_separation": close[t - 4 : t + 1].mean() / close[last].mean() - 1,
        "bollinger_width": 4 * close[last].std() / close[last].mean(),
        "price_efficiency": abs(close[t] - close[t - WINDOW]) / path,
        "support_reaction": float(np.mean(rebounds)) if rebounds else 0.0,
        "directional_result": moves.sum() / np.sqrt(WINDOW * (moves**2).sum()),
        "volume_price_alignment": np.corrcoef(volume[last], np.abs(moves))[0, 1],
    }


def market(close: np.ndarray, volume: np.ndarray | float = 1.0) -> pd.DataFrame:
    return random_bars(len(close)).assign(open=close, high=close * 1.001, low=close * 0.999, close=close, volume=volume)


@pytest.mark.parametrize("t", [39, 57, 120, 199])
def test_rows_equal_the_formulas(t: int) -> None:
    row = complexity.compute(BARS, window=WINDOW).iloc[t]
    expected = directly(BARS, t)
    assert tuple(row.index) == complexity.COLUMNS
    for column, value in expected.items():
        np.testing.assert_allclose(row[column], value, rtol=1e-9, atol=1e-12, err_msg=column)


def test_the_first_complete_row_is_the_look_back() -> None:
    for window in (8, 20, 33):
        table = complexity.compute(BARS, window=window)
        back = complexity.lookback(window=window)
        assert np.isfinite(table.iloc[back:].to_numpy()).all()
        assert table.iloc[back - 1].isna().any()


def test_a_straight_rise_is_efficient_and_directional() -> None:
    row = complexity.compute(market(100 * 1.01 ** np.arange(80))).iloc[-1]
    np.testing.assert_allclose([row["price_efficiency"], row["directional_result"]], 1.0)
    assert row["ma_separation"] > 0
    assert row["support_reaction"] == 0  # support is never tested


def test_a_straight_fall_breaks_support() -> None:
    row = complexity.compute(market(100 * 0.99 ** np.arange(80))).iloc[-1]
    np.testing.assert_allclose(row["directional_result"], -1.0)
    assert row["support_reaction"] == -1.0


def test_a_zigzag_goes_nowhere_and_holds_support() -> None:
    row = complexity.compute(market(np.where(np.arange(80) % 2, 101.0, 100.0))).iloc[-1]
    assert row["price_efficiency"] == 0
    assert abs(row["directional_result"]) < 1e-12
    assert row["support_reaction"] > 0


def test_volume_that_comes_with_moves_is_aligned() -> None:
    close = 100 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.01, 80)))
    move = np.abs(np.diff(np.log(close), prepend=np.log(close[0])))
    for volume, alignment in ((1 + move, 1.0), (1 - move, -1.0), (np.ones(80), 0.0)):
        row = complexity.compute(market(close, volume * 1e6)).iloc[-1]
        np.testing.assert_allclose(row["volume_price_alignment"], alignment, atol=1e-9)


def test_a_flat_market_is_zero() -> None:
    last = complexity.compute(market(np.full(80, 0.1)).assign(high=0.1, low=0.1)).iloc[-1]
    np.testing.assert_allclose(last.to_numpy(), 0, atol=1e-12)
