"""Sets of small integers as rows of 64-bit words: for lunes, and for chains with coefficients 0 and 1.

What does not belong here: what the members mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from betti.topology._compiled import inner

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Words = NDArray[np.uint64]

__all__ = ["flip", "has", "highest", "lowest_bit", "words"]

_ONE = np.uint64(1)
# A de Bruijn sequence: each window of six bits occurs once, so a power of two times it tells the power.
_SEQUENCE = np.uint64(0x03F79D71B4CB0A89)
_POWER = np.zeros(64, np.int64)
for _k in range(64):
    _POWER[((0x03F79D71B4CB0A89 << _k) % 2**64) >> 58] = _k


@inner
def words(members: int) -> int:
    """Words that hold sets of integers below `members`; at least one."""
    return max(1, (members + 63) >> 6)


@inner
def has(row: Words, member: int) -> bool:
    """Whether an integer is a member."""
    return bool((row[member >> 6] >> np.uint64(member & 63)) & _ONE != 0)


@inner
def flip(row: Words, member: int) -> None:
    """Put a member in, or take it out."""
    row[member >> 6] ^= _ONE << np.uint64(member & 63)


@inner
def lowest_bit(word: np.uint64) -> int:
    """The place of the lowest bit of a word that is not zero."""
    return int(_POWER[((word & (~word + _ONE)) * _SEQUENCE) >> np.uint64(58)])


@inner
def highest(row: Words, start: int) -> int:
    """The largest member below 64 x (start + 1); -1 without one."""
    for w in range(start, -1, -1):
        word = row[w]
        if word != 0:
            place = 0
            for half in (32, 16, 8, 4, 2, 1):
                if word >> np.uint64(half) != 0:
                    word >>= np.uint64(half)
                    place += half
            return w * 64 + place
    return -1
