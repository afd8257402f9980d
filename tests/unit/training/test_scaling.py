from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.preprocessing import RobustScaler, StandardScaler

from betti.errors import BrokenArtifact
from betti.training.scaling import Scaler, fit_robust, fit_scaler, fit_standard


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


@pytest.mark.parametrize("fit", [fit_standard, fit_robust])
def test_round_trip_is_exact(fit: object, rows: np.ndarray, tmp_path: Path) -> None:
    scaler = fit(rows)  # type: ignore[operator]
    scaler.save(tmp_path)
    assert Scaler.load(tmp_path) == scaler


def test_absent_and_broken_files(tmp_path: Path) -> None:
    assert Scaler.load(tmp_path) is None
    (tmp_path / "scaler.json").write_text("{}")
    with pytest.raises(BrokenArtifact, match="is not a scaler"):
        Scaler.load(tmp_path)
