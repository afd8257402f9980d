"""The members of any ensemble: how they are named, what they are given, how they are stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from betti.errors import BadModelInput, BrokenArtifact, MissingFile, UnknownName
from betti.models import ModelRegistry
from betti.models._members import Part, Spec, learn, trainable_here
from betti.training.scaling import Scaler, fit_robust
from betti.windows import Windows
from tests.unit.models.ensembles import MEMBERS, data, files

LSTM = {"hidden": 4, "layers": 1, "epochs": 2, "warmup_epochs": 1, "device": "cpu"}
MIXED: dict[str, Any] = {
    "short": {"model": "lstm", "config": {**LSTM, "length": 3}},
    "long": {"model": "lstm", "config": {**LSTM, "length": 5}},
    "row": {"model": "logistic"},
}


def windows(rows: int = 200, length: int = 6) -> tuple[Windows, np.ndarray]:
    values = np.random.default_rng(0).normal(size=(rows + 10, 3)).astype("float32") * 4 + 1
    values[:2] = np.nan  # warm-up rows that no window covers
    ends = np.arange(10, rows + 10)
    return Windows(values, ends, length), (values[ends, 0] > 1).astype("int64")


# Devices -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nested", [False, True])
def test_a_member_that_cannot_be_trained_here_is_refused_only_where_it_is_to_be(nested: bool) -> None:
    """It is made nevertheless: what was trained on a GPU answers where there is none."""
    members: dict[str, Any] = {"half": {"model": "lstm", "config": {**LSTM, "precision": "fp16"}}, "row": MIXED["row"]}
    if nested:
        members = {"inner": {"model": "voting", "config": {"members": members}}}
    for name in ("voting", "stacking"):
        trainable_here(ModelRegistry.create(name))
        model = ModelRegistry.create(name, {"members": members})
        with pytest.raises(BadModelInput, match="precision = 'fp16' on the CPU"):
            trainable_here(model)


# Names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "found"),
    [
        ({}, "Name at least one member"),
        (["logistic"], r"members = \['logistic'\]"),
        ({"a/b": {}}, "member 'a/b'"),
        ({"..": {}}, r"member '\.\.'"),
        ({"": {}}, "member ''"),
        ({"line": "logistic"}, r"members\.line = 'logistic'"),
        ({"line": None}, r"members\.line = None"),
        ({"line": {"model": "logistic", "knobs": {}}}, r"members\.line = .*It takes \{model"),
        ({"line": {"model": 3}}, r"members\.line"),
        ({"line": {"model": "logistic", "config": None}}, r"members\.line"),
        ({"line": {"model": "logistic", "config": {"classes": 3}}}, r"members\.line\.config\.classes = 3"),
        ({"line": {"model": "logistic", "config": {"C": -1.0}}}, r"C = -1\.0"),
    ],
)
def test_members_that_cannot_be_are_named(members: Any, found: str) -> None:
    with pytest.raises(BadModelInput, match=found):
        ModelRegistry.create("voting", {"members": members})


def test_a_model_or_knob_that_is_not_there_is_named() -> None:
    with pytest.raises(UnknownName, match="did you mean 'logistic'"):
        ModelRegistry.create("voting", {"members": {"line": {"model": "logistik"}}})
    with pytest.raises(UnknownName, match="no_knob"):
        ModelRegistry.create("voting", {"members": {"logistic": {"config": {"no_knob": 1}}}})


def test_members_are_named_when_the_model_is_made() -> None:
    X, y = data()
    with pytest.raises(BadModelInput, match="members given to `fit`"):
        ModelRegistry.create("voting").fit(X, y, None, None, config={"members": MEMBERS})


def test_a_member_has_the_ensembles_seed_or_its_own() -> None:
    assert Spec("a", "logistic", {}, seed=11).create().config["seed"] == 11
    assert Spec("a", "logistic", {"seed": 3}, seed=11).create().config["seed"] == 3


# Inputs ------------------------------------------------------------------------------------------------------------


def test_an_ensemble_of_rows_takes_rows_and_one_with_a_member_of_windows_windows() -> None:
    rows = ModelRegistry.create("voting", {"members": MEMBERS})
    assert not rows.requires_sequences
    assert "length" not in rows.config
    mixed = ModelRegistry.create("voting", {"members": MIXED})
    assert mixed.requires_sequences
    assert mixed.config["length"] == 5
    assert ModelRegistry.create("voting", {"members": MIXED, "length": 9}).config["length"] == 9
    with pytest.raises(BadModelInput, match=r"length = 4.*takes windows of 5 rows"):
        ModelRegistry.create("voting", {"members": MIXED, "length": 4})
    with pytest.raises(UnknownName, match="length"):
        ModelRegistry.create("voting", {"members": MEMBERS, "length": 5})


def test_a_configuration_is_one_that_the_model_can_be_made_of_again() -> None:
    config = ModelRegistry.create("stacking", {"members": MIXED}).config
    assert ModelRegistry.create("stacking", config).config == config


def test_each_member_gets_its_own_length_and_scale() -> None:
    """Each answers as it would have by itself, given what the train stage would have given it."""
    X, y = windows()
    model = ModelRegistry.create("voting", {"members": MIXED, "length": 6})
    model.fit(X, y, None, None)
    robust = fit_robust(X.values[X.ends])
    scaled = robust.transform(X.values)
    alone = []
    for length in (5, 3):
        one = ModelRegistry.create("lstm", {**LSTM, "length": length, "classes": 2})
        one.fit(Windows(scaled, X.ends, length), y, None, None)
        alone.append(one.predict(Windows(scaled, X.ends, length)).class_probabilities)
    rows = X.values[X.ends]
    center, deviation = rows.astype("float64").mean(axis=0), rows.astype("float64").std(axis=0)
    line = ModelRegistry.create("logistic", {"classes": 2})
    line.fit(((rows - center) / deviation).astype("float32"), y, None, None)
    alone.append(line.predict(((rows - center) / deviation).astype("float32")).class_probabilities)
    np.testing.assert_allclose(model.predict(X).class_probabilities, np.mean(alone, axis=0), atol=1e-6)


def test_arrays_give_what_windows_give() -> None:
    X, y = windows()
    lazy, whole = (ModelRegistry.create("voting", {"members": MIXED, "length": 6}) for _ in range(2))
    lazy.fit(X, y, X, y)
    whole.fit(X[:], y, X[:], y)
    np.testing.assert_array_equal(lazy.predict(X).class_probabilities, whole.predict(X[:]).class_probabilities)


def test_windows_shorter_than_a_members_are_refused() -> None:
    X, y = windows(length=4)
    with pytest.raises(BadModelInput, match=r"sequences of length 4\. A member takes 5"):
        ModelRegistry.create("voting", {"members": MIXED}).fit(X, y, None, None)


def test_the_scaler_knows_the_rows_learnt_from_alone() -> None:
    X, y = data()
    part = Part(X, y, np.ones(len(y)), None, 3).take(np.arange(100))
    member, _ = learn(Spec("line", "logistic", {}, 7), part)
    assert member.scaler is not None
    np.testing.assert_allclose(member.scaler.center, X[:100].astype("float64").mean(axis=0), rtol=1e-12)


# Rounds fixed from the folds ---------------------------------------------------------------------------------------


def test_each_member_fixes_its_own_rounds_also_inside_another_ensemble() -> None:
    X, y = data()
    inner = {"boost": {"model": "lightgbm", "config": {"learning_rate": 0.3}}}
    members = {"outer": {"model": "voting", "config": {"members": inner}}, "line": {"model": "logistic"}}
    model = ModelRegistry.create("voting", {"members": members})
    folds = [model.fit(X[:250], y[:250], X[cut:], y[cut:]) for cut in (250, 300, 350)]
    alone = ModelRegistry.create("lightgbm", {"learning_rate": 0.3})
    wanted = alone.final_config([alone.fit(X[:250], y[:250], X[cut:], y[cut:]) for cut in (250, 300, 350)])
    assert wanted["rounds"] < 500
    knobs = model.final_config(folds)
    assert knobs["members"]["outer"]["config"]["members"]["boost"]["config"] == {"learning_rate": 0.3, **wanted}
    assert knobs["members"]["line"] == {"model": "logistic", "config": {}}
    ModelRegistry.create("voting", {**model.config, **knobs}).fit(X, y, None, None)


def test_nothing_is_fixed_where_nothing_stopped() -> None:
    X, y = data()
    model = ModelRegistry.create("voting", {"members": MEMBERS})
    assert model.final_config([model.fit(X, y, None, None)]) == {"members": dict(sorted(MEMBERS.items()))}


# Files -------------------------------------------------------------------------------------------------------------


def test_every_member_has_its_folder_and_none_of_them_code(tmp_path: Path) -> None:
    X, y = data()
    model = ModelRegistry.create("stacking", {"members": MEMBERS, "folds": 2})
    model.fit(X, y, None, None)
    model.save(tmp_path)
    assert set(files(tmp_path)) == {
        "model.json",
        *(f"members/{name}/model.json" for name in MEMBERS),
        "members/boost/booster.txt",
        *(f"members/line/{name}" for name in ("coefficients.safetensors", "scaler.json")),
        *(f"members/wood/{name}" for name in ("forest.safetensors", "scaler.json")),
        *(f"meta/{name}" for name in ("model.json", "coefficients.safetensors", "scaler.json")),
    }


def test_files_that_are_absent_are_named(tmp_path: Path) -> None:
    X, y = data()
    model = ModelRegistry.create("voting", {"members": MEMBERS})
    model.fit(X, y, None, None)
    model.save(tmp_path)
    (tmp_path / "members" / "line" / "scaler.json").unlink()
    with pytest.raises(BrokenArtifact, match="has no scaler"):
        ModelRegistry.create("voting").load(tmp_path)
    Scaler("none", (0.0,) * 4, (1.0,) * 4, float("inf")).save(tmp_path / "members" / "line")
    (tmp_path / "members" / "boost" / "model.json").unlink()
    with pytest.raises(MissingFile, match="boost"):
        ModelRegistry.create("voting").load(tmp_path)


def test_a_file_cannot_name_a_folder_elsewhere(tmp_path: Path) -> None:
    X, y = data()
    model = ModelRegistry.create("voting", {"members": {"line": {"model": "logistic"}}})
    model.fit(X, y, None, None)
    model.save(tmp_path)
    facts = json.loads((tmp_path / "model.json").read_text())
    facts["config"]["members"] = {"../line": {"model": "logistic"}}
    (tmp_path / "model.json").write_text(json.dumps(facts))
    with pytest.raises(BrokenArtifact, match=r"member '\.\./line'"):
        ModelRegistry.create("voting").load(tmp_path)


def test_the_code_of_an_ensemble_is_that_of_its_members_too() -> None:
    from betti.models import modules

    config = {"members": {"a": {"model": "lstm"}, "svm": {}}, "meta": {"model": "logistic"}}
    assert set(modules("stacking", config)) == {
        f"betti.models.{name}" for name in ("stacking", "lstm", "svm", "logistic")
    }
    nested = {"members": {"inner": {"model": "voting", "config": {"members": {"tcn": {}}}}}}
    assert "betti.models.tcn" in modules("voting", nested)


def test_a_name_that_another_file_has_is_refused() -> None:
    own = type(ModelRegistry.create("logistic"))
    another = type("Logistic", (own,), {"__module__": "mine", "__qualname__": own.__qualname__})
    with pytest.raises(ValueError, match="'logistic' is taken by betti"):
        ModelRegistry.register("logistic", "made", "another")(another)
