"""Headlines as numbers: how positive each one is, and which words it is made of. Each text is read once.

The score is VADER's compound polarity (Hutto and Gilbert 2014, the library `vaderSentiment`). The library rounds it to
four digits: kept as whole ten-thousandths, sums over headlines are exact, and the order of rows cannot matter. What
does not belong here: windows in time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from betti.context._known import microseconds
from betti.errors import PartUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from betti.context import Context

    Integers = NDArray[np.int64]

__all__ = ["ONE", "Heard", "distinct", "heard", "scores"]

ONE = 10_000  # parts that a score of 1 has

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")


@dataclass(frozen=True, eq=False)
class Heard:
    """Headlines in the order of their release.

    Attributes:
        released: microseconds since 1970, (n,).
        symbol: the market each is about, empty for all, (n,).
        score: polarity in ten-thousandths, -10000 to 10000, (n,).
        words: numbers of the words of all of them, one headline after the other, (m,).
        start: where the words of each begin, and `m` at the end, (n + 1,).
    """

    released: Integers
    symbol: NDArray[np.object_]
    score: Integers
    words: Integers
    start: Integers

    def about(self, symbols: Iterable[str]) -> Heard:
        """Those about one of these symbols."""
        kept = np.isin(self.symbol, list(symbols))
        lengths = np.diff(self.start)
        return Heard(
            self.released[kept],
            self.symbol[kept],
            self.score[kept],
            self.words[np.repeat(kept, lengths)],
            _starts(lengths[kept]),
        )


@lru_cache(maxsize=2)
def heard(context: Context) -> Heard:
    """All headlines of a context, read once as long as it is in use."""
    table = context.headlines
    if table is None:
        raise ValueError("this context has no headlines")  # a fault of the caller, who must ask first
    codes, texts = pd.factorize(table["headline"])
    of_text, vocabulary = [], dict[str, int]()
    for text in texts:
        found = _WORD.findall(text.lower())
        of_text.append([vocabulary.setdefault(word, len(vocabulary)) for word in found])
    lengths = np.array([len(words) for words in of_text], dtype=np.int64)[codes]
    words = np.array([word for code in codes for word in of_text[code]], dtype=np.int64)
    released = microseconds(table["released"])
    return Heard(released, table["symbol"].to_numpy(dtype=object), scores(texts)[codes], words, _starts(lengths))


def scores(texts: Iterable[str]) -> Integers:
    """VADER's compound polarity of each text, in ten-thousandths.

    Raises:
        PartUnavailable: the library is not installed.
    """
    polarity = _analyzer().polarity_scores
    return np.array([round(polarity(text)["compound"] * ONE) for text in texts], dtype=np.int64)


@lru_cache(maxsize=1)
def _analyzer() -> Any:
    """The library's analyzer, which reads its lexicon when it is made."""
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer  # type: ignore[import-untyped]
    except ImportError as cause:  # an extra of its own: only headlines need it
        raise PartUnavailable("feature family", "context", cause) from cause
    return SentimentIntensityAnalyzer()


def _starts(lengths: Integers) -> Integers:
    found: Integers = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return found


def distinct(words: Integers, starts: Integers, ends: Integers) -> Integers:
    """How many different words each window [start, end) holds; windows in order, neither edge ever going back.

    A word is counted by its first place in the window: from when that place is in, and the place before it out, to
    when it is out itself.
    """
    places = np.arange(len(words))
    by_word = np.argsort(words, kind="stable")
    same = words[by_word][1:] == words[by_word][:-1]
    leaves = np.searchsorted(starts, places, side="right")
    begins = np.searchsorted(ends, places, side="right")
    later, earlier = by_word[1:][same], by_word[:-1][same]
    begins[later] = np.maximum(begins[later], leaves[earlier])
    counted = begins < leaves
    changes = np.bincount(begins[counted], minlength=len(starts) + 1)
    changes = changes - np.bincount(leaves[counted], minlength=len(starts) + 1)
    found: Integers = np.cumsum(changes)[: len(starts)]
    return found
