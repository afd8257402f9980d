"""A fetch that breaks off goes on where it was, and what it brings in the end is what one that never failed brings."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from betti import binding, growth
from betti.errors import BadBars, UnreadableFile
from betti.fetched import Fetched
from betti.growth import Fetch
from betti.sources._http import SourceUnreachable
from betti.sources._paging import pages
from tests.conftest import REPOSITORY, random_bars
from tests.unit.sources import server
from tests.unit.sources.server import Fault, KlinesServer, Reply, Rows, Waits
from tests.unit.sources.test_paging import FAULTS, FIRST, LAST, STEP, Market
from tests.unit.test_io import digests

# --- through the pipeline, over HTTP

HALF_DAY = pd.Timedelta("12h")
COUNT, PAGE = 130, 20  # seven pages a market, over three months
NAMES = ("AAAUSDT", "BBBUSDT")


def market(name: str, number: int) -> pd.DataFrame:
    bars = random_bars(COUNT, number, name, start="2024-01-01", freq="12h")
    return bars.round(dict.fromkeys(bars.columns[2:], 8))


BARS = {name: market(name, number) for number, name in enumerate(NAMES)}
ROWS = {name: server.klines(bars, HALF_DAY) for name, bars in BARS.items()}
TIMES = BARS[NAMES[0]]["timestamp"]


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    monkeypatch.delenv("BETTI_BINANCE_KEY", raising=False)
    return Waits(monkeypatch, tries=2)


def founded(root: Path, url: str, until: pd.Timestamp = TIMES.iloc[-1], **ingest: object) -> Path:
    """A repository that fetches from there."""
    root.mkdir(parents=True, exist_ok=True)
    raw = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    raw["ingest"] |= {"source": "binance", "symbols": list(NAMES), "interval": "12h", **ingest}
    raw["ingest"].setdefault("options", {})
    if raw["ingest"]["source"] == "binance":
        raw["ingest"]["options"] = {"base_url": url, "start": "2024-01-01"}
    raw["evaluate"]["trade_symbols"] = []
    (root / "params.yaml").write_text(yaml.safe_dump(raw))
    (root / "asof.yaml").write_text(f'until: "{until.isoformat()}"\naccepted: null\n')
    return root


def ingest(root: Path) -> None:
    binding.run(root, "ingest", None)


def bars_of(root: Path) -> dict[str, str]:
    """The files of the bars and their hashes; the note of the origin holds the server's port."""
    return {name: digest for name, digest in digests(root / "data/1_bars").items() if name != growth.ORIGIN}


def failing(page: int) -> list[Fault]:
    return [server.plain] * page + [server.status(500)] * 2


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What a fetch that never fails leaves."""
    with pytest.MonkeyPatch.context() as patch, KlinesServer(ROWS, limit=PAGE) as there:
        Waits(patch)
        root = founded(tmp_path_factory.mktemp("whole"), there.url)
        ingest(root)
        return bars_of(root)


@pytest.mark.parametrize("page", [0, 1, 4, 7, 9])
def test_a_fetch_that_failed_goes_on_at_the_last_page(tmp_path, whole, page):
    with KlinesServer(ROWS, failing(page), PAGE) as there:
        root = founded(tmp_path, there.url)
        with pytest.raises(SourceUnreachable):
            ingest(root)
        assert not (root / "data/1_bars").exists()
        before = len(there.asked())
        ingest(root)
        again = there.asked()[before:]
    assert bars_of(root) == whole
    assert not (root / binding.FETCHED).exists()
    # Seven pages are a market: those before the failure are not asked for again, but for the last one of each.
    symbols = [request.query["symbol"] for request in again]
    assert len(symbols) <= 14 - page + 2
    last = TIMES[max(0, page % 7 - 1) * PAGE]
    begun = min(int(request.query["startTime"]) for request in again if request.query["symbol"] == NAMES[page // 7])
    assert begun == last.value // 1_000_000


def test_bars_that_are_refused_leave_no_page_to_go_on_from(tmp_path):
    """Bars of 12 h declared as 4h: from the last page alone, too few would come the second time to see it by."""
    said = []
    with KlinesServer(ROWS, limit=PAGE) as there:
        root = founded(tmp_path, there.url, interval="4h")
        for _ in range(3):
            with pytest.raises(BadBars) as refused:
                ingest(root)
            said.append(str(refused.value))
    assert "ingest.interval" in said[0]
    assert len(set(said)) == 1
    assert not (root / binding.FETCHED).exists()


def test_it_may_fail_again_and_again(tmp_path, whole):
    with KlinesServer(ROWS, limit=PAGE) as there:
        root = founded(tmp_path, there.url)
        for _ in range(6):
            there.script = failing(3)
            with pytest.raises(SourceUnreachable):
                ingest(root)
        there.script = []
        before = len(there.asked())
        ingest(root)
    assert len(there.asked()) - before <= 5
    assert bars_of(root) == whole


@pytest.mark.parametrize("page", [4, 10])
def test_a_fetch_that_was_killed_goes_on(tmp_path, whole, page):
    reached = threading.Event()

    def hangs(rows: Rows) -> Reply:
        reached.set()
        return Reply(b"", delay=600.0)

    with KlinesServer(ROWS, [server.plain] * page + [hangs], PAGE) as there:
        root = founded(tmp_path, there.url)
        command = [sys.executable, "-m", "betti", "ingest"]
        with subprocess.Popen(command, cwd=root, env={**os.environ, "NO_PROXY": "127.0.0.1"}) as child:
            assert reached.wait(120)
            child.send_signal(signal.SIGKILL)
        before = len(there.asked())
        ingest(root)
    assert len(there.asked()) - before <= 14 - page + 3, "the page in hand when it died may be lost too"
    assert bars_of(root) == whole


def corrected(rows: Rows, *places: int) -> Rows:
    """Other closes, still within the bar."""
    return [[*row[:4], row[1], *row[5:]] if place in places else row for place, row in enumerate(rows)]


def test_a_correction_between_two_tries_comes(tmp_path):
    """The page before the failure is asked for again, and what comes again counts."""
    fixed = {**ROWS, NAMES[0]: corrected(ROWS[NAMES[0]], 41, 59, 60)}
    assert fixed != ROWS
    with KlinesServer(ROWS, failing(3), PAGE) as there, KlinesServer(fixed, limit=PAGE) as afterwards:
        root, other = founded(tmp_path / "a", there.url), founded(tmp_path / "b", afterwards.url)
        with pytest.raises(SourceUnreachable):
            ingest(root)
        there.markets = fixed
        ingest(root)
        ingest(other)
    assert bars_of(root) == bars_of(other)


def test_a_night_that_failed_leaves_what_is_there_and_its_revisions(tmp_path):
    """Bars at hand, then more of them with a correction; one of two repositories fails in between, and a night later
    more has come still."""
    early, late, latest = TIMES.iloc[30], TIMES.iloc[110], TIMES.iloc[-1]
    fixed = {name: corrected(rows, 25) for name, rows in ROWS.items()}
    with KlinesServer(ROWS, limit=PAGE) as there, KlinesServer(ROWS, limit=PAGE) as calm:
        roots = founded(tmp_path / "a", there.url, early), founded(tmp_path / "b", calm.url, early)
        for root in roots:
            ingest(root)
        before = digests(roots[0] / "data/1_bars")
        there.markets = calm.markets = fixed
        there.script = failing(7)
        founded(roots[0], there.url, late)
        with pytest.raises(SourceUnreachable):
            ingest(roots[0])
        assert digests(roots[0] / "data/1_bars") == before
        for root, url in zip(roots, (there.url, calm.url), strict=True):
            founded(root, url, latest)
            ingest(root)
    assert bars_of(roots[0]) == bars_of(roots[1])
    assert any("_revisions" in name for name in bars_of(roots[0]))


def test_pages_of_another_start_are_not_used(tmp_path, whole):
    with KlinesServer(ROWS, failing(5), PAGE) as there:
        root = founded(tmp_path, there.url)
        raw = yaml.safe_load((root / "params.yaml").read_text())
        raw["ingest"]["options"]["start"] = "2024-02-01"
        (root / "params.yaml").write_text(yaml.safe_dump(raw))
        with pytest.raises(SourceUnreachable):
            ingest(root)
        ingest(founded(root, there.url))
    assert bars_of(root) == whole


def test_a_source_of_files_keeps_nothing_and_clears_what_is_left(tmp_path):
    file = tmp_path / "AAAUSDT.csv"
    file.write_bytes(b"PK\x03\x04 no text at all \x00\xff")
    root = founded(tmp_path / "r", "", source="csv", symbols=[NAMES[0]], options={"path": str(file)})
    (root / binding.FETCHED).mkdir(parents=True)  # of a fetch from elsewhere that nobody will go on with
    with pytest.raises(UnreadableFile):
        ingest(root)
    assert not (root / binding.FETCHED).exists()


# --- the law, over pages that go wrong


class Breaks(Exception):
    """A source that breaks off."""


def breaks(_: Market, __: pd.DataFrame) -> pd.DataFrame:
    raise Breaks


HOURLY = Fetch("here", ("AAA",), "1h", LAST)


def try_once(folder: Path, one: Market) -> bool:
    """Whether a fetch came through."""
    path = folder / "data/bars"
    kept = growth.resumed(folder / "kept", path, HOURLY, "code")
    found = pages(one.ask, kept.since.get("AAA", FIRST), LAST, STEP)
    try:
        growth.grow(path, found, HOURLY, kept=kept)
    except Breaks:
        return False
    return True


@settings(max_examples=25, deadline=None)
@given(
    present=st.lists(st.booleans(), min_size=5, max_size=68).map(lambda marks: [True, *marks]),
    limit=st.integers(1, 12),
    tries=st.lists(st.lists(st.sampled_from([None, *FAULTS]), max_size=6), max_size=4),
)
def test_whatever_goes_wrong_in_whatever_try(tmp_path_factory, present, limit, tries):
    """Bad pages, each followed by a good one, and a break at the end of each try; in the end it is the market."""
    folder = tmp_path_factory.mktemp("law")
    hours = random_bars(len(present), freq="1h")
    one = Market(hours[present].reset_index(drop=True), limit=limit)
    for faults in tries:
        one.script = [entry for fault in faults for entry in (fault, None)] + [breaks]
        try_once(folder, one)
    one.script = []
    assert try_once(folder, one)
    growth.grow(folder / "data/once", [one.bars], HOURLY)
    assert digests(folder / "data/bars") == digests(folder / "data/once")


def test_a_gap_that_was_being_filled_is_gone_on_with(tmp_path):
    """A page may show bars behind a hole of which a part alone was found: the rest is still to be asked for."""
    one = Market(random_bars(69, freq="1h"), limit=60)
    one.script = [
        lambda there, page: page.iloc[[0, 1, 2, *range(40, 60)]],  # a hole of 37 bars, longer than the overlap
        lambda there, page: page.head(2),  # what is asked for again comes in part
        breaks,
    ]
    assert not try_once(tmp_path, one)
    assert try_once(tmp_path, one)
    growth.grow(tmp_path / "data/once", [one.bars], HOURLY)
    assert digests(tmp_path / "data/bars") == digests(tmp_path / "data/once")


# --- the pages themselves

DAY = pd.Timedelta("1D")
DAILY = random_bars(100, 1, "AAA")


def kept(folder: Path, *symbols: str, key: str = "here", since: dict[str, pd.Timestamp] | None = None) -> Fetched:
    return Fetched.resumed(folder / "kept", key, symbols or ("AAA",), since or {}, 10 * DAY)


def brought(folder: Path, pieces: Iterable[pd.DataFrame], *symbols: str, **more: object) -> Fetched:
    found = kept(folder, *symbols, **more)
    found.add(pieces, yearly=False)
    return found


def pages_of(bars: pd.DataFrame, size: int = 30) -> Iterator[pd.DataFrame]:
    return (bars.iloc[first : first + size] for first in range(0, len(bars), size))


def test_what_came_whole_is_asked_for_from_an_overlap_before_its_end(tmp_path):
    """Where the source went on to another market, however long the pages are."""
    other = random_bars(40, 2, "B/B")
    brought(tmp_path, [DAILY, other], "AAA", "B/B")
    found = kept(tmp_path, "AAA", "B/B", "CCC").since
    assert found == {"AAA": DAILY["timestamp"].iloc[-1] - 10 * DAY, "B/B": other["timestamp"].iloc[0]}
    assert kept(tmp_path, "B/B").since["B/B"] == found["B/B"], "who asks for fewer markets keeps the pages of all"


def test_the_last_page_is_asked_for_again(tmp_path):
    brought(tmp_path, list(pages_of(DAILY))[:2])
    assert kept(tmp_path).since == {"AAA": DAILY["timestamp"].iloc[30]}


def test_nothing_earlier_than_what_was_asked_for_is(tmp_path):
    begun = {"AAA": DAILY["timestamp"].iloc[20]}
    brought(tmp_path, [DAILY.iloc[20:25]], since=begun)
    assert kept(tmp_path, since=begun).since == begun


@pytest.mark.parametrize("change", [{"key": "elsewhere"}, {"since": {"AAA": DAILY["timestamp"].iloc[3]}}])
def test_pages_that_answer_another_question_are_deleted(tmp_path, change):
    brought(tmp_path, pages_of(DAILY))
    found = kept(tmp_path, **change)
    assert found.since == change.get("since", {})
    assert found.parts("AAA") == {}
    assert not list(tmp_path.rglob("*.feather"))


@pytest.mark.parametrize("damage", [b"", b"ARROW1 and no more", None], ids=["empty", "other", "half"])
def test_pages_that_cannot_be_read_are_fetched_again(tmp_path, damage, caplog):
    brought(tmp_path, pages_of(DAILY))
    file = sorted(tmp_path.rglob("*.feather"))[1]
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2] if damage is None else damage)
    assert kept(tmp_path).since == {}
    assert "cannot be read" in caplog.text


def test_a_page_that_is_half_written_is_asked_for_from_its_first_bar(tmp_path, monkeypatch):
    """The newest bars first, over several months: files appear month by month, and the writer dies after one."""
    moved: list[Path] = []
    plain = Path.replace

    def dies(file: Path, target: Path) -> Path:
        if moved:
            raise KeyboardInterrupt
        moved.append(target)
        return plain(file, target)

    monkeypatch.setattr(Path, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        brought(tmp_path, [DAILY[::-1]])
    monkeypatch.undo()
    assert kept(tmp_path).since["AAA"] <= DAILY["timestamp"].iloc[0]


def test_what_comes_again_counts_and_repeats_of_one_try_stay(tmp_path):
    fetch, path = replace(HOURLY, interval="12h", until=pd.Timestamp("2100-01-01", tz="UTC")), tmp_path / "data/bars"
    first = pd.concat([DAILY.iloc[:50], DAILY.iloc[[5, 45]]])
    second = DAILY.iloc[40:].assign(close=lambda bars: bars["open"])
    growth.resumed(tmp_path / "kept", path, fetch, "code").add([first], yearly=False)
    growth.grow(path, [second], fetch, kept=growth.resumed(tmp_path / "kept", path, fetch, "code"))
    growth.grow(tmp_path / "data/once", [DAILY.iloc[:40], DAILY.iloc[[5]], second], fetch)
    assert digests(path) == digests(tmp_path / "data/once")
