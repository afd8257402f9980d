"""Backtest paths: each holds every row once, and what they say together is what all rows say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from betti import labelling, splits
from betti.metrics.paths import backtests, curves, path_numbers
from betti.metrics.trading import Simulation, simulate, summarise
from betti.splits.combinatorial import backtest_paths, path_rows
from tests.conftest import random_bars

KEY = ["timestamp", "symbol"]
COSTS = {"cost_bps": 1.0, "slippage_bps": 1.0}
counted = pytest.mark.parametrize(("groups", "folds", "paths"), [(6, 15, 5), (10, 45, 9)])


@pytest.fixture(scope="module")
def bars() -> pd.DataFrame:
    return pd.concat([random_bars(500, 1, "AAA"), random_bars(500, 2, "BBB")], ignore_index=True)


@pytest.fixture(scope="module")
def labels(bars: pd.DataFrame) -> pd.DataFrame:
    return labelling.label("direction", bars, horizon=5)


def judged(labels: pd.DataFrame, groups: int) -> pd.DataFrame:
    """The test rows of every fold with their class, in order of folds."""
    folds = splits.split("combinatorial", labels, groups=groups, test_groups=2)
    rows = folds.loc[folds["role"] == "test", [*KEY, "fold"]].astype({"symbol": "str"})
    found = rows.merge(labels, on=KEY)
    return found.assign(label=found["direction"].astype("int64"))


def answers(rows: pd.DataFrame, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(3), len(rows))


@pytest.fixture(scope="module")
def trade(bars: pd.DataFrame):
    def trade(rows: pd.DataFrame, probabilities: np.ndarray) -> Simulation | None:
        assert not rows.duplicated(KEY).any(), "a path holds a row once"
        return simulate(rows[KEY].assign(position=probabilities.argmax(axis=1) - 1.0), bars, **COSTS)

    return trade


@counted
def test_paths_are_those_of_the_split(labels: pd.DataFrame, groups: int, folds: int, paths: int) -> None:
    rows = judged(labels, groups)
    assert rows["fold"].nunique() == folds
    mixed = rows.sample(frac=1, random_state=0)
    numbered = mixed[[*KEY, "fold"]].assign(path=path_numbers(mixed))
    wanted = path_rows(splits.split("combinatorial", labels, groups=groups, test_groups=2)).astype({"symbol": "str"})
    ordered = numbered.sort_values(["path", "symbol", "timestamp"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(ordered, wanted[ordered.columns], check_dtype=False)
    taken = {(row.path, row.fold) for row in numbered[["path", "fold"]].drop_duplicates().itertuples()}
    assert taken == {(path, int(fold)) for path, line in enumerate(backtest_paths(groups, 2)) for fold in line}
    assert numbered["path"].nunique() == paths


@counted
def test_each_path_holds_each_row_once_and_their_means_are_those_of_all_rows(
    labels: pd.DataFrame, trade, groups: int, folds: int, paths: int
) -> None:
    rows = judged(labels, groups)
    said = answers(rows)
    found = backtests(rows, said, trade)
    assert [one.score.path for one in found] == list(range(paths))
    assert {one.score.rows for one in found} == {len(labels)}
    right = said.argmax(axis=1) == rows["label"].to_numpy()
    assert np.mean([one.score.accuracy for one in found]) == pytest.approx(right.mean())
    losses = -np.log(said[np.arange(len(rows)), rows["label"]])
    assert np.mean([one.score.log_loss for one in found]) == pytest.approx(losses.mean())


def test_a_path_trades_the_answers_of_its_own_folds(labels: pd.DataFrame, trade) -> None:
    rows = judged(labels, 6)
    said = answers(rows)
    found = backtests(rows, said, trade)
    for path, line in enumerate(backtest_paths(6, 2)):
        # The p-th fold of each group, put together by hand.
        instants = np.sort(labels["timestamp"].unique())
        edges = np.linspace(0, len(instants), 7).round().astype(int)
        group = np.searchsorted(edges, np.searchsorted(instants, rows["timestamp"]), side="right") - 1
        mine = rows["fold"].to_numpy() == line[group]
        alone = trade(rows[mine].reset_index(drop=True), said[mine])
        assert alone is not None
        assert found[path].score.trading == summarise(alone)


def test_equal_answers_of_all_folds_make_equal_paths(labels: pd.DataFrame, trade, bars: pd.DataFrame) -> None:
    rows = judged(labels, 6)
    truth = np.eye(3)[rows["label"]] * 0.9 + 0.1 / 3
    found = backtests(rows, truth, trade)
    assert len({one.score.trading for one in found}) == 1
    lines = curves(found, found[0].simulation.times)
    assert list(lines) == [f"path_{path}" for path in range(5)]
    for line in lines.values():
        np.testing.assert_array_equal(line, found[0].simulation.equity)


def test_blocks_tested_once_make_no_paths(labels: pd.DataFrame, trade) -> None:
    folds = splits.split("walk_forward", labels)
    rows = folds[folds["role"] == "test"].astype({"symbol": "str"}).merge(labels, on=KEY)
    rows = rows.assign(label=rows["direction"].astype("int64"))
    assert set(path_numbers(rows)) == {0}
    assert backtests(rows, answers(rows), trade) == ()


def test_a_path_that_cannot_be_filled_says_so(labels: pd.DataFrame) -> None:
    rows = judged(labels, 6)
    found = backtests(rows, answers(rows), lambda rows, probabilities: None)
    assert len(found) == 5 and {one.score.trading for one in found} == {None}
    assert curves(found, pd.DatetimeIndex([])) == {}


def test_a_curve_is_missing_where_its_path_was_not_traded(labels: pd.DataFrame, trade) -> None:
    rows = judged(labels, 6)
    path = backtests(rows, answers(rows), trade)[0]
    earlier = path.simulation.times[:1] - pd.Timedelta("1D")
    line = curves([path], earlier.append(path.simulation.times))["path_0"]
    assert np.isnan(line[0]) and line[1] == 1.0
