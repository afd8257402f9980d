"""What the page says about one run: scores per fold, intervals, and four pictures; and what it takes to repeat it.

What does not belong here: comparing runs (`verdict.py`), what networks alone have (`networks.py`), drawing.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean, pstdev
from typing import TYPE_CHECKING

from betti.charts import confusion, networks, reliability
from betti.charts import equity as equity_picture
from betti.charts import importance as importance_picture
from betti.charts import learning as learning_picture
from betti.charts import paths as paths_picture
from betti.charts.markup import escaped, grid, interval, number, paragraph, percent, picture, slug, table
from betti.charts.page import Section, gathered

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from betti.charts.networks import Surroundings
    from betti.records import Classification, RunMetrics, Trading

__all__ = ["RunTables", "reproducibility_section", "run_body", "runs_section"]

SCORES = ("rows", "accuracy", "macro F1", "weighted F1", "AUC", "precision", "precision rows", "log loss", "Brier")
TRADING = (
    "bars", "Sharpe", "annual return", "total return", "max drawdown", "win rate", "profit factor", "trades",
    "turnover", "ruined",
)  # fmt: skip
PATHS = ("rows", "accuracy", "log loss", "Sharpe", "annual return", "total return", "max drawdown", "trades")


def runs_section(bodies: Mapping[str, str]) -> Section:
    """All runs; each body is made by `run_body`."""
    words = paragraph(
        "Every score is out of sample. Precision is that of the decisive classes among rows whose probability reaches "
        "the decision threshold. A signal at the close of a bar is filled at the next open, after costs."
    )
    return gathered("runs", "Runs", words, bodies)


@dataclass(frozen=True)
class RunTables:
    """What one run left: columns as the report's arguments of the same names; any of them may be empty."""

    learning: pd.DataFrame
    importance: pd.DataFrame
    predictions: pd.DataFrame
    equity: pd.DataFrame


def run_body(metrics: RunMetrics, tables: RunTables, max_points: int, around: Surroundings | None = None) -> str:
    """Everything about one run; what needs tables of other stages is left out without `around`."""
    words = (
        f"Model {escaped(metrics.model)} on {metrics.columns} columns of {escaped(metrics.feature_set)}, "
        f"for {escaped(metrics.target)}.{_pruned(metrics)}"
    )
    return (
        paragraph(words)
        + _warnings(metrics)
        + _cards(metrics)
        + _scores(metrics)
        + _gaps(metrics)
        + _heads(metrics)
        + networks.span_table(metrics)
        + _intervals(metrics)
        + _trading(metrics)
        + _pictures(metrics, tables, max_points)
        + _pictures_of_networks(metrics, tables, around, max_points)
        + _paths(metrics, tables.equity, max_points)
    )


def _pruned(metrics: RunMetrics) -> str:
    """How many columns the models were not given, most and fewest."""
    if not metrics.columns_dropped:
        return ""
    least, most = min(metrics.columns_dropped.values()), max(metrics.columns_dropped.values())
    number_of = f"{most}" if least == most else f"{least} to {most}"
    return f" Pruning dropped {number_of} of them, which were constant or like others in a model's train rows."


def _warnings(metrics: RunMetrics) -> str:
    return "".join(paragraph(f"Warning: {escaped(one.message)}.") for one in metrics.warnings)


def _cards(metrics: RunMetrics) -> str:
    shown = (
        ("test rows", number(metrics.pooled.rows, 0)),
        ("accuracy", number(metrics.pooled.accuracy)),
        ("macro F1", number(metrics.pooled.macro_f1)),
        ("AUC", number(metrics.pooled.auc)),
        ("Sharpe", number(metrics.trading.sharpe, 2)),
        ("max drawdown", percent(metrics.trading.max_drawdown)),
        ("trades", number(metrics.trading.trades, 0)),
    )
    return '<div class="cards">' + "".join(_card(name, value) for name, value in shown) + "</div>\n"


def _card(name: str, value: str) -> str:
    return f'<div class="card"><b>{value}</b><span>{name}</span></div>'


def _scores(metrics: RunMetrics) -> str:
    rows = [(name.replace("_", " "), scores) for name, scores in metrics.folds.items()]
    rows.append(("all test rows", metrics.pooled))
    rows += [(f"baseline: {name}", scores) for name, scores in metrics.baselines.items()]
    dropped = ", ".join(f"{count:,} {reason}" for reason, count in sorted(metrics.rows_dropped.items()) if count)
    note = paragraph(f"Test rows without a complete input, left out: {escaped(dropped)}.") if dropped else ""
    return "<h4>Scores per fold</h4>" + table(["", *SCORES], [[name, *_score_cells(one)] for name, one in rows]) + note


def _score_cells(one: Classification) -> list[str]:
    return [
        number(one.rows, 0),
        *(number(value) for value in (one.accuracy, one.macro_f1, one.weighted_f1, one.auc, one.precision)),
        number(one.precision_rows, 0),
        number(one.log_loss),
        number(one.brier),
    ]


def _gaps(metrics: RunMetrics) -> str:
    """How much better each fold's model is on the rows it learnt from; nothing where no model said."""
    rows = [
        [name.replace("_", " "), number(one.train_accuracy), number(one.accuracy), number(one.train_loss),
         number(one.log_loss)]
        for name, one in metrics.gaps.items()
    ]  # fmt: skip
    header = ["", "train accuracy", "minus test", "train loss", "test log loss minus it"]
    return "<h4>Train rows against test rows</h4>" + table(header, rows) if rows else ""


def _heads(metrics: RunMetrics) -> str:
    """What the model says beside its classes, against the labels of the same name."""
    rows = [
        [f"{name}, {where}", number(one.rows, 0), number(one.mae), number(one.rmse), number(one.spearman)]
        for name, head in metrics.heads.items()
        for where, one in [*((fold.replace("_", " "), each) for fold, each in head.folds.items()), ("all", head.pooled)]
    ]
    header = ["", "rows", "mean absolute error", "root mean squared error", "rank correlation"]
    return "<h4>Other heads</h4>" + table(header, rows) if rows else ""


def _intervals(metrics: RunMetrics) -> str:
    rows = [[f"score: {name}", interval(value)] for name, value in metrics.intervals.items()]
    rows += [[f"trading: {name}", interval(value)] for name, value in metrics.trading_intervals.items()]
    rows += [
        [f"against {name} ({metrics.versus_score.get(name, 'n/a')})", interval(value)]
        for name, value in metrics.versus.items()
    ]
    if not rows:
        return ""
    return "<h4>Intervals (stationary bootstrap)</h4>" + table(["", "estimate [low, high]"], rows)


def _trading(metrics: RunMetrics) -> str:
    rows = [["strategy", *_trading_cells(metrics.trading)]]
    rows += [[f"baseline: {name}", *_trading_cells(one)] for name, one in metrics.baseline_trading.items()]
    return "<h4>Trading, after costs</h4>" + table(["", *TRADING], rows)


def _trading_cells(one: Trading) -> list[str]:
    return [
        number(one.bars, 0),
        number(one.sharpe, 2),
        *(percent(value) for value in (one.annual_return, one.total_return, one.max_drawdown, one.win_rate)),
        number(one.profit_factor, 2),
        number(one.trades, 0),
        number(one.turnover, 2),
        "yes" if one.ruined else "no",
    ]


def _pictures(metrics: RunMetrics, tables: RunTables, max_points: int) -> str:
    ident = f"fig-runs-{slug(metrics.run)}"
    pieces = [
        _learning(ident, tables.learning, max_points),
        _confusion(ident, tables.predictions, metrics.classes),
        _reliability(ident, tables.predictions),
    ]
    return grid(pieces) + _importance(ident, tables.importance) + _equity(ident, tables.equity, max_points)


def _pictures_of_networks(metrics: RunMetrics, tables: RunTables, around: Surroundings | None, max_points: int) -> str:
    if around is None:
        return ""
    return networks.pictures(metrics, tables.learning, tables.predictions, around, max_points)


def _importance(ident: str, importance: pd.DataFrame) -> str:
    """Wide, for names of columns are long."""
    if importance.empty:
        return ""
    return picture(f"{ident}-importance", importance_picture.bars(importance), importance_picture.caption(importance))


def _learning(ident: str, learning: pd.DataFrame, max_points: int) -> str:
    if learning.empty:
        return paragraph("No learning curve: this model is not trained in epochs.")
    caption = "Loss per epoch: validation solid, training dotted"
    return picture(f"{ident}-learning", learning_picture.curves(learning, max_points), caption)


def _confusion(ident: str, predictions: pd.DataFrame, classes: int) -> str:
    if predictions.empty:
        return paragraph("There are no out-of-sample predictions.")
    caption = "Confusion: test rows, and share of the actual class"
    return picture(f"{ident}-confusion", confusion.squares(predictions, classes), caption)


def _reliability(ident: str, predictions: pd.DataFrame) -> str:
    if predictions.empty or not reliability.drawn_classes(predictions):
        return paragraph("No reliability diagram: there are no probabilities.")
    caption = "Reliability: on the dotted line, what is given 60 % happens 60 % of the time"
    return picture(f"{ident}-reliability", reliability.diagram(predictions), caption)


def _equity(ident: str, equity: pd.DataFrame, max_points: int) -> str:
    if equity.empty:
        return paragraph("No equity: nothing could be traded.")
    caption = "Equity after costs against buy and hold, and the fall from the highest point so far"
    return picture(f"{ident}-equity", equity_picture.curves(equity, max_points), caption)


def _paths(metrics: RunMetrics, equity: pd.DataFrame, max_points: int) -> str:
    """Every backtest path, where the folds make several: how their Sharpe ratios spread, a picture, and a table."""
    traded = [one.trading for one in metrics.paths if one.trading is not None]
    if not traded:
        return ""
    sharpes = [one.sharpe for one in traded]
    words = (
        f"{len(traded)} backtest paths, each through the whole tested history: Sharpe from {number(min(sharpes), 2)} "
        f"to {number(max(sharpes), 2)}, mean {number(mean(sharpes), 2)}, standard deviation "
        f"{number(pstdev(sharpes), 2)}; the deepest drawdown is {percent(min(one.max_drawdown for one in traded))}."
    )
    rows = [
        [f"path {one.path}", number(one.rows, 0), number(one.accuracy), number(one.log_loss), number(got.sharpe, 2),
         percent(got.annual_return), percent(got.total_return), percent(got.max_drawdown), number(got.trades, 0)]
        for one in metrics.paths
        if (got := one.trading) is not None
    ]  # fmt: skip
    drawn = ""
    if paths_picture.columns(equity):
        ident = f"fig-runs-{slug(metrics.run)}-paths"
        caption = "Backtest paths after costs, and the strategy that acts on their mean probabilities"
        drawn = picture(ident, paths_picture.curves(equity, max_points), caption)
    return "<h4>Backtest paths</h4>" + paragraph(words) + drawn + table(["", *PATHS], rows)


def reproducibility_section(metrics: Mapping[str, RunMetrics]) -> Section:
    """What each run was made with."""
    header = ["run", "model", "target", "feature set", "classes", "columns", "seed", "device", "bars per year"]
    rows = [
        [one.run, one.model, one.target, one.feature_set, one.classes, one.columns, one.seed, one.device,
         number(one.trading.bars_per_year, 1)]
        for one in metrics.values()
    ]  # fmt: skip
    words = paragraph("The same inputs, knobs and seeds give the same bytes on CPU.")
    return Section("reproducibility", "Reproducibility", words + table(header, rows, kind="words"))
