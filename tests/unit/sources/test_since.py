"""A fetch that goes on where the bars at hand end: which source is asked, and with what."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pandas as pd
import pytest

from betti import knobs, sources
from betti.errors import UnknownName
from betti.sources import incremental, takes_since
from tests.conftest import random_bars
from tests.unit.sources.files import END

SINCE = pd.Timestamp("2001-01-15", tz="UTC")
BARS = pd.concat([random_bars(30, 1, "AAA"), random_bars(30, 2, "BBB"), random_bars(30, 3, "CCC")])


class Growing(ModuleType):
    """A source that takes `since`, and notes what it was asked."""

    def __init__(self) -> None:
        super().__init__("growing")
        self.asked: list[tuple[tuple[str, ...], pd.Timestamp | None, int]] = []

        @incremental
        def fetch(
            symbols: tuple[str, ...],
            interval: str,
            until: pd.Timestamp,
            *,
            size: int = 7,
            since: pd.Timestamp | None = None,
        ) -> Iterator[pd.DataFrame]:
            self.asked.append((symbols, since, size))
            for symbol in symbols:
                bars = BARS[BARS["symbol"] == symbol]
                yield bars if since is None else bars[bars["timestamp"] >= since]

        self.fetch = fetch


@pytest.fixture
def growing(monkeypatch):
    module = Growing()
    load = type(sources.FOLDER).load
    monkeypatch.setattr(
        type(sources.FOLDER), "load", lambda folder, name: module if name == "growing" else load(folder, name)
    )
    return module


def read(since=None, symbols=("AAA", "BBB", "CCC"), until=END, **options):
    return sources.fetch("growing", symbols, "1d", until, options, since=since)


def test_each_symbol_gets_its_own_beginning(growing):
    found = read({"AAA": SINCE, "CCC": SINCE, "EEE": SINCE})
    assert growing.asked == [(("AAA", "CCC"), SINCE, 7), (("BBB",), None, 7)]
    assert found.groupby("symbol").size().to_dict() == {"AAA": 16, "BBB": 30, "CCC": 16}


@pytest.mark.parametrize("since", [None, {}])
def test_without_it_the_source_is_asked_once_for_all(growing, since):
    assert len(read(since)) == 90
    assert growing.asked == [(("AAA", "BBB", "CCC"), None, 7)]


def test_options_go_along_and_later_bars_do_not_come(growing):
    found = read({"AAA": SINCE}, symbols=("AAA",), until=SINCE, size=3)
    assert growing.asked == [(("AAA",), SINCE, 3)]
    assert found["timestamp"].tolist() == [SINCE]


def test_nothing_new_is_a_table_without_rows(growing):
    found = read({"AAA": END}, symbols=("AAA",))
    assert found.empty
    assert list(found.columns[:7]) == list(BARS.columns)


def test_params_yaml_cannot_set_it(growing):
    assert list(knobs.accepted(growing.fetch)) == ["size"]
    with pytest.raises(UnknownName, match=r"'since'.*Available: size"):
        sources.fetch("growing", ("AAA",), "1d", END, {"since": "2001-01-15"})


def test_a_source_without_it_gives_all_it_has():
    whole = sources.fetch("sample", ("SP500",), "1d", END, {})
    pd.testing.assert_frame_equal(sources.fetch("sample", ("SP500",), "1d", END, {}, since={"SP500": SINCE}), whole)


@pytest.mark.parametrize("name", sources.FOLDER.names())
def test_no_registered_source_has_it_as_a_knob(name):
    """Whoever declares it must be marked: its type exists for the type checker alone, so reading it as a knob fails."""
    assert "since" not in knobs.accepted(sources.FOLDER.load(name).fetch)


def test_the_sources_on_the_network_take_it():
    assert {"binance", "ccxt", "yahoo"} <= {name for name, part in sources.FOLDER.loaded() if takes_since(part.fetch)}
