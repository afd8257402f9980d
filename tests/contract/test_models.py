"""What every registered model must do: say what it is, answer, and refuse what it cannot take.

A new file in betti/models is under test here, and in test_models_learning.py, from the moment it exists.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import betti.models
from betti import labelling
from betti.errors import BadModelInput, PartUnavailable, UnknownName
from betti.features._sets import SETS, declared
from betti.models import FOLDER, Answers, BaseModel, ModelRegistry
from betti.windows import NamedInputs, Rows, Windows
from tests.contract._models import (
    HEADS,
    NAMES,
    ROWS,
    TEMPLATE,
    Sample,
    class_counts,
    classes_of,
    copied,
    create,
    each_changed,
    files,
    fitted,
    made_heads,
    parts,
    quick,
    sample,
    shapes,
    take,
    width,
    with_knob,
)

every_model = pytest.mark.parametrize("name", NAMES)


@cache
def ready(name: str) -> tuple[BaseModel, Sample]:
    """A fitted model and what it was fitted on, for tests that change neither."""
    data = sample(name)
    return fitted(name, data), data


# What is known without training ------------------------------------------------------------------------------------


@every_model
def test_every_model_says_what_it_is(name: str) -> None:
    info = ModelRegistry.get_model_info(name)
    assert info.family
    assert info.description
    assert {"seed", "classes"} <= set(info.default_config)
    assert json.loads(json.dumps(info.default_config)) == info.default_config
    if info.inputs:
        assert info.requires_sequences == any(spec.length is not None for spec in info.inputs.values())
    else:
        assert ("length" in info.default_config) == info.requires_sequences


@every_model
def test_the_knobs_of_a_small_model_are_knobs_and_leave_the_defaults_alone(name: str) -> None:
    model = ModelRegistry.create(name)
    assert set(model.SMALL) <= set(model.get_default_config())
    small = ModelRegistry.create(name, model.SMALL).config
    assert {knob: small[knob] for knob in model.SMALL} == dict(model.SMALL)
    assert ModelRegistry.create(name).config == model.config


@every_model
def test_inputs_are_declared_sets_and_one_set_holds_them_all(name: str) -> None:
    """A run takes that set."""
    inputs = create(name).inputs
    wanted = {column for spec in inputs.values() for column in declared(spec.set).columns}
    assert all(width(spec.set) > 0 and (spec.length is None or spec.length > 0) for spec in inputs.values())
    if name in FOLDER.names() and inputs:
        assert any(wanted <= set(one.columns) for one in SETS.values()), f"declare a set for {name}"


@every_model
def test_some_target_has_the_label_columns_that_a_model_learns(name: str) -> None:
    heads = create(name).heads
    fitting = [kind for kind, module in labelling.FOLDER.loaded() if set(heads) <= set(module.COLUMNS[1:])]
    assert fitting
    assert set(heads) <= set(HEADS), "say in tests/contract/_models.py what the new label column holds"


@every_model
def test_a_knob_that_is_not_there_or_does_not_fit_is_named(name: str) -> None:
    with pytest.raises(UnknownName, match="no_such_knob"):
        ModelRegistry.create(name, {"no_such_knob": 1})
    with pytest.raises(BadModelInput, match="seed"):
        ModelRegistry.create(name, {"seed": "seven"})
    with pytest.raises(BadModelInput, match="classes"):
        ModelRegistry.create(name, {"classes": -1})
    for value in (7.5, float("nan"), float("inf"), None):
        with pytest.raises(BadModelInput, match="seed"):
            ModelRegistry.create(name, {"seed": value})
    assert type(ModelRegistry.create(name, {"seed": 8.0}).config["seed"]) is int


@every_model
def test_an_optional_knob_without_a_value_leaves_no_trace(name: str, tmp_path: Path) -> None:
    """A model that gets one more optional knob is stored in the bytes of before."""
    optional = {knob for knob, value in ModelRegistry.get_model_info(name).default_config.items() if value is None}
    assert not optional & set(ModelRegistry.create(name).config)
    if optional - set(create(name).SMALL):
        data = sample(name)
        fitted(name, data).save(tmp_path / "one")
        fitted(name, data, **dict.fromkeys(optional - set(create(name).SMALL))).save(tmp_path / "two")
        assert files(tmp_path / "one") == files(tmp_path / "two")
        stored = json.loads((tmp_path / "one" / "model.json").read_bytes())["config"]
        assert not (optional - set(create(name).SMALL)) & set(stored)


@pytest.mark.parametrize("name", FOLDER.names())
def test_ranges_are_those_of_knobs(name: str) -> None:
    assert set(getattr(FOLDER.load(name), "BOUNDS", {})) <= set(ModelRegistry.get_model_info(name).default_config)


@pytest.mark.parametrize("name", with_knob("class_weight"))
@pytest.mark.parametrize("value", ["balance", "", 1, 2.5, True, ["balanced"], {"0": 1.0}])
def test_a_class_weight_that_is_none_is_refused(name: str, value: Any) -> None:
    with pytest.raises(BadModelInput, match=r"class_weight = .*It takes balanced"):
        ModelRegistry.create(name, {"class_weight": value})
    with pytest.raises(BadModelInput, match="class_weight"):
        ModelRegistry.create(name).fit(np.ones((2, 1)), np.array([0, 1]), None, None, config={"class_weight": value})


def test_registered_families() -> None:
    families = ModelRegistry.list_models()
    assert "lightgbm" in families["boosting"]
    assert "lstm" in families["neural"]
    assert "logistic" in families["classical"]


def test_an_unknown_model_says_what_there_is() -> None:
    with pytest.raises(UnknownName, match="did you mean 'lightgbm'"):
        ModelRegistry.create("lightgbn")


def test_a_file_that_cannot_import_is_listed_with_its_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "needs_a_library.py").write_text("import a_library_that_is_not_here\n")
    monkeypatch.setattr(betti.models, "__path__", [*betti.models.__path__, str(tmp_path)])
    assert "needs_a_library" in FOLDER.failures()
    assert "a_library_that_is_not_here" in str(FOLDER.failures()["needs_a_library"])
    assert "needs_a_library" not in {n for names in ModelRegistry.list_models().values() for n in names}
    with pytest.raises(PartUnavailable, match="a_library_that_is_not_here"):
        ModelRegistry.create("needs_a_library")


def test_the_template_is_not_registered_by_itself() -> None:
    assert "_template" not in FOLDER.names()


# Answers -----------------------------------------------------------------------------------------------------------


@every_model
def test_probabilities_are_probabilities(name: str) -> None:
    for classes in class_counts(name):
        data = sample(name, classes)
        output = fitted(name, data, classes=classes).predict(data.X)
        assert output.class_probabilities.shape == (ROWS, classes)
        assert output.class_probabilities.dtype == np.float64
        assert (output.class_probabilities >= 0).all()
        np.testing.assert_allclose(output.class_probabilities.sum(axis=1), 1, atol=1e-9)
        np.testing.assert_array_equal(output.class_predictions, output.class_probabilities.argmax(axis=1))
        np.testing.assert_array_equal(output.confidence, output.class_probabilities.max(axis=1))


@every_model
def test_what_other_heads_say_has_a_row_for_each_row(name: str) -> None:
    model, data = ready(name)
    for own, values in model.predict(data.X).outputs.items():
        assert own.isidentifier()
        assert values.shape[0] == ROWS
        assert values.dtype == np.float64
        assert not np.isinf(values).any()


@every_model
def test_a_saved_model_answers_exactly_the_same(name: str, tmp_path: Path) -> None:
    model, data = ready(name)
    model.save(tmp_path / "model")
    again = ModelRegistry.create(name)
    again.load(tmp_path / "model")
    assert again.config == model.config
    one, two = model.predict(data.X), again.predict(data.X)
    np.testing.assert_array_equal(one.class_probabilities, two.class_probabilities)
    assert set(one.outputs) == set(two.outputs)
    for own in one.outputs:
        np.testing.assert_array_equal(one.outputs[own], two.outputs[own])
    assert again.get_feature_importance() == model.get_feature_importance()
    again.save(tmp_path / "again")
    assert files(tmp_path / "again") == files(tmp_path / "model")


@every_model
def test_same_seed_same_bytes(name: str, tmp_path: Path) -> None:
    data, held_out = sample(name), sample(name, seed=1, rows=200)
    for folder in ("one", "two"):
        model = quick(name)
        model.fit(data.X, data.y, held_out.X, held_out.y)
        model.save(tmp_path / folder)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert not any(path.endswith((".pkl", ".pickle", ".joblib", ".pt")) for path in files(tmp_path))


@every_model
def test_equal_weights_change_nothing_and_unequal_ones_do(name: str) -> None:
    data = sample(name)
    plain, equal, unequal = (
        fitted(name, data, weights).predict(data.X).class_probabilities
        for weights in (None, np.full(ROWS, 0.25), np.where(data.classes == 0, 0.05, 1.0))
    )
    np.testing.assert_array_equal(plain, equal)
    assert unequal[:, 0].mean() < plain[:, 0].mean()


@every_model
def test_weights_are_shares_whatever_their_scale(name: str) -> None:
    data = sample(name)
    weights = np.random.default_rng(4).uniform(0.1, 2.0, ROWS)
    plain, exact, rounded = (
        fitted(name, data, scale * weights).predict(data.X).class_probabilities for scale in (1.0, 2.0**-6, 1000.0)
    )
    np.testing.assert_array_equal(plain, exact)
    # A thousand is no power of two: weights differ in their last bit.
    np.testing.assert_allclose(plain, rounded, atol=1e-4)


@every_model
def test_a_row_of_weight_zero_is_a_row_left_out(name: str) -> None:
    data = sample(name)
    first = np.arange(ROWS) < ROWS // 2
    # The half without weight says the contrary of the other, and one more row of each class is without any.
    misled = data.taught(name, np.where(first, data.classes, data.classes.max() - data.classes))
    weights = np.where(first, np.random.default_rng(4).uniform(0.5, 1.5, ROWS), 0.0)
    weights[np.unique(data.classes, return_index=True)[1]] = 0.0
    kept = weights > 0
    believed, weighted, left_out = (
        fitted(name, one, given).predict(data.X).class_probabilities
        for one, given in ((misled, None), (misled, weights), (misled.part(kept), weights[kept]))
    )
    np.testing.assert_allclose(weighted, left_out, atol=1e-9)
    assert np.abs(believed - left_out).mean() > 0.01


@every_model
def test_a_class_of_weight_zero_is_a_class_left_out(name: str) -> None:
    data = sample(name)
    if 3 in class_counts(name):
        weights = (data.classes != 1).astype("float64")
        probabilities = fitted(name, data, weights, classes=3).predict(data.X).class_probabilities
        assert probabilities.shape == (ROWS, 3)
        assert probabilities[:, 1].mean() < probabilities[:, [0, 2]].mean(axis=0).min()
    last = data.classes.max()
    with pytest.raises(BadModelInput, match=f"training labels are class {last}"):
        quick(name).fit(data.X, data.y, None, None, sample_weights=(data.classes == last).astype("float64"))


@every_model
def test_a_class_that_never_occurs_keeps_its_column(name: str) -> None:
    if 3 not in class_counts(name):
        pytest.skip("its targets have two classes")
    data = sample(name)
    for missing in range(3):
        model = fitted(name, data.part(data.classes != missing), classes=3)
        probabilities = model.predict(data.X).class_probabilities
        assert probabilities.shape == (ROWS, 3)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-9)
        each = probabilities.mean(axis=0)
        assert each[missing] < np.delete(each, missing).min()


@every_model
def test_inputs_are_not_changed(name: str) -> None:
    data = sample(name)
    before = Sample(copied(data.X), data.classes.copy(), {own: values.copy() for own, values in data.heads.items()})
    fitted(name, data).predict(data.X)
    for own, part in parts(data.X).items():
        np.testing.assert_array_equal(part, parts(before.X)[own])
    np.testing.assert_array_equal(data.classes, before.classes)
    for own, values in data.heads.items():
        np.testing.assert_array_equal(values, before.heads[own])


def views(name: str) -> tuple[Any, np.ndarray]:
    """Inputs as views over matrices, whose first rows no view looks at, and the first column where they end."""
    rng, model, told = np.random.default_rng(3), create(name), shapes(create(name))
    longest = max(length or 1 for _, length in told.values())
    found, first = {}, np.empty(0)
    for own, (columns, length) in told.items():
        values = rng.normal(size=(202 + longest, columns)).astype("float32")
        values[:2] = np.nan
        ends = np.arange(1 + longest, len(values))
        found[own] = Rows(values, ends) if length is None else Windows(values, ends, length)
        first = values[ends, 0]
    return (NamedInputs(found) if model.inputs else found[""]), first


@pytest.mark.parametrize("name", [n for n in NAMES if create(n).inputs or create(n).requires_sequences])
def test_views_give_what_arrays_give(name: str) -> None:
    X, told = views(name)
    every = np.arange(len(told))
    dense = NamedInputs({own: part[every] for own, part in X.items()}) if isinstance(X, NamedInputs) else X[every]
    y = classes_of(told, class_counts(name)[-1])
    heads = made_heads(name, y, seed=0)
    weights = np.random.default_rng(4).integers(0, 3, len(y)).astype("float64")
    lazy, whole = (fitted(name, Sample(given, y, heads), weights) for given in (X, dense))
    np.testing.assert_array_equal(lazy.predict(X).class_probabilities, whole.predict(dense).class_probabilities)


# Refusals ----------------------------------------------------------------------------------------------------------


@every_model
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(name: str, value: float) -> None:
    model, data = ready(name)

    def spoilt(part: np.ndarray) -> np.ndarray:
        found = part.copy()
        found[3] = value
        return found

    for bad in each_changed(data.X, spoilt):
        with pytest.raises(BadModelInput, match="NaN or infinity"):
            quick(name).fit(bad, data.y, None, None)
        with pytest.raises(BadModelInput, match="NaN or infinity"):
            quick(name).fit(data.X, data.y, bad, data.y)
        with pytest.raises(BadModelInput, match="NaN or infinity"):
            model.predict(bad)


@every_model
def test_shapes_that_do_not_fit_are_refused(name: str) -> None:
    model, data = ready(name)
    for narrow in each_changed(data.X, lambda part: part[..., :-1]):
        # Of an input of one column nothing is left.
        with pytest.raises(BadModelInput, match=r"features|hold nothing"):
            model.predict(narrow)
        with pytest.raises(BadModelInput, match=r"features|hold nothing"):
            quick(name).fit(data.X, data.y, narrow, data.y)
    for deep in each_changed(data.X, lambda part: part[..., None]):
        with pytest.raises(BadModelInput, match="dimensions"):
            model.predict(deep)
    with pytest.raises(BadModelInput, match="hold nothing"):
        model.predict(take(data.X, slice(0, 0)))
    with pytest.raises(BadModelInput, match="y_train has shape"):
        quick(name).fit(data.X, data.part(slice(0, -1)).y, None, None)
    with pytest.raises(BadModelInput, match="weights have shape"):
        quick(name).fit(data.X, data.y, None, None, sample_weights=np.ones(3))
    if model.requires_sequences:
        for short in each_changed(data.X, lambda part: part[:, 1:] if part.ndim == 3 else part[..., :-1]):
            with pytest.raises(BadModelInput, match=r"length|features|hold nothing"):
                model.predict(short)


@every_model
def test_one_input_is_not_several(name: str) -> None:
    """Neither a model of one input takes several, nor the other way round; nor are names taken for each other."""
    model, data = ready(name)
    if isinstance(data.X, NamedInputs):
        one = next(iter(data.X.values()))
        renamed = NamedInputs({f"not_{own}": part for own, part in data.X.items()})
        fewer = NamedInputs(dict(list(data.X.items())[1:])) if len(data.X) > 1 else renamed
        others = [one, renamed, fewer]
    else:
        others = [NamedInputs({"X": data.X})]
    for other in others:
        with pytest.raises(BadModelInput, match="given"):
            model.predict(other)
        with pytest.raises(BadModelInput, match="given"):
            quick(name).fit(other, data.y, None, None)


@every_model
def test_other_heads_than_the_model_s_are_refused(name: str) -> None:
    data = sample(name)
    if not data.heads:
        with pytest.raises(BadModelInput, match="Give classes alone"):
            quick(name).fit(data.X, Answers(data.classes, {"max_pct": np.ones(ROWS)}), None, None)
        return
    with pytest.raises(BadModelInput, match="Give Answers with"):
        quick(name).fit(data.X, data.classes, None, None)
    with pytest.raises(BadModelInput, match="It learns"):
        quick(name).fit(data.X, Answers(data.classes, {"another": np.ones(ROWS)}), None, None)
    for bad in (np.full(ROWS, np.inf), np.ones(ROWS - 1)):
        first = next(iter(data.heads))
        with pytest.raises(BadModelInput, match=f"head '{first}'"):
            quick(name).fit(data.X, Answers(data.classes, {**data.heads, first: bad}), None, None)


@every_model
def test_labels_that_are_no_classes_are_refused(name: str) -> None:
    data = sample(name)
    with pytest.raises(BadModelInput, match="class 1"):
        quick(name).fit(data.X, data.taught(name, np.ones(ROWS, dtype="int64")).y, None, None)
    with pytest.raises(BadModelInput, match="labels from 0 to 2"):
        quick(name, classes=2).fit(data.X, data.taught(name, np.arange(ROWS) % 3).y, None, None)
    with pytest.raises(BadModelInput, match="labels from -1"):
        quick(name).fit(data.X, Sample(data.X, data.classes - 1, data.heads).y, None, None)
    with pytest.raises(BadModelInput, match="no classes"):
        quick(name).fit(data.X, Sample(data.X, data.classes + 0.5, data.heads).y, None, None)
    with pytest.raises(BadModelInput, match="hold nothing"):
        quick(name).fit(take(data.X, slice(0, 0)), data.part(slice(0, 0)).y, None, None)
    with pytest.raises(BadModelInput, match="weights are"):
        quick(name).fit(data.X, data.y, None, None, sample_weights=np.zeros(ROWS))
    with pytest.raises(BadModelInput, match="one of X_val and y_val is None"):
        quick(name).fit(data.X, data.y, data.X, None)


@every_model
def test_an_unfitted_model_refuses_to_answer_and_to_save(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadModelInput, match="not fitted"):
        create(name).predict(sample(name).X)
    with pytest.raises(BadModelInput, match="not fitted"):
        create(name).save(tmp_path)


def test_the_template_is_under_test() -> None:
    assert TEMPLATE in NAMES
