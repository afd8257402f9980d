"""Evaluation of runs whose skill is known: none, or planted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from betti import features as betti_features
from betti import io, labelling, schemas, sources, splits
from betti.errors import BadInput, BadModelInput, BadParam
from betti.models import PredictionOutput
from betti.records import RunMetrics
from betti.stages.compare import compare
from betti.stages.evaluate import Evaluated, NothingToEvaluate, evaluate
from betti.stages.train import train
from betti.training.guard import Thin, thinness
from betti.training.manifest import FitFacts
from betti.training.pruning import Choice
from tests.conftest import random_bars

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = ["timestamp", "symbol"]
HORIZON = 3
KNOBS = {
    "cost_bps": 1.0,
    "slippage_bps": 1.0,
    "decision_threshold": 0.5,
    "trade_symbols": [],
    "repetitions": 300,
    "confidence": 0.95,
    "seed": 7,
}


@dataclass(frozen=True)
class Manifest:
    run: str = "fake"
    model: str = "oracle"
    target: str = "direction_3"
    set: str = "some"
    seed: int = 7
    columns: tuple[str, ...] = ("some__column_1",)
    classes: int = 3
    label: str = "direction"
    device: str = "cpu"
    pruned: dict[str, Choice] = field(default_factory=dict)
    warnings: tuple[Thin, ...] = ()
    fits: dict[str, FitFacts] = field(default_factory=dict)


@dataclass(frozen=True)
class Answers:
    rows: pd.DataFrame
    output: PredictionOutput
    dropped: dict[str, int] = field(default_factory=dict)


@dataclass
class Fake:
    """Answers with `answer(rows)`; remembers which folds were asked."""

    answer: Callable[[pd.DataFrame], np.ndarray]
    manifest: Manifest = field(default_factory=Manifest)
    warm_up: pd.Timestamp | None = None
    asked: list[int | None] = field(default_factory=list)

    def predict(self, fold, feature_set, rows):
        self.asked.append(fold)
        kept = rows if self.warm_up is None else rows[rows["timestamp"] >= self.warm_up]
        lost = len(rows) - len(kept)
        output = PredictionOutput.from_probabilities(self.answer(kept))
        return Answers(kept, output, {"incomplete": lost} if lost else {})


def skilled(share: float, seed: int = 0, label: str = "direction", classes: int = 3):
    """Names the class that will happen in `share` of the rows, with some confidence, else another."""

    def answer(rows: pd.DataFrame) -> np.ndarray:
        rng = np.random.default_rng(seed)
        truth = rows[label].to_numpy(dtype=int)
        named = np.where(rng.uniform(size=len(rows)) < share, truth, rng.integers(0, classes, len(rows)))
        return np.full((len(rows), classes), 0.4 / (classes - 1)) + np.eye(classes)[named] * (0.6 - 0.4 / (classes - 1))

    return answer


def noisy(seed: int):
    def answer(rows: pd.DataFrame) -> np.ndarray:
        return np.random.default_rng(seed).dirichlet(np.ones(3), len(rows))

    return answer


@pytest.fixture(scope="module")
def clean() -> pd.DataFrame:
    return pd.concat([random_bars(900, 1, "AAA"), random_bars(900, 2, "BBB")], ignore_index=True)


@pytest.fixture(scope="module")
def labels(clean) -> pd.DataFrame:
    """Direction of the close over the next bars, with a neutral band."""
    tables = []
    for _, rows in clean.groupby("symbol"):
        rows = rows.reset_index(drop=True)
        last = len(rows) - HORIZON
        close = rows["close"].to_numpy()
        move = np.log(close[HORIZON:] / close[:-HORIZON])
        table = rows.loc[: last - 1, ["timestamp", "symbol"]]
        ends = rows["timestamp"].iloc[HORIZON:].reset_index(drop=True)
        kind = 1.0 + (move > 0.008) - (move < -0.008)
        tables.append(table.assign(span_start=table["timestamp"], span_end=ends, direction=kind, weight=1.0))
    return pd.concat(tables, ignore_index=True)


@pytest.fixture(scope="module")
def folds(labels) -> pd.DataFrame:
    """Two walk-forward folds, purged by the horizon."""
    stamps = np.sort(labels["timestamp"].unique())
    tables = []
    for fold, (cut, end) in enumerate([(300, 600), (600, len(stamps))]):
        role = np.full(len(labels), "unused", dtype=object)
        role[labels["timestamp"] < stamps[cut]] = "purged"
        role[labels["timestamp"] < stamps[cut - HORIZON]] = "train"
        role[(labels["timestamp"] >= stamps[cut]) & labels["timestamp"].isin(stamps[cut:end])] = "test"
        tables.append(labels[["timestamp", "symbol"]].assign(fold=fold, role=role))
    return pd.concat(tables, ignore_index=True)


@pytest.fixture(scope="module")
def features(clean) -> pd.DataFrame:
    return clean[["timestamp", "symbol"]].assign(some__column_1=0.0)


@pytest.fixture
def judge(features, labels, folds, clean):
    def judge(model: Fake, **changed) -> Evaluated:
        tables = {"labels": labels, "folds": folds, "clean": clean} | {
            name: changed.pop(name) for name in ("labels", "folds", "clean") if name in changed
        }
        return evaluate(model, features, tables["labels"], tables["folds"], tables["clean"], **(KNOBS | changed))

    return judge


def test_a_planted_edge_passes_the_gate(judge):
    found = judge(Fake(skilled(0.6)))
    assert all(interval.low > 0 for interval in found.metrics.versus.values()), found.metrics.versus
    assert compare({"fake": found.metrics}, confidence=0.95).champion.run == "fake"


def test_no_skill_does_not_pass_the_gate(judge):
    runs = {f"noise_{seed}": judge(Fake(noisy(seed))).metrics for seed in range(10)}
    verdict = compare(runs, confidence=0.95).champion
    assert verdict.run is None
    assert "came closest" in verdict.reason


def test_shuffled_labels_lose_the_skill(judge, labels):
    shuffled = labels.assign(direction=np.random.default_rng(1).permutation(labels["direction"]))
    truth = labels.set_index(["timestamp", "symbol"])["direction"]

    def answer(rows: pd.DataFrame) -> np.ndarray:
        real = truth.loc[list(zip(rows["timestamp"], rows["symbol"], strict=True))].to_numpy()
        return skilled(0.6)(rows.assign(direction=real))

    kept = judge(Fake(answer)).metrics.pooled
    lost = judge(Fake(answer), labels=shuffled).metrics.pooled
    assert lost.auc - 0.5 < 0.5 * (kept.auc - 0.5)


def test_the_final_model_is_never_asked(judge):
    model = Fake(skilled(0.5))
    judge(model)
    assert model.asked == [0, 1]


def test_only_test_rows_are_judged_once_each_and_in_order(judge, folds):
    table = judge(Fake(skilled(0.5))).predictions
    key = ["fold", "symbol", "timestamp"]
    wanted = folds[folds["role"] == "test"].sort_values(key)[key].reset_index(drop=True)
    pd.testing.assert_frame_equal(table[key], wanted, check_dtype=False)
    assert list(table.columns) == [*schemas.PREDICTIONS.names, "p_0", "p_1", "p_2", "prediction", "label"]
    np.testing.assert_allclose(table[["p_0", "p_1", "p_2"]].sum(axis=1), 1)


def test_the_outs_can_be_written_and_read(judge, tmp_path):
    found = judge(Fake(skilled(0.5)))
    io.write_table(tmp_path / "predictions", found.predictions, schemas.PREDICTIONS)
    io.write_json(tmp_path / "metrics.json", found.metrics)
    assert io.read_json(tmp_path / "metrics.json", RunMetrics) == found.metrics
    assert list(found.confusion.columns) == ["actual", "predicted"]
    assert len(found.confusion) == len(found.predictions)
    assert list(found.equity.columns) == ["timestamp", "strategy", "buy_and_hold"]
    assert found.equity.iloc[0, 1:].tolist() == [1, 1]


def test_same_inputs_same_bytes_whatever_the_order_of_rows(judge, labels, folds, clean):
    one = judge(Fake(skilled(0.5)))
    again = judge(Fake(skilled(0.5)))
    assert one.metrics.model_dump_json() == again.metrics.model_dump_json()

    def by_key(rows: pd.DataFrame) -> np.ndarray:
        ordered = rows.sort_values(["symbol", "timestamp"])
        return pd.DataFrame(skilled(0.5)(ordered), index=ordered.index).loc[rows.index].to_numpy()

    shuffled = {
        name: table.sample(frac=1, random_state=1)
        for name, table in (("labels", labels), ("folds", folds), ("clean", clean))
    }
    straight, mixed = judge(Fake(by_key)), judge(Fake(by_key), **shuffled)
    assert straight.metrics.model_dump_json() == mixed.metrics.model_dump_json()
    pd.testing.assert_frame_equal(straight.predictions, mixed.predictions)
    pd.testing.assert_frame_equal(straight.equity, mixed.equity)


def test_inputs_are_not_changed(judge, labels, folds, clean):
    before = [table.copy() for table in (labels, folds, clean)]
    judge(Fake(skilled(0.5)))
    for table, copy in zip((labels, folds, clean), before, strict=True):
        pd.testing.assert_frame_equal(table, copy)


def test_the_majority_baseline_knows_the_training_rows_only(judge, labels, folds):
    found = judge(Fake(skilled(0.5)))
    table, losses = found.predictions, []
    for fold in (0, 1):
        train = folds[(folds["fold"] == fold) & (folds["role"] == "train")].merge(labels, on=["timestamp", "symbol"])
        shares = train["direction"].value_counts(normalize=True)
        losses.append(-np.log(table.loc[table["fold"] == fold, "label"].map(shares)))
    assert found.metrics.baselines["majority_class"].log_loss == pytest.approx(pd.concat(losses).mean())
    gain = found.metrics.baselines["majority_class"].log_loss - found.metrics.pooled.log_loss
    assert found.metrics.versus["majority_class"].estimate == pytest.approx(gain)


def test_the_last_direction_baseline_is_the_move_over_the_horizon(judge, clean):
    found = judge(Fake(skilled(0.5)))
    close = clean.set_index(["symbol", "timestamp"])["close"]
    move = np.sign(close - close.groupby(level=0).shift(HORIZON)) + 1
    expected = move.loc[list(zip(found.predictions["symbol"], found.predictions["timestamp"], strict=True))]
    accuracy = (expected.to_numpy() == found.predictions["label"].to_numpy()).mean()
    assert found.metrics.baselines["last_direction"].accuracy == pytest.approx(accuracy)
    assert np.isfinite(found.metrics.baselines["last_direction"].log_loss)
    gain = found.metrics.pooled.accuracy - accuracy
    assert found.metrics.versus["last_direction"].estimate == pytest.approx(gain)


def test_buying_and_holding_is_compared_bar_by_bar(judge):
    found = judge(Fake(skilled(0.5)))
    bars = found.equity[["strategy", "buy_and_hold"]].pct_change().dropna()
    gain = (bars["strategy"] - bars["buy_and_hold"]).mean()
    assert found.metrics.versus["buy_and_hold"].estimate == pytest.approx(gain)
    assert found.metrics.trading.bars == len(bars)
    assert set(found.metrics.versus) == set(found.metrics.versus_score)


def test_every_score_has_its_interval(judge):
    metrics = judge(Fake(skilled(0.5))).metrics
    assert set(metrics.intervals) == {"accuracy", "macro_f1", "log_loss", "brier"}
    assert set(metrics.trading_intervals) == {"sharpe", "mean_return"}
    for name, interval in metrics.intervals.items():
        assert interval.low < interval.estimate < interval.high
        assert interval.estimate == pytest.approx(getattr(metrics.pooled, name))
    assert metrics.trading_intervals["sharpe"].estimate == pytest.approx(metrics.trading.sharpe)
    assert list(metrics.folds) == ["fold_0", "fold_1"]
    assert sum(fold.rows for fold in metrics.folds.values()) == metrics.pooled.rows


def test_costs_lower_every_return_and_no_score(judge):
    free = judge(Fake(skilled(0.5)), cost_bps=0.0, slippage_bps=0.0).metrics
    dear = judge(Fake(skilled(0.5)), cost_bps=20.0, slippage_bps=20.0).metrics
    assert dear.trading.total_return < free.trading.total_return
    assert dear.pooled == free.pooled


def test_an_edge_that_comes_when_its_span_has_ended_earns_nothing(judge):
    def late(rows: pd.DataFrame) -> np.ndarray:
        ordered = rows.sort_values(["symbol", "timestamp"])
        known = ordered.groupby("symbol")["direction"].shift(HORIZON).fillna(1.0)
        return skilled(1.0)(ordered.assign(direction=known).loc[rows.index])

    assert judge(Fake(skilled(1.0))).metrics.trading.sharpe > 10
    assert judge(Fake(late)).metrics.trading.sharpe < 2


def test_rows_without_a_complete_input_are_counted(judge, labels, folds):
    start = folds.loc[(folds["fold"] == 0) & (folds["role"] == "test"), "timestamp"].min() + pd.Timedelta("10D")
    blank = labels.copy()
    blank.loc[blank["timestamp"] == blank["timestamp"].max(), "direction"] = np.nan
    metrics = judge(Fake(skilled(0.5), warm_up=start), labels=blank).metrics
    assert metrics.rows_dropped == {"incomplete": 20, "no_label": 2}
    assert metrics.pooled.rows == (folds["role"] == "test").sum() - 22


def test_only_the_chosen_symbols_are_traded(judge):
    both, one = judge(Fake(skilled(0.6))), judge(Fake(skilled(0.6)), trade_symbols=["AAA"])
    assert both.metrics.pooled == one.metrics.pooled
    assert both.metrics.trading.trades > one.metrics.trading.trades
    with pytest.raises(BadParam, match="no bars of NASDAQ; there are AAA, BBB"):
        judge(Fake(skilled(0.6)), trade_symbols=["NASDAQ"])


def test_what_training_warned_of_and_dropped_stands_beside_the_scores(judge):
    choice = Choice(kept=("a",), constant=("b",), alike={"c": "a", "d": "a"})
    found = thinness("fake", {"fold_0": (1500, 110)}, None)
    metrics = judge(Fake(skilled(0.5), Manifest(pruned={"fold_0": choice}, warnings=found))).metrics
    assert metrics.columns_dropped == {"fold_0": 3}
    assert [(one.kind, one.limit) for one in metrics.warnings] == [("few_samples", 20.0), ("many_columns", 100.0)]
    assert [one.message for one in metrics.warnings] == [one.message for one in found]
    assert RunMetrics.model_validate_json(metrics.model_dump_json()) == metrics
    plain = judge(Fake(skilled(0.5))).metrics
    assert (plain.columns_dropped, plain.warnings) == ({}, [])


def test_a_class_absent_from_a_fold_and_a_fold_without_answers(judge, labels, folds):
    late = folds.loc[folds["fold"] == 1].query("role == 'test'")["timestamp"].min()
    poor = labels.assign(direction=labels["direction"].where(labels["timestamp"] < late, 1.0))
    metrics = judge(Fake(skilled(0.5)), labels=poor).metrics
    assert metrics.folds["fold_1"].auc is None
    alone = judge(Fake(skilled(0.5), warm_up=late)).metrics
    assert list(alone.folds) == ["fold_1"]


def test_a_row_that_several_folds_test_is_traded_once(judge, folds):
    twice = pd.concat([folds, folds[folds["fold"] == 1].assign(fold=2)], ignore_index=True)
    one, two = judge(Fake(skilled(1.0))).metrics, judge(Fake(skilled(1.0)), folds=twice).metrics
    assert two.pooled.rows > one.pooled.rows
    assert two.trading == one.trading


# Backtest paths ----------------------------------------------------------------------------------------------------


def test_walk_forward_folds_make_no_paths(judge):
    found = judge(Fake(skilled(0.5)))
    assert found.metrics.paths == []
    assert list(found.equity.columns) == ["timestamp", "strategy", "buy_and_hold"]


@pytest.mark.parametrize(("groups", "folds", "paths"), [(6, 15, 5), (10, 45, 9)])
def test_combinatorial_folds_make_paths_through_the_whole_history(judge, labels, groups, folds, paths):
    cut = splits.split("combinatorial", labels, groups=groups, test_groups=2)
    found = judge(Fake(noisy(0)), folds=cut.astype({"symbol": "str", "role": "str"}))
    scores, table = found.metrics.paths, found.predictions
    assert table["fold"].nunique() == folds
    assert (table.groupby(KEY).size() == paths).all()
    assert [one.path for one in scores] == list(range(paths))
    assert {one.rows for one in scores} == {len(labels)}
    assert np.mean([one.accuracy for one in scores]) == pytest.approx(found.metrics.pooled.accuracy)
    assert np.mean([one.log_loss for one in scores]) == pytest.approx(found.metrics.pooled.log_loss)
    for one in scores:
        line = found.equity[f"path_{one.path}"]
        assert one.trading.total_return == pytest.approx(line.iloc[-1] - 1)
        assert one.trading.max_drawdown == pytest.approx((line / line.cummax() - 1).min())
        assert one.trading.bars == found.metrics.trading.bars == len(line) - 1
    assert len({one.trading.sharpe for one in scores}) == paths
    assert RunMetrics.model_validate_json(found.metrics.model_dump_json()) == found.metrics


def test_a_trained_run_has_its_paths_on_real_bars(tmp_path):
    clean = sources.fetch("sample", ("NASDAQ",), "1d", pd.Timestamp("2004-12-31", tz="UTC"), {})
    known = labelling.label("direction", clean, horizon=5, width=1.5, measure="atr")
    inputs = betti_features.compute("candle", clean)
    cut = splits.split("combinatorial", known, groups=6, test_groups=2, embargo="5D")
    io.write_table(tmp_path / "folds", cut, schemas.FOLDS)
    cut = io.read_table(tmp_path / "folds", schemas.FOLDS)
    names = {"run": "r", "model": "logistic", "set": "s", "target": "direction_5", "seed": 7, "config": {}}
    models = train(inputs, known, cut, **names, classes=3).models
    found = evaluate(models, inputs, known, cut, clean, **KNOBS)
    assert len(found.metrics.folds) == 15 and len(found.metrics.paths) == 5
    rows = found.predictions
    assert {one.rows for one in found.metrics.paths} == {len(rows) // 5} == {len(rows[KEY].drop_duplicates())}
    # The first path takes each row's answer from the first fold that tests it.
    first = rows.sort_values("fold", kind="stable").drop_duplicates(KEY)
    score = found.metrics.paths[0]
    assert score.accuracy == pytest.approx((first["prediction"] == first["label"]).mean())
    assert all(-1 < one.trading.max_drawdown < 0 and one.trading.trades > 10 for one in found.metrics.paths)


@pytest.mark.parametrize("side", [1.0, -1.0, 0.0])
def test_a_two_class_target_trades_its_side(judge, labels, side):
    binary = labels.assign(event=(labels["direction"] == 1 + (side or 1)).astype(float), side=side)
    manifest = Manifest(classes=2, label="event")
    found = judge(Fake(skilled(0.8, label="event", classes=2), manifest), labels=binary)
    assert list(found.predictions.columns[5:]) == ["p_0", "p_1", "prediction", "label"]
    if side:
        assert found.metrics.trading.sharpe > 1
    else:
        assert found.metrics.trading.trades == 0
        assert found.metrics.trading.total_return == 0


def test_no_test_rows_is_a_typed_error_that_says_why(judge, folds):
    with pytest.raises(NothingToEvaluate, match="folds hold no test rows"):
        judge(Fake(skilled(0.5)), folds=folds[folds["role"] != "test"])
    with pytest.raises(NothingToEvaluate, match=r"incomplete \d+") as caught:
        judge(Fake(skilled(0.5), warm_up=pd.Timestamp("2100-01-01", tz="UTC")))
    assert isinstance(caught.value, BadInput)


def test_test_rows_that_cannot_be_filled_are_a_typed_error(judge, labels, folds, clean):
    last = labels["timestamp"].max()
    only = folds[(folds["role"] != "test") | (folds["timestamp"] == last)]
    short = clean[clean["timestamp"] <= last + pd.Timedelta("1D")]
    with pytest.raises(NothingToEvaluate, match="two bars"):
        judge(Fake(skilled(0.5)), folds=only, clean=short)


@pytest.mark.parametrize("value", [np.nan, -0.5, 0.9])
def test_answers_that_are_no_probabilities_are_refused(judge, value):
    def answer(rows: pd.DataFrame) -> np.ndarray:
        return np.full((len(rows), 3), value)

    with pytest.raises(BadModelInput, match="oracle"):
        judge(Fake(answer))
    with pytest.raises(BadModelInput, match="shape"):
        judge(Fake(lambda rows: np.full((len(rows), 2), 0.5)))


def test_a_really_trained_run_is_judged_by_the_feature_it_was_given(judge, features, labels, folds, clean):
    # The planted feature is the label plus noise: what a good indicator would be, if there were one.
    rng = np.random.default_rng(1)
    truth = features.merge(labels, on=["timestamp", "symbol"], how="left")["direction"].fillna(1.0).to_numpy()
    noise = rng.normal(size=len(features))
    verdicts = {}
    for run, column in {"planted": truth + noise, "noise": noise}.items():
        inputs = features.assign(some__column_1=column.astype("float32"))
        names = {"run": run, "model": "logistic", "set": "some", "target": "direction_3", "seed": 7, "config": {}}
        models = train(inputs, labels, folds, **names, classes=3).models
        verdicts[run] = evaluate(models, inputs, labels, folds, clean, **KNOBS).metrics
    assert compare(verdicts, confidence=0.95).champion.run == "planted"
    assert any(interval.low <= 0 for interval in verdicts["noise"].versus.values())
