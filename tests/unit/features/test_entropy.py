"""Entropies of rolling windows against antropy, their definitions written the slow way, and published numbers."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti.features import _entropy

if TYPE_CHECKING:
    from collections.abc import Callable

    Measure = Callable[[np.ndarray, int], np.ndarray]

ROWS = 700
MEASURES: dict[str, Measure] = {
    name: getattr(_entropy, name)
    for name in ("permutation_entropy", "sample_entropy", "spectral_entropy", "lempel_ziv_complexity")
}


def series(kind: str) -> np.ndarray:
    """Changes as `compute` hands them over: the first is missing."""
    rng = np.random.default_rng(17)
    noise = rng.standard_t(4, ROWS) * 1e-3
    found = {
        "noise": noise,
        "ticks": np.round(noise, 3),  # many equal and zero changes
        "trend": noise + 5e-3,
        "calm and storm": noise * np.where(np.arange(ROWS) % 200 < 100, 1.0, 30.0),
        "wave": np.sin(np.arange(ROWS) / 5) + noise,
        "still for long": np.where(np.arange(ROWS) % 300 < 220, 0.0, noise),
    }[kind]
    return np.concatenate([[np.nan], found[1:]])


KINDS = ("noise", "ticks", "trend", "calm and storm", "wave", "still for long")


def windows(changes: np.ndarray, window: int, every: int) -> list[tuple[int, np.ndarray]]:
    """Some rows and their windows, contiguous: first, last, and around the end of a block."""
    rows = {*range(window, len(changes), every), *range(window + 254, window + 259), len(changes) - 1}
    return [(t, changes[t - window + 1 : t + 1].copy()) for t in sorted(rows)]


# --- the definitions


def permutation(values: np.ndarray) -> float:
    orders = Counter(tuple(np.argsort(values[i : i + 3], kind="stable")) for i in range(len(values) - 2))
    shares = np.array(list(orders.values())) / (len(values) - 2)
    return float(-(shares * np.log(shares)).sum() / math.log(6))


def sample(values: np.ndarray) -> float:
    radius, count = 0.2 * values.std(), len(values) - 2
    if radius <= 0.2e-12:
        return 0.0
    matches = [0, 0]
    for i, j in itertools.combinations(range(count), 2):
        for k, length in enumerate((2, 3)):
            matches[k] += np.abs(values[i : i + length] - values[j : j + length]).max() < radius
    likeliest = 2 / (count * (count - 1))  # the smallest probability that such a window can show
    return -math.log(matches[1] / matches[0] if matches[1] else likeliest)


def spectral(values: np.ndarray) -> float:
    centred, n = values - values.mean(), len(values)
    if centred.std() <= 1e-12:
        return 0.0
    angles = 2j * np.pi * np.outer(np.arange(n // 2 + 1), np.arange(n)) / n
    power = np.abs(np.exp(-angles) @ centred) ** 2
    power *= np.array([1 if k == 0 or 2 * k == n else 2 for k in range(n // 2 + 1)])
    shares = power[power > 0] / power.sum()
    return float(-(shares * np.log(shares)).sum() / math.log(n // 2 + 1))


def words(bits: str) -> list[str]:
    """Lempel and Ziv's exhaustive history: each word is the shortest not found before its own last bar."""
    found, begin = [], 0
    while begin < len(bits):
        end = begin + 1
        while end < len(bits) and bits[begin:end] in bits[: end - 1]:
            end += 1
        found.append(bits[begin:end])
        begin = end
    return found


def lempel_ziv(values: np.ndarray) -> float:
    bits = "".join("1" if value > 0 else "0" for value in values)
    return len(words(bits)) * math.log2(len(bits)) / len(bits)


DEFINITIONS = dict(zip(MEASURES, (permutation, sample, spectral, lempel_ziv), strict=True))


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("kind", KINDS)
def test_equal_to_the_definition(name: str, kind: str) -> None:
    changes = series(kind)
    for window in (50, 81):
        found = MEASURES[name](changes, window)
        for t, values in windows(changes, window, 211):
            np.testing.assert_allclose(found[t], DEFINITIONS[name](values), rtol=1e-9, atol=1e-9, err_msg=str(t))


@pytest.mark.parametrize("name", MEASURES)
def test_equal_to_antropy(name: str) -> None:
    antropy = pytest.importorskip("antropy")
    theirs: dict[str, Callable[[np.ndarray], float]] = {
        "permutation_entropy": lambda x: antropy.perm_entropy(x, order=3, normalize=True),
        "sample_entropy": lambda x: antropy.sample_entropy(x, order=2),
        "spectral_entropy": lambda x: antropy.spectral_entropy(x, sf=1.0, normalize=True),
        "lempel_ziv_complexity": lambda x: antropy.lziv_complexity(x > 0, normalize=True),
    }
    compared = 0
    for kind, window in itertools.product(KINDS, (50, 100, 101, 256)):
        changes = series(kind)
        found = MEASURES[name](changes, window)
        for t, values in windows(changes, window, 23):
            # Where nothing varies, or nothing matches, antropy has no number and we have a documented one.
            reference = theirs[name](values) if name == "lempel_ziv_complexity" or values.std() > 1e-12 else np.nan
            if np.isfinite(reference):
                compared += 1
                np.testing.assert_allclose(found[t], reference, rtol=1e-9, atol=1e-9, err_msg=f"{kind} {t}")
    assert compared > 500


# --- published numbers


def test_the_example_of_bandt_and_pompe() -> None:
    """Their series 4 7 9 10 6 11 3 has an entropy of 1.522 bits for orders of three."""
    changes = np.array([np.nan, 4, 7, 9, 10, 6, 11, 3])
    assert round(_entropy.permutation_entropy(changes, 7)[-1] * math.log2(6), 3) == 1.522


@pytest.mark.parametrize(
    ("bits", "count"),
    [("0001101001000101", 6), ("0" * 16, 2), ("01" * 8, 3)],  # Kaspar and Schuster 1987: 0.001.10.100.1000.101
)
def test_the_examples_of_kaspar_and_schuster(bits: str, count: int) -> None:
    changes = np.array([np.nan, *(1.0 if bit == "1" else -1.0 for bit in bits)])
    assert len(words(bits)) == count
    np.testing.assert_allclose(_entropy.lempel_ziv_complexity(changes, 16)[-1], count * 4 / 16)


# --- markets whose answer is known


def without_repeats(symbols: int, length: int) -> np.ndarray:
    """A sequence in which no stretch of `length` symbols occurs twice (de Bruijn), the first change missing."""
    seen, word = {(0,) * length}, [0] * length
    while True:
        tail = tuple(word[-length + 1 :])
        following = next((s for s in reversed(range(symbols)) if (*tail, s) not in seen), None)
        if following is None:
            return np.array([np.nan, *word])
        seen.add((*tail, following))
        word.append(following)


@pytest.mark.parametrize(("symbols", "length"), [(8, 2), (4, 3)], ids=["no pair matches", "no triple matches"])
def test_sample_entropy_without_matches_is_the_largest_it_can_show(symbols: int, length: int) -> None:
    changes = without_repeats(symbols, length)
    window = len(changes) - 1
    expected = math.log((window - 2) * (window - 3) / 2)
    np.testing.assert_allclose(_entropy.sample_entropy(changes, window)[-1], expected)


def test_a_repeated_pattern_is_regular_and_noise_is_not() -> None:
    rng = np.random.default_rng(0)
    cycle = np.concatenate([[np.nan], np.tile([1.0, 5.0, 2.0, -3.0], 64)])
    noise = np.concatenate([[np.nan], rng.normal(size=256)])
    # Templates of two match every fourth bar, and so do those of three.
    assert _entropy.sample_entropy(cycle, 256)[-1] == 0
    assert _entropy.sample_entropy(noise, 256)[-1] > 1.5
    assert _entropy.permutation_entropy(noise, 256)[-1] > 0.98
    assert _entropy.lempel_ziv_complexity(cycle, 256)[-1] < 0.2 < 0.8 < _entropy.lempel_ziv_complexity(noise, 256)[-1]


@pytest.mark.parametrize("window", [64, 65])
def test_spectral_entropy_of_a_wave_and_of_a_jump(window: int) -> None:
    wave = np.concatenate([[np.nan], 0.01 * np.cos(2 * np.pi * 5 * np.arange(window) / window) + 0.3])
    np.testing.assert_allclose(_entropy.spectral_entropy(wave, window)[-1], 0.0, atol=1e-9)
    jump = np.zeros(window + 1)
    jump[20] = 0.02
    # All frequencies alike; the highest of an even window stands for itself alone.
    weights = np.array([2.0] * ((window - 1) // 2) + [1.0] * (1 - window % 2))
    shares = weights / weights.sum()
    expected = -(shares * np.log(shares)).sum() / math.log(window // 2 + 1)
    np.testing.assert_allclose(_entropy.spectral_entropy(jump, window)[-1], expected)


def test_long_words_are_found() -> None:
    """Words longer than the looked-up ones: pauses, and patterns of long periods."""
    rng = np.random.default_rng(2)
    parts = [np.zeros(60), rng.normal(size=20), np.zeros(45), np.tile(rng.normal(size=23), 6), np.zeros(5), np.ones(90)]
    changes = np.concatenate([[np.nan], *parts])
    for window in (50, 120, 300):
        found = _entropy.lempel_ziv_complexity(changes, window)
        for t in range(window, len(changes)):
            np.testing.assert_allclose(found[t], lempel_ziv(changes[t - window + 1 : t + 1]))


# --- laws


@given(bits=st.lists(st.booleans(), min_size=34, max_size=70))
@settings(max_examples=80, deadline=None)
def test_words_of_any_sequence(bits: list[bool]) -> None:
    changes = np.array([np.nan, *(1.0 if bit else 0.0 for bit in bits)])
    found = _entropy.lempel_ziv_complexity(changes, 33)
    for t in range(33, len(changes)):
        np.testing.assert_allclose(found[t], lempel_ziv(changes[t - 32 : t + 1]))


@given(values=st.lists(st.integers(-3, 3), min_size=40, max_size=60))
@settings(max_examples=40, deadline=None)
def test_ties_are_counted_as_defined(values: list[int]) -> None:
    changes = np.array([np.nan, *values])
    orders, matches = _entropy.permutation_entropy(changes, 34), _entropy.sample_entropy(changes, 34)
    for t in range(34, len(changes), 5):
        window = changes[t - 33 : t + 1]
        np.testing.assert_allclose(orders[t], permutation(window), atol=1e-12)
        np.testing.assert_allclose(matches[t], sample(window), atol=1e-12)


@pytest.mark.parametrize("name", MEASURES)
def test_the_window_alone_makes_the_bits(name: str) -> None:
    changes, window = series("calm and storm"), 60
    whole = MEASURES[name](changes, window)
    assert np.isnan(whole[:window]).all()
    assert np.isfinite(whole[window:]).all()
    for first in (1, 7, 256, 300):
        later = changes[first:].copy()
        later[0] = np.nan
        assert MEASURES[name](later, window)[window:].tobytes() == whole[first + window :].tobytes()


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("rows", [0, 1, 2, 40, 50])
def test_too_few_rows_are_all_missing(name: str, rows: int) -> None:
    found = MEASURES[name](series("noise")[:rows].copy(), 50)
    assert len(found) == rows
    assert np.isnan(found).all()
