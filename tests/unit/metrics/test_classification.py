"""Classification scores against scikit-learn, by hand, and as properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from betti.metrics.classification import brier_scores, classification, log_losses, macro_auc, reliability
from betti.metrics.decisions import decided, positions


def drawn(rows: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, classes, rows), rng.dirichlet(np.ones(classes), rows)


@pytest.mark.parametrize("classes", [2, 3])
def test_scores_equal_scikit_learn(classes):
    y, probabilities = drawn(500, classes, 1)
    predicted = probabilities.argmax(axis=1)
    ours = classification(y, probabilities, 0.5)
    assert ours.rows == 500
    assert ours.accuracy == pytest.approx(oracle.accuracy_score(y, predicted))
    assert ours.macro_f1 == pytest.approx(oracle.f1_score(y, predicted, average="macro"))
    assert ours.weighted_f1 == pytest.approx(oracle.f1_score(y, predicted, average="weighted"))
    assert ours.log_loss == pytest.approx(oracle.log_loss(y, probabilities))
    scores = probabilities if classes > 2 else probabilities[:, 1]
    assert ours.auc == pytest.approx(oracle.roc_auc_score(y, scores, multi_class="ovr", average="macro"))


def test_two_class_brier_is_twice_the_one_sided_score():
    y, probabilities = drawn(300, 2, 2)
    assert brier_scores(y, probabilities).mean() == pytest.approx(2 * oracle.brier_score_loss(y, probabilities[:, 1]))


def test_by_hand():
    y = np.array([0, 1, 2, 2])
    probabilities = np.array([[0.8, 0.1, 0.1], [0.2, 0.5, 0.3], [0.6, 0.2, 0.2], [0.1, 0.2, 0.7]])
    ours = classification(y, probabilities, 0.65)
    assert ours.accuracy == 0.75
    assert ours.log_loss == pytest.approx(-np.log([0.8, 0.5, 0.2, 0.7]).mean())
    assert ours.brier == pytest.approx((0.06 + 0.38 + 1.04 + 0.14) / 4)
    assert (ours.precision, ours.precision_rows) == (1.0, 2)  # rows 0 and 3 reach .65, both right
    assert classification(y, probabilities, 0.6).precision == pytest.approx(2 / 3)


def test_a_class_that_never_happens_is_no_obstacle():
    y = np.array([0, 0, 2, 2])
    probabilities = np.array([[0.7, 0.1, 0.2], [0.6, 0.2, 0.2], [0.2, 0.2, 0.6], [0.4, 0.2, 0.4]])
    ours = classification(y, probabilities, 0.5)
    assert ours.auc == 1.0
    assert ours.macro_f1 == pytest.approx(oracle.f1_score(y, probabilities.argmax(axis=1), average="macro"))


def test_one_class_alone_has_no_auc_and_no_row_over_the_threshold_no_precision():
    ours = classification(np.array([1, 1]), np.array([[0.3, 0.4, 0.3], [0.1, 0.8, 0.1]]), 0.5)
    assert (ours.auc, ours.precision, ours.precision_rows) == (None, None, 0)


def test_certainty_in_the_wrong_class_costs_much_and_not_infinity():
    assert 30 < log_losses(np.array([0]), np.array([[0.0, 1.0]]))[0] < 40


@pytest.mark.parametrize(
    ("y", "probabilities"),
    [
        ([], np.zeros((0, 2))),
        ([0], [[0.5, 0.6]]),
        ([0], [[np.nan, 1.0]]),
        ([2], [[0.5, 0.5]]),
        ([0, 1], [[0.5, 0.5]]),
        ([0], [[-0.5, 1.5]]),
    ],
)
def test_what_is_no_probability_is_refused(y, probabilities):
    with pytest.raises(ValueError, match=r"probabilities|classes"):
        classification(np.array(y, dtype="int64"), np.array(probabilities), 0.5)


def test_a_calibrated_model_lies_on_the_diagonal():
    rng = np.random.default_rng(3)
    sure = rng.uniform(0.5, 1, 200_000)
    y = (rng.uniform(size=len(sure)) > sure).astype(int)
    curve = reliability(y, np.column_stack([sure, 1 - sure]))
    assert curve["rows"].sum() == len(sure)
    assert (curve["confidence"] - curve["accuracy"]).abs().max() < 0.01


@given(st.integers(1, 60), st.integers(2, 3), st.integers(0, 10_000), st.floats(0.05, 0.95))
@settings(max_examples=40, deadline=None)
def test_scores_lie_in_their_ranges_and_do_not_depend_on_order(rows, classes, seed, threshold):
    y, probabilities = drawn(rows, classes, seed)
    ours = classification(y, probabilities, threshold)
    for score in (ours.accuracy, ours.macro_f1, ours.weighted_f1, ours.auc, ours.precision):
        assert score is None or 0 <= score <= 1
    assert 0 <= ours.brier <= 2
    assert ours.log_loss >= 0
    order = np.random.default_rng(seed + 1).permutation(rows)
    again = classification(y[order], probabilities[order], threshold)
    assert again.model_dump() == pytest.approx(ours.model_dump(), nan_ok=True)


def test_auc_does_not_change_under_a_monotone_transformation():
    y, probabilities = drawn(200, 2, 5)
    bent = probabilities[:, 1] ** 3
    assert macro_auc(y, np.column_stack([1 - bent, bent])) == pytest.approx(macro_auc(y, probabilities))


def test_precision_counts_exactly_the_rows_that_are_traded():
    y, probabilities = drawn(400, 3, 6)
    traded = positions(probabilities, 0.5) != 0
    ours = classification(y, probabilities, 0.5)
    assert ours.precision_rows == traded.sum()
    chosen = decided(probabilities, 0.5)
    assert ours.precision == pytest.approx((chosen[traded] == y[traded]).mean())


def test_two_classes_trade_the_side_of_the_label():
    probabilities = np.array([[0.4, 0.6], [0.4, 0.6], [0.4, 0.6], [0.4, 0.6], [0.6, 0.4]])
    side = np.array([1.0, -1.0, 0.0, np.nan, 1.0])
    assert positions(probabilities, 0.5, side).tolist() == [1, -1, 0, 0, 0]
    assert positions(probabilities, 0.5).tolist() == [0, 0, 0, 0, 0]


def test_a_tie_for_the_largest_decides_nothing():
    tied = np.array([[0.4, 0.2, 0.4], [0.4, 0.4, 0.2], [1 / 3, 1 / 3, 1 / 3]])
    assert positions(tied, 0.3).tolist() == [0, 0, 0]
