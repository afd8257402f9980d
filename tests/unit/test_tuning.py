"""What a search minimises: the training stage's own validation losses, and never a test row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from betti import tuning
from betti.errors import BadParam, LeakError, UnknownName
from betti.stages.train import train
from betti.tuning import NothingToValidate, Subject

COLUMNS = ["made__a", "made__b", "made__c"]
KEY = ["timestamp", "symbol"]
SUBJECT = Subject("one", "logistic", "made", "up", seed=7, classes=2)
SEEN = ["train", "valid"]


def tables(rows: int = 600, blocks: int = 4) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Features of two symbols, labels that follow from them, and a walk-forward of `blocks` - 1 folds."""
    rng = np.random.default_rng(3)
    times = pd.date_range("2001-01-01", periods=rows, freq="1D", tz="UTC").as_unit("us")
    frames = [pd.DataFrame({"timestamp": times, "symbol": name}) for name in ("AAA", "BBB")]
    keys = pd.concat(frames, ignore_index=True)
    features = keys.assign(**{name: rng.normal(size=len(keys)).astype("float32") for name in COLUMNS})
    noisy = features["made__a"] + rng.normal(0, 0.5, len(keys)) > 0
    labels = keys.assign(
        span_start=keys["timestamp"], span_end=keys["timestamp"], weight=1.0, up=noisy.astype("float64")
    )
    block = np.tile(np.arange(rows) * blocks // rows, 2)
    late = np.tile(np.arange(rows) * blocks * 5 // rows % 5 == 4, 2)  # the last fifth of each block
    folds = []
    for fold in range(blocks - 1):
        role = np.where(block <= fold, "train", np.where(block == fold + 1, "test", "unused"))
        role[(block == fold) & late] = "valid"
        folds.append(keys.assign(fold=fold, role=role))
    return features, labels, pd.concat(folds, ignore_index=True)


def found(features: pd.DataFrame, labels: pd.DataFrame, folds: pd.DataFrame, *, only=(), subject=SUBJECT, **config):
    shared = tuning.lessons(features, labels, folds, subject, config, only)
    return [(one.fold, one.loss) for one in tuning.losses(shared, config)]


def never_learnt(frame: pd.DataFrame, folds: pd.DataFrame) -> pd.Series:
    """Which rows have neither of the two roles in any of these folds."""
    seen = folds.loc[folds["role"].isin(SEEN), KEY].drop_duplicates().assign(seen=True)
    return frame[KEY].merge(seen, on=KEY, how="left")["seen"].isna()


@pytest.mark.parametrize("prune", [None, 0.9])
@pytest.mark.parametrize("model", ["logistic", "lightgbm"])
def test_the_losses_are_those_of_the_training_stage(model: str, prune: float | None):
    features, labels, folds = tables()
    features["made__d"] = features["made__a"] * 2  # what pruning takes away
    config = {"rounds": 20} if model == "lightgbm" else {"C": 0.3}
    trained = train(
        features, labels, folds,
        run="one", model=model, set="made", target="up", seed=7, config=config, prune=prune, classes=2,
    )  # fmt: skip
    subject = Subject("one", model, "made", "up", seed=7, classes=2, prune=prune)
    fits = trained.models.manifest.fits
    expected = [(fold, fits[f"fold_{fold}"].val_loss) for fold in range(3)]
    assert found(features, labels, folds, subject=subject, **config) == expected


@pytest.mark.parametrize("only", [(), (0,), (1,), (0, 2)], ids=str)
def test_test_rows_may_be_anything(only: tuple[int, ...]):
    """Rows that the folds never learn from are replaced by what would change everything."""
    features, labels, folds = tables()
    before = found(features, labels, folds, only=only)
    used = folds[folds["fold"].isin(only or (0, 1, 2))]
    hidden = never_learnt(features, used)
    assert 200 < hidden.sum() < len(features)
    features.loc[hidden, COLUMNS] = 1e6
    labels.loc[hidden.to_numpy(), "up"] = 1 - labels.loc[hidden.to_numpy(), "up"]
    labels.loc[hidden.to_numpy(), "weight"] = 1e3
    assert found(features, labels, folds, only=only) == before
    features.loc[~hidden, "made__a"] *= -1  # and those that it learns from do count
    features.loc[features.index[~hidden][:50], "made__a"] = 9
    assert found(features, labels, folds, only=only) != before


def test_a_row_without_a_value_among_the_test_rows_changes_nothing():
    features, labels, folds = tables()
    hidden = never_learnt(features, folds)
    before = found(features, labels, folds)
    features.loc[hidden, COLUMNS] = np.nan
    assert found(features, labels, folds) == before


def test_a_fold_is_judged_by_its_own_rows_alone():
    features, labels, folds = tables()
    every = dict(found(features, labels, folds))
    assert dict(found(features, labels, folds, only=(1,))) == {1: every[1]}


def test_the_caller_may_stop_after_any_fold():
    features, labels, folds = tables()
    shared = tuning.lessons(features, labels, folds, SUBJECT, {})
    first = next(tuning.losses(shared, {}))
    assert first.fold == 0 and np.isfinite(first.loss)


def test_what_cannot_be_searched_is_refused():
    features, labels, folds = tables()
    with pytest.raises(UnknownName, match="unknown fold '7'"):
        found(features, labels, folds, only=(7,))
    untested = folds.assign(role=folds["role"].replace("valid", "train"))
    with pytest.raises(NothingToValidate, match=r"run 'one': 0 has.*valid_share"):
        found(features, labels, untested)
    with pytest.raises(NothingToValidate):
        found(features, labels, folds.assign(role="test"))
    overlapping = labels.assign(span_end=labels["span_end"] + pd.Timedelta("900D"))
    with pytest.raises(LeakError):
        found(features, overlapping, folds)


def test_the_windows_stay_those_of_the_run():
    features, labels, folds = tables(rows=200)
    small = {"hidden": 2, "layers": 1, "epochs": 1, "batch_size": 64, "device": "cpu"}
    subject = Subject("one", "lstm", "made", "up", seed=7, classes=2)
    shared = tuning.lessons(features, labels, folds, subject, {**small, "length": 4}, (2,))
    assert len(list(tuning.losses(shared, {**small, "length": 4}))) == 1
    with pytest.raises(BadParam, match="length"):
        next(tuning.losses(shared, {**small, "length": 5}))
