"""Windows are views that never cross from one market into another, nor a gap."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti.errors import BadModelInput
from betti.windows import DAY, HOUR, MINUTE, NamedInputs, Rows, Steps, Windows, breaks, complete, usual_steps


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


def literal(values: np.ndarray, ends: np.ndarray, length: int) -> np.ndarray:
    """Windows cut one by one."""
    cut = [values[end - length + 1 : end + 1] for end in ends]
    return np.stack(cut) if cut else np.empty((0, length, values.shape[1]), dtype="float32")


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 30),
    columns=st.tuples(st.integers(0, 3), st.integers(1, 4)),
    length=st.integers(1, 8),
    data=st.data(),
)
def test_windows_equal_literal_slices(rows, columns, length, data):
    first, width = columns
    values = matrix(rows, 8)[:, first : first + width]  # a view: other inputs lie beside it in the same table
    possible = range(length - 1, rows)
    ends = np.array(data.draw(st.lists(st.sampled_from(possible), max_size=10)) if possible else [], dtype="int64")
    windows = Windows(values, ends, length)
    wanted = literal(values, ends, length)
    np.testing.assert_array_equal(windows[:], wanted)
    picked = np.array(data.draw(st.permutations(range(len(ends)))), dtype="int64")[: len(ends) // 2]
    np.testing.assert_array_equal(windows[picked], wanted[picked])
    np.testing.assert_array_equal(windows.take(picked)[:], wanted[picked])
    mask = np.isin(np.arange(len(ends)), picked)
    np.testing.assert_array_equal(windows[mask], wanted[mask])


def test_a_window_of_no_rows_is_refused():
    with pytest.raises(BadModelInput, match="a length of 0"):
        Windows(matrix(10), np.array([5]), length=0)


markets = st.lists(st.tuples(st.sampled_from("ABC"), st.lists(st.booleans(), min_size=1, max_size=12)), max_size=5)


@settings(max_examples=60, deadline=None)
@given(markets=markets, length=st.integers(1, 6), data=st.data())
def test_complete_equals_a_literal_loop(markets, length, data):
    symbols = np.array([f"{name}{i}" for i, (name, rows) in enumerate(markets) for _ in rows], dtype=object)
    finite = np.array([value for _, rows in markets for value in rows], dtype=bool)
    broken = np.array(data.draw(st.lists(st.booleans(), min_size=len(symbols), max_size=len(symbols))), dtype=bool)
    whole, unbroken = [], []
    for row in range(len(symbols)):
        window = range(row - length + 1, row + 1)
        fits = window[0] >= 0 and all(finite[i] and symbols[i] == symbols[row] for i in window)
        whole.append(fits)
        unbroken.append(fits and not any(broken[i] for i in window[1:]))
    assert complete(symbols, finite, length).tolist() == whole
    assert complete(symbols, finite, length, broken).tolist() == unbroken


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


# --- gaps


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.lists(st.integers(1, 9), max_size=12), min_size=1, max_size=3),
    known=st.tuples(st.integers(1, 4), st.lists(st.integers(3, 9), max_size=2)),
    length=st.integers(1, 5),
)
def test_no_window_crosses_a_gap_or_a_symbol(steps, known, length):
    bar, usual = known
    symbols = np.concatenate([np.full(len(mine) + 1, f"S{i}", dtype=object) for i, mine in enumerate(steps)])
    times = np.concatenate([np.cumsum([0, *mine]) for mine in steps])
    broken = breaks(symbols, times, {symbol: Steps(bar, 2, tuple(usual)) for symbol in set(symbols)})
    ends = np.flatnonzero(complete(symbols, np.ones(len(times), dtype=bool), length, broken))
    wanted = []
    for end in range(length - 1, len(times)):
        window = slice(end - length + 1, end + 1)
        bars = [-(-int(step) // bar) for step in np.diff(times[window])]
        if len(set(symbols[window])) == 1 and all(count <= 2 or count in usual for count in bars):
            wanted.append(end)
    assert ends.tolist() == wanted


def stamps(index: pd.DatetimeIndex) -> np.ndarray:
    return index.as_unit("us").asi8


def one(times: np.ndarray) -> np.ndarray:
    return np.full(len(times), "A", dtype=object)


def gaps(times: np.ndarray) -> list[int]:
    """Rows of one market before which there is a gap by its own usual steps."""
    symbols = one(times)
    return np.flatnonzero(breaks(symbols, times, usual_steps(symbols, times)))[1:].tolist()


def test_a_week_without_trade_is_a_gap_and_a_holiday_is_none():
    """September 2001: the New York exchanges closed after Monday the 10th and opened on Monday the 17th."""
    days = pd.bdate_range("2001-01-01", "2001-12-31", tz="UTC")
    holidays = pd.to_datetime(["2001-01-15", "2001-02-19", "2001-04-13", "2001-05-28", "2001-11-22"], utc=True)
    closed = pd.date_range("2001-09-11", "2001-09-14", tz="UTC")
    open_days = days.difference(holidays).difference(closed)
    times = stamps(open_days)
    assert usual_steps(one(times), times) == {"A": Steps(DAY, 2, (3,))}
    assert open_days[gaps(times)].strftime("%Y-%m-%d").tolist() == ["2001-09-17"]


def sessions(first: str, last: str, without: tuple[str, ...] = ()) -> pd.DatetimeIndex:
    """Half-hour bars of New York's session, from half past nine on, but for some days."""
    days = pd.bdate_range(first, last).difference(pd.to_datetime(without))
    local = pd.DatetimeIndex([day + pd.Timedelta(minutes=570 + 30 * bar) for day in days for bar in range(13)])
    return local.tz_localize("America/New_York").tz_convert("UTC")


def test_sessions_may_shift_with_the_clocks_and_days_be_holidays():
    """Over both changes of 2021: nights and weekends in UTC differ by an hour."""
    assert gaps(stamps(sessions("2021-02-01", "2021-12-31", ("2021-05-31", "2021-11-11", "2021-11-25")))) == []


PARTS = {"within": slice(1304, 1310), "end": slice(1306, 1320), "start": slice(1300, 1305)}


@pytest.mark.parametrize("missing", PARTS.values(), ids=PARTS)
def test_half_of_a_session_that_is_missing_is_a_gap_though_a_night_is_longer(missing):
    times = np.delete(stamps(sessions("2021-02-01", "2021-12-31")), missing)
    assert gaps(times) == [missing.start]


def test_an_outage_of_weeks_is_a_gap_though_it_begins_and_ends_with_a_session():
    out = tuple(map(str, pd.bdate_range("2021-06-01", "2021-06-11").date))
    assert len(gaps(stamps(sessions("2021-02-01", "2021-12-31", out)))) == 1


def test_where_trade_never_stops_two_missing_bars_are_a_gap():
    whole = pd.date_range("2021-01-01", periods=9000, freq="15min", tz="UTC")
    assert gaps(stamps(whole.delete([4000, 6000, 6001]))) == [5999]
    assert gaps(stamps(whole.delete(range(4000, 4096)))) == [4000]  # a whole day: here no day is a holiday


def test_a_market_that_rests_does_not_lend_its_nights_to_one_that_never_does():
    always = np.delete(stamps(pd.date_range("2021-02-01", periods=9000, freq="30min", tz="UTC")), slice(4000, 4035))
    resting = stamps(sessions("2021-02-01", "2021-12-31"))
    symbols = np.repeat(["A", "B"], [len(always), len(resting)]).astype(object)
    times = np.concatenate([always, resting])
    assert np.flatnonzero(breaks(symbols, times, usual_steps(symbols, times))).tolist() == [0, 4000, len(always)]


def test_in_a_thin_market_bars_without_a_trade_are_usual():
    rng = np.random.default_rng(1)
    minutes = np.flatnonzero(rng.random(150_000) < 0.4)
    times = np.delete(minutes, slice(9000, 9400)) * MINUTE
    assert gaps(times) == [9000]


def test_an_unknown_market_has_the_gaps_that_all_known_ones_would_have():
    steps = {"A": Steps(MINUTE, 2, ()), "B": Steps(MINUTE, 2, (60,))}
    times = np.cumsum([0, 1, 60, 1, 600, 1]) * MINUTE
    assert np.flatnonzero(breaks(np.full(6, "C", dtype=object), times, steps)).tolist() == [0, 4]
    assert not breaks(np.full(6, "C", dtype=object), times, {})[1:].any()


def test_short_tables_have_usual_steps_too():
    assert usual_steps(one(np.array([], dtype="int64")), np.array([], dtype="int64")) == {}
    assert usual_steps(one(np.array([5])), np.array([5])) == {"A": Steps(0, 2, ())}
    assert gaps(np.array([0, 7, 9]) * HOUR) == []


# --- several inputs


def test_single_rows_are_views_too():
    values = matrix(6)
    rows = Rows(values, np.array([5, 0, 3]))
    assert rows.shape == (3, 3)
    np.testing.assert_array_equal(rows[:], values[[5, 0, 3]])
    fewer = rows.take(np.array([2, 0]))
    assert fewer.values is values
    np.testing.assert_array_equal(fewer[:], values[[3, 5]])
    with pytest.raises(BadModelInput, match="outside its matrix"):
        Rows(values, np.array([6]))


def test_named_inputs_belong_to_the_same_decisions():
    values = matrix(10, 5)
    ends = np.array([4, 6, 9])
    inputs = NamedInputs(
        {"bars": Windows(values[:, :2], ends, 4), "topology": Rows(values[:, 2:], ends), "own": values[ends]}
    )
    assert (list(inputs), len(inputs), inputs.rows) == (["bars", "topology", "own"], 3, 3)
    fewer = inputs.take(np.array([2, 1]))
    np.testing.assert_array_equal(fewer["bars"][:], literal(values[:, :2], np.array([9, 6]), 4))
    np.testing.assert_array_equal(fewer["topology"][:], values[[9, 6], 2:])
    np.testing.assert_array_equal(fewer["own"], values[[9, 6]])
    assert np.shares_memory(fewer["bars"].values, values)


@pytest.mark.parametrize("parts", [{}, {"one": matrix(3), "other": matrix(4)}])
def test_named_inputs_of_other_rows_are_refused(parts):
    with pytest.raises(BadModelInput, match="rows by name"):
        NamedInputs(parts)
