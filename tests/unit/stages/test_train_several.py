"""Runs of a model of several inputs and heads: trained, saved, read, asked and judged as those of one input are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from betti.errors import BadParam, BrokenArtifact, LeakError
from betti.features._sets import declared
from betti.stages.evaluate import evaluate
from betti.stages.train import Trained, train
from betti.training.demands import MissingHeads, MissingInputs
from betti.training.prepare import MissingColumns, ValuelessColumns
from betti.training.run import TrainedRun
from betti.training.scaling import fit_robust, fit_standard
from betti.windows import NamedInputs, Rows, Windows
from tests import several
from tests.conftest import random_bars

KEY = ["timestamp", "symbol"]
BARS, HORIZON, WARM_UP, LENGTH = 240, 3, 5, several.LENGTH
# `linear_raw` holds the one column of `nbeats_raw`: inputs may share columns.
COLUMNS = tuple(dict.fromkeys((*declared("film_complexity").columns, *declared("linear_raw").columns)))
CLOSE, INDICATOR = "bars__close", declared("film_complexity").columns[0]
KNOBS = {
    "cost_bps": 1.0, "slippage_bps": 1.0, "decision_threshold": 0.5, "trade_symbols": [], "repetitions": 100,
    "confidence": 0.95, "seed": 7,
}  # fmt: skip

Tables = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]


@pytest.fixture(scope="module")
def clean() -> pd.DataFrame:
    return pd.concat([random_bars(BARS, 1, "AAA"), random_bars(BARS, 2, "BBB")], ignore_index=True)


@pytest.fixture(scope="module")
def tables(clean: pd.DataFrame) -> Tables:
    """Features whose indicator tells the trigger, labels with the size of the move beside it, two folds."""
    rng = np.random.default_rng(0)
    features, labels = [], []
    for symbol, bars in clean.groupby("symbol"):
        stamps = bars["timestamp"].reset_index(drop=True)
        values = rng.normal(size=(BARS, len(COLUMNS))) + np.linspace(0, 2, BARS)[:, None]
        table = pd.DataFrame(values.astype("float32"), columns=list(COLUMNS))
        told = table[INDICATOR].to_numpy(dtype="float64") - np.linspace(0, 2, BARS)
        table.insert(0, "timestamp", stamps)
        table.insert(1, "symbol", symbol)
        table.loc[: WARM_UP - 1, "bars__volume"] = np.nan
        table.loc[100, INDICATOR] = np.nan
        features.append(table)
        rows = slice(0, BARS - HORIZON)
        size = 2 * told[rows] + 0.3 * rng.normal(size=BARS - HORIZON)
        labels.append(
            pd.DataFrame(
                {
                    "timestamp": stamps[rows],
                    "symbol": symbol,
                    "span_start": stamps[rows],
                    "span_end": stamps[HORIZON:].to_numpy(),
                    "trigger": (size > 1).astype("float64"),
                    "max_pct": np.where(np.arange(len(size)) % 7 == 0, np.nan, size),
                    "side": 1.0,
                    "weight": rng.uniform(0.3, 1, BARS - HORIZON),
                }
            )
        )
    known = pd.concat(labels, ignore_index=True)
    return pd.concat(features, ignore_index=True), known, folds_of(known)


def folds_of(labels: pd.DataFrame) -> pd.DataFrame:
    found = []
    bar = labels.groupby("symbol").cumcount().to_numpy()
    for fold, (train_end, test_start, test_end) in enumerate([(80, 110, 160), (130, 160, 220)]):
        role = np.full(len(labels), "unused", dtype=object)
        role[bar < train_end - HORIZON] = "train"
        role[(bar >= train_end) & (bar < test_start - HORIZON)] = "valid"
        role[(bar >= test_start - HORIZON) & (bar < test_start)] = "purged"
        role[(bar >= test_start) & (bar < test_end)] = "test"
        found.append(labels[KEY].assign(fold=fold, role=role))
    return pd.concat(found, ignore_index=True)


def run_of(tables: Tables, **changed: Any) -> Trained:
    named = {"run": "r", "model": several.NAME, "set": "s", "target": "trigger", "seed": 7, "config": {}, "classes": 2}
    return train(*tables, **(named | changed))


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def complete_rows(features: pd.DataFrame) -> np.ndarray:
    """Which rows have all three inputs, written out: single rows finite, and a finite window of bars."""
    single = features[[*declared("film_complexity").columns, CLOSE]].notna().all(axis=1)
    bars = features[list(declared("linear_raw").columns)].notna().all(axis=1)
    window = bars.groupby(features["symbol"]).transform(lambda one: one.rolling(LENGTH).sum() == LENGTH)
    return (single & window.astype(bool)).to_numpy()


def test_a_run_is_trained_saved_read_and_asked(tables: Tables, tmp_path: Path) -> None:
    features, labels, _folds = tables
    run = run_of(tables).models
    told = run.manifest
    assert {name: (one.set, one.length, one.columns) for name, one in told.inputs.items()} == {
        "bars": ("linear_raw", LENGTH, declared("linear_raw").columns),
        "complexity": ("film_complexity", None, declared("film_complexity").columns),
        "plain": ("nbeats_raw", None, (CLOSE,)),
    }
    assert (told.label, told.heads, told.length, told.prune) == ("trigger", ("max_pct",), LENGTH, None)
    assert set(told.columns) == set(COLUMNS) and len(told.columns) == len(COLUMNS)
    asked = labels.merge(features.loc[complete_rows(features), KEY], on=KEY)
    assert told.rows["final"]["train"] == len(asked)
    assert told.dropped == {"incomplete_input": len(labels) - len(asked)}

    run.save(tmp_path)
    loaded = TrainedRun.load(tmp_path)
    assert loaded.manifest == told
    assert set(files(tmp_path / "fold_0")) >= {"scaler_bars.json", "scaler_complexity.json"}
    assert "scaler_plain.json" not in files(tmp_path / "fold_0")
    for fold in (0, 1, None):
        one, two = (each.predict(fold, features, labels) for each in (run, loaded))
        np.testing.assert_array_equal(one.output.class_probabilities, two.output.class_probabilities)
        np.testing.assert_array_equal(one.output.outputs["max_pct"], two.output.outputs["max_pct"])
        pd.testing.assert_frame_equal(one.rows[KEY], asked[KEY], check_dtype=False)
        assert one.dropped == told.dropped


def test_same_tables_same_bytes_whatever_their_row_order(tables: Tables, tmp_path: Path) -> None:
    run_of(tables).models.save(tmp_path / "one")
    run_of(tuple(table.sample(frac=1, random_state=5) for table in tables)).models.save(tmp_path / "two")
    TrainedRun.load(tmp_path / "one").save(tmp_path / "three")
    assert files(tmp_path / "one") == files(tmp_path / "two") == files(tmp_path / "three")


def test_each_input_has_the_scaler_that_it_asks_for_of_train_rows_alone(tables: Tables) -> None:
    features, _labels, folds = tables
    keys = features[complete_rows(features)]
    for fold in (0, 1):
        rows = folds[(folds["fold"] == fold) & (folds["role"] == "train")][KEY].merge(keys, on=KEY)
        scalers = run_of(tables).models.member(fold).scalers
        assert set(scalers) == {"bars", "complexity"}
        for name, fit, feature_set in (
            ("bars", fit_robust, "linear_raw"),
            ("complexity", fit_standard, "film_complexity"),
        ):
            wanted = fit(rows[list(declared(feature_set).columns)].to_numpy())
            assert scalers[name].kind == wanted.kind
            np.testing.assert_allclose(scalers[name].center, wanted.center, rtol=1e-12)
            np.testing.assert_allclose(scalers[name].scale, wanted.scale, rtol=1e-12)


def test_what_lies_after_a_folds_training_rows_does_not_change_its_model(tables: Tables, tmp_path: Path) -> None:
    features, labels, folds = tables
    test = folds.loc[(folds["fold"] == 0) & (folds["role"] == "test"), "timestamp"].min()
    wild = features.copy()
    wild.loc[wild["timestamp"] >= test, list(COLUMNS)] *= -3
    told = labels.assign(max_pct=labels["max_pct"].where(labels["timestamp"] < test, -99.0))
    for name, given in (("one", tables), ("two", (wild, told, folds))):
        run_of(given).models.save(tmp_path / name)
    assert files(tmp_path / "one" / "fold_0") == files(tmp_path / "two" / "fold_0")
    assert files(tmp_path / "one" / "final") != files(tmp_path / "two" / "final")


class _Recorded(several.Several):
    """Keeps what it was given."""

    def fit(self, X_train, y_train, X_val, y_val, **rest):
        self.given = X_train, y_train, X_val, y_val
        return super().fit(X_train, y_train, X_val, y_val, **rest)

    def predict(self, X):
        self.asked = X
        return super().predict(X)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    from betti.models import ModelRegistry

    entry = ModelRegistry._entries[several.NAME]
    monkeypatch.setitem(ModelRegistry._entries, several.NAME, type(entry)(_Recorded, entry.family, entry.description))


@pytest.mark.usefixtures("recorded")
def test_matrices_are_shared_by_train_and_valid_rows_and_live_prediction_sees_the_same(tables: Tables) -> None:
    features, labels, _folds = tables
    run = run_of(tables).models
    model: Any = run.member(0).model
    seen, taught, unseen, _ = model.given
    assert isinstance(seen, NamedInputs)
    assert [type(part) for part in seen.values()] == [Windows, Rows, Rows]
    assert all(seen[name].values is unseen[name].values for name in seen)
    assert len(taught.classes) == seen.rows == len(taught.heads["max_pct"])
    assert np.isnan(taught.heads["max_pct"]).any()
    # The plain input is not scaled: the decision row's own number.
    rows = labels.merge(features, on=KEY).set_index(KEY)
    known = features[complete_rows(features)].merge(labels[KEY], on=KEY)
    first = known[known["symbol"] == "AAA"].iloc[0]
    assert seen["plain"][np.array([0])][0, 0] == rows.loc[(first["timestamp"], "AAA"), CLOSE]

    # The last bars alone give what the whole history gives.
    newest = features.groupby("symbol").tail(1)
    live = run.predict(0, features.groupby("symbol").tail(LENGTH), newest[KEY])
    few = {name: part[np.arange(2)] for name, part in model.asked.items()}
    whole = run.predict(0, features, newest[KEY])
    for name, part in model.asked.items():
        np.testing.assert_array_equal(part[np.arange(2)], few[name])
    np.testing.assert_array_equal(live.output.outputs["max_pct"], whole.output.outputs["max_pct"])
    np.testing.assert_array_equal(live.output.class_probabilities, whole.output.class_probabilities)


def test_what_heads_say_is_stored_and_scored(tables: Tables, clean: pd.DataFrame) -> None:
    features, labels, folds = tables
    run = run_of(tables).models
    found = evaluate(run, features, labels, folds, clean, **KNOBS)
    said = found.predictions
    assert list(said.columns)[5:] == ["p_0", "p_1", "prediction", "label", "output_max_pct"]
    assert "output_everything" not in said  # (n, ...) outputs are no columns
    for fold in (0, 1):
        mine = said[said["fold"] == fold]
        again = run.predict(fold, features, mine[KEY])
        np.testing.assert_array_equal(mine["output_max_pct"], again.output.outputs["max_pct"])
    truth = said.merge(labels[[*KEY, "max_pct"]], on=KEY)
    known = truth["max_pct"].notna()
    head = found.metrics.heads["max_pct"]
    off = (truth["output_max_pct"] - truth["max_pct"])[known]
    assert head.pooled.rows == known.sum() < len(said)
    assert head.pooled.mae == pytest.approx(off.abs().mean())
    assert head.pooled.rmse == pytest.approx(np.sqrt((off**2).mean()))
    assert head.pooled.spearman == pytest.approx(truth.loc[known, "max_pct"].corr(truth["output_max_pct"], "spearman"))
    assert head.pooled.spearman > 0.5
    assert set(head.folds) == {"fold_0", "fold_1"}
    assert sum(one.rows for one in head.folds.values()) == head.pooled.rows
    for name, gap in found.metrics.gaps.items():
        fit = run.manifest.fits[name]
        assert (gap.train_accuracy, gap.train_loss) == (fit.train_accuracy, fit.train_loss)
        assert gap.accuracy == pytest.approx(fit.train_accuracy - found.metrics.folds[name].accuracy)
        assert gap.log_loss == pytest.approx(found.metrics.folds[name].log_loss - fit.train_loss)
    assert set(found.metrics.gaps) == {"fold_0", "fold_1"}


def test_rows_without_a_class_are_not_learnt_from_whatever_else_they_carry(tables: Tables) -> None:
    features, labels, folds = tables
    gone = labels.index[::5]
    fewer = labels.copy()
    fewer.loc[gone, "trigger"] = np.nan
    run = run_of((features, fewer, folds)).models
    assert run.manifest.dropped["no_label"] == len(gone)
    assert run.manifest.rows["final"]["train"] < run_of(tables).models.manifest.rows["final"]["train"]


# Refusals ----------------------------------------------------------------------------------------------------------


def test_a_set_without_an_input_s_columns_is_refused_and_told_which_set_has_them(tables: Tables) -> None:
    features, labels, folds = tables
    with pytest.raises(
        MissingInputs, match=rf"lacks: 1 of 'film_complexity': {INDICATOR}. Use the set 'itransformer_optimal' or"
    ) as found:
        run_of((features.drop(columns=INDICATOR), labels, folds))
    assert found.value.absent == {"film_complexity": [INDICATOR]}


def test_a_target_without_a_head_s_label_is_refused_and_told_which_kinds_have_it(tables: Tables) -> None:
    features, labels, folds = tables
    with pytest.raises(MissingHeads, match=r"learns max_pct .* 'trigger' have no max_pct. Targets of the kind trigger"):
        run_of((features, labels.drop(columns="max_pct"), folds))


def test_pruning_is_refused(tables: Tables) -> None:
    with pytest.raises(BadParam, match=r"runs\.r\.prune = 0\.9: .*takes all columns of its inputs bars, complexity"):
        run_of(tables, prune=0.9)


def test_a_leak_is_refused(tables: Tables) -> None:
    features, labels, folds = tables
    leaking = folds.assign(role=folds["role"].mask(folds["role"] == "purged", "train"))
    with pytest.raises(LeakError):
        run_of((features, labels, leaking))


def test_a_column_without_values_names_the_model_that_needs_it(tables: Tables) -> None:
    features, labels, folds = tables
    with pytest.raises(ValuelessColumns, match=f"bars__volume. The model '{several.NAME}' needs them"):
        run_of((features.assign(bars__volume=np.float32("nan")), labels, folds))


def test_columns_that_are_gone_and_scalers_that_are_gone_are_told(tables: Tables, tmp_path: Path) -> None:
    features, labels, _folds = tables
    run_of(tables).models.save(tmp_path)
    loaded = TrainedRun.load(tmp_path)
    with pytest.raises(MissingColumns, match=INDICATOR):
        loaded.predict(0, features.drop(columns=INDICATOR), labels)
    (tmp_path / "fold_1" / "scaler_bars.json").unlink()
    with pytest.raises(BrokenArtifact, match="has no scaler of its input 'bars'"):
        loaded.member(1)


def test_columns_beyond_the_inputs_do_not_matter(tables: Tables, tmp_path: Path) -> None:
    features, labels, folds = tables
    run_of(tables).models.save(tmp_path / "one")
    run_of((features.assign(other__column=np.float32("nan")), labels, folds)).models.save(tmp_path / "two")
    assert files(tmp_path / "one") == files(tmp_path / "two")
