"""From outputs and label rows to span scores: by fold, pooled, and where nothing is said or asked."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from betti.errors import BadModelInput
from betti.labelling.expansion import sequences
from betti.metrics.span import span_report
from betti.metrics.span_scores import NEEDED, span_answers, span_metrics
from betti.records import SpanMetrics

WINDOW, ROWS = 30, 40


def labels() -> pd.DataFrame:
    """Windows with an expansion inside, ahead and without one, over two folds."""
    rng = np.random.default_rng(0)
    start = rng.integers(2, WINDOW - 8, ROWS).astype(float)
    end, kind = start + 5, rng.integers(0, 3, ROWS).astype(float)
    ahead = np.arange(ROWS) % 5 == 0
    start[ahead], end[ahead] = WINDOW + 2, np.nan
    start[3], end[3], kind[3] = np.nan, np.nan, np.nan
    return pd.DataFrame(
        {"fold": np.repeat([0, 1], ROWS // 2), "start": start, "end": end, "type": kind, "begun": 0.0,
         "ahead": ahead.astype(float), "censored": 0.0}
    )  # fmt: skip


def outputs(table: pd.DataFrame, seed: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = sequences(table, WINDOW)
    types = np.eye(3)[rng.integers(0, 3, ROWS)]
    return {
        "pointers": np.nan_to_num(truth.pointers, nan=0.5) + rng.normal(0, 0.05, (ROWS, 2)),
        "mask": np.clip(truth.mask + rng.normal(0, 0.4, (ROWS, WINDOW)), 0, 1),
        "countdowns": np.nan_to_num(truth.countdown, nan=3.0) + rng.normal(0, 2, (ROWS, WINDOW)),
        **{f"type_{kind}": types[:, kind] for kind in range(3)},
        "start": np.zeros(ROWS),
    }


def answered(table: pd.DataFrame, said: dict[str, np.ndarray]) -> SpanMetrics | None:
    """As evaluation does: the answers of one fold after the other."""
    parts = [span_answers("m", said, np.flatnonzero(table["fold"] == fold)) for fold in (0, 1)]
    return span_metrics("m", table, [one for one in parts if one is not None])


def test_scores_are_those_of_the_report_over_all_rows_and_by_fold() -> None:
    table = labels()
    said = outputs(table)
    found = answered(table, said)
    assert found is not None and list(found.folds) == ["fold_0", "fold_1"]
    for name, rows in {"pooled": np.arange(ROWS), "fold_0": np.arange(20), "fold_1": np.arange(20, 40)}.items():
        answers = span_answers("m", said, rows)
        assert answers is not None
        report = span_report(sequences(table.iloc[rows], WINDOW), answers)
        own = found.pooled if name == "pooled" else found.folds[name]
        assert own.detection.model_dump() == asdict(report.detection)
        assert own.anticipation.model_dump() == asdict(report.anticipation)
    assert found.pooled.detection.rows == 31 and found.pooled.anticipation.rows == 8
    assert 0 < (found.pooled.detection.hits or 0) < 1
    assert SpanMetrics.model_validate_json(found.model_dump_json()) == found


def test_rows_are_taken_in_the_order_that_is_asked() -> None:
    table = labels()
    said = outputs(table)
    order = np.random.default_rng(3).permutation(ROWS)
    plain, mixed = span_answers("m", said, np.arange(ROWS)), span_answers("m", said, order)
    assert plain is not None and mixed is not None
    for name in ("pointers", "countdown", "mask", "type"):
        np.testing.assert_array_equal(getattr(mixed, name), getattr(plain, name)[order])


@pytest.mark.parametrize("name", NEEDED)
def test_a_model_that_says_less_has_no_scores(name: str) -> None:
    table = labels()
    said = {key: values for key, values in outputs(table).items() if key != name}
    assert span_answers("m", said, np.arange(ROWS)) is None
    assert span_metrics("m", table, []) is None


def test_labels_that_say_nothing_of_expansions_ask_nothing() -> None:
    table = labels()
    assert answered(table.drop(columns="begun"), outputs(table)) is None


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"pointers": np.zeros((ROWS, 3))}, r"pointers of shape \(40, 3\)"),
        ({"countdowns": np.zeros((ROWS, 9))}, r"countdowns of shape \(40, 9\)"),
        ({"mask": np.full((ROWS, WINDOW), np.nan)}, "mask that are no numbers"),
        ({"type_1": np.full(ROWS, np.inf)}, "type_1 that are no numbers"),
    ],
)
def test_answers_that_are_none_are_refused(changed: dict[str, np.ndarray], said: str) -> None:
    with pytest.raises(BadModelInput, match=said):
        span_answers("m", {**outputs(labels()), **changed}, np.arange(ROWS))


def test_windows_shorter_than_the_label_s_are_refused() -> None:
    table = labels()
    said = outputs(table)
    short = {**said, "mask": said["mask"][:, :10], "countdowns": said["countdowns"][:, :10]}
    with pytest.raises(BadModelInput, match=r"windows of 10 bars.*Set the model's length to the target's window"):
        answered(table, short)
