"""Which column is which: by name, by what the options say, and never by a choice between two."""

from __future__ import annotations

import pytest

from betti.errors import BadBars, UnknownName
from betti.sources._columns import ALIASES, Given, find_columns, plain
from betti.sources._layout import KNOWN

PRICES = ("open", "high", "low", "close")


def find(*names: str, **given: object):
    return find_columns(names, "x.csv", Given(**given))


@pytest.mark.parametrize(
    "header",
    [
        "timestamp open high low close volume",
        "Date Open High Low Close Volume",
        "open_time open high low close volume close_time quote_volume count taker_buy_volume ignore",
        "time o h l c v",
        "Date Open High Low Close/Last Volume",
        "datetime open high low close Vol.",
        "unix open high low close volume_(btc)",
        "<DATE> <OPEN> <HIGH> <LOW> <CLOSE> <VOL>",
        "date open high low close Volume_USD",
    ],
)
def test_common_names_are_found(header):
    names = header.split()
    found = find(*names)
    assert found.time == (0,)
    assert not found.closes
    # In all of these the columns stand in the order of bars.
    assert [found.values[name] for name in (*PRICES, "volume")] == [1, 2, 3, 4, 5]


def test_takers_and_trades_of_binance():
    long = "Open time,Open,High,Low,Close,Volume,Close time,Quote asset volume,Number of trades"
    found = find(*long.split(","), "Taker buy base asset volume").values
    assert (found["trades"], found["buy_volume"]) == (8, 9)
    short = find(*KNOWN["binance"])
    assert (short.values["trades"], short.values["buy_volume"], short.time) == (8, 9, (0,))


@pytest.mark.parametrize("layout", KNOWN)
def test_every_known_layout_has_its_columns(layout):
    found = find(*KNOWN[layout])
    assert {*PRICES, "volume"} <= set(found.values)


@pytest.mark.parametrize("names", [("<DATE>", "<TIME>"), ("time", "date"), ("Date", "Time")])
def test_a_date_and_a_time_of_day_are_one_time(names):
    found = find(*PRICES, "volume", *names)
    assert [plain(([*PRICES, "volume", *names])[i]) for i in found.time] == ["date", "time"]


def test_a_date_and_a_time_of_day_by_the_options():
    found = find("day", "at", *PRICES, "volume", columns={"day": "date", "at": "time"})
    assert found.time == (0, 1)


@pytest.mark.parametrize(
    ("names", "role", "candidates"),
    [
        (("unix", "date", *PRICES, "volume"), "timestamp", "'unix', 'date'"),
        (("date", *PRICES, "Volume BTC", "Volume USD"), "volume", "'Volume BTC', 'Volume USD'"),
        (("date", *PRICES, "<TICKVOL>", "<VOL>"), "volume", "'<TICKVOL>', '<VOL>'"),
        (("date", *PRICES, "volume", "pair", "ticker"), "symbol", "'pair', 'ticker'"),
        (("open_time", "time", *PRICES, "volume"), "timestamp", "'open_time', 'time'"),
    ],
)
def test_two_that_may_be_it_are_listed_and_not_chosen_from(names, role, candidates):
    with pytest.raises(BadBars) as caught:
        find(*names)
    assert f"column {role} may be {candidates}" in str(caught.value)
    assert "ingest.options.columns" in str(caught.value)
    first = candidates.split(", ")[0].strip("'")
    assert role in str(caught.value.args)
    chosen = find(*names, columns={first: role})
    position = {"timestamp": chosen.time[0], "symbol": chosen.symbol}.get(role, chosen.values.get(role))
    assert names[position] == first


def test_a_column_s_own_name_comes_before_other_names():
    found = find("datetime", "timestamp", *PRICES, "vol", "volume")
    assert found.time == (1,)
    assert found.values["volume"] == 7


def test_no_name_stands_for_two_columns():
    everything = [name for names in ALIASES.values() for name in names]
    assert len(everything) == len(set(everything))
    assert all(plain(name) == name for name in everything)


def test_a_column_that_bars_do_not_have_is_refused():
    with pytest.raises(UnknownName, match="'clsoe'; did you mean 'close'"):
        find("timestamp", *PRICES[:3], "last", "volume", columns={"last": "clsoe"})


def test_volume_alone_may_be_absent():
    found = find("timestamp", *PRICES)
    assert list(found.values) == list(PRICES)
    for name in PRICES:
        with pytest.raises(BadBars, match=f"no column {name} "):
            find("timestamp", *(other for other in PRICES if other != name), "volume")
