"""The typed values that stages hand to each other besides tables: what the JSON files in data/9_reports hold.

Plain frozen pydantic models. What does not belong here: computing any of it.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = [
    "Candidate",
    "Champion",
    "Classification",
    "ColumnProfile",
    "Deviation",
    "ExpectationResult",
    "FlaggedBar",
    "Gap",
    "HeadScore",
    "Interval",
    "Leaderboard",
    "LeaderboardRow",
    "Moved",
    "PathScore",
    "Profile",
    "RunMetrics",
    "RunWarning",
    "Scores",
    "SpanMetrics",
    "SpanScore",
    "SpanSettings",
    "SymbolQuality",
    "Trading",
    "TrainTestGap",
    "ValidationSummary",
]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FlaggedBar(_Record):
    """A clean bar that a rule found worth a look; `value` and `usual` are what that rule says they are."""

    timestamp: str
    rule: str
    value: float | None
    usual: float | None


class Gap(_Record):
    """Bars that should lie between two clean bars and do not: `missing` of them.

    `sure` is the share of other weeks that have bars at these times; `kind` is "sessions" where nothing but whole
    sessions is missing (a holiday or an outage), "bars" otherwise.
    """

    after: str
    until: str
    missing: int
    sure: float
    kind: str


class SymbolQuality(_Record):
    """What validation found for one symbol. `rows_in` = `rows_clean` + `rows_quarantined`, always.

    `flags` counts by rule, over the clean bars; `examples` are the first few of each rule, `gaps` the longest few.
    """

    symbol: str
    rows_in: int
    rows_clean: int
    rows_quarantined: int
    first: str
    last: str
    reasons: dict[str, int]
    flags: dict[str, int]
    examples: list[FlaggedBar] = []
    gaps: list[Gap] = []


class ExpectationResult(_Record):
    """One expectation of a suite.

    `unexpected` counts the rows that break it; `rule` says in words what is held, `first` names the first row that
    breaks it, both empty where nobody said.
    """

    expectation: str
    column: str
    success: bool
    unexpected: int
    rule: str = ""
    first: str = ""


class Moved(_Record):
    """A column whose distribution drifted: population stability index, Kolmogorov-Smirnov distance, and the limit met.

    `rows` of its values are new. Both measures are None where too few values are known on either side.
    """

    column: str
    rows: int
    psi: float | None
    distance: float | None
    finding: str


class ValidationSummary(_Record):
    """All of it: per symbol, per expectation, and what drifted since the bar `accepted` (empty: nothing compared)."""

    symbols: list[SymbolQuality]
    expectations: list[ExpectationResult]
    accepted: str = ""
    moved: list[Moved] = []


class ColumnProfile(_Record):
    """How one column was distributed.

    Attributes:
        column: its name.
        rows: rows of the table.
        missing: how many of them were missing or not finite.
        points: values that occurred, ascending: quantiles, those that are equal once.
        at_most: share of the known values at or below each point.
        below: share of them below each point.
        edges: upper ends of the bins in which drift is measured, each included in its bin; the last bin is open.
        shares: share of the known values in each of these bins, one more than there are edges.
    """

    column: str
    rows: int
    missing: int
    points: list[float]
    at_most: list[float]
    below: list[float]
    edges: list[float]
    shares: list[float]


class Profile(_Record):
    """The distributions of a table's columns, small enough to keep with an accepted run and compare with later."""

    name: str
    columns: list[ColumnProfile]


class Interval(_Record):
    """An estimate with its two-sided bootstrap interval."""

    estimate: float
    low: float
    high: float


class Classification(_Record):
    """Out-of-sample classification scores over `rows` rows.

    `auc` is one-vs-rest, macro-averaged; `precision` is that of the decisive classes (all but the neutral class of a
    three-class target, class 1 of a two-class one) among rows whose probability reaches the decision threshold;
    `precision_rows` counts those rows. None where a score is undefined (one class in the rows, no row over the
    threshold).
    """

    rows: int
    accuracy: float
    macro_f1: float
    weighted_f1: float
    auc: float | None
    precision: float | None
    precision_rows: int
    log_loss: float
    brier: float


class TrainTestGap(_Record):
    """How much worse a fold's model is on test rows than on its own train rows; positive means worse.

    `accuracy` is that of the train rows minus that of the test rows, `log_loss` that of the test rows minus that of the
    train rows, in nats, `train_loss`.
    """

    train_accuracy: float
    train_loss: float
    accuracy: float
    log_loss: float


class Deviation(_Record):
    """How far `rows` numbers lie from their labels, in the label's unit; `spearman` is None where it is undefined."""

    rows: int
    mae: float
    rmse: float
    spearman: float | None


class HeadScore(_Record):
    """How far what a model says beside its classes lies from the label, over all test rows and by fold."""

    pooled: Deviation
    folds: dict[str, Deviation]


class SpanScore(_Record):
    """How well expansions are found in `rows` windows: the fields of `betti.metrics.span.SpanScores`, which says what
    each is. Distances of the centre and the length are in parts of the window, the countdown's in bars.
    """

    rows: int
    hits: float | None
    countdown_hits: float | None
    countdown_mae: float | None
    centre_mae: float | None
    length_mae: float | None
    span_iou: float | None
    span_f1: float | None
    mask_iou: float | None
    mask_f1: float | None
    type_recall: tuple[float | None, ...]
    type_macro_f1: float | None


class SpanSettings(_Record):
    """Windows that hold the expansion's start, whose bars the model sees, apart from those that end before it."""

    detection: SpanScore
    anticipation: SpanScore


class SpanMetrics(_Record):
    """Scores of a model that says where an expansion lies, over all test rows ("fold_0" ... -> by fold)."""

    pooled: SpanSettings
    folds: dict[str, SpanSettings]


class Trading(_Record):
    """A strategy after costs: signal at the close of t, filled at the open of t + 1.

    Returns are simple, per bar; `sharpe` and `annual_return` are annualised by the bars' own count per year.
    `max_drawdown` lies in [-1, 0]. `ruined` says that equity reached zero.
    """

    bars: int
    bars_per_year: float
    sharpe: float
    annual_return: float
    total_return: float
    max_drawdown: float
    win_rate: float | None
    profit_factor: float | None
    trades: int
    turnover: float
    ruined: bool


class PathScore(_Record):
    """One backtest path of a combinatorial split, which holds every judged row once.

    `path` counts from 0; `trading` is what acting on the path's own answers would have earned, None where none of its
    rows can be filled.
    """

    path: int
    rows: int
    accuracy: float
    log_loss: float
    trading: Trading | None


class RunWarning(_Record):
    """What to know when a run's scores are read: `kind` names it, `message` says it in a sentence.

    Attributes:
        found: the number that it is about.
        limit: what `found` was held against.
    """

    kind: str
    message: str
    found: float
    limit: float


class RunMetrics(_Record):
    """Everything that evaluation says of one run.

    Attributes:
        columns: how many the feature set has.
        columns_dropped: "fold_0" ..., "final" -> how many of them pruning kept from that model; empty without pruning.
        folds: "fold_0" ... -> scores of that fold.
        pooled: scores over all test rows together.
        gaps: "fold_0" ... -> how much better that fold's model is on its train rows.
        heads: label column -> how far the model's output of that name lies from it; empty where there is none.
        span: where expansions are said to lie, against where they lay; None of a model that says no such thing.
        intervals: score name -> stationary bootstrap interval of the pooled score.
        trading: the run's strategy; `trading_intervals` has its Sharpe ratio and mean return per bar.
        baselines: "majority_class", "last_direction" -> scores on the same rows.
        baseline_trading: "buy_and_hold" -> the same bars, always long.
        versus: every baseline -> the interval of (run - baseline), positive means the run is better;
            `versus_score` says in which score the comparison is made.
        paths: scores of each backtest path, where the folds make several.
        rows_dropped: test rows without a complete input, by reason.
        warnings: such as too few samples for its columns.
    """

    run: str
    model: str
    target: str
    feature_set: str
    seed: int
    classes: int
    columns: int
    columns_dropped: dict[str, int] = {}
    device: str
    folds: dict[str, Classification]
    pooled: Classification
    gaps: dict[str, TrainTestGap] = {}
    heads: dict[str, HeadScore] = {}
    span: SpanMetrics | None = None
    intervals: dict[str, Interval]
    trading: Trading
    trading_intervals: dict[str, Interval]
    baselines: dict[str, Classification]
    baseline_trading: dict[str, Trading]
    versus: dict[str, Interval]
    versus_score: dict[str, str]
    paths: list[PathScore] = []
    rows_dropped: dict[str, int]
    warnings: list[RunWarning] = []


class Scores(_Record):
    """The few numbers of a run that `dvc metrics show` puts side by side, and that git keeps."""

    accuracy: float
    macro_f1: float
    auc: float | None
    log_loss: float
    brier: float
    sharpe: float
    annual_return: float
    max_drawdown: float
    baselines_beaten: int


class LeaderboardRow(_Record):
    """One run on the leaderboard, best first."""

    run: str
    model: str
    target: str
    feature_set: str
    rows: int
    accuracy: float
    macro_f1: float
    auc: float | None
    log_loss: float
    brier: float
    sharpe: float
    annual_return: float
    max_drawdown: float
    trades: int
    versus: dict[str, Interval]
    eligible: bool
    verdict: str


class Leaderboard(_Record):
    """Every evaluated run; `ranked_by` names the order."""

    ranked_by: str
    confidence: float
    rows: list[LeaderboardRow]


class Candidate(_Record):
    """One run before the gate: which baselines it beats, and which it does not."""

    run: str
    eligible: bool
    beats: list[str]
    fails: list[str]


class Champion(_Record):
    """The gate's verdict. `run` is None when no run earned it, which is an honest answer."""

    run: str | None
    reason: str
    candidates: list[Candidate]
