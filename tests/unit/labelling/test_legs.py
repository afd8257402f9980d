"""Expansions by rule: against a slow version, and planted ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti.labelling._legs import CONSOLIDATION, RETRACEMENT, REVERSAL, Rule, find_legs
from betti.labelling._spans import average_true_range
from tests.conftest import random_bars

DEFAULT = Rule(displacement=7.0, efficiency=0.6, longest=20, drag=0.25, pause=10, pause_range=2.5)


def legs_by_loop(bars: pd.DataFrame, rule: Rule) -> list[tuple[int, int, int]]:
    """The rule word by word."""
    high, low, close = (bars[name].to_numpy() for name in ("high", "low", "close"))
    atr = average_true_range(high, low, close, 14)
    best: dict[int, tuple[float, int]] = {}
    for first in range(14, len(close)):
        for last in range(first + 1, min(first + rule.longest, len(close))):
            moves = np.abs(np.diff(close[first : last + 1]))
            net, path = abs(close[last] - close[first]), float(np.cumsum(moves)[-1])
            ends = {close[first], close[last]}
            if not {close[first : last + 1].min(), close[first : last + 1].max()} <= ends:
                continue
            if atr[first] > 0 and net >= rule.displacement * atr[first] and net >= rule.efficiency * path:
                score = net - rule.efficiency * path - rule.drag * atr[first] * (last - first)
                if first not in best or score > best[first][0]:
                    best[first] = (score, last)
    found = []
    for first, (score, last) in best.items():
        rivals = [
            (other_score, -other)
            for other, (other_score, other_last) in best.items()
            if other != first and other < last and other_last > first
        ]
        if all((score, -first) > rival for rival in rivals):
            found.append((first, last, type_by_loop(high, low, close, atr, first, last, rule)))
    return found


def type_by_loop(high, low, close, atr, first: int, last: int, rule: Rule) -> int:
    before = slice(max(first - rule.pause + 1, 0), first + 1)
    if high[before].max() - low[before].min() <= rule.pause_range * atr[first]:
        return CONSOLIDATION
    past = close[max(first - 2 * rule.longest, 0) : first + 1] * (1 if close[last] > close[first] else -1)
    top = len(past) - 1 - int(np.argmax(past[::-1]))
    gained = past[top] - past[: top + 1].min()
    given_back = (past[top] - past[-1]) / gained if gained > 0 else np.inf
    return REVERSAL if given_back > 0.79 else RETRACEMENT if given_back >= 0.38 else CONSOLIDATION


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    displacement=st.floats(0.5, 6),
    efficiency=st.floats(0.2, 1),
    longest=st.integers(3, 25),
    drag=st.floats(0, 0.5),
    pause=st.integers(2, 15),
    pause_range=st.floats(1, 5),
)
def test_it_equals_a_slow_version(seed, displacement, efficiency, longest, drag, pause, pause_range):
    bars = random_bars(200, seed)
    rule = Rule(displacement, efficiency, longest, drag, pause, pause_range)
    legs = find_legs(bars, rule)
    ours = list(zip(legs.start.tolist(), legs.end.tolist(), legs.type.tolist(), strict=True))
    assert ours == legs_by_loop(bars, rule)


def bars_of(close: np.ndarray, wick: float = 0.1) -> pd.DataFrame:
    """Bars that open where the last one closed, with wicks of one length."""
    opens = np.concatenate([close[:1], close[:-1]])
    high, low = np.maximum(opens, close) + wick, np.minimum(opens, close) - wick
    return random_bars(len(close)).assign(open=opens, high=high, low=low, close=close)


def wobble(bars: int, seed: int) -> np.ndarray:
    """Closes of a pause around 0, each 0.2 apart at most, that ends at 0."""
    return np.append(np.random.default_rng(seed).uniform(-0.1, 0.1, bars - 1), 0.0)


def leg(bars: int, step: float) -> np.ndarray:
    """`bars` moves from 0, each of this size."""
    return step * np.arange(1, bars + 1)


def joined(*pieces: np.ndarray) -> np.ndarray:
    """Pieces one after the other, each from the close where the last one ended."""
    close = np.array([100.0])
    for piece in pieces:
        close = np.concatenate([close, close[-1] + piece])
    return close[1:]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    gaps=st.lists(st.integers(45, 90), min_size=2, max_size=5),
    lengths=st.lists(st.integers(4, 19), min_size=5, max_size=5),
    steps=st.lists(st.sampled_from([-1.2, -0.7, 0.7, 1.2]), min_size=5, max_size=5),
)
def test_planted_expansions_are_recovered_exactly(seed, gaps, lengths, steps):
    """Each begins with the last bar of its pause, and ends with its last move; all come out of a consolidation."""
    pieces, planted = [], []
    for place, gap in enumerate(gaps):
        pieces.append(wobble(gap, seed + place))
        start = sum(map(len, pieces)) - 1
        pieces.append(leg(lengths[place], steps[place]))
        planted.append((start, start + lengths[place]))
    pieces.append(wobble(60, seed + 99))
    legs = find_legs(bars_of(joined(*pieces)), DEFAULT)
    assert list(zip(legs.start.tolist(), legs.end.tolist(), strict=True)) == planted
    assert legs.type.tolist() == [CONSOLIDATION] * len(planted)


@pytest.mark.parametrize(
    ("given_back", "kind"),
    [(0.2, CONSOLIDATION), (0.45, RETRACEMENT), (0.75, RETRACEMENT), (0.85, REVERSAL), (1.3, REVERSAL)],
)
@pytest.mark.parametrize("side", [1, -1])
def test_the_type_is_what_came_before(given_back, kind, side):
    """A leg of 10 is given back in part, slowly; then price goes on where the leg had gone."""
    back = np.repeat(-10 * given_back / 6, 6).cumsum()
    close = joined(side * wobble(60, 1), side * leg(10, 1.0), side * back, side * leg(16, 1.6), side * wobble(60, 2))
    legs = find_legs(bars_of(close + 200, wick=0.3), DEFAULT)
    assert (75, 91, kind) in zip(legs.start.tolist(), legs.end.tolist(), legs.type.tolist(), strict=True)


def test_two_legs_share_the_pivot_between_them():
    close = joined(wobble(60, 5), leg(12, 1.0), leg(19, -2.0), wobble(60, 6))
    legs = find_legs(bars_of(close), Rule(3.0, 0.6, 20, 0.25, 10, 2.5))
    assert list(zip(legs.start.tolist(), legs.end.tolist(), strict=True)) == [(59, 71), (71, 90)]
    assert legs.type.tolist() == [CONSOLIDATION, REVERSAL]


@pytest.mark.parametrize(
    ("piece", "there"),
    [
        (leg(10, 0.7), True),
        (leg(10, 0.1), False),  # too little for its ATR
        (np.tile([1.0, -0.5], 9).cumsum(), False),  # half of every step is given back
        (leg(60, 0.08), False),  # too slow for its bars
    ],
)
def test_what_is_no_expansion(piece, there):
    close = joined(wobble(60, 8), piece, wobble(60, 9))
    assert (len(find_legs(bars_of(close), DEFAULT).start) > 0) is there


def test_prices_in_cents_have_the_same_legs():
    bars = random_bars(3000, 11)
    cents = bars.assign(**{name: bars[name] * 128 for name in ("open", "high", "low", "close")})
    legs, others = find_legs(bars, DEFAULT), find_legs(cents, DEFAULT)
    assert len(legs.start) > 5
    assert np.array_equal(legs.start, others.start) and np.array_equal(legs.end, others.end)


def test_the_longest_leg_has_as_many_bars_as_said():
    legs = find_legs(random_bars(20_000, 12), Rule(2.0, 0.5, 7, 0.1, 10, 2.5))
    lengths = legs.end - legs.start + 1
    assert lengths.max() == 7 and lengths.min() >= 2
    assert (legs.start[1:] >= legs.end[:-1]).all()
