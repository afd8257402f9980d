"""Bars that are not in time order have no labels: a span would end before its decision."""

from __future__ import annotations

import pandas as pd
import pytest

from betti import labelling
from betti.errors import BadBars
from tests.conftest import random_bars

FIRST, SECOND = random_bars(60, 1), random_bars(60, 2, "BBB")
WRONG = {
    "backwards": FIRST.iloc[::-1],
    "shuffled": FIRST.sample(frac=1, random_state=0),
    "one bar twice": pd.concat([FIRST.iloc[:11], FIRST.iloc[10:]]),
    "the last one first": pd.concat([FIRST.iloc[-1:], FIRST.iloc[:-1]]),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("target", labelling.FOLDER.names())
def test_bars_out_of_time_order_are_refused_with_their_symbol(target: str, wrong: pd.DataFrame) -> None:
    bars = pd.concat([SECOND.iloc[:20], wrong, SECOND.iloc[20:]])
    with pytest.raises(BadBars, match=r"bars from AAA: \S+ \S+ follows .*sort_values"):
        labelling.label(target, bars)


def test_symbols_may_lie_among_each_other_in_any_way() -> None:
    apart = pd.concat([SECOND, FIRST], ignore_index=True)
    mixed = apart.sort_values(["timestamp", "symbol"]).reset_index(drop=True)
    one, other = (labelling.label("direction", bars).sort_values(["symbol", "timestamp"]) for bars in (apart, mixed))
    pd.testing.assert_frame_equal(one.reset_index(drop=True), other.reset_index(drop=True))


def test_the_error_names_the_first_bar_that_is_out_of_order() -> None:
    with pytest.raises(BadBars, match=r"2001-01-05 .* follows 2001-01-06 "):
        labelling.label("direction", FIRST.iloc[[0, 1, 2, 3, 5, 4, *range(6, 60)]])
