from __future__ import annotations

import numpy as np
import pytest
from sklearn.inspection import permutation_importance as reference
from sklearn.linear_model import LogisticRegression

from betti.models import BaseModel, ModelRegistry, PredictionOutput
from betti.training.importance import ROWS, of_inputs, of_model, permutation_importance, table
from betti.windows import NamedInputs, Rows, Windows


def rows(count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(count, 4)).astype("float32")
    return X, (X[:, 2] + 0.5 * X[:, 0] + 0.3 * rng.normal(size=count) > 0).astype("int64")


def test_agrees_with_scikit_learn() -> None:
    X, y = rows()
    model = LogisticRegression().fit(X, y)
    ours = permutation_importance(model.predict_proba, X, y, repeats=40, seed=1)
    theirs = reference(model, X, y, scoring="neg_log_loss", n_repeats=40, random_state=2)
    # Two means of 40 draws each.
    error = 4 * theirs.importances_std * np.sqrt(2 / 40) + 1e-6
    assert (np.abs(ours - theirs.importances_mean) < error).all()
    assert ours[2] > ours[0] > 5 * abs(ours[1])


def test_an_unused_column_has_exactly_none() -> None:
    X, y = rows()
    model = LogisticRegression().fit(X[:, :1], y)
    found = permutation_importance(lambda inputs: model.predict_proba(inputs[:, :1]), X, y)
    assert found[0] > 0
    np.testing.assert_array_equal(found[1:], 0)


def test_weights_say_whose_loss_counts() -> None:
    X, y = rows()
    X[:200, 2] = 0  # the first half knows nothing of the column
    model = LogisticRegression().fit(X[200:], y[200:])
    half = np.arange(400) < 200
    first, last = (
        permutation_importance(model.predict_proba, X, y, weights=weights.astype("float64"), seed=3)
        for weights in (half, ~half)
    )
    assert last[2] > first[2] + 0.2


def test_windows_are_permuted_by_column_and_left_alone() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(203, 3)).astype("float32")
    windows = Windows(values, np.arange(3, 203), 4)
    y = (windows[:].mean(axis=1)[:, 1] > 0).astype("int64")

    def said(inputs: np.ndarray) -> np.ndarray:
        sure = 1 / (1 + np.exp(-10 * inputs.mean(axis=1)[:, 1]))
        return np.column_stack([1 - sure, sure])

    before = values.copy()
    lazy = permutation_importance(said, windows, y, repeats=2, seed=5)
    np.testing.assert_array_equal(values, before)
    assert lazy[1] > 0.5
    np.testing.assert_array_equal(lazy[[0, 2]], 0)
    np.testing.assert_array_equal(lazy, permutation_importance(said, windows[:], y, repeats=2, seed=5))


def test_the_seed_decides() -> None:
    X, y = rows(60)
    model = LogisticRegression().fit(X, y)
    one, again, other = (permutation_importance(model.predict_proba, X, y, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    assert one == pytest.approx(other, abs=0.3)


def fitted(name: str, config: dict) -> tuple[BaseModel, np.ndarray, np.ndarray]:
    X, y = rows(600)
    model = ModelRegistry.create(name, config)
    model.fit(X[:400], y[:400], None, None)
    return model, X[400:], y[400:]


def test_a_models_own_importance_is_taken_as_it_is() -> None:
    model, X, y = fitted("logistic", {})
    own = model.get_feature_importance()
    assert own is not None
    assert of_model(model, X, y, tuple("abcd"), 7) == dict(zip("abcd", own.values(), strict=True))


def test_a_model_without_one_is_asked_with_columns_permuted() -> None:
    X, y = rows(600)
    windows = np.stack([X, X], axis=1)
    config = {"hidden": 8, "layers": 1, "length": 2, "dropout": 0.0, "epochs": 20, "warmup_epochs": 1}
    model = ModelRegistry.create("lstm", {**config, "batch_size": 64, "learning_rate": 0.02, "device": "cpu"})
    model.fit(windows[:400], y[:400], None, None)
    assert model.get_feature_importance() is None
    found = of_model(model, windows[400:], y[400:], tuple("abcd"), 7)
    assert sorted(found, key=lambda column: -found[column])[:2] == ["c", "a"]
    assert min(found.values()) >= 0
    assert of_model(model, windows[:0], y[:0], tuple("abcd"), 7) == {}


# Several inputs ----------------------------------------------------------------------------------------------------


def several(count: int = 300) -> NamedInputs:
    rng = np.random.default_rng(2)
    parts = {"told": (count, 2), "idle": (count, 3), "windows": (count, 4, 2)}
    return NamedInputs({name: rng.normal(size=shape).astype("float32") for name, shape in parts.items()})


def leaning(X: NamedInputs) -> np.ndarray:
    """Three parts of the answer hang on `told`, one on `windows`, none on `idle`."""
    up = 0.75 * (X["told"][:, 1] > 0) + 0.25 * (X["windows"][:, 0, 1] > 0)
    return np.column_stack([1 - up, up])


def test_an_input_is_worth_how_far_answers_move_without_it() -> None:
    """Two draws of a sign differ half of the time: the distance is half the part that hangs on it."""
    X = several(4000)
    found = of_inputs(leaning, X, seed=3)
    assert found == {"told": pytest.approx(0.375, abs=0.01), "idle": 0.0, "windows": pytest.approx(0.125, abs=0.01)}


def test_views_are_worth_what_arrays_are() -> None:
    X, at = several(), np.random.default_rng(4).permutation(300)
    lazy = NamedInputs(
        {
            "told": Rows(X["told"], at),
            "idle": Rows(X["idle"], at),
            "windows": Windows(X["windows"].reshape(-1, 2), 4 * at + 3, 4),
        }
    )

    def said(inputs: NamedInputs) -> np.ndarray:
        return leaning(NamedInputs({name: np.asarray(part[np.arange(300)]) for name, part in inputs.items()}))

    assert of_inputs(said, lazy, seed=5) == of_inputs(leaning, X.take(at), seed=5)


def test_inputs_are_left_alone() -> None:
    X = several()
    before = {name: np.array(part) for name, part in X.items()}
    of_inputs(leaning, X)
    for name, part in X.items():
        np.testing.assert_array_equal(part, before[name])


class Asked:
    """Stands for a fitted model of several inputs without an importance of its own."""

    def get_feature_importance(self) -> None:
        return None

    def predict(self, X: NamedInputs) -> PredictionOutput:
        return PredictionOutput.from_probabilities(leaning(X))


def test_what_a_permutation_seems_to_gain_counts_for_nothing() -> None:
    """A support vector machine measures its own importance by permutation, and may find less than 0."""

    class Permuted(Asked):
        def get_feature_importance(self) -> dict[str, float]:
            return {"0": 0.3, "1": -0.5}

    assert of_model(Permuted(), *rows(), ("a", "b"), 7) == {"a": 0.3, "b": 0.0}


class Grouped(Asked):
    def ablation(self, X: NamedInputs) -> dict[str, float]:
        return {"told:first": 0.0, "told:second": float(X.rows)}


def test_a_model_of_several_inputs_is_asked_about_each() -> None:
    X, y = several(), np.zeros(300, dtype="int64")
    found = of_model(Asked(), X, y, (), 7)
    assert sorted(found, key=lambda name: -found[name]) == ["told", "windows", "idle"]
    assert of_model(Asked(), X.take(np.arange(0)), y[:0], (), 7) == {}


def test_groups_that_a_model_knows_come_before_whole_inputs() -> None:
    X, y = several(), np.zeros(300, dtype="int64")
    assert of_model(Grouped(), X, y, (), 7) == {"told:first": 0.0, "told:second": float(ROWS)}


# Together ----------------------------------------------------------------------------------------------------------


def test_shares_are_means_over_the_models_that_were_asked() -> None:
    worth = {"fold_0": {"a": 3.0, "b": 1.0}, "fold_1": {"b": 1.0}, "fold_2": {}}
    found = table(worth).set_index("column")
    assert found.loc["a"].tolist() == [0.375, 0.0, 0.75]
    assert found.loc["b"].tolist() == [0.625, 0.25, 1.0]
    assert found["share"].sum() == 1
    assert table({"fold_0": {}}).empty
