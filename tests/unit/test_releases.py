"""Surroundings that are made up and changed: what was known stays, what comes later does not, and nothing is empty."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from betti import features, probes, releases
from betti.context import SCHEMAS, Context
from betti.context import _known as known

pytest.importorskip("vaderSentiment", reason="the tone of headlines: pip install betti[context]")

BARS = probes.walk(300, 3)
CONTEXT = releases.around(BARS)
MIDDLE = BARS["timestamp"].iloc[150]


def test_every_column_of_the_context_family_moves_in_made_up_surroundings() -> None:
    """Else a law that is held to them would hold of columns that stand still."""
    table = features.compute("context", BARS, CONTEXT).iloc[known.STEPS :, 2:]
    assert [name for name in table if table[name].nunique() < 2] == []


def test_half_of_the_releases_come_at_a_close_and_some_after_the_last() -> None:
    moments = releases.moments(CONTEXT)
    closes = known.closes(known.microseconds(BARS["timestamp"]))
    during = moments[moments >= closes[0]]
    assert 60 < len(during) <= 100  # all of them are tried where a hundred are
    assert np.isin(during, closes).mean() > 0.3
    assert (during > closes[-1]).any()
    assert (moments < closes[0]).sum() > 80


def test_equal_seeds_make_the_same_and_others_something_else() -> None:
    assert releases.around(BARS).digest() == CONTEXT.digest()
    assert releases.around(BARS, 1).digest() != CONTEXT.digest()


@pytest.mark.parametrize("change", releases.LATER)
def test_what_was_known_stays_and_what_is_released_later_does_not(change: str) -> None:
    changed = releases.LATER[change](CONTEXT, MIDDLE, np.random.default_rng(0))
    assert changed.digest(MIDDLE) == CONTEXT.digest(MIDDLE)
    for kind in SCHEMAS:
        one, other = (Context(**{kind: getattr(context, kind)}) for context in (CONTEXT, changed))
        assert one.digest() != other.digest(), kind


def test_moved_releases_keep_their_distance_to_the_bars() -> None:
    (bars, *_) = probes.moved(BARS)
    distance = bars["timestamp"].iloc[0] - BARS["timestamp"].iloc[0]
    moved = releases.moved(CONTEXT, distance)
    np.testing.assert_array_equal(
        releases.moments(moved), releases.moments(CONTEXT) + distance // pd.Timedelta(1, "us")
    )
    one, other = (features.compute("context", b, c).iloc[:, 2:] for b, c in ((BARS, CONTEXT), (bars, moved)))
    pd.testing.assert_frame_equal(one, other, check_exact=True)


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_few_bars_have_surroundings_too(rows: int) -> None:
    context = releases.around(BARS.iloc[:rows])
    assert (context.sources == tuple(SCHEMAS)) == (rows > 0)


def test_a_context_without_tables_has_no_moments() -> None:
    assert len(releases.moments(Context())) == 0
    assert releases.moved(Context(), pd.Timedelta(days=1)).sources == ()
    assert releases.LATER["other later releases"](Context(), MIDDLE, np.random.default_rng(0)).sources == ()
