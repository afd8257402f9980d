"""Stage 8, one item per run: out-of-sample predictions, and every score they earn against what needs no model.

Each test row is predicted by its own fold's model. The final model has seen every row and is never asked. What does
not belong here: the scores themselves (`betti.metrics`), and the verdict (`betti.promotion`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from betti.errors import BadInput, BadModelInput, BadParam
from betti.metrics import baselines
from betti.metrics._instants import instants, span_bars
from betti.metrics.classification import classification, log_losses
from betti.metrics.decisions import positions
from betti.metrics.heads import PREFIX, head_scores, output_columns
from betti.metrics.overfitting import train_test_gaps
from betti.metrics.paths import backtests, curves
from betti.metrics.significance import Bootstrap, difference_interval, score_intervals, trading_intervals
from betti.metrics.span_scores import span_answers, span_metrics
from betti.metrics.trading import Simulation, buy_and_hold, simulate, summarise
from betti.progress import track
from betti.records import RunMetrics, RunWarning, Scores
from betti.training.fold_roles import FoldRoles

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from betti.metrics.paths import BacktestPath
    from betti.metrics.span import SpanAnswers
    from betti.records import Classification, Interval
    from betti.training.manifest import RunManifest
    from betti.training.run import TrainedRun

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["Evaluated", "NothingToEvaluate", "evaluate"]

KEY = ["timestamp", "symbol"]
VERSUS_SCORE = {
    "majority_class": "log loss (nats per row, baseline minus run)",
    "last_direction": "accuracy (run minus baseline)",
    "buy_and_hold": "mean net return per bar (run minus baseline)",
}


class NothingToEvaluate(BadInput):
    """No test row is left to be judged."""

    def __init__(self, run: str, found: str, remedy: str) -> None:
        self.run, self.found = run, found
        super().__init__(f"run '{run}': {found}. {remedy}")


@dataclass(frozen=True)
class Evaluated:
    """What the stage hands out.

    Attributes:
        predictions: `betti.schemas.PREDICTIONS` with `p_0` ..., `prediction` and `label`, by fold, symbol and time,
            and `output_NAME` for each number that the model says beside its classes.
        metrics: every score of the run.
        scores: the few of them that are compared at a glance.
        confusion: `actual`, `predicted`: one row per test row.
        equity: `timestamp`, `strategy`, `buy_and_hold`: value of 1 invested, at every open; beside them `path_0` ...,
            where the folds make several paths.
    """

    predictions: pd.DataFrame
    metrics: RunMetrics
    scores: Scores
    confusion: pd.DataFrame
    equity: pd.DataFrame


@dataclass(frozen=True)
class _Tested:
    """All judged test rows in order, `output_NAME` among their columns, with the (n, classes) probabilities of the run
    and of the baselines, and where the run says of each fold's rows that expansions lie, if it says so.
    """

    rows: pd.DataFrame
    run: Floats
    majority_class: Floats
    last_direction: Floats
    spans: tuple[SpanAnswers, ...]
    dropped: dict[str, int]

    @property
    def y(self) -> Integers:
        return self.rows["label"].to_numpy(dtype="int64")


def evaluate(
    models: TrainedRun,
    feature_set: pd.DataFrame,
    labels: pd.DataFrame,
    folds: pd.DataFrame,
    clean: pd.DataFrame,
    *,
    cost_bps: float,
    slippage_bps: float,
    decision_threshold: float,
    trade_symbols: list[str],
    repetitions: int,
    confidence: float,
    seed: int,
) -> Evaluated:
    """Judge one run on the rows that none of its fold models has seen.

    Args:
        models: the trained run.
        feature_set: its inputs.
        labels: its target's labels.
        folds: roles of the labelled rows; only `test` rows are judged, `train` rows feed the baselines.
        clean: bars, for baselines and fills.
        cost_bps: commission per side, basis points of the traded value.
        slippage_bps: slippage per side, likewise.
        decision_threshold: probability at which a signal is acted on.
        trade_symbols: symbols that the strategy trades; empty means all.
        repetitions: bootstrap resamples.
        confidence: two-sided confidence of every interval.
        seed: of the bootstrap.

    Raises:
        NothingToEvaluate: no test row has a label and a complete input, or none can be filled.
        BadModelInput: the model's answers are no probabilities.
        BadParam: a symbol of `trade_symbols` has no bars.
    """
    tested = _test(models, feature_set, labels, folds, clean)
    horizon = int(span_bars(tested.rows, clean).max())
    bootstrap = Bootstrap(repetitions, confidence, seed, horizon)
    symbols, costs = _traded(trade_symbols, clean), {"cost_bps": cost_bps, "slippage_bps": slippage_bps}
    signals = _signals(tested.rows, tested.run, decision_threshold, symbols)
    strategy, held = simulate(signals, clean, **costs), buy_and_hold(signals, clean, **costs)
    if strategy is None or held is None:
        found = "no test row of the traded symbols is followed by the two bars that a fill needs"
        raise NothingToEvaluate(
            models.manifest.run, found, "Mend evaluate.trade_symbols in params.yaml, or fetch more bars"
        )

    def trade(rows: pd.DataFrame, answers: Floats) -> Simulation | None:
        return simulate(_signals(rows, answers, decision_threshold, symbols), clean, **costs)

    paths = backtests(tested.rows, tested.run, trade)
    metrics = _metrics(models.manifest, tested, (strategy, held), paths, decision_threshold, bootstrap)
    predictions = _predictions(models.manifest, tested)
    return Evaluated(predictions, metrics, _scores(metrics), _confusion(predictions), _equity(strategy, held, paths))


def _scores(metrics: RunMetrics) -> Scores:
    pooled, trading = metrics.pooled, metrics.trading
    return Scores(
        accuracy=pooled.accuracy,
        macro_f1=pooled.macro_f1,
        auc=pooled.auc,
        log_loss=pooled.log_loss,
        brier=pooled.brier,
        sharpe=trading.sharpe,
        annual_return=trading.annual_return,
        max_drawdown=trading.max_drawdown,
        baselines_beaten=sum(difference.low > 0 for difference in metrics.versus.values()),
    )


# Predicting ---------------------------------------------------------------------------------------------------------


def _test(
    models: TrainedRun, feature_set: pd.DataFrame, labels: pd.DataFrame, folds: pd.DataFrame, clean: pd.DataFrame
) -> _Tested:
    """Every fold's test rows with the answers of the fold's own model and of the baselines."""
    import pandas as pd

    dropped: Counter[str] = Counter()
    found, spans = [], []
    known = _known(labels, models.manifest.label)
    roles = FoldRoles.of(known, folds)
    for fold in track(roles.numbers, "folds"):
        train, test = (known.iloc[roles.where(fold, role)].assign(fold=fold) for role in ("train", "test"))
        dropped["no_label"] += roles.listed(fold, "test") - len(test)
        if not len(test):
            continue
        answers = models.predict(fold, feature_set, test[[*KEY, "span_start", "span_end", models.manifest.label]])
        dropped.update(answers.dropped)
        kept = answers.rows[KEY].assign(_at=np.arange(len(answers.rows))).merge(test, on=KEY, validate="one_to_one")
        kept = kept.sort_values(["symbol", "timestamp"], kind="stable")
        if len(kept):
            order = kept.pop("_at").to_numpy()
            run = _checked(models.manifest, answers.output.class_probabilities)[order]
            kept = kept.assign(**output_columns(models.manifest.model, answers.output.outputs, order))
            spans.append(span_answers(models.manifest.model, answers.output.outputs, order))
            found.append((kept, run, *_baselines(kept, train, labels, clean, models.manifest)))
    counts = {reason: count for reason, count in sorted(dropped.items()) if count}
    if not found:
        raise _nothing(models.manifest.run, folds, counts)
    rows, *answered = zip(*found, strict=True)
    run, majority, last = (np.concatenate(one) for one in answered)
    told = tuple(one for one in spans if one is not None)
    return _Tested(pd.concat(rows, ignore_index=True), run, majority, last, told, counts)


def _known(labels: pd.DataFrame, label: str) -> pd.DataFrame:
    """The rows that have a label, as an integer `label`, by symbol and time."""
    rows = labels[labels[label].notna()].sort_values(["symbol", "timestamp"], kind="stable")
    return rows.assign(label=rows[label].astype("int64"))


def _nothing(run: str, folds: pd.DataFrame, dropped: Mapping[str, int]) -> NothingToEvaluate:
    reasons = ", ".join(f"{reason} {count}" for reason, count in dropped.items())
    asked = int((folds["role"] == "test").sum())
    if not asked:
        return NothingToEvaluate(run, "the folds hold no test rows", "Run `betti run --stages split --downstream`")
    found = f"none of {asked} test rows can be judged (dropped: {reasons or 'the model answered for none'})"
    return NothingToEvaluate(run, found, "Fetch more bars, or choose features with a shorter warm-up")


def _checked(manifest: RunManifest, probabilities: Floats) -> Floats:
    """The probabilities, if they are some: a model that answers nonsense must not be scored."""
    wrong = probabilities.ndim != 2 or probabilities.shape[1] != manifest.classes
    if wrong or not np.isfinite(probabilities).all() or (probabilities < 0).any():
        found = f"answered with shape {probabilities.shape} and values that are not {manifest.classes} probabilities"
        raise BadModelInput(manifest.model, found, "Mend its `predict`: each row sums to 1, nothing is NaN")
    sums = probabilities.sum(axis=1, keepdims=True)
    if np.abs(sums - 1).max(initial=0.0) > 1e-3:
        raise BadModelInput(manifest.model, "answered with rows that do not sum to 1", "Mend its `predict`")
    scaled: Floats = np.asarray(probabilities, dtype="float64") / sums
    return scaled


def _baselines(
    rows: pd.DataFrame, train: pd.DataFrame, labels: pd.DataFrame, clean: pd.DataFrame, manifest: RunManifest
) -> tuple[Floats, Floats]:
    """Probabilities of the majority class and of the last direction, from what the fold's model could have known."""
    shares = baselines.class_frequencies(train["label"].to_numpy(), manifest.classes)
    fallback = int(shares.argmax())
    if manifest.classes == 3:
        horizon = int(span_bars(train, clean).max(initial=1))
        chosen = baselines.last_move(rows, clean, horizon=horizon, fallback=fallback)
    else:
        chosen = baselines.last_known_label(rows, labels, manifest.label, fallback=fallback)
    return np.tile(shares, (len(rows), 1)), baselines.nearly_certain(chosen, manifest.classes)


# Trading ------------------------------------------------------------------------------------------------------------


def _traded(trade_symbols: list[str], clean: pd.DataFrame) -> list[str]:
    present = sorted({str(symbol) for symbol in clean["symbol"].unique()})
    absent = sorted(set(trade_symbols) - set(present))
    if absent:
        problem = f"no bars of {', '.join(absent)}; there are {', '.join(present)} (an empty list trades all)"
        raise BadParam("evaluate.trade_symbols", trade_symbols, problem)
    return trade_symbols or present


def _signals(rows: pd.DataFrame, answers: Floats, threshold: float, symbols: list[str]) -> pd.DataFrame:
    """`timestamp`, `symbol`, `position`; a row that occurs several times (combinatorial) takes its mean probability."""
    names = [f"p_{label}" for label in range(answers.shape[1])]
    table = rows[KEY].copy()
    table[names] = answers
    sided = "side" in rows
    if sided:
        table["side"] = rows["side"]
    mean = table[table["symbol"].isin(symbols)].groupby(["symbol", "timestamp"], sort=True, as_index=False).mean()
    side = mean["side"].to_numpy(dtype="float64") if sided else None
    position = positions(mean[names].to_numpy(), threshold, side)
    return mean[KEY].assign(position=position)


# Judging ------------------------------------------------------------------------------------------------------------


def _metrics(
    manifest: RunManifest,
    tested: _Tested,
    traded: tuple[Simulation, Simulation],
    paths: tuple[BacktestPath, ...],
    threshold: float,
    bootstrap: Bootstrap,
) -> RunMetrics:
    y, times = tested.y, instants(tested.rows["timestamp"])
    strategy, held = traded
    others = {"majority_class": tested.majority_class, "last_direction": tested.last_direction}
    folds = _by_fold(tested, threshold)
    return RunMetrics(
        run=manifest.run,
        model=manifest.model,
        target=manifest.target,
        feature_set=manifest.set,
        seed=manifest.seed,
        classes=manifest.classes,
        columns=len(manifest.columns),
        columns_dropped={name: choice.dropped for name, choice in manifest.pruned.items()},
        device=manifest.device,
        folds=folds,
        pooled=classification(y, tested.run, threshold),
        gaps=train_test_gaps(manifest.fits, folds),
        heads=head_scores(tested.rows),
        span=span_metrics(manifest.model, tested.rows, tested.spans),
        intervals=score_intervals(times, y, tested.run, bootstrap),
        trading=summarise(strategy),
        trading_intervals=trading_intervals(strategy.returns, strategy.bars_per_year, bootstrap),
        baselines={name: classification(y, answers, threshold) for name, answers in others.items()},
        baseline_trading={"buy_and_hold": summarise(held)},
        versus=_versus(tested, times, strategy, held, bootstrap),
        versus_score=VERSUS_SCORE,
        paths=[path.score for path in paths],
        rows_dropped=tested.dropped,
        warnings=[
            RunWarning(kind=one.kind, message=one.message, found=one.found, limit=one.limit)
            for one in manifest.warnings
        ],
    )


def _by_fold(tested: _Tested, threshold: float) -> dict[str, Classification]:
    fold, y = tested.rows["fold"].to_numpy(), tested.y
    return {
        f"fold_{number}": classification(y[fold == number], tested.run[fold == number], threshold)
        for number in np.unique(fold)
    }


def _versus(
    tested: _Tested, times: Integers, strategy: Simulation, held: Simulation, bootstrap: Bootstrap
) -> dict[str, Interval]:
    """Paired differences, row by row or bar by bar, with their intervals; positive means the run is better."""
    y = tested.y
    gain = log_losses(y, tested.majority_class) - log_losses(y, tested.run)
    right, last_right = (answers.argmax(axis=1) == y for answers in (tested.run, tested.last_direction))
    bars = np.arange(len(strategy.returns))
    return {
        "majority_class": difference_interval(times, gain, bootstrap),
        "last_direction": difference_interval(times, right.astype("float64") - last_right, bootstrap),
        "buy_and_hold": difference_interval(bars, strategy.returns - held.returns, bootstrap),
    }


# Tables -------------------------------------------------------------------------------------------------------------


def _predictions(manifest: RunManifest, tested: _Tested) -> pd.DataFrame:
    table = tested.rows[[*KEY, "fold"]].assign(model=manifest.model, run=manifest.run)
    for label in range(manifest.classes):
        table[f"p_{label}"] = tested.run[:, label]
    said = tested.rows.filter(regex=f"^{PREFIX}")
    return table.assign(
        prediction=tested.run.argmax(axis=1).astype("float64"), label=tested.rows["label"].astype("float64"), **said
    )


def _confusion(predictions: pd.DataFrame) -> pd.DataFrame:
    whole = predictions[["label", "prediction"]].astype("int64")
    return whole.rename(columns={"label": "actual", "prediction": "predicted"})


def _equity(strategy: Simulation, held: Simulation, paths: tuple[BacktestPath, ...]) -> pd.DataFrame:
    import pandas as pd

    whole = {"timestamp": strategy.times, "strategy": strategy.equity, "buy_and_hold": held.equity}
    return pd.DataFrame(whole | curves(paths, strategy.times))
