"""What models are handed after the checks: heads and named inputs follow their rows, views stay views."""

from __future__ import annotations

import numpy as np
import pytest

from betti.errors import BadModelInput
from betti.models import Answers, _checks
from betti.models._template import Template
from betti.windows import NamedInputs, Rows, Windows
from tests.several import Several

ROWS = 30


def several(length: int = 4) -> NamedInputs:
    values = np.random.default_rng(0).normal(size=(40, 6))
    ends = np.arange(10, 10 + ROWS)
    return NamedInputs(
        {"plain": Rows(values[:, :1], ends), "complexity": values[ends], "bars": Windows(values[:, :5], ends, length)}
    )


def answers() -> Answers:
    said = np.arange(ROWS, dtype="float64")
    said[3] = np.nan
    return Answers(np.arange(ROWS) % 2, {"max_pct": said})


def test_rows_of_weight_zero_go_from_inputs_classes_and_heads_alike() -> None:
    weights = (np.arange(ROWS) % 3 > 0).astype("float64")
    found = _checks.named_training(Several(), several(), answers(), None, None, weights, 2)
    assert list(found.X) == ["bars", "complexity", "plain"]  # in the model's order
    assert found.X.rows == len(found.y) == len(found.heads["max_pct"]) == found.kept.sum() == 20
    np.testing.assert_array_equal(found.heads["max_pct"], answers().heads["max_pct"][found.kept])
    np.testing.assert_array_equal(found.y, answers().classes[found.kept])
    assert isinstance(found.X["bars"], Windows) and isinstance(found.X["plain"], Rows)
    assert {part[:].dtype for part in found.X.values()} == {np.dtype("float32")}
    assert found.weights.mean() == pytest.approx(1)


def test_spans_follow_the_rows_that_are_learnt_from() -> None:
    weights = (np.arange(ROWS) % 3 > 0).astype("float64")
    start = np.arange(ROWS, dtype="int32")
    found = _checks.named_training(Several(), several(), answers(), None, None, weights, 2, (start, start + 2))
    assert found.spans is not None
    np.testing.assert_array_equal(found.spans[0], start[found.kept])
    np.testing.assert_array_equal(found.spans[1], start[found.kept] + 2)
    assert {one.dtype for one in found.spans} == {np.dtype("int64")}
    assert _checks.named_training(Several(), several(), answers(), None, None, weights, 2).spans is None


@pytest.mark.parametrize("name", ["plain", "bars"])
def test_a_matrix_of_text_is_refused_behind_views_too(name: str) -> None:
    part = several()[name]
    text = part.values.astype(str)  # type: ignore[union-attr]
    bad = Rows(text, part.at) if isinstance(part, Rows) else Windows(text, part.ends, part.length)  # type: ignore[union-attr]
    with pytest.raises(BadModelInput, match=f"input '{name}' of type <U32"):
        _checks.named_training(Several(), NamedInputs({**several(), name: bad}), answers(), None, None, None, 2)


def test_validation_answers_follow_their_inputs() -> None:
    found = _checks.named_training(Several(), several(), answers(), several(), answers(), None, 2)
    assert found.X_val is not None and found.X_val.rows == ROWS
    np.testing.assert_array_equal(found.heads_val["max_pct"], answers().heads["max_pct"])
    short = answers().take(np.arange(4))
    with pytest.raises(BadModelInput, match="head 'max_pct' of y_val has shape"):
        _checks.named_training(Several(), several(), answers(), several(), short, None, 2)


def test_windows_are_as_long_as_the_model_says() -> None:
    with pytest.raises(BadModelInput, match=r"input 'bars': sequences of length 3\. It takes 4"):
        _checks.named_training(Several(), several(3), answers(), None, None, None, 2)


def test_only_rows_that_are_looked_at_must_be_finite() -> None:
    values = np.ones((6, 1), dtype="float32")
    values[0] = np.nan
    X = {name: several()[name] for name in ("bars", "complexity")}
    few = NamedInputs(
        {name: part[np.arange(2)] for name, part in X.items()} | {"plain": Rows(values, np.array([1, 5]))}
    )
    said = Answers(np.array([0, 1]), {"max_pct": np.zeros(2)})
    assert _checks.named_training(Several(), few, said, None, None, None, 2).X.rows == 2
    spoilt = NamedInputs({**few, "plain": Rows(values, np.array([1, 0]))})
    with pytest.raises(BadModelInput, match="1 rows of input 'plain' hold NaN"):
        _checks.named_training(Several(), spoilt, said, None, None, None, 2)


def test_a_model_without_heads_has_none() -> None:
    found = _checks.training(Template(), np.ones((4, 2)), np.array([0, 1, 0, 1]), None, None, None, 0)
    assert (dict(found.heads), dict(found.heads_val), found.y_val) == ({}, {}, None)
