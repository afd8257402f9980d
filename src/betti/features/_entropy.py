"""Entropies of rolling windows: permutation, sample and spectral entropy, and Lempel-Ziv complexity.

Every function takes changes (rows,) in time order, contiguous float64, of which the first is not read (a change needs
a bar before it), and a window of at least 32. It gives (rows,): at row t the measure of the last `window`
changes, NaN in the first `window` rows. A value depends on its own window, bit for bit, wherever the frame starts:
counts slide with the window, sums of floats are taken anew. What does not belong here: prices, and exponents
(`_fractal`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from betti.features._compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Flags = NDArray[np.bool_]
    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["lempel_ziv_complexity", "permutation_entropy", "sample_entropy", "spectral_entropy"]

# Rows worked together, one lane of the processor each: their sums and a window of bars stay in the nearest cache.
_BLOCK = 256

_FLAT = 1e-12  # changes whose deviation is at or below this do not vary
_ORDERS = 6  # in which three values can stand
_TOLERANCE = 0.2  # deviations within which two changes match
_LONGEST = 16  # words up to this length are looked up, longer ones searched for
_SPECTRA = 2048  # taken together: memory does not grow with the rows


# Permutation entropy ------------------------------------------------------------------------------------------------


@compiled
def permutation_entropy(changes: Floats, window: int) -> Floats:
    """Entropy of the orders in which three changes in a row stand, as a share of log 6 (Bandt and Pompe 2002).

    Of equal changes the earlier one counts as the smaller, so changes that are all equal give 0.
    """
    rows, triples = len(changes), window - 2
    values = np.full(rows, np.nan)
    part = np.zeros(triples + 1)
    for count in range(1, triples + 1):
        part[count] = -count / triples * math.log(count / triples) / math.log(_ORDERS)
    counts = np.zeros(_ORDERS, np.int64)
    for t in range(3, rows):
        counts[_order(changes[t - 2], changes[t - 1], changes[t])] += 1
        if t > window:
            gone = t - triples
            counts[_order(changes[gone - 2], changes[gone - 1], changes[gone])] -= 1
        if t >= window:
            entropy = 0.0
            for order in range(_ORDERS):
                entropy += part[counts[order]]
            values[t] = min(entropy, 1.0)
    return values


@compiled
def _order(a: float, b: float, c: float) -> int:
    """A number for the order of three values."""
    if a <= b:
        if b <= c:
            return 0
        return 1 if a <= c else 2
    if b > c:
        return 3
    return 4 if a <= c else 5


# Sample entropy -----------------------------------------------------------------------------------------------------


@compiled
def sample_entropy(changes: Floats, window: int) -> Floats:
    """How seldom two pairs of changes that match still match one bar later, in nats (Richman and Moorman 2000).

    m = 2; changes match when they differ by less than 0.2 population deviations of the window. Where no pairs match,
    or none does one bar later, it is the largest value that the paper gives this window, log((n-2)(n-3) / 2), instead
    of undefined or infinity. Changes that do not vary give 0.
    """
    rows, templates = len(changes), window - 2
    values, largest = np.full(rows, np.nan), math.log(templates * (templates - 1) / 2)
    tolerance, pairs, triples = np.empty(_BLOCK), np.empty(_BLOCK, np.int64), np.empty(_BLOCK, np.int64)
    for start in range(window, rows, _BLOCK):
        count = min(_BLOCK, rows - start)
        part = changes[start - window + 1 : start + count]
        _deviations(part, window, tolerance[:count])
        _matches(part, _TOLERANCE * tolerance[:count], templates, pairs[:count], triples[:count])
        for row in range(count):
            if tolerance[row] <= _FLAT:
                values[start + row] = 0.0
            elif triples[row] == 0:
                values[start + row] = largest
            else:
                values[start + row] = math.log(pairs[row] / triples[row])
    return values


@compiled
def _deviations(changes: Floats, window: int, found: Floats) -> None:
    """Population deviation of the windows that start at each of the first changes."""
    count = len(found)
    mean = np.zeros(count)
    for place in range(window):
        for row in range(count):
            mean[row] += changes[place + row]
    mean /= window
    found[:] = 0.0
    for place in range(window):
        for row in range(count):
            found[row] += (changes[place + row] - mean[row]) ** 2
    for row in range(count):
        found[row] = math.sqrt(found[row] / window)


@compiled
def _matches(changes: Floats, tolerance: Floats, templates: int, pairs: Integers, triples: Integers) -> None:
    """For the windows that start at each of the first changes: how many templates of two and of three match.

    The distance of two templates does not depend on the window, only its tolerance does.
    """
    count = len(tolerance)
    of_two, of_three = np.empty(count + templates), np.empty(count + templates)
    pairs[:], triples[:] = 0, 0
    for lag in range(1, templates):
        places = templates - lag
        for i in range(count + places - 1):
            first, second = abs(changes[i] - changes[i + lag]), abs(changes[i + 1] - changes[i + lag + 1])
            third = abs(changes[i + 2] - changes[i + lag + 2])
            of_two[i] = max(first, second)
            of_three[i] = max(of_two[i], third)
        _tally(of_two, tolerance, places, pairs)
        _tally(of_three, tolerance, places, triples)


@compiled
def _tally(distance: Floats, tolerance: Floats, places: int, found: Integers) -> None:
    """Add to each window how many of its distances are below its tolerance; four places at a time read it less."""
    whole = places - places % 4
    for i in range(0, whole, 4):
        for row in range(len(tolerance)):
            limit = tolerance[row]
            near = int(distance[i + row] < limit) + int(distance[i + row + 1] < limit)
            near += int(distance[i + row + 2] < limit) + int(distance[i + row + 3] < limit)
            found[row] += near
    for i in range(whole, places):
        for row in range(len(tolerance)):
            found[row] += int(distance[i + row] < tolerance[row])


# Spectral entropy ---------------------------------------------------------------------------------------------------


def spectral_entropy(changes: Floats, window: int) -> Floats:
    """Entropy of the shares of the frequencies in the variance, over the log of their number (Inouye et al. 1991).

    The periodogram is one-sided, without taper, the mean taken out: frequency 0 is counted and has no share. Changes
    that do not vary give 0.
    """
    values = np.full(len(changes), np.nan)
    if len(changes) <= window:
        return values
    windows = sliding_window_view(changes[1:], window)
    for start in range(0, len(windows), _SPECTRA):
        spectra = np.fft.rfft(windows[start : start + _SPECTRA], axis=1)
        values[window + start : window + start + len(spectra)] = _spread(spectra, window)
    return values


@compiled
def _spread(spectra: NDArray[np.complex128], window: int) -> Floats:
    """Entropy of each spectrum (rows, frequencies) of a real window."""
    rows, frequencies = spectra.shape
    found = np.zeros(rows)
    for row in range(rows):
        power, weighted = 0.0, 0.0
        for k in range(1, frequencies):
            once = 2 * k == window  # every other frequency stands for its negative too
            amount = (spectra[row, k].real ** 2 + spectra[row, k].imag ** 2) * (1.0 if once else 2.0)
            if amount > 0:
                power += amount
                weighted += amount * math.log(amount)
        if power > (_FLAT * window) ** 2:
            found[row] = max(math.log(power) - weighted / power, 0.0) / math.log(frequencies)
    return found


# Lempel-Ziv complexity ----------------------------------------------------------------------------------------------


@compiled
def lempel_ziv_complexity(changes: Floats, window: int) -> Floats:
    """Words that rises (1) and other bars (0) are made of, times log2(n) / n (Lempel and Ziv 1976).

    A word is the shortest stretch that did not begin before; the last one may have. Over n equal bars there are two.
    """
    rows = len(changes)
    values, rises = np.full(rows, np.nan), changes > 0
    newest = np.zeros(2 << _LONGEST, np.int64)  # where each short word began last; 0, which no window holds, for never
    before = np.zeros((window, _LONGEST + 1), np.int64)  # ... and where it did before it began at a bar
    tail = 0
    for t in range(1, rows):
        tail = (tail << 1 | int(rises[t])) & ((1 << _LONGEST) - 1)
        for length in range(1, min(_LONGEST, t) + 1):
            word, begin = 1 << length | tail & ((1 << length) - 1), t - length + 1
            before[begin % window, length] = newest[word]
            newest[word] = begin
        if t >= window:
            values[t] = _words(rises, before, t, window) * math.log2(window) / window
    return values


@compiled
def _words(rises: Flags, before: Integers, t: int, window: int) -> int:
    """Words in the window that ends at t: each is the longest stretch that began before in the window, and one bar."""
    first, words = t - window + 1, 1
    begin = first + 1
    while begin <= t:
        left, length = t - begin + 1, 0
        place, known = begin % window, min(left, _LONGEST)
        while length < known and before[place, length + 1] >= first:
            length += 1
        if length == _LONGEST:
            length = _longest(rises, first, begin, left)
        words, begin = words + 1, begin + length + 1
    return words


@compiled
def _longest(rises: Flags, first: int, begin: int, left: int) -> int:
    """Length of the longest of the stretches from `begin` on that also begin between `first` and there."""
    best = 0
    for earlier in range(first, begin):
        length = 0
        while length < left and rises[earlier + length] == rises[begin + length]:
            length += 1
        best = max(best, length)
        if best == left:
            break
    return best
