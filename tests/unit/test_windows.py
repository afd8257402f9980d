"""Windows are views that never cross from one market into another."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti.errors import BadModelInput
from betti.windows import Windows, complete


def matrix(rows: int, features: int = 3) -> np.ndarray:
    return np.arange(rows * features, dtype="float32").reshape(rows, features)


def test_windows_look_like_an_array():
    windows = Windows(matrix(10), np.array([4, 7, 9]), length=5)
    assert windows.shape == (3, 5, 3)
    assert len(windows) == 3
    assert windows[np.array([0, 2])].shape == (2, 5, 3)
    assert windows[:].shape == windows.shape
    assert windows[1:][0, -1].tolist() == matrix(10)[7].tolist()


def test_the_matrix_is_shared_not_copied():
    values = matrix(50)
    windows = Windows(values, np.arange(9, 50), length=10)
    fewer = windows.take(np.array([3, 5]))
    assert windows.values is values
    assert fewer.values is values
    assert fewer.ends.tolist() == [12, 14]
    values[12] = -1
    assert (fewer[np.array([0])][0, -1] == -1).all()


def test_a_batch_is_a_copy_that_may_be_changed():
    windows = Windows(matrix(5), np.array([4]), length=2)
    windows[np.array([0])][:] = 0
    assert windows.values.min() == 0
    assert windows.values.max() == 14


@pytest.mark.parametrize("end", [0, 1, 10, 99])
def test_a_window_that_reaches_outside_is_refused(end):
    with pytest.raises(BadModelInput, match="outside its matrix"):
        Windows(matrix(10), np.array([5, end]), length=3)


def test_no_windows_are_fine():
    windows = Windows(matrix(2), np.array([], dtype="int64"), length=5)
    assert windows.shape == (0, 5, 3)
    assert windows[:].shape == (0, 5, 3)


markets = st.lists(st.tuples(st.sampled_from("ABC"), st.lists(st.booleans(), min_size=1, max_size=12)), max_size=5)


@settings(max_examples=40, deadline=None)
@given(markets=markets, length=st.integers(1, 6))
def test_complete_equals_a_literal_loop(markets, length):
    symbols = np.array([f"{name}{i}" for i, (name, rows) in enumerate(markets) for _ in rows], dtype=object)
    finite = np.array([value for _, rows in markets for value in rows], dtype=bool)
    expected = []
    for row in range(len(symbols)):
        window = range(row - length + 1, row + 1)
        expected.append(window[0] >= 0 and all(finite[i] and symbols[i] == symbols[row] for i in window))
    assert complete(symbols, finite, length).tolist() == expected


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(1, 15), min_size=1, max_size=4), length=st.integers(1, 6))
def test_each_window_holds_consecutive_rows_of_one_symbol_up_to_its_end(sizes, length):
    symbols = np.repeat([f"S{i}" for i in range(len(sizes))], sizes).astype(object)
    values = np.column_stack([np.repeat(np.arange(len(sizes)), sizes), np.arange(sum(sizes))]).astype("float32")
    ends = np.flatnonzero(complete(symbols, np.ones(len(symbols), dtype=bool), length))
    assert len(ends) == sum(max(size - length + 1, 0) for size in sizes)
    windows = Windows(values, ends, length)
    for end, window in zip(ends, windows[:], strict=True):
        assert set(window[:, 0]) == {values[end, 0]}
        assert window[:, 1].tolist() == list(range(end - length + 1, end + 1))
