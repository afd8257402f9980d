"""What acting on signals would have earned, after costs.

A signal known at the close of bar t is filled at the OPEN of bar t + 1 and held to the open of bar t + 2, where the
next signal takes over: no return is earned on a price that was already known. Capital is spread equally over the
traded symbols that have a bar. What does not belong here: turning probabilities into positions (`decisions`), and
intervals (`significance`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from betti.metrics._instants import bars_by_symbol, instants
from betti.records import Trading

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Simulation", "annualised_sharpe", "buy_and_hold", "max_drawdown", "simulate", "summarise"]

MICROSECONDS_PER_YEAR = 365.25 * 24 * 3600 * 1e6
BASIS_POINT = 1e-4
# exp of more than this is no longer a number a computer holds: a few good minutes, annualised, get there.
LARGEST_LOG_RETURN = 700.0


@dataclass(frozen=True)
class Simulation:
    """A traded portfolio over n holding intervals, each from one open to the next.

    Attributes:
        times: (n + 1,) opens: where each interval starts, then where the last one ends.
        returns: (n,) simple net return of the portfolio in each interval; -1 once at ruin, 0 ever after.
        traded: (n,) value traded at the start of each interval, as a share of capital.
        trade_returns: (trades,) net return of each trade: a run of constant non-zero position in one symbol.
        ruined: equity reached zero.
    """

    times: pd.DatetimeIndex
    returns: Floats
    traded: Floats
    trade_returns: Floats
    ruined: bool

    @property
    def equity(self) -> Floats:
        """(n + 1,) value of 1 invested at the first open."""
        curve: Floats = np.concatenate([[1.0], np.cumprod(1.0 + self.returns)])
        return curve

    @property
    def bars_per_year(self) -> float:
        """Intervals per year of 365.25 days, measured from their own times: no calendar is assumed."""
        years = (self.times[-1] - self.times[0]).total_seconds() * 1e6 / MICROSECONDS_PER_YEAR
        return len(self.returns) / years


def simulate(signals: pd.DataFrame, bars: pd.DataFrame, *, cost_bps: float, slippage_bps: float) -> Simulation | None:
    """Trade the signals of every symbol.

    Args:
        signals: `timestamp` (the decision bar), `symbol`, `position` in units of capital. A bar between the first
            and the last signal of its symbol that has none is flat.
        bars: `timestamp`, `symbol`, `open`, at least from the first signal to two bars after the last. A signal that
            is not followed by two bars is not filled.
        cost_bps: commission per side, basis points of the traded value.
        slippage_bps: slippage per side, likewise.

    Returns:
        The portfolio, marked to market at its last open; None when no signal can be filled.

    Raises:
        ValueError: a signal at a time that has no bar.
    """
    timeline = _timeline(signals, bars)
    return None if timeline is None else _trade(timeline, (cost_bps + slippage_bps) * BASIS_POINT)


def buy_and_hold(
    signals: pd.DataFrame, bars: pd.DataFrame, *, cost_bps: float, slippage_bps: float
) -> Simulation | None:
    """Always long over the very intervals that `simulate` trades: bought at each symbol's first open, never sold.

    Equal weights are kept without further cost, which errs in favour of this baseline.
    """
    timeline = _timeline(signals, bars)
    if timeline is None:
        return None
    return _trade(timeline.assign(position=1.0), (cost_bps + slippage_bps) * BASIS_POINT)


def _timeline(signals: pd.DataFrame, bars: pd.DataFrame) -> pd.DataFrame | None:
    """One row per symbol and holding interval: `symbol`, `start`, `end`, `asset` (simple return), `position`."""
    import pandas as pd

    by_symbol = bars_by_symbol(bars)
    tables = [
        _symbol_timeline(symbol, rows, by_symbol[symbol])
        for symbol, rows in bars_by_symbol(signals).items()
        if symbol in by_symbol
    ]
    tables = [table for table in tables if len(table)]
    return pd.concat(tables, ignore_index=True) if tables else None


def _symbol_timeline(symbol: str, signals: pd.DataFrame, bars: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    opens, grid = bars["open"].to_numpy(dtype="float64"), instants(bars["timestamp"])
    wanted, asked = np.zeros(len(bars)), instants(signals["timestamp"])
    at = np.searchsorted(grid, asked)
    if asked[-1] > grid[-1] or (grid[at] != asked).any():
        raise ValueError(f"{symbol}: a signal at a time that has no bar")
    wanted[at] = signals["position"].to_numpy(dtype="float64")
    # The last bar that has both a next open to be filled at and one after it to hold to is the third from the end.
    decision = np.arange(at[0], min(at[-1], len(bars) - 3) + 1)
    return pd.DataFrame(
        {
            "symbol": symbol,
            "start": grid[decision + 1],
            "end": grid[decision + 2],
            "asset": opens[decision + 2] / opens[decision + 1] - 1,
            "position": wanted[decision],
        }
    )


def _trade(timeline: pd.DataFrame, cost: float) -> Simulation:
    """Portfolio returns of a timeline; `cost` is a share of the traded value."""
    import pandas as pd

    first = timeline["symbol"].ne(timeline["symbol"].shift()).to_numpy()
    start, position = timeline["start"].to_numpy(), timeline["position"].to_numpy()
    times, returns, _ = _portfolio(timeline, position, first, cost)
    lost = np.flatnonzero(returns <= -1.0)
    if len(lost):
        # Who has nothing left trades nothing: later positions must not enter turnover or the trades.
        position = np.where(start > times[lost[0]], 0.0, position)
    _, returns, traded = _portfolio(timeline, position, first, cost)
    if len(lost):
        returns[lost[0]], returns[lost[0] + 1 :], traded[lost[0] + 1 :] = -1.0, 0.0, 0.0
    ends = np.append(times, timeline["end"].max())
    return Simulation(
        times=pd.DatetimeIndex(ends.astype("datetime64[us]")).tz_localize("UTC"),
        returns=returns,
        traded=traded,
        trade_returns=_trade_returns(position, position * timeline["asset"].to_numpy(), first, cost),
        ruined=bool(len(lost)),
    )


def _portfolio(
    timeline: pd.DataFrame, position: Floats, first: NDArray[np.bool_], cost: float
) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Starts of the intervals, and in each the net return and the traded value, averaged over its symbols."""
    change = np.abs(position - np.where(first, 0.0, np.concatenate([[0.0], position[:-1]])))
    net = position * timeline["asset"].to_numpy() - cost * change
    starts, slot, symbols = np.unique(timeline["start"].to_numpy(), return_inverse=True, return_counts=True)
    return starts, np.bincount(slot, net) / symbols, np.bincount(slot, change) / symbols


def _trade_returns(position: Floats, gross: Floats, first: NDArray[np.bool_], cost: float) -> Floats:
    """Compounded return of every run of constant non-zero position, less its entry and, where it was left, its exit."""
    opened = first | np.concatenate([[True], position[1:] != position[:-1]])
    starts = np.flatnonzero(opened)
    growth = np.multiply.reduceat(np.maximum(1.0 + gross, 0.0), starts)
    after = np.append(starts[1:], len(position))
    still_open = (after == len(position)) | first[np.minimum(after, len(position) - 1)]
    sides = np.where(still_open, 1, 2)
    held = position[starts] != 0
    returns: Floats = (growth - 1.0 - cost * np.abs(position[starts]) * sides)[held]
    return returns


def max_drawdown(equity: Floats) -> float:
    """Largest loss from a previous high, as a fraction in [-1, 0]."""
    return float(np.clip((equity / np.maximum.accumulate(equity) - 1.0).min(), -1.0, 0.0))


def annualised_sharpe(returns: Floats, bars_per_year: float) -> float:
    """Mean over standard deviation of the returns (risk-free rate 0) times sqrt(bars per year) (Sharpe 1994).

    Zero where returns do not vary: nothing was risked, or one return alone says nothing.
    """
    deviation = float(returns.std(ddof=1)) if len(returns) > 1 else 0.0
    # A constant series has a deviation of rounding size; dividing by it would make a Sharpe ratio of 1e15.
    if deviation <= 1e-12 * max(1.0, float(np.abs(returns).max(initial=0.0))):
        return 0.0
    return float(returns.mean()) / deviation * float(np.sqrt(bars_per_year))


def summarise(simulation: Simulation) -> Trading:
    """The numbers of `betti.records.Trading`.

    `win_rate` is the share of trades that earned, `profit_factor` what they earned over what the others lost (None
    without trades, or without a losing one); `turnover` is the mean value traded per bar, as a share of capital.
    """
    equity, trades = simulation.equity, simulation.trade_returns
    bars, per_year = len(simulation.returns), simulation.bars_per_year
    lost = float(-trades[trades < 0].sum())
    return Trading(
        bars=bars,
        bars_per_year=per_year,
        sharpe=annualised_sharpe(simulation.returns, per_year),
        annual_return=_annual_return(float(equity[-1]), bars / per_year),
        total_return=float(equity[-1]) - 1.0,
        max_drawdown=max_drawdown(equity),
        win_rate=float((trades > 0).mean()) if len(trades) else None,
        profit_factor=float(trades[trades > 0].sum()) / lost if lost > 0 else None,
        trades=len(trades),
        turnover=float(simulation.traded.mean()),
        ruined=simulation.ruined,
    )


def _annual_return(final: float, years: float) -> float:
    """Compound return per year of equity that went from 1 to `final` in that many years."""
    if final <= 0:
        return -1.0
    return float(np.expm1(min(np.log(final) / years, LARGEST_LOG_RETURN)))
