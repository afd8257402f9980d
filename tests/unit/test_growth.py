"""The bars on disk: what is fetched is merged month by month, in whatever pieces, and corrections are noted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti import growth, io
from betti.errors import BadBars
from betti.growth import Fetch, grow
from betti.intervals import Coarser
from betti.resampling import aggregated
from betti.schemas import BARS, REVISIONS
from tests.conftest import random_bars
from tests.unit.test_io import digests

FAR = pd.Timestamp("2100-01-01", tz="UTC")


def market(symbol: str = "AAA", seed: int = 1, rows: int = 160) -> pd.DataFrame:
    """Bars every 12 hours: two and a half months."""
    return random_bars(rows, seed, symbol, freq="12h")


def asked(*symbols: str, until: pd.Timestamp = FAR, origin: str = "here", interval: str = "12h") -> Fetch:
    return Fetch(origin, symbols or ("AAA",), interval, until)


def bars_in(path: Path) -> pd.DataFrame:
    return io.read_table(path, BARS)


def same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(found.reset_index(drop=True), expected.reset_index(drop=True))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "1_bars"


# --- pieces


@settings(max_examples=30, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 159), max_size=5),
    order=st.randoms(use_true_random=False),
    nights=st.integers(1, 3),
)
def test_neither_order_nor_size_of_the_pieces_matters(tmp_path_factory, cuts, order, nights):
    folder = tmp_path_factory.mktemp("growth")
    both = [market("AAA"), market("B/B", 2)]
    grow(folder / "data/whole", both, asked("AAA", "B/B"))
    edges = [0, *sorted(cuts), 160]
    pieces = [bars.iloc[low:high] for bars in both for low, high in pairwise(edges)]
    order.shuffle(pieces)
    for night in range(nights):  # some pieces come again
        first = [piece for symbol in ("AAA", "B/B") for piece in pieces if piece["symbol"].eq(symbol).any()]
        grow(folder / "data/grown", first if night else pieces, asked("AAA", "B/B"))
    assert digests(folder / "data/grown") == digests(folder / "data/whole")


def test_a_part_is_a_month_of_intraday_and_a_year_of_daily_bars(path):
    grow(path, [market()], asked())
    assert sorted(file.name for file in (path / "AAA").iterdir())[0] == "2001-01.parquet"
    grow(path, [market()], asked(interval="1d", origin="daily"))
    assert [file.name for file in (path / "AAA").iterdir()] == ["2001.parquet"]


def test_pieces_are_taken_one_at_a_time(path):
    """What does not fit into memory at once does not have to: no piece is held when the next one is made."""
    import weakref

    alive: list[weakref.ref] = []

    def pieces() -> Iterator[pd.DataFrame]:
        for part in np.array_split(np.arange(160), 8):
            assert sum(ref() is not None for ref in alive) <= 1
            piece = market().iloc[part]
            alive.append(weakref.ref(piece))
            yield piece
            del piece

    grow(path, pieces(), asked())
    same(bars_in(path), market())


# --- what is there already


def test_new_bars_are_appended_and_old_ones_stay(path):
    whole = market()
    grow(path, [whole.iloc[:100]], asked())
    grow(path, [whole.iloc[90:]], asked())
    same(bars_in(path), whole)
    assert not (path / "_revisions").exists()


def test_doing_it_again_changes_no_byte(path):
    for _ in range(2):
        grow(path, [market().iloc[:100]], asked())
    before = digests(path)
    grow(path, [market().iloc[:100]], asked())
    assert digests(path) == before


def test_a_market_that_is_no_longer_fetched_goes(path):
    grow(path, [market(), market("BBB", 2)], asked("AAA", "BBB"))
    grow(path, [market("BBB", 2)], asked("BBB"))
    same(bars_in(path), market("BBB", 2))


def test_bars_after_an_until_that_moved_back_go(path):
    whole = market()
    until = whole["timestamp"][69]
    grow(path, [whole], asked())
    grow(path, [whole.iloc[:10]], asked(until=until))
    same(bars_in(path), whole.iloc[:70])


def test_bars_of_another_origin_are_replaced(path):
    grow(path, [market()], asked())
    grow(path, [market(seed=5, rows=10)], asked(origin="elsewhere"))
    same(bars_in(path), market(seed=5, rows=10))


def test_repeats_within_one_fetch_all_stay(path):
    whole = market()
    grow(path, [whole], asked())
    grow(path, [pd.concat([whole.iloc[[15]], whole.iloc[10:]])], asked())
    assert bars_in(path)["timestamp"].duplicated().sum() == 1


def test_a_source_is_asked_from_a_day_before_the_last_bar_on(path):
    assert growth.since(path, asked()) == {}
    grow(path, [market(), market("B/B", 2, 50)], asked("AAA", "B/B"))
    found = growth.since(path, asked("AAA", "B/B", "CCC"))
    assert found == {
        "AAA": market()["timestamp"].max() - pd.Timedelta(days=5),
        "B/B": market("B/B", 2, 50)["timestamp"].max() - pd.Timedelta(days=5),
    }
    assert growth.since(path, asked(origin="elsewhere")) == {}


# --- coarser bars

HOURS = Coarser(("1d",), "12h", None)
BOTH = Coarser(("1d", "1w"), "12h", None)


def coarse(*symbols: str, coarser: Coarser = HOURS, origin: str = "coarse") -> Fetch:
    return Fetch(origin, symbols or ("AAA",), "12h", FAR, coarser)


def made(bars: pd.DataFrame, interval: str, name: str) -> pd.DataFrame:
    return aggregated(bars, interval, "12h").bars.assign(symbol=name)


def test_coarser_bars_are_those_of_the_whole_history(path):
    grow(path, [market()], coarse())
    same(bars_in(path), made(market(), "1d", "AAA"))
    same(io.read_table(path / "_base", BARS), market())


def test_several_intervals_lie_side_by_side(path):
    grow(path, [market()], coarse(coarser=BOTH))
    found = bars_in(path)
    same(found[found["symbol"] == "AAA@1d"], made(market(), "1d", "AAA@1d"))
    same(found[found["symbol"] == "AAA@1w"], made(market(), "1w", "AAA@1w"))


@settings(max_examples=20, deadline=None)
@given(nights=st.lists(st.integers(2, 159), min_size=1, max_size=4), row=st.integers(0, 158))
def test_coarser_bars_grown_night_by_night_equal_those_made_at_once(tmp_path_factory, nights, row):
    folder = tmp_path_factory.mktemp("coarser")
    whole = corrected(market(), row, close=market()["close"][row] * 1.0001)
    fetch = coarse(coarser=BOTH)
    for rows in sorted(nights):
        grow(folder / "data/grown", [market().iloc[:rows]], fetch)
    grow(folder / "data/grown", [whole], fetch)
    grow(folder / "data/whole", [whole], fetch)
    grown, once = (
        {name: digest for name, digest in digests(folder / "data" / kind).items() if "_revisions" not in name}
        for kind in ("grown", "whole")
    )
    assert grown == once


def test_a_source_goes_on_from_the_base_bars(path):
    grow(path, [market()], coarse())
    assert growth.since(path, coarse()) == {"AAA": market()["timestamp"].max() - pd.Timedelta(days=5)}


# --- nothing half-written


def test_a_market_without_bars_is_named_and_nothing_changes(path):
    grow(path, [market()], asked())
    before = digests(path)
    with pytest.raises(BadBars, match="no bar of BBB up to 2100"):
        grow(path, [market(seed=3)], asked("AAA", "BBB"))
    with pytest.raises(BadBars, match="no bar of AAA up to 1990"):
        grow(path, [], asked(until=pd.Timestamp("1990-01-01", tz="UTC")))
    assert digests(path) == before


def test_a_source_that_breaks_off_changes_nothing(path):
    grow(path, [market().iloc[:50]], asked())
    before = digests(path)

    def breaks_off() -> Iterator[pd.DataFrame]:
        yield market()
        raise BadBars("page 2", "it is HTML", "Try again later")

    with pytest.raises(BadBars, match="page 2"):
        grow(path, breaks_off(), asked())
    assert digests(path) == before
    assert list((path.parent / ".tmp").iterdir()) == []


# --- revisions


def corrected(bars: pd.DataFrame, row: int, **values: float) -> pd.DataFrame:
    return bars.assign(**{name: bars[name].where(bars.index != row, value) for name, value in values.items()})


def test_a_correction_is_kept_as_a_revision(path):
    whole, until = market(), pd.Timestamp("2001-06-01", tz="UTC")
    grow(path, [whole.iloc[:100]], asked())
    fixed = corrected(whole, 40, close=7.0, volume=np.nan)
    grow(path, [fixed], asked(until=until))
    same(bars_in(path), fixed)
    notes = io.read_table(path / "_revisions", REVISIONS)
    assert notes["column"].tolist() == ["close", "volume"]
    assert notes["old"].tolist() == [whole["close"][40], whole["volume"][40]]
    assert notes["new"].iloc[0] == 7.0
    assert np.isnan(notes["new"].iloc[1])
    assert set(notes["timestamp"]) == {whole["timestamp"][40]}
    assert set(notes["seen"]) == {until}


def test_revisions_pile_up_and_are_not_told_twice(path):
    whole = market()
    grow(path, [whole], asked())
    for night, price in enumerate((7.0, 8.0, 8.0, 9.0)):
        until = pd.Timestamp("2001-06-01", tz="UTC") + pd.Timedelta(days=night)
        grow(path, [corrected(whole, 40, close=price)], asked(until=until))
    notes = io.read_table(path / "_revisions", REVISIONS).sort_values("seen")
    assert notes[["old", "new"]].to_numpy().tolist() == [[whole["close"][40], 7.0], [7.0, 8.0], [8.0, 9.0]]
    # Twice under one clock: both are kept.
    until = pd.Timestamp("2001-06-04", tz="UTC")
    grow(path, [corrected(whole, 40, close=10.0)], asked(until=until))
    assert len(io.read_table(path / "_revisions", REVISIONS)) == 4


def test_months_that_were_not_touched_keep_their_bytes(path):
    whole = market()
    grow(path, [whole], asked())
    before = digests(path)
    grow(path, [corrected(whole, 150, close=7.0).iloc[140:]], asked())
    after = digests(path)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"AAA/2001-03.parquet"}
