from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from betti.errors import BadModelInput, UnknownName
from betti.models import ModelRegistry
from betti.training.scaling import fit_standard
from tests.unit.models.ensembles import MEMBERS, data, files


def alone() -> dict[str, np.ndarray]:
    """What each member says by itself, scaled as the train stage would."""
    X, y = data()
    scaled = fit_standard(X).transform(X)
    found = {}
    for name, member in MEMBERS.items():
        model = ModelRegistry.create(member["model"], {**member["config"], "classes": 3})
        inputs = scaled if model.requires_scaling else X
        model.fit(inputs, y, None, None)
        found[name] = model.predict(inputs).class_probabilities
    return found


def said(**knobs: object) -> np.ndarray:
    X, y = data()
    model = ModelRegistry.create("voting", {"members": MEMBERS, **knobs})
    model.fit(X, y, None, None)
    return model.predict(X).class_probabilities


def test_soft_is_the_mean_of_what_the_members_say() -> None:
    np.testing.assert_allclose(said(), np.mean(list(alone().values()), axis=0), atol=1e-12)


def test_weights_are_by_name() -> None:
    own = alone()
    wanted = (2 * own["boost"] + own["line"] + 0.5 * own["wood"]) / 3.5
    np.testing.assert_allclose(said(weights={"boost": 2, "wood": 0.5}), wanted, atol=1e-12)


def test_hard_counts_votes() -> None:
    votes = sum(np.eye(3)[answers.argmax(axis=1)] for answers in alone().values())
    found = said(voting="hard")
    np.testing.assert_allclose(found, votes / 3, atol=1e-12)
    assert set(np.unique(found.round(6))) > {0.0, 1.0}  # they do not all agree


def test_members_stand_in_any_order(tmp_path: Path) -> None:
    X, y = data()
    for folder, members in (("one", MEMBERS), ("two", dict(reversed(MEMBERS.items())))):
        model = ModelRegistry.create("voting", {"members": members, "weights": {"wood": 3.0}})
        model.fit(X, y, None, None)
        model.save(tmp_path / folder)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    again = ModelRegistry.create("voting")
    again.load(tmp_path / "one")
    np.testing.assert_array_equal(again.predict(X).class_probabilities, model.predict(X).class_probabilities)
    assert again.config == model.config


def test_importance_is_the_mean_of_shares() -> None:
    X, y = data()
    model = ModelRegistry.create("voting", {"members": MEMBERS})
    assert model.get_feature_importance() is None
    model.fit(X, y, None, None)
    found = model.get_feature_importance()
    assert found is not None
    assert sum(found.values()) == pytest.approx(1)
    assert max(found, key=lambda position: found[position]) == "1"


def test_weights_that_are_none_are_refused() -> None:
    with pytest.raises(UnknownName, match=r"'boots'.*did you mean 'boost'"):
        ModelRegistry.create("voting", {"members": MEMBERS, "weights": {"boots": 1.0}})
    for weight in (-1, "2", float("nan"), float("inf"), True, None):
        with pytest.raises(BadModelInput, match=r"weights\.line"):
            ModelRegistry.create("voting", {"members": MEMBERS, "weights": {"line": weight}})
    with pytest.raises(BadModelInput, match="all weights are 0"):
        ModelRegistry.create("voting", {"members": {"line": MEMBERS["line"]}, "weights": {"line": 0}})
    with pytest.raises(BadModelInput, match=r"voting = 'loud'.*soft or hard"):
        ModelRegistry.create("voting", {"voting": "loud"})
