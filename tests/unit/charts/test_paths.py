"""Backtest paths on the page: as many lines as paths, their spread in words, and nothing where there are none."""

from __future__ import annotations

import numpy as np
import pandas as pd

from betti import records
from betti.charts import paths
from betti.charts.run_section import RunTables, run_body
from tests.unit.charts import samples

TIMES = pd.Series(pd.date_range("2010-01-01", periods=400, tz="UTC"))
SHARPES = (0.25, -0.5, 1.0)


def equity(count: int) -> pd.DataFrame:
    table = samples.equity(TIMES)
    lines = {f"path_{path}": samples.equity(TIMES, path + 1)["strategy"] for path in range(count)}
    return table.assign(**lines)


def body(count: int) -> str:
    scores = [
        records.PathScore(path=path, rows=10, accuracy=0.4, log_loss=1.1, trading=samples.trading(sharpe))
        for path, sharpe in enumerate(SHARPES[:count])
    ]
    metrics = samples.metrics("a-run").model_copy(update={"paths": scores})
    nothing = samples.no_learning()
    return run_body(metrics, RunTables(nothing, nothing, nothing[:0], equity(count)), 100)


def test_every_path_is_a_thin_line_below_the_strategy() -> None:
    figure = paths.curves(equity(3), 2000)
    names = [trace.legendgroup for trace in figure.data]
    assert names == ["paths"] * 3 + ["strategy"]
    assert [trace.showlegend for trace in figure.data] == [True, False, False, True]
    assert figure.data[0].line.width < figure.data[-1].line.width
    for trace, name in zip(figure.data, ["path_0", "path_1", "path_2", "strategy"], strict=True):
        np.testing.assert_allclose(trace.y, equity(3)[name].astype("float32"))
    assert figure.layout.yaxis.type == "log"
    ruined = equity(2).assign(path_1=0.0)
    assert paths.curves(ruined, 2000).layout.yaxis.type == "linear"


def test_many_paths_have_few_points_each() -> None:
    figure = paths.curves(equity(3), 300)
    assert all(len(trace.x) <= 100 for trace in figure.data[:3])


def test_the_spread_of_the_sharpe_ratios_is_told() -> None:
    page = body(3)
    assert "3 backtest paths" in page
    assert "Sharpe from -0.50 to 1.00, mean 0.25, standard deviation 0.61" in page
    assert 'id="fig-runs-a-run-paths"' in page
    assert page.count("<td>path ") == 3


def test_without_paths_nothing_is_said() -> None:
    assert "acktest path" not in body(0)
    assert paths.columns(equity(0)) == []
