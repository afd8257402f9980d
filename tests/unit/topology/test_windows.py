"""Windows of a series in one call: each is its own cloud, whatever the form of the series and the number of threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti.errors import BadInput, UnknownName
from betti.topology import persistence, persistence_windows
from betti.topology.embedding import BadSeries, standardised, takens
from betti.topology.native import DimensionTooHigh
from betti.topology.persistence import BACKENDS, BadCloud
from tests.unit.topology.clouds import agree, closes

few = settings(max_examples=40, deadline=None, derandomize=True)
Diagrams = list[np.ndarray]


def series(seed: int, length: int) -> np.ndarray:
    """A walk, a noisy wave, whole ticks, or a walk that stands still for a while."""
    rng = np.random.default_rng(seed)
    steps = rng.standard_normal(length)
    if seed % 4 == 0:
        return np.cumsum(steps)
    if seed % 4 == 1:
        return np.sin(np.arange(length) / 3) + 0.05 * steps
    if seed % 4 == 2:
        return 100 + 0.05 * np.cumsum(rng.integers(-1, 2, length))
    steps[length // 4 : 3 * length // 4] = 0
    return np.cumsum(steps)


def alone(window: np.ndarray, dimension: int, delay: int) -> Diagrams:
    return persistence(takens(standardised(window[None]), dimension=dimension, delay=delay)[0])


def assert_equal(ours: list[Diagrams], theirs: list[Diagrams]) -> None:
    assert len(ours) == len(theirs)
    for k, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
        assert [(d.shape, d.tobytes()) for d in mine] == [(d.shape, d.tobytes()) for d in other], f"window {k}"


def assert_near(ours: list[Diagrams], theirs: list[Diagrams], tolerance: float) -> None:
    assert len(ours) == len(theirs)
    for k, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
        assert all(agree(*both, tolerance) for both in zip(mine, other, strict=True)), f"window {k}"


# --- each window by hand


@few
@given(
    seed=st.integers(0, 10_000),
    length=st.integers(0, 130),
    window=st.integers(1, 60),
    stride=st.integers(1, 70),
    dimension=st.integers(1, 4),
    delay=st.integers(1, 9),
    threads=st.sampled_from([1, 3]),
)
def test_each_window_is_persistence_of_its_own_cloud(
    seed: int, length: int, window: int, stride: int, dimension: int, delay: int, threads: int
) -> None:
    values = series(seed, length)
    knobs = {"window": window, "stride": stride, "dimension": dimension, "delay": delay}
    if (dimension - 1) * delay >= window:
        with pytest.raises(BadSeries, match="below the window"):
            persistence_windows(values, **knobs)
        return
    starts = range(0, length - window + 1, stride)
    found = list(persistence_windows(values, **knobs, threads=threads))
    assert_equal(found, [alone(values[start : start + window], dimension, delay) for start in starts])


@pytest.mark.parametrize(("dimension", "delay"), [(2, 5), (3, 4)])
def test_windows_of_real_closes_from_their_definition(dimension: int, delay: int) -> None:
    """Without a function of the embedding: the mean, the deviation and the delay vectors as they are written down."""
    values, window, stride = closes("NASDAQ")[2000:2400], 126, 40
    expected = []
    for start in range(0, len(values) - window + 1, stride):
        own = values[start : start + window]
        own = (own - own.mean()) / own.std()
        points = window - (dimension - 1) * delay
        expected.append(persistence(np.column_stack([own[k * delay : k * delay + points] for k in range(dimension)])))
    found = list(persistence_windows(values, window=window, stride=stride, dimension=dimension, delay=delay))
    assert_near(found, expected, 1e-12)


@pytest.mark.parametrize("dimension", [2, 3])
def test_many_batches_are_the_same_for_any_number_of_threads(dimension: int) -> None:
    values = series(2, 300)
    knobs = {"window": 30, "dimension": dimension, "delay": 3}
    found = [list(persistence_windows(values, **knobs, threads=threads)) for threads in (1, 2, 3, 4)]
    assert len(found[0]) == 271
    for other in found[1:]:
        assert_equal(other, found[0])
    for start in (0, 63, 64, 65, 270):
        assert_equal([found[0][start]], [alone(values[start : start + 30], dimension, 3)])


@pytest.mark.filterwarnings("ignore")
def test_the_reference_backend_agrees() -> None:
    values = closes("SP500")[:300]
    knobs = {"window": 90, "stride": 35, "delay": 4}
    assert_near(
        list(persistence_windows(values, **knobs, backend="giotto", threads=2)),
        list(persistence_windows(values, **knobs, backend="native")),
        1e-5,
    )


# --- what must not change a diagram


@few
@given(seed=st.integers(0, 10_000), scale=st.floats(1e-3, 1e3), shift=st.floats(-100, 100))
def test_neither_price_level_nor_volatility_is_in_the_diagrams(seed: int, scale: float, shift: float) -> None:
    values, knobs = series(seed, 90), {"window": 40, "stride": 10, "delay": 3}
    moved = scale * (values + shift)
    assert_near(list(persistence_windows(moved, **knobs)), list(persistence_windows(values, **knobs)), 1e-9)


@few
@given(seed=st.integers(0, 10_000), exponent=st.integers(-300, 300), sign=st.sampled_from([1.0, -1.0]))
def test_powers_of_two_and_the_sign_change_no_bit(seed: int, exponent: int, sign: float) -> None:
    values, knobs = series(seed, 90), {"window": 40, "stride": 10, "delay": 3}
    moved = sign * np.ldexp(values, exponent)
    assert_equal(list(persistence_windows(moved, **knobs)), list(persistence_windows(values, **knobs)))


@few
@given(seed=st.integers(0, 10_000), dimension=st.integers(2, 3))
def test_time_may_run_backwards(seed: int, dimension: int) -> None:
    """Delay vectors of the reversed series are those of the series with their coordinates reversed: a mirror image."""
    values, knobs = series(seed, 95), {"window": 35, "stride": 15, "dimension": dimension, "delay": 4}
    backwards = list(persistence_windows(values[::-1], **knobs))[::-1]
    assert_near(backwards, list(persistence_windows(values, **knobs)), 1e-9)


@few
@given(seed=st.integers(0, 10_000), level=st.sampled_from([0.0, -3.7, 1e-300, 1e300]))
def test_a_window_that_never_moves_has_empty_diagrams(seed: int, level: float) -> None:
    values = np.concatenate([series(seed, 50), np.full(60, level)])
    found = list(persistence_windows(values, window=40, stride=5, delay=2))
    assert [[len(d) for d in diagrams] for diagrams in found[10:]] == [[0, 0]] * (len(found) - 10)
    assert len(found[0][0]) > 0


def test_a_later_value_changes_no_earlier_window() -> None:
    values = series(0, 200)
    later = values.copy()
    later[120:] = 1e6
    found, changed = (list(persistence_windows(v, window=40, stride=4, delay=3)) for v in (values, later))
    assert_equal(changed[:21], found[:21])
    assert changed[21][0].tobytes() != found[21][0].tobytes()


# --- forms of the series


FORMS: dict[str, Callable[[np.ndarray], object]] = {
    "list": lambda v: v.tolist(),
    "tuple": lambda v: tuple(v),
    "float32": lambda v: v.astype(np.float32),
    "strided": lambda v: np.repeat(v, 3)[::3],
    "reversed twice": lambda v: v[::-1].copy()[::-1],
    "column": lambda v: np.column_stack([v, v + 1])[:, 0],
    "big endian": lambda v: v.astype(">f8"),
    "a frame's column": lambda v: pd.DataFrame({"a": v, "b": 0.0})["a"],
}


@pytest.mark.parametrize("form", FORMS)
def test_the_form_of_the_series_does_not_matter(form: str) -> None:
    values = series(1, 90).astype(np.float32).astype(np.float64)
    knobs = {"window": 40, "stride": 10, "delay": 3}
    assert_equal(list(persistence_windows(FORMS[form](values), **knobs)), list(persistence_windows(values, **knobs)))


def test_whole_numbers_and_read_only_memory_are_taken() -> None:
    ticks = np.cumsum(np.random.default_rng(0).integers(-2, 3, 90))
    frozen = ticks.astype(np.float64)
    frozen.setflags(write=False)
    knobs = {"window": 40, "stride": 10, "delay": 3}
    assert_equal(list(persistence_windows(ticks, **knobs)), list(persistence_windows(frozen, **knobs)))


def test_the_series_is_left_alone() -> None:
    values = series(0, 90)
    kept = values.copy()
    list(persistence_windows(values, window=40, stride=10, delay=3))
    assert values.tobytes() == kept.tobytes()


@pytest.mark.parametrize("length", [0, 1, 39])
def test_a_series_shorter_than_a_window_gives_nothing(length: int) -> None:
    assert list(persistence_windows(series(0, length), window=40, delay=3)) == []


def test_a_window_of_one_point_has_empty_diagrams() -> None:
    found = list(persistence_windows(series(0, 10), window=9, dimension=3, delay=4))
    assert [[d.shape for d in diagrams] for diagrams in found] == [[(0, 2), (0, 2)]] * 2


@pytest.mark.parametrize("max_dimension", [0, 1])
def test_the_highest_dimension_is_the_callers(max_dimension: int) -> None:
    values, knobs = series(0, 90), {"window": 40, "stride": 25, "delay": 3}
    found = list(persistence_windows(values, **knobs, max_dimension=max_dimension))
    assert_equal(found, [both[: max_dimension + 1] for both in persistence_windows(values, **knobs)])


# --- what is refused


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros((3, 40)), r"shape \(3, 40\)"),
        (5.0, r"shape \(\)"),
        ([1.0, np.nan, 2.0, np.inf], "value 1 is NaN or infinite"),
        ([1.0, 2.0, -np.inf], "value 2 is NaN or infinite"),
    ],
)
def test_what_is_no_series_is_refused_at_once(values: object, said: str) -> None:
    with pytest.raises(BadSeries, match=said) as raised:
        persistence_windows(values, window=2)  # type: ignore[arg-type]
    assert isinstance(raised.value, BadInput)


@pytest.mark.parametrize(
    "knobs",
    [
        {"window": 0},
        {"window": -5},
        {"window": 10, "stride": 0},
        {"window": 10, "delay": 0},
        {"window": 10, "dimension": 0},
        {"window": 10, "dimension": 2, "delay": 10},
        {"window": 10, "dimension": 4, "delay": 4},
    ],
    ids=str,
)
def test_an_embedding_that_fits_no_cloud_is_refused_at_once(knobs: dict[str, int]) -> None:
    with pytest.raises(BadSeries, match=f"window {knobs['window']}, "):
        persistence_windows(series(0, 50), **knobs)


def test_an_unknown_backend_is_named_at_once() -> None:
    with pytest.raises(UnknownName, match=r"persistence backend 'nativ'; did you mean 'native'\?"):
        persistence_windows(series(0, 50), window=10, backend="nativ")


@pytest.mark.parametrize(("max_dimension", "error"), [(2, DimensionTooHigh), (-1, BadCloud)])
@pytest.mark.parametrize("threads", [1, 3])
def test_a_dimension_out_of_reach_is_refused_with_the_first_diagrams(
    max_dimension: int, error: type[Exception], threads: int
) -> None:
    found = persistence_windows(
        series(0, 400), window=10, backend="native", max_dimension=max_dimension, threads=threads
    )
    with pytest.raises(error):
        next(found)


# --- an early end


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A backend named `slow` that notes each of its batches and takes a while over it."""
    begun: list[int] = []

    def diagrams(clouds: np.ndarray, max_dimension: int) -> list[Diagrams]:
        begun.append(len(clouds))
        time.sleep(0.02)
        return [[np.empty((0, 2))] * (max_dimension + 1)] * len(clouds)

    monkeypatch.setitem(BACKENDS, "slow", diagrams)
    return begun


def many_windows() -> Generator[Diagrams, None, None]:
    """A hundred batches for two threads: at least a second of the slow backend."""
    return persistence_windows(np.arange(6_410.0), window=10, backend="slow", threads=2)


def assert_nothing_runs(begun: list[int]) -> None:
    so_far = len(begun)
    time.sleep(0.1)
    assert len(begun) == so_far


def test_all_of_it_is_computed_when_nobody_stops(slow: list[int]) -> None:
    assert len(list(many_windows())) == 6_401
    assert sum(slow) == 6_401
    assert len(slow) == 101


def test_closing_ends_the_work(slow: list[int]) -> None:
    found = many_windows()
    next(found)
    found.close()
    assert 1 <= len(slow) <= 6
    assert_nothing_runs(slow)


def test_closing_before_the_first_diagram_computes_nothing(slow: list[int]) -> None:
    many_windows().close()
    assert_nothing_runs(slow)
    assert slow == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_an_interrupt_of_the_consumer_ends_the_work(slow: list[int], error: type[BaseException]) -> None:
    def consume() -> None:
        for k, _ in enumerate(many_windows()):
            if k == 100:  # in the second batch
                raise error

    with pytest.raises(error):
        consume()
    assert len(slow) <= 7
    assert_nothing_runs(slow)
