from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from betti.splits.purge import overlaps
from betti.training.inner_folds import InnerFold, embargo_ns, holdout, in_order, walk_forward

# Starts in any order, several symbols at one instant, spans of any length.
spans = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 25)), min_size=1, max_size=80).map(
    lambda rows: (
        np.array([start for start, _ in rows], dtype="int64"),
        np.array([start + length for start, length in rows], dtype="int64"),
    )
)


def held_to_the_wall(fold: InnerFold, start: np.ndarray, end: np.ndarray, embargo: int) -> None:
    """Row by row against the definition that the folds of a run are cut by."""
    assert len(fold.train)
    assert len(fold.test)
    for row in fold.test:
        assert not overlaps(start[fold.train], end[fold.train], int(start[row]) - embargo, int(end[row])).any()
    assert end[fold.train].max() < start[fold.test].min()


@given(spans, st.integers(1, 6), st.integers(0, 10))
def test_no_training_span_touches_a_test_span(rows, folds: int, embargo: int) -> None:
    start, end = rows
    found = walk_forward(rows, folds, embargo)
    assert len(found) <= folds
    for fold in found:
        held_to_the_wall(fold, start, end, embargo)
    answered = np.concatenate([fold.test for fold in found]) if found else np.empty(0)
    assert len(np.unique(answered)) == len(answered)


@given(spans, st.floats(0.05, 0.9), st.integers(0, 10))
def test_no_training_span_touches_what_is_held_out(rows, share: float, embargo: int) -> None:
    for fold in holdout(rows, share, embargo):
        held_to_the_wall(fold, *rows, embargo)
        assert (rows[0][fold.test].min() > np.delete(rows[0], fold.test)).all()


@given(spans, st.integers(1, 6))
def test_nothing_is_purged_for_nothing(rows, folds: int) -> None:
    """Every row that ended before the block teaches."""
    start, end = rows
    for fold in walk_forward(rows, folds, 0):
        left_out = np.setdiff1d(np.arange(len(start)), np.concatenate([fold.train, fold.test]))
        assert (end[left_out] >= start[fold.test].min()).all()


@given(spans, st.integers(1, 6), st.randoms())
def test_the_order_of_rows_does_not_matter(rows, folds: int, random) -> None:
    order = list(range(len(rows[0])))
    random.shuffle(order)
    shuffled = (rows[0][order], rows[1][order])
    straight, mixed = walk_forward(rows, folds, 2), walk_forward(shuffled, folds, 2)
    assert len(straight) == len(mixed)
    for one, other in zip(straight, mixed, strict=True):
        assert set(one.train) == {order[at] for at in other.train}
        assert set(one.test) == {order[at] for at in other.test}


def test_blocks_are_of_equally_many_instants() -> None:
    start = np.repeat(np.arange(40), 3)  # three symbols
    folds = walk_forward((start, start + 5), 3, 0)
    assert [len(fold.test) for fold in folds] == [30, 30, 30]
    assert [fold.train.max() for fold in folds] == [3 * 5 - 1, 3 * 15 - 1, 3 * 25 - 1]


def test_rows_without_spans_are_instants() -> None:
    (fold,) = holdout(in_order(10), 0.3, 0)
    assert fold.train.tolist() == list(range(7))
    assert walk_forward(in_order(1), 5, 0) == ()


def test_an_embargo_is_a_time() -> None:
    assert [embargo_ns(text) for text in ("30min", "4h", "1D")] == [18 * 10**11, 144 * 10**11, 864 * 10**11]
    for text in ("", "1", "1d", "-1D", "1.5h", "1D2h"):
        with pytest.raises(ValueError, match="no time such as"):
            embargo_ns(text)
