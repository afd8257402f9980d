from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from betti.errors import BadParam, BrokenArtifact, LeakError, UnknownName
from betti.progress import listening
from betti.stages.train import NothingToTrain, StaleFolds, Trained, train
from betti.training.guard import TooFewSamples
from betti.training.prepare import ValuelessColumns
from betti.training.pruning import AllConstant
from betti.training.run import TrainedRun
from betti.training.scaling import fit_scaler

KEY = ["timestamp", "symbol"]
BARS, HORIZON, WARM_UP = 240, 3, 5
CONFIGS: dict[str, dict[str, Any]] = {
    "logistic": {},
    "lightgbm": {"rounds": 10, "early_stopping_rounds": 5},
    "lstm": {"hidden": 8, "layers": 1, "length": 4, "epochs": 3, "warmup_epochs": 1, "device": "cpu"},
}


@pytest.fixture(scope="module")
def tables() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Features, labels and two walk-forward folds of two symbols; features drift, so that scalers differ."""
    rng = np.random.default_rng(0)
    stamps = pd.date_range("2020-01-01", periods=BARS, tz="UTC").as_unit("us")
    features, labels = [], []
    for symbol in ("AAA", "BBB"):
        values = rng.normal(size=(BARS, 3)) + np.linspace(0, 4, BARS)[:, None] * [0, 0, 1]
        table = pd.DataFrame(values.astype("float32"), columns=["f__a", "f__b", "f__c"])
        table.insert(0, "timestamp", stamps)
        table.insert(1, "symbol", symbol)
        table.loc[: WARM_UP - 1, "f__b"] = np.nan
        features.append(table)
        rows = slice(0, BARS - HORIZON)
        signal = values[rows, 0] + 0.3 * rng.normal(size=BARS - HORIZON)
        labels.append(
            pd.DataFrame(
                {
                    "timestamp": stamps[rows],
                    "symbol": symbol,
                    "span_start": stamps[rows],
                    "span_end": stamps[HORIZON:],
                    "direction": np.digitize(signal, [-0.5, 0.5]).astype("float64"),
                    "weight": rng.uniform(0.3, 1, BARS - HORIZON),
                }
            )
        )
    known = pd.concat(labels, ignore_index=True)
    return pd.concat(features, ignore_index=True), known, folds_of(known, stamps)


def folds_of(labels: pd.DataFrame, stamps: pd.DatetimeIndex) -> pd.DataFrame:
    found = []
    for fold, (train_end, test_start, test_end) in enumerate([(80, 110, 160), (130, 160, 220)]):
        bar = labels["timestamp"].map({stamp: i for i, stamp in enumerate(stamps)}).to_numpy()
        role = np.full(len(labels), "unused", dtype=object)
        role[bar < train_end - HORIZON] = "train"
        role[(bar >= train_end) & (bar < test_start - HORIZON)] = "valid"
        role[(bar >= test_start - HORIZON) & (bar < test_start)] = "purged"
        role[(bar >= test_start) & (bar < test_end)] = "test"
        found.append(labels[KEY].assign(fold=fold, role=role))
    return pd.concat(found, ignore_index=True)


def run_of(tables: tuple[pd.DataFrame, ...], model: str, **changed: Any) -> Trained:
    features, labels, folds = (changed.get(n, t) for n, t in zip(("features", "labels", "folds"), tables, strict=True))
    config = changed.get("config", CONFIGS[model])
    knobs = {name: changed[name] for name in ("prune", "least_samples_per_feature") if name in changed}
    named = {"run": "r", "model": model, "set": "s", "target": "t", "seed": 7, "config": config}
    return train(features, labels, folds, **named, classes=changed.get("classes", 3), **knobs)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("model", CONFIGS)
def test_a_run_has_every_fold_and_a_final_model_and_survives_the_disk(
    model: str, tables: tuple[pd.DataFrame, ...], tmp_path: Path
) -> None:
    trained = run_of(tables, model)
    manifest = trained.models.manifest
    assert manifest.folds == (0, 1)
    assert manifest.columns == ("f__a", "f__b", "f__c")
    assert (manifest.classes, manifest.label, manifest.device) == (3, "direction", "cpu")
    assert set(manifest.fits) == set(manifest.rows) == {"fold_0", "fold_1", "final"}
    assert manifest.rows["final"]["train"] + sum(manifest.dropped.values()) == len(tables[1])
    assert manifest.fits["final"].val_loss is None

    trained.models.save(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"manifest.json", "config", "fold_0", "fold_1", "final"}
    loaded = TrainedRun.load(tmp_path)
    assert loaded.manifest == manifest
    rows = tables[1].sample(frac=0.5, random_state=1)
    for fold in (0, 1, None):
        one, two = (run.predict(fold, tables[0], rows) for run in (trained.models, loaded))
        np.testing.assert_array_equal(one.output.class_probabilities, two.output.class_probabilities)
        assert len(one.rows) + sum(one.dropped.values()) == len(rows)
        assert set(one.dropped) == {"incomplete_input"}
        kept = rows[KEY].merge(one.rows[KEY], on=KEY)
        pd.testing.assert_frame_equal(kept, one.rows[KEY])


@pytest.mark.parametrize("model", CONFIGS)
def test_same_inputs_same_bytes_whatever_their_row_order(
    model: str, tables: tuple[pd.DataFrame, ...], tmp_path: Path
) -> None:
    before = [table.copy() for table in tables]
    one = run_of(tables, model)
    two = run_of(tuple(table.sample(frac=1, random_state=5) for table in tables), model)
    for name, trained in (("one", one), ("two", two)):
        trained.models.save(tmp_path / name)
    TrainedRun.load(tmp_path / "one").save(tmp_path / "three")
    assert files(tmp_path / "one") == files(tmp_path / "two") == files(tmp_path / "three")
    pd.testing.assert_frame_equal(one.learning, two.learning)
    for table, copy in zip(tables, before, strict=True):
        pd.testing.assert_frame_equal(table, copy)


def test_no_clock_reaches_the_disk(tables: tuple[pd.DataFrame, ...], tmp_path: Path) -> None:
    run_of(tables, "lightgbm").models.save(tmp_path)
    assert not any(b"seconds" in content for content in files(tmp_path).values())


def test_learning_has_a_row_per_epoch(tables: tuple[pd.DataFrame, ...]) -> None:
    learning = run_of(tables, "lstm").learning
    assert list(learning.columns) == ["fold", "epoch", "train_loss", "valid_loss"]
    assert set(learning["fold"]) == {0, 1, -1}
    assert learning.loc[learning["fold"] == 0, "epoch"].tolist() == [1, 2, 3]
    assert learning.loc[learning["fold"] >= 0, "valid_loss"].notna().all()
    assert learning.loc[learning["fold"] == -1, "valid_loss"].isna().all()
    assert run_of(tables, "logistic").learning["fold"].tolist() == [0, 1, -1]


@pytest.mark.parametrize(("model", "family"), [("logistic", "classical"), ("lstm", "neural")])
def test_scalers_see_train_rows_only(model: str, family: str, tables: tuple[pd.DataFrame, ...]) -> None:
    features, _labels, folds = tables
    trained = run_of(tables, model)
    for fold in (0, 1):
        rows = folds[(folds["fold"] == fold) & (folds["role"] == "train")][KEY].merge(features, on=KEY)
        if model == "lstm":  # the first rows after the warm-up end no full window
            rows = rows[rows.groupby("symbol").cumcount() >= WARM_UP + 3]
        wanted = fit_scaler(family, rows.dropna()[["f__a", "f__b", "f__c"]].to_numpy())
        found = trained.models.member(fold).scaler
        assert found is not None
        np.testing.assert_allclose(found.center, wanted.center, rtol=1e-12)
        np.testing.assert_allclose(found.scale, wanted.scale, rtol=1e-12)


@pytest.mark.parametrize("model", CONFIGS)
def test_what_lies_after_a_folds_training_rows_does_not_change_its_model(
    model: str, tables: tuple[pd.DataFrame, ...], tmp_path: Path
) -> None:
    features, _labels, folds = tables
    later = features["timestamp"] >= folds.loc[(folds["fold"] == 0) & (folds["role"] == "test"), "timestamp"].min()
    changed = features.copy()
    changed.loc[later, ["f__a", "f__b", "f__c"]] *= -3
    for name, table in (("one", features), ("two", changed)):
        run_of(tables, model, features=table).models.save(tmp_path / name)
    assert files(tmp_path / "one" / "fold_0") == files(tmp_path / "two" / "fold_0")
    assert files(tmp_path / "one" / "final") != files(tmp_path / "two" / "final")


def test_the_final_model_sees_every_labelled_row_and_takes_its_rounds_from_the_folds(
    tables: tuple[pd.DataFrame, ...],
) -> None:
    manifest = run_of(tables, "lightgbm").models.manifest
    best = [manifest.fits[f"fold_{fold}"].best_epoch for fold in (0, 1)]
    assert manifest.final_config == {"rounds": round(float(np.mean(best)))}
    assert manifest.fits["final"].epochs_trained == manifest.final_config["rounds"]
    assert manifest.rows["final"] == {"train": len(tables[1]) - 2 * WARM_UP}


def test_the_final_model_learns_from_the_last_labelled_row(tables: tuple[pd.DataFrame, ...], tmp_path: Path) -> None:
    labels = tables[1].copy()
    last = labels[KEY].sort_values(["symbol", "timestamp"]).index[-1]  # unused in every fold
    labels.loc[last, "direction"] = 2 - labels.loc[last, "direction"] if labels.loc[last, "direction"] != 1 else 0
    for name, table in (("one", tables[1]), ("two", labels)):
        run_of(tables, "logistic", labels=table).models.save(tmp_path / name)
    assert files(tmp_path / "one" / "fold_1") == files(tmp_path / "two" / "fold_1")
    assert files(tmp_path / "one" / "final") != files(tmp_path / "two" / "final")


def test_rows_count_by_their_weight(tables: tuple[pd.DataFrame, ...], tmp_path: Path) -> None:
    for name, weight in (("one", 1.0), ("two", tables[1]["weight"])):
        run_of(tables, "logistic", labels=tables[1].assign(weight=weight)).models.save(tmp_path / name)
    for member in ("fold_0", "fold_1", "final"):
        assert files(tmp_path / "one" / member) != files(tmp_path / "two" / member)


def test_a_leak_is_refused_before_anything_is_fitted(tables: tuple[pd.DataFrame, ...]) -> None:
    _features, _labels, folds = tables
    purged = (folds["fold"] == 1) & (folds["role"] == "purged") & (folds["symbol"] == "BBB")
    for role in ("train", "valid"):
        leaking = folds.assign(role=folds["role"].mask(purged, role))
        with pytest.raises(LeakError, match=f"fold 1: {HORIZON} training rows"):
            run_of(tables, "logistic", folds=leaking)


def test_folds_of_other_labels_are_refused(tables: tuple[pd.DataFrame, ...]) -> None:
    with pytest.raises(StaleFolds, match="fold 0 has roles for"):
        run_of(tables, "logistic", labels=tables[1][10:])
    with pytest.raises(StaleFolds, match="no folds"):
        run_of(tables, "logistic", folds=tables[2][:0])


def test_columns_without_values_are_named(tables: tuple[pd.DataFrame, ...]) -> None:
    features = tables[0].assign(volume__obv=np.float32("nan"))
    with pytest.raises(ValuelessColumns, match="volume__obv"):
        run_of(tables, "logistic", features=features)


def test_a_fold_without_usable_rows_is_named(tables: tuple[pd.DataFrame, ...]) -> None:
    late = tables[0].copy()
    late.loc[late["timestamp"] < late["timestamp"].iloc[100], "f__a"] = np.nan
    with pytest.raises(NothingToTrain, match=r"fold_0 .*incomplete_input 200"):
        run_of(tables, "logistic", features=late)


def test_without_valid_rows_a_fold_trains_for_as_long_as_configured(tables: tuple[pd.DataFrame, ...]) -> None:
    folds = tables[2].assign(role=tables[2]["role"].replace("valid", "unused"))
    manifest = run_of(tables, "lightgbm", folds=folds).models.manifest
    assert manifest.final_config == {}
    assert {found.epochs_trained for found in manifest.fits.values()} == {10}


def test_the_class_count_is_the_target_s_whether_or_not_all_occur(tables: tuple[pd.DataFrame, ...]) -> None:
    labels = tables[1].assign(direction=tables[1]["direction"].clip(upper=1))
    assert run_of(tables, "logistic", labels=labels).models.manifest.classes == 3
    assert run_of(tables, "logistic", labels=labels, classes=2).models.manifest.classes == 2
    with pytest.raises(BrokenArtifact, match="other than the classes 0 to 1"):
        run_of(tables, "logistic", classes=2)


def test_seed_and_classes_are_not_for_the_config(tables: tuple[pd.DataFrame, ...]) -> None:
    with pytest.raises(BadParam, match=r"runs\.r\.config\.seed"):
        run_of(tables, "logistic", config={"seed": 3})
    with pytest.raises(UnknownName, match="rouns"):
        run_of(tables, "lightgbm", config={"rouns": 3})


def test_models_are_read_when_asked_for(tables: tuple[pd.DataFrame, ...], tmp_path: Path) -> None:
    run_of(tables, "logistic").models.save(tmp_path)
    (tmp_path / "fold_1" / "scaler.json").unlink()
    loaded = TrainedRun.load(tmp_path)
    loaded.member(0)
    with pytest.raises(BrokenArtifact, match="has no scaler"):
        loaded.member(1)
    with pytest.raises(UnknownName, match="fold_2"):
        loaded.predict(2, tables[0], tables[1])
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(BrokenArtifact, match="no manifest"):
        TrainedRun.load(tmp_path)


def test_no_row_with_an_input_is_an_empty_answer(tables: tuple[pd.DataFrame, ...]) -> None:
    run = run_of(tables, "logistic").models
    found = run.predict(0, tables[0], tables[1][:WARM_UP])
    assert found.output.class_probabilities.shape == (0, 3)
    assert found.dropped == {"incomplete_input": WARM_UP}


def test_models_and_epochs_are_told(tables: tuple[pd.DataFrame, ...]) -> None:
    told: list[tuple[int, int, str]] = []
    with listening(lambda done, total, what: told.append((done, total, what))):
        run_of(tables, "lstm")
    assert [entry for entry in told if entry[2] == "models"] == [(1, 3, "models"), (2, 3, "models"), (3, 3, "models")]
    assert any(what == "epochs" for _, _, what in told)


# Columns -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def redundant(tables: tuple[pd.DataFrame, ...]) -> pd.DataFrame:
    """The features, a constant among them, a twin, and a column that parts from its twin after the first fold."""
    features = tables[0].copy()
    first_fold = tables[2].query("fold == 0 and role == 'train'")["timestamp"].max()
    features.insert(2, "f__hour", np.float32(4))
    features["f__twin"] = 2 * features["f__a"] + 1
    features["f__later"] = features["f__c"].where(features["timestamp"] <= first_fold, -features["f__c"] % 1)
    return features


def pruned_run(tables: tuple[pd.DataFrame, ...], model: str, features: pd.DataFrame) -> Trained:
    return run_of(tables, model, features=features, prune=0.9)


@pytest.mark.parametrize("model", CONFIGS)
def test_each_model_is_given_the_columns_of_its_own_train_rows(
    model: str, tables: tuple[pd.DataFrame, ...], redundant: pd.DataFrame, tmp_path: Path
) -> None:
    trained = pruned_run(tables, model, redundant)
    manifest = trained.models.manifest
    assert manifest.columns == ("f__hour", "f__a", "f__b", "f__c", "f__twin", "f__later")
    assert (manifest.prune, set(manifest.pruned)) == (0.9, {"fold_0", "fold_1", "final"})
    assert manifest.kept("fold_0") == ("f__a", "f__b", "f__c")
    assert manifest.kept("fold_1") == manifest.kept("final") == ("f__a", "f__b", "f__c", "f__later")
    assert [manifest.pruned[name].dropped for name in ("fold_0", "fold_1", "final")] == [3, 2, 2]
    assert {choice.constant for choice in manifest.pruned.values()} == {("f__hour",)}
    assert manifest.pruned["fold_0"].alike == {"f__twin": "f__a", "f__later": "f__c"}

    trained.models.save(tmp_path)
    loaded = TrainedRun.load(tmp_path)
    assert loaded.manifest == manifest
    rows = tables[1].sample(frac=0.3, random_state=2)
    for fold in (0, 1, None):
        one, two = (run.predict(fold, redundant, rows).output for run in (trained.models, loaded))
        np.testing.assert_array_equal(one.class_probabilities, two.class_probabilities)
    # What was dropped says nothing any more, what was kept does.
    before = loaded.predict(0, redundant, rows).output.class_probabilities
    for column, matters in (("f__twin", False), ("f__hour", False), ("f__a", True)):
        other = redundant.assign(**{column: redundant[column] - 9})
        after = loaded.predict(0, other, rows).output.class_probabilities
        assert np.array_equal(before, after) is not matters, column


@pytest.mark.parametrize("model", CONFIGS)
def test_a_model_of_few_columns_is_that_of_a_set_of_those(
    model: str, tables: tuple[pd.DataFrame, ...], redundant: pd.DataFrame, tmp_path: Path
) -> None:
    pruned_run(tables, model, redundant).models.save(tmp_path / "one")
    run_of(tables, model).models.save(tmp_path / "two")
    assert files(tmp_path / "one" / "fold_0") == files(tmp_path / "two" / "fold_0")


def test_what_is_tested_does_not_choose_columns(
    tables: tuple[pd.DataFrame, ...], redundant: pd.DataFrame, tmp_path: Path
) -> None:
    """Rows of each fold that are not train rows are poisoned: constants vary there, and twins part."""
    _features, _labels, folds = tables
    names = [name for name in redundant.columns if name not in KEY]
    for fold in (0, 1):
        learnt = folds[(folds["fold"] == fold) & (folds["role"] == "train")][KEY].assign(learnt=True)
        at = redundant[KEY].merge(learnt, on=KEY, how="left")["learnt"].isna().to_numpy()
        poisoned = redundant.copy()
        noise = np.random.default_rng(fold).normal(size=(int(at.sum()), len(names)))
        poisoned.loc[at, names] = noise.astype("float32")
        for name, table in (("one", redundant), ("two", poisoned)):
            run_of(tables, "lightgbm", features=table, prune=0.9).models.save(tmp_path / f"{name}_{fold}")
        one, two = (TrainedRun.load(tmp_path / f"{name}_{fold}").manifest for name in ("one", "two"))
        assert one.pruned[f"fold_{fold}"] == two.pruned[f"fold_{fold}"]
        assert one.pruned["final"] != two.pruned["final"]


@pytest.mark.parametrize("model", CONFIGS)
def test_constant_columns_are_borne_without_pruning(
    model: str, tables: tuple[pd.DataFrame, ...], redundant: pd.DataFrame
) -> None:
    run = run_of(tables, model, features=redundant).models
    assert (run.manifest.prune, run.manifest.pruned) == (None, {})
    assert run.manifest.kept("fold_1") == run.manifest.columns
    assert np.isfinite(run.predict(0, redundant, tables[1][20:40]).output.class_probabilities).all()


def test_a_fold_in_which_nothing_varies_is_told(tables: tuple[pd.DataFrame, ...]) -> None:
    features = tables[0].assign(f__a=np.float32(0), f__b=np.float32(1), f__c=np.float32(2))
    with pytest.raises(AllConstant, match="all 3 columns are constant in 15"):
        run_of(tables, "logistic", features=features, prune=0.9)


# Samples for columns, gaps -----------------------------------------------------------------------------------------


def test_few_samples_a_column_are_warned_of_logged_and_kept(
    tables: tuple[pd.DataFrame, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rng = np.random.default_rng(0)
    wide = tables[0].assign(**{f"f__{n}": rng.normal(size=len(tables[0])).astype("float32") for n in range(5)})
    with caplog.at_level(logging.WARNING):
        trained = run_of(tables, "logistic", features=wide)
    (warning,) = trained.models.manifest.warnings
    rows = trained.models.manifest.rows["fold_0"]["train"]
    assert rows < trained.models.manifest.rows["fold_1"]["train"]
    assert (warning.kind, warning.size.fold, warning.size.samples, warning.size.columns) == (
        "few_samples", "fold_0", rows, 8,
    )  # fmt: skip
    assert f"run 'r': fold_0 has {rows} train rows for 8 columns" in caplog.text
    trained.models.save(tmp_path)
    assert TrainedRun.load(tmp_path).manifest.warnings == (warning,)
    assert run_of(tables, "logistic").models.manifest.warnings == ()
    with pytest.raises(TooFewSamples, match="least_samples_per_feature is 19"):
        run_of(tables, "logistic", features=wide, least_samples_per_feature=19)


def test_columns_that_pruning_drops_need_no_samples(tables: tuple[pd.DataFrame, ...]) -> None:
    twins = tables[0].assign(**{f"f__{n}": tables[0]["f__a"] * n for n in range(1, 6)})
    with pytest.raises(TooFewSamples):
        run_of(tables, "logistic", features=twins, least_samples_per_feature=20)
    assert (
        run_of(tables, "logistic", features=twins, least_samples_per_feature=20, prune=0.9).models.manifest.warnings
        == ()
    )


def test_no_window_crosses_a_gap_in_training_or_after(tables: tuple[pd.DataFrame, ...], tmp_path: Path) -> None:
    """From the 100th bar on all lies a month later: three windows of four bars of each symbol would cross that."""
    gap = tables[1]["timestamp"].min() + pd.Timedelta(days=100)

    def parted(table: pd.DataFrame) -> pd.DataFrame:
        times = table.select_dtypes("datetimetz")
        return table.assign(**times.where(times < gap, times + pd.Timedelta(days=30)))

    features, labels, folds = (parted(table) for table in tables)
    run = run_of((features, labels, folds), "lstm").models
    whole = run_of(tables, "lstm").models
    assert {one.bar for one in run.manifest.steps.values()} == {24 * 3600 * 10**6}
    assert run.manifest.dropped["incomplete_input"] == whole.manifest.dropped["incomplete_input"] + 6
    run.save(tmp_path)
    asked = labels[(labels["symbol"] == "BBB") & (labels["timestamp"] >= gap)][:5]
    for each in (run, TrainedRun.load(tmp_path)):
        # A few live bars do not tell how long a gap is: the manifest does.
        for known in (features, features[features["timestamp"] >= asked["timestamp"].min() - pd.Timedelta(days=33)]):
            found = each.predict(None, known, asked)
            assert found.dropped == {"incomplete_input": 3}
            assert found.rows["timestamp"].tolist() == asked["timestamp"].tolist()[3:]
    assert run_of((features, labels, folds), "logistic").models.manifest.steps is None
