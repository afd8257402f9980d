"""The trading simulation against a literal loop, by hand, and the rules of metric integrity."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti.metrics.trading import annualised_sharpe, buy_and_hold, max_drawdown, simulate, summarise
from tests.conftest import random_bars


def opened(opens: list[float], symbol: str = "A", start: str = "2020-01-01", freq: str = "1D") -> pd.DataFrame:
    """Bars of which only the open matters."""
    stamps = pd.date_range(start, periods=len(opens), freq=freq, tz="UTC").as_unit("us")
    return pd.DataFrame({"timestamp": stamps, "symbol": symbol, "open": opens})


def signalled(bars: pd.DataFrame, positions: list[float] | np.ndarray, first: int = 0) -> pd.DataFrame:
    rows = bars.iloc[first : first + len(positions)]
    return rows[["timestamp", "symbol"]].assign(position=np.asarray(positions, dtype="float64"))


def random_signals(bars: pd.DataFrame, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    kept = bars[rng.uniform(size=len(bars)) < 0.8]
    return kept[["timestamp", "symbol"]].assign(position=rng.integers(-1, 2, len(kept)).astype(float))


def literal(signals: pd.DataFrame, bars: pd.DataFrame, cost: float) -> pd.Series:
    """Net portfolio returns, one bar and one symbol at a time."""
    collected: dict[pd.Timestamp, list[float]] = {}
    for symbol, rows in bars.sort_values("timestamp").groupby("symbol"):
        rows = rows.reset_index(drop=True)
        mine = signals[signals["symbol"] == symbol].set_index("timestamp")["position"]
        if mine.empty:
            continue
        before = 0.0
        for bar in range(len(rows) - 2):
            stamp = rows["timestamp"][bar]
            if not mine.index.min() <= stamp <= mine.index.max():
                continue
            position = mine.get(stamp, 0.0)
            move = rows["open"][bar + 2] / rows["open"][bar + 1] - 1
            net = position * move - cost * abs(position - before)
            collected.setdefault(rows["timestamp"][bar + 1], []).append(net)
            before = position
    return pd.Series({stamp: sum(nets) / len(nets) for stamp, nets in collected.items()}).sort_index()


@pytest.mark.parametrize("seed", range(4))
def test_returns_equal_a_literal_loop(seed):
    bars = pd.concat(
        [random_bars(120, seed, "A"), random_bars(90, seed + 10, "B", start="2001-01-20").drop(index=[5, 40])],
        ignore_index=True,
    )
    signals = random_signals(bars, seed)
    ours = simulate(signals, bars, cost_bps=3, slippage_bps=2)
    expected = literal(signals, bars, 5e-4)
    assert list(ours.times[:-1]) == list(expected.index)
    np.testing.assert_allclose(ours.returns, expected.to_numpy(), atol=1e-15)


def test_by_hand():
    bars = opened([100, 100, 110, 99, 99, 108.9, 108.9])
    signals = signalled(bars, [1, 1, -1, 0, 1])
    ours = simulate(signals, bars, cost_bps=60, slippage_bps=40)  # 1 % a side
    # Intervals: 100 -> 110 long, 110 -> 99 long, 99 -> 99 short, 99 -> 108.9 flat, 108.9 -> 108.9 long.
    assert ours.returns == pytest.approx([0.10 - 0.01, -0.10, 0 - 0.02, 0 - 0.01, 0 - 0.01])
    assert ours.trade_returns == pytest.approx([1.1 * 0.9 - 1 - 0.02, -0.02, -0.01])
    table = summarise(ours)
    assert (table.bars, table.trades, table.win_rate, table.profit_factor) == (5, 3, 0.0, 0.0)
    assert table.turnover == pytest.approx((1 + 0 + 2 + 1 + 1) / 5)
    assert table.total_return == pytest.approx(1.09 * 0.90 * 0.98 * 0.99 * 0.99 - 1)
    assert table.max_drawdown == pytest.approx(0.90 * 0.98 * 0.99 * 0.99 - 1)
    assert ours.equity[0] == 1
    assert ours.times[0] == bars["timestamp"][1]
    assert ours.times[-1] == bars["timestamp"][6]


def test_the_fill_is_the_next_open_and_never_the_bar_of_the_signal():
    bars = opened([100.0, 100, 100, 200, 200, 200, 200])  # the jump lies between the opens of bars 2 and 3
    earned = [simulate(signalled(bars, [1.0], bar), bars, cost_bps=0, slippage_bps=0).returns[0] for bar in range(5)]
    assert earned == [0, 1, 0, 0, 0]


def test_no_fill_without_the_two_bars_that_follow():
    bars = opened([100.0, 101, 102, 103])
    assert simulate(signalled(bars, [1.0, 1.0], 2), bars, cost_bps=0, slippage_bps=0) is None
    ours = simulate(signalled(bars, [1.0, 1, 1, 1]), bars, cost_bps=0, slippage_bps=0)
    assert len(ours.returns) == 2


def test_a_signal_at_a_time_without_a_bar_is_refused():
    bars = opened([100.0, 101, 102, 103])
    off = signalled(bars, [1.0]).assign(timestamp=bars["timestamp"][0] + pd.Timedelta("1h"))
    late = signalled(bars, [1.0]).assign(timestamp=bars["timestamp"][3] + pd.Timedelta("9D"))
    for signals in (off, late):
        with pytest.raises(ValueError, match="no bar"):
            simulate(signals, bars, cost_bps=0, slippage_bps=0)


def test_a_planted_one_bar_edge_disappears_when_the_signal_comes_a_bar_late():
    bars = random_bars(4000, 3, "A")
    opens = bars["open"].to_numpy()
    edge = np.sign(opens[2:] / opens[1:-1] - 1)
    now = summarise(simulate(signalled(bars, edge), bars, cost_bps=0, slippage_bps=0))
    late = summarise(simulate(signalled(bars, edge, 1), bars, cost_bps=0, slippage_bps=0))
    assert now.sharpe > 10
    assert abs(late.sharpe) < 1.5


def test_zero_position_earns_exactly_nothing():
    bars = random_bars(100, 4, "A")
    ours = simulate(signalled(bars, np.zeros(100)), bars, cost_bps=10, slippage_bps=10)
    assert (ours.returns == 0).all()
    table = summarise(ours)
    assert (table.sharpe, table.total_return, table.max_drawdown, table.trades) == (0, 0, 0, 0)
    assert table.win_rate is None
    assert table.profit_factor is None


@given(st.integers(0, 10_000), st.floats(0, 50), st.floats(0, 50))
@settings(max_examples=30, deadline=None)
def test_costs_never_help_and_drawdown_lies_between_ruin_and_nothing(seed, cost, more):
    bars = random_bars(60, seed, "A")
    signals = random_signals(bars, seed)
    cheap = simulate(signals, bars, cost_bps=cost, slippage_bps=0)
    dear = simulate(signals, bars, cost_bps=cost, slippage_bps=more)
    assert (dear.returns <= cheap.returns + 1e-15).all()
    assert -1 <= summarise(dear).max_drawdown <= 0


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_the_order_of_rows_does_not_matter(seed):
    bars = pd.concat([random_bars(40, seed, "A"), random_bars(40, seed + 1, "B")], ignore_index=True)
    signals = random_signals(bars, seed)
    rng = np.random.default_rng(seed)
    shuffled = [table.iloc[rng.permutation(len(table))] for table in (signals, bars)]
    one = simulate(signals, bars, cost_bps=1, slippage_bps=1)
    two = simulate(*shuffled, cost_bps=1, slippage_bps=1)
    assert (one.returns == two.returns).all()
    assert summarise(one) == summarise(two)


def test_equity_through_zero_is_ruin_and_not_a_later_sharpe():
    bars = opened([100, 100, 250, 100, 50, 25, 12, 6, 3, 3])  # short through a rise of 150 %, then a long fall
    ours = simulate(signalled(bars, -np.ones(8)), bars, cost_bps=1, slippage_bps=1)
    table = summarise(ours)
    assert ours.returns.tolist() == [-1, 0, 0, 0, 0, 0, 0, 0]
    assert ours.equity.tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert table.ruined
    assert (table.total_return, table.annual_return, table.max_drawdown) == (-1, -1, -1)
    assert table.sharpe < 0
    assert table.trades == 1


def test_after_ruin_nothing_is_traded():
    bars = opened([100, 100, 300, 300, 290, 280, 270, 270])
    table = summarise(simulate(signalled(bars, [-1, 0, -1, 1, -1, 1]), bars, cost_bps=1, slippage_bps=1))
    assert (table.trades, table.turnover) == (1, pytest.approx(1 / 6))


@pytest.mark.parametrize(("freq", "per_year"), [("1D", 365.25), ("4h", 6 * 365.25), ("1h", 24 * 365.25)])
def test_annualised_by_the_bars_own_calendar(freq, per_year):
    bars = random_bars(500, 5, "A", freq=freq)
    ours = simulate(signalled(bars, np.ones(500)), bars, cost_bps=0, slippage_bps=0)
    table = summarise(ours)
    assert table.bars_per_year == pytest.approx(per_year, rel=1e-9)
    assert table.sharpe == pytest.approx(ours.returns.mean() / ours.returns.std(ddof=1) * np.sqrt(per_year))
    years = 498 / per_year
    assert table.annual_return == pytest.approx((1 + table.total_return) ** (1 / years) - 1)


def test_business_days_count_as_many_as_there_are():
    bars = random_bars(261 * 4, 6, "A", start="2001-01-01", freq="B")
    ours = summarise(simulate(signalled(bars, np.ones(len(bars))), bars, cost_bps=0, slippage_bps=0))
    assert ours.bars_per_year == pytest.approx(260.9, abs=0.5)


def test_minutes_that_double_are_annualised_to_a_number():
    bars = opened([1.0, 1, 2, 4, 8, 16], freq="1min")
    table = summarise(simulate(signalled(bars, np.ones(4)), bars, cost_bps=0, slippage_bps=0))
    assert np.isfinite(table.annual_return)


def test_buy_and_hold_pays_once_and_follows_the_opens():
    bars = random_bars(300, 7, "A")
    signals = random_signals(bars, 7)
    held = buy_and_hold(signals, bars, cost_bps=10, slippage_bps=0)
    traded = simulate(signals, bars, cost_bps=10, slippage_bps=0)
    assert list(held.times) == list(traded.times)
    opens = bars.set_index("timestamp")["open"]
    gross = opens[held.times[-1]] / opens[held.times[1]]
    entry = opens[held.times[1]] / opens[held.times[0]] - 0.001
    assert held.equity[-1] == pytest.approx(gross * entry)
    assert held.traded.sum() == 1
    assert summarise(held).trades == 1


def test_trades_end_where_a_symbol_ends():
    bars = pd.concat([opened([1, 1, 2, 2, 2], "A"), opened([1, 1, 2, 2, 2], "B")], ignore_index=True)
    signals = bars[["timestamp", "symbol"]].assign(position=1.0)
    ours = simulate(signals, bars, cost_bps=0, slippage_bps=0)
    assert ours.trade_returns.tolist() == [1, 1]
    assert ours.equity[-1] == 2


def test_a_flat_return_series_has_no_sharpe_ratio():
    assert annualised_sharpe(np.full(100, 0.001), 252) == 0
    assert annualised_sharpe(np.array([0.1]), 252) == 0


@given(st.lists(st.floats(-1, 3), min_size=1, max_size=40))
def test_drawdown_lies_between_ruin_and_nothing(returns):
    equity = np.concatenate([[1.0], np.cumprod(1 + np.array(returns))])
    assert -1 <= max_drawdown(equity) <= 0
