"""Backtest paths: several whole histories out of one combinatorial split, each traded and scored on its own.

Lopez de Prado, Advances in Financial Machine Learning (2018), chapter 12. A row that several folds test stands on as
many paths; path p takes the answer of the p-th of these folds. How the paths' Sharpe ratios spread says how much of one
backtest is chance. What does not belong here: which fold tests what (`betti.splits.combinatorial`), and trading itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from betti.metrics.classification import log_losses
from betti.metrics.trading import summarise
from betti.records import PathScore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from betti.metrics.trading import Simulation

    Floats = NDArray[np.float64]
    Trade = Callable[[pd.DataFrame, Floats], Simulation | None]

__all__ = ["BacktestPath", "backtests", "curves", "path_numbers"]


@dataclass(frozen=True)
class BacktestPath:
    """One path: its scores, and what trading it did; no simulation where none of its rows can be filled."""

    score: PathScore
    simulation: Simulation | None


def path_numbers(rows: pd.DataFrame) -> NDArray[np.int64]:
    """(n,) the path of each judged row: its place among the folds that judge its time and symbol.

    The same paths as `betti.splits.combinatorial.backtest_paths`, where every fold judges all that it tests.

    Args:
        rows: `timestamp`, `symbol`, `fold`, in any order.

    >>> import pandas as pd
    >>> day = pd.Timestamp("2020-01-01", tz="UTC")
    >>> path_numbers(pd.DataFrame({"timestamp": day, "symbol": ["A", "A", "B"], "fold": [4, 1, 4]})).tolist()
    [1, 0, 0]
    """
    order = np.argsort(rows["fold"].to_numpy(), kind="stable")
    places = rows.iloc[order].groupby(["symbol", "timestamp"], observed=True, sort=False).cumcount()
    numbers = np.empty(len(rows), dtype="int64")
    numbers[order] = places.to_numpy()
    return numbers


def backtests(rows: pd.DataFrame, probabilities: Floats, trade: Trade) -> tuple[BacktestPath, ...]:
    """Every path of the judged rows, from path 0; none where no row was judged twice.

    Args:
        rows: `timestamp`, `symbol`, `fold`, integer `label`, and what `trade` reads; in any order.
        probabilities: (n, classes) answers to these rows.
        trade: what acting on the answers to some of these rows does.
    """
    numbers = path_numbers(rows)
    count = int(numbers.max(initial=0)) + 1
    if count == 1:
        return ()
    return tuple(
        _path(path, rows.loc[chosen].reset_index(drop=True), probabilities[chosen], trade)
        for path in range(count)
        for chosen in [numbers == path]
    )


def _path(path: int, rows: pd.DataFrame, probabilities: Floats, trade: Trade) -> BacktestPath:
    y, simulation = rows["label"].to_numpy(dtype="int64"), trade(rows, probabilities)
    score = PathScore(
        path=path,
        rows=len(rows),
        accuracy=float((probabilities.argmax(axis=1) == y).mean()),
        log_loss=float(log_losses(y, probabilities).mean()),
        trading=None if simulation is None else summarise(simulation),
    )
    return BacktestPath(score, simulation)


def curves(paths: Sequence[BacktestPath], times: pd.DatetimeIndex) -> dict[str, Floats]:
    """`path_0` ... -> (times,) equity of each path that was traded; NaN at times at which it was not."""
    import pandas as pd

    return {
        f"path_{path.score.path}": pd.Series(one.equity, index=one.times).reindex(times).to_numpy(dtype="float64")
        for path in paths
        if (one := path.simulation) is not None
    }
