from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import RobustScaler, StandardScaler

from betti import splits
from betti.errors import BadModelInput, BrokenArtifact, UnknownName
from betti.stages.train import train
from betti.training import scaling
from betti.training.scaling import Scaler, fit_kind, fit_none, fit_robust, fit_scaler, fit_standard


@pytest.fixture
def rows() -> np.ndarray:
    return np.random.default_rng(0).normal(3, 2, size=(101, 4)).astype("float32")


def test_agree_with_scikit_learn(rows: np.ndarray) -> None:
    wanted = StandardScaler().fit_transform(rows.astype("float64"))
    np.testing.assert_allclose(fit_standard(rows).transform(rows), wanted, atol=1e-6)
    wanted = RobustScaler().fit_transform(rows.astype("float64"))
    np.testing.assert_allclose(fit_robust(rows).transform(rows), wanted, atol=1e-6)


def test_the_family_decides(rows: np.ndarray) -> None:
    assert fit_scaler("neural", rows).kind == "robust"
    assert fit_scaler("classical", rows).kind == "standard"
    assert fit_scaler("transformer", rows).kind == "standard"
    assert fit_scaler("boosting", rows).kind == "none"


def test_a_kind_is_chosen_by_name(rows: np.ndarray) -> None:
    assert fit_kind("robust", rows) == fit_robust(rows)
    assert fit_kind("standard", rows) == fit_standard(rows)
    assert fit_kind("none", rows) == fit_none(rows)
    with pytest.raises(UnknownName, match=r"robustt.*did you mean 'robust'"):
        fit_kind("robustt", rows)


def test_none_leaves_the_values_as_they_are(rows: np.ndarray) -> None:
    scaler = fit_none(rows)
    assert scaler.transform(rows) is rows
    literal = (rows - np.array(scaler.center)) / np.array(scaler.scale)
    np.testing.assert_array_equal(literal.clip(-scaler.limit, scaler.limit), rows)


@pytest.mark.parametrize("kind", ["standard", "robust", "none"])
def test_rows_that_teach_nothing_are_refused(kind: str, rows: np.ndarray) -> None:
    with pytest.raises(BadModelInput, match="there are no training rows"):
        fit_kind(kind, rows[:0])
    for wild in (np.nan, np.inf):
        spoilt = rows.copy()
        spoilt[[3, 5], 1] = wild
        with pytest.raises(BadModelInput, match="2 of 101 training rows"):
            fit_kind(kind, spoilt)


@pytest.mark.parametrize("fit", [fit_standard, fit_robust])
def test_scaling_a_long_table_block_by_block_is_scaling_it_at_once(
    fit: object, rows: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    scaler = fit(rows)  # type: ignore[operator]
    whole = scaler.transform(rows)
    monkeypatch.setattr(scaling, "BLOCK", 7)
    assert scaler.transform(rows).tobytes() == whole.tobytes()


@pytest.mark.parametrize("fit", [fit_standard, fit_robust])
def test_the_layout_of_the_rows_in_memory_does_not_matter(fit: object, rows: np.ndarray) -> None:
    assert fit(np.asfortranarray(rows)) == fit(rows)  # type: ignore[operator]


@pytest.mark.parametrize("scheme", splits.FOLDER.names())
def test_no_row_but_train_rows_moves_a_folds_scaler(scheme: str) -> None:
    """Features of every row that a fold does not learn from become wild, and its scaler stays as it is."""
    stamps = pd.date_range("2020-01-01", periods=90, tz="UTC").as_unit("us")
    generator = np.random.default_rng(2)
    table = pd.DataFrame({"timestamp": stamps, "symbol": "AAA"})
    table[["a", "b"]] = generator.normal(size=(90, 2)).astype("float32")
    labels = table[["timestamp", "symbol"]].assign(span_start=stamps, span_end=stamps + pd.Timedelta("3D"))
    labels = labels.assign(trigger=generator.integers(0, 2, 90).astype("float64"), weight=1.0)
    whole = splits.split(scheme, labels)
    folds = whole[whole["fold"] == whole["fold"].max()].assign(fold=0).reset_index(drop=True)
    poisoned = table.copy()
    poisoned.loc[folds["role"] != "train", ["a", "b"]] = np.float32(1e6)
    assert (poisoned["a"] == 1e6).any()

    def fitted(features: pd.DataFrame, fold: int | None) -> Scaler | None:
        run = {"run": "r", "model": "logistic", "set": "s", "target": "trigger", "seed": 1, "config": {}, "classes": 2}
        return train(features, labels, folds, **run).models.member(fold).scaler  # type: ignore[arg-type]

    clean = fitted(table, 0)
    assert clean is not None
    assert fitted(poisoned, 0) == clean
    assert fitted(poisoned, None) != fitted(table, None)
    train_rows = table.loc[folds["role"] == "train", ["a", "b"]].to_numpy()
    assert clean == fit_standard(train_rows)
    assert clean != fit_standard(table[["a", "b"]].to_numpy())


@pytest.mark.parametrize("fit", [fit_standard, fit_robust])
def test_columns_that_hardly_vary_do_not_explode(fit: object) -> None:
    constant = np.full((50, 2), 0.1, dtype="float32")
    constant[0, 1] = 5.0  # the middle half is constant, the column is not
    scaled = fit(constant).transform(constant)  # type: ignore[operator]
    assert np.isfinite(scaled).all()
    np.testing.assert_array_equal(scaled[:, 0], 0)
    assert 0 < scaled[0, 1] <= 10


def test_nan_stays_nan_and_the_robust_scaler_limits(rows: np.ndarray) -> None:
    scaler = fit_robust(rows)
    scaled = scaler.transform(np.array([[np.nan, 1e9, -1e9, 3.0]], dtype="float32"))
    assert np.isnan(scaled[0, 0])
    assert scaled[0, 1:3].tolist() == [10.0, -10.0]


@pytest.mark.parametrize("fit", [fit_standard, fit_robust, fit_none])
def test_round_trip_is_exact(fit: object, rows: np.ndarray, tmp_path: Path) -> None:
    scaler = fit(rows)  # type: ignore[operator]
    scaler.save(tmp_path)
    assert Scaler.load(tmp_path) == scaler


def test_absent_and_broken_files(tmp_path: Path) -> None:
    assert Scaler.load(tmp_path) is None
    (tmp_path / "scaler.json").write_text("{}")
    with pytest.raises(BrokenArtifact, match="is not a scaler"):
        Scaler.load(tmp_path)
