from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from betti.errors import BadModelInput, BrokenArtifact
from betti.models import ModelRegistry
from betti.models._ensemble import log_odds
from betti.models._template import Template
from betti.splits.purge import overlaps
from tests.unit.models.ensembles import MEMBERS, MINUTE, data, files, spans

LINES: dict[str, Any] = {
    "weak": {"model": "logistic", "config": {"C": 0.01}},
    "firm": {"model": "logistic", "config": {"C": 10.0}},
}
WITNESS = "witness_under_test"
SEEN: list[tuple[str, np.ndarray]] = []


class Witness(Template):
    """Naive Bayes that notes which rows it learns from and answers for; the first column is the row's number."""

    requires_scaling = False

    def fit(self, X_train: Any, *rest: Any, **named: Any) -> Any:
        SEEN.append(("learns", X_train[:, 0].astype("int64")))
        return super().fit(X_train, *rest, **named)

    def predict(self, X: Any) -> Any:
        SEEN.append(("answers", X[:, 0].astype("int64")))
        return super().predict(X)


@pytest.fixture(scope="module", autouse=True)
def witness() -> Iterator[None]:
    ModelRegistry.register(WITNESS, family="classical", description="for this test")(Witness)
    yield
    del ModelRegistry._entries[WITNESS]


def line(X: np.ndarray, y: np.ndarray, C: float) -> Any:
    """Scaled on its own rows, as a member is."""
    scaler = StandardScaler().fit(X.astype("float64"))
    model = LogisticRegression(C=C, max_iter=1000).fit(scaler.transform(X.astype("float64")), y)
    return lambda rows: model.predict_proba(scaler.transform(rows.astype("float64")))


def by_hand(X: np.ndarray, y: np.ndarray, held: list[np.ndarray], end: np.ndarray) -> np.ndarray:
    """The obvious way: lines on what had ended, a line on their log odds, then lines on everything."""

    def odds(lines: list[Any], rows: np.ndarray) -> np.ndarray:
        sure = [np.log(np.clip(one(rows), 1e-4, 1)) for one in lines]
        return np.concatenate([one[:, 1:] - one[:, :1] for one in sure], axis=1)

    found = []
    for rows in held:
        known = np.flatnonzero(end < rows[0] * MINUTE)
        found.append(odds([line(X[known], y[known], C) for C in (10.0, 0.01)], X[rows]))
    meta = line(np.concatenate(found), y[np.concatenate(held)], 1.0)
    return meta(odds([line(X, y, C) for C in (10.0, 0.01)], X))


@pytest.mark.parametrize(("name", "knobs"), [("stacking", {"folds": 3}), ("blending", {"holdout": 0.25})])
def test_answers_as_the_obvious_way_does(name: str, knobs: dict[str, Any]) -> None:
    X, y = data(400)
    start, end = spans(400, bars=7)
    model = ModelRegistry.create(name, {"members": LINES, "embargo": "0min", **knobs})
    model.fit(X, y, None, None, spans=(start, end))
    held = [np.arange(first, first + 100) for first in ((100, 200, 300) if name == "stacking" else (300,))]
    wanted = by_hand(X, y, held, end)
    np.testing.assert_allclose(model.predict(X).class_probabilities, wanted, atol=1e-4)
    assert np.abs(by_hand(X, y, held, start) - wanted).max() > 1e-3  # without the purge it is another model


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(["stacking", "blending"]), st.integers(0, 2**32 - 1), st.integers(0, 30))
def test_no_member_answers_for_a_row_whose_span_it_has_learnt_from(name: str, seed: int, embargo: int) -> None:
    """Spans of any length, several rows at an instant, some of weight 0, in any order."""
    rng = np.random.default_rng(seed)
    start = rng.integers(0, 200, 240) * MINUTE
    end = start + rng.integers(0, 25, 240) * MINUTE
    X = np.column_stack([np.arange(240), rng.normal(size=240)]).astype("float32")
    y = rng.integers(0, 2, 240)
    weights = rng.integers(0, 3, 240).astype("float64")
    members = {"witness": {"model": WITNESS}}
    model = ModelRegistry.create(name, {"members": members, "embargo": f"{embargo}min"})
    SEEN.clear()
    model.fit(X, y, None, None, sample_weights=weights, spans=(start, end))
    # The first to learn is the one that stays; after it they learn and answer in turn.
    learnt = [rows for what, rows in SEEN if what == "learns"]
    assert set(learnt[0]) == set(np.flatnonzero(weights > 0))
    turns = [(rows, SEEN[at + 1]) for at, (what, rows) in enumerate(SEEN) if what == "learns" and at]
    assert turns
    for rows, (what, answered) in turns:
        assert what == "answers"
        assert (weights[rows] > 0).all()
        for one in answered:
            first, last = int(start[one]) - embargo * MINUTE, int(end[one])
            assert not overlaps(start[rows], end[rows], first, last).any()


def test_members_train_in_inner_folds_for_as_long_as_they_found_right(monkeypatch: pytest.MonkeyPatch) -> None:
    from betti.models import lightgbm

    X, y = data()
    rounds = []
    learn = lightgbm.LightGBM._learn

    def noted(self: Any, lesson: Any) -> Any:
        rounds.append((self.config["rounds"], lesson.X_val is not None))
        return learn(self, lesson)

    monkeypatch.setattr(lightgbm.LightGBM, "_learn", noted)
    members = {"boost": {"model": "lightgbm", "config": {"learning_rate": 0.3, "early_stopping_rounds": 5}}}
    metrics = ModelRegistry.create("stacking", {"members": members, "folds": 2}).fit(X[:400], y[:400], X[400:], y[400:])
    best = int(metrics.history["members.boost.best_epoch"][0])
    assert rounds == [(500, True), (best, False), (best, False)]
    assert best < 100


def test_another_meta_learner_may_combine(tmp_path) -> None:
    X, y = data()
    knobs = {"members": MEMBERS, "folds": 2, "meta": {"model": "lightgbm", "config": {"rounds": 300}}}
    model = ModelRegistry.create("stacking", knobs)
    metrics = model.fit(X[:400], y[:400], X[400:], y[400:])
    assert model.final_config([metrics])["meta"]["config"]["rounds"] == metrics.history["meta.best_epoch"][0] < 300
    model.save(tmp_path)
    assert "meta/booster.txt" in files(tmp_path)
    again = ModelRegistry.create("stacking")
    again.load(tmp_path)
    np.testing.assert_array_equal(again.predict(X).class_probabilities, model.predict(X).class_probabilities)


def test_an_unsteady_member_is_trusted_less_than_a_steady_one() -> None:
    """A member that repeats what it has seen is worth nothing out of fold, and is not heard."""
    X, y = data(600)
    noise = np.random.default_rng(5).normal(size=(600, 40)).astype("float32")
    wide = np.column_stack([X, noise])
    members = {
        "parrot": {"model": "random_forest", "config": {"max_depth": 100, "min_samples_leaf": 1, "trees": 20,
                                                        "min_samples_split": 2}},
        "line": {"model": "logistic", "config": {"C": 0.05}},
    }  # fmt: skip
    losses = {}
    for name in ("voting", "stacking"):
        model = ModelRegistry.create(name, {"members": members})
        losses[name] = model.fit(wide[:400], y[:400], wide[400:], y[400:]).val_loss
    assert losses["stacking"] < losses["voting"]


@pytest.mark.parametrize("name", ["stacking", "blending"])
def test_too_few_rows_out_of_fold_are_refused(name: str) -> None:
    X, y = data(200)
    with pytest.raises(BadModelInput, match="0 rows answered out of fold hold 0 classes"):
        ModelRegistry.create(name, {"members": LINES}).fit(X, y, None, None, spans=spans(200, 5))  # embargo of a day
    late = (np.arange(200) < 30).astype("int64")
    with pytest.raises(BadModelInput, match="answered out of fold hold"):
        ModelRegistry.create(name, {"members": LINES}).fit(X, late, None, None)


@pytest.mark.parametrize("name", ["stacking", "blending"])
def test_knobs_that_do_not_fit_are_named(name: str) -> None:
    with pytest.raises(BadModelInput, match=r"embargo = '1 day'"):
        ModelRegistry.create(name, {"embargo": "1 day"})
    with pytest.raises(BadModelInput, match="takes windows"):
        ModelRegistry.create(name, {"meta": {"model": "lstm"}})
    with pytest.raises(BadModelInput, match=r"meta\.meta = "):
        ModelRegistry.create(name, {"meta": {"modle": "logistic"}})


@pytest.mark.parametrize("name", ["stacking", "blending", "voting"])
def test_classes_that_are_not_the_members_are_refused(name: str, tmp_path) -> None:
    X, y = data()
    model = ModelRegistry.create(name, {"members": LINES})
    model.fit(X, y, None, None)
    model.save(tmp_path)
    told = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps({**told, "classes": 5}))
    with pytest.raises(BrokenArtifact, match="says 5 classes, and 'firm' has 3"):
        ModelRegistry.create(name).load(tmp_path)


def test_log_odds_are_bounded_and_member_by_member() -> None:
    answers = np.array([[[1.0, 0.0, 0.0]], [[0.2, 0.2, 0.6]]])
    np.testing.assert_allclose(log_odds(answers), [[np.log(1e-4), np.log(1e-4), 0, np.log(3)]], atol=1e-5)
