"""Bars by symbol and day: files and a table tell the same."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from betti import history, io
from betti.errors import BrokenArtifact
from betti.history import BarsChanged, History
from betti.schemas import BARS, QUARANTINE
from tests.conftest import random_bars


@pytest.fixture(autouse=True)
def _fresh():
    history.forget()


def market() -> pd.DataFrame:
    """Two symbols over several months; one of them has an optional column."""
    one = random_bars(500, 1, "AAA", freq="6h").assign(trades=np.arange(500.0))
    return pd.concat([one, random_bars(300, 2, "B/B", freq="1h")], ignore_index=True)


def written(folder: Path, bars: pd.DataFrame) -> Path:
    io.write_parts(folder / "data" / "clean", bars, BARS)
    return folder / "data" / "clean"


def test_files_tell_the_same_as_the_table_they_hold(tmp_path):
    bars = market()
    for ours, table in zip(History.at(written(tmp_path, bars)), History.of(bars), strict=True):
        assert (ours.symbol, ours.columns, ours.digests) == (table.symbol, table.columns, table.digests)
        assert ours.times.tolist() == table.times.tolist()
        assert ours.nights.tolist() == table.nights.tolist()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places=st.tuples(st.integers(0, 499), st.integers(1, 500)).map(sorted).filter(lambda p: p[0] < p[1]))
def test_rows_are_those_of_the_table_wherever_files_end(tmp_path, places):
    bars, (low, high) = market(), places
    folder = tmp_path / "data" / "clean"
    past = next(iter(History.at(folder if folder.exists() else written(tmp_path, bars))))
    expected = bars[bars["symbol"] == "AAA"].iloc[low:high].reset_index(drop=True)
    pd.testing.assert_frame_equal(past.rows(low, high), expected)


def test_a_symbol_without_an_optional_column_has_it_as_nothing(tmp_path):
    past = History.at(written(tmp_path, market())).pasts[1]
    assert past.symbol == "B/B"
    assert past.rows(0, 300)["trades"].isna().all()


@given(row=st.integers(0, 299), column=st.sampled_from(["open", "volume", "trades"]))
def test_a_digest_changes_with_its_own_day_alone(row, column):
    bars = random_bars(300, 3, "AAA", freq="1h").assign(trades=1.0)
    other = bars.copy()
    other.loc[row, column] = other.loc[row, column] + 1.0
    (before,), (after,) = History.of(bars), History.of(other)
    changed = [day for day, (a, b) in enumerate(zip(before.digests, after.digests, strict=True)) if a != b]
    days = bars["timestamp"].dt.floor("D")
    assert changed == [int((days.unique() == days[row]).argmax())]


def test_days_hold_the_bars_asked_for():
    (past,) = History.of(random_bars(100, 4, "AAA", freq="8h"))
    for low in range(99):
        for high in range(low + 1, 101):
            first, last = past.days(low, high)
            start = past.nights[first - 1] if first else 0
            assert start <= low < past.nights[first]
            assert past.nights[last - 1] >= high
            assert last - 1 == 0 or past.nights[last - 2] < high


def test_a_file_that_takes_the_place_of_another_is_seen(tmp_path):
    bars = market()
    folder = written(tmp_path, bars)
    before = History.at(folder).pasts[0]
    bars.loc[499, "close"] = bars.loc[499, "high"]
    after = History.at(written(tmp_path, bars)).pasts[0]
    assert before.digests[:-1] == after.digests[:-1]
    assert before.digests[-1] != after.digests[-1]
    assert after.rows(499, 500)["close"].item() == bars.loc[499, "high"]


def test_files_are_read_once(tmp_path):
    folder = written(tmp_path, market())
    History.at(folder)
    for file in folder.rglob("*.parquet"):
        # Same size, same time, same inode: only a reader of the content could tell.
        facts, size = file.stat(), file.stat().st_size
        file.write_bytes(b"\0" * size)
        os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert len(History.at(folder).pasts) == 2


def test_no_more_rows_are_held_than_a_stage_wants(tmp_path, monkeypatch):
    monkeypatch.setattr(history, "HELD_ROWS", 250)
    past = History.at(written(tmp_path, market())).pasts[0]
    whole = pd.concat([past.rows(at, at + 50) for at in range(0, 500, 50)], ignore_index=True)
    assert sum(len(one) for one in history._held.values()) <= 250
    pd.testing.assert_series_equal(whole["close"], past.rows(0, 500)["close"])


def test_other_tables_inside_the_folder_are_no_bars(tmp_path):
    folder = written(tmp_path, market())
    refused = market().iloc[:1].assign(reason="negative_volume")
    io.write_table(folder / "_quarantine", refused[list(QUARANTINE.required)], QUARANTINE)
    assert [past.symbol for past in History.at(folder)] == ["AAA", "B/B"]


def test_a_file_that_is_no_parquet_is_named(tmp_path):
    folder = written(tmp_path, market())
    victim = sorted(folder.rglob("*.parquet"))[1]
    victim.write_bytes(b"PAR1 but cut")
    with pytest.raises(BrokenArtifact, match=victim.name):
        History.at(folder)


def test_bars_that_change_after_their_days_were_counted_are_refused(tmp_path):
    """Their part would lie in the cache for good, under a key that names other bars."""
    bars = market()
    past = History.at(written(tmp_path, bars)).pasts[0]
    written(tmp_path, bars.assign(close=bars["close"] * 2, high=bars["high"] * 2))
    with pytest.raises(BarsChanged, match="changed while it was read"):
        past.rows(0, 10)


def test_bars_that_are_gone_are_refused_in_words(tmp_path):
    folder = written(tmp_path, market())
    past = History.at(folder).pasts[0]
    for file in folder.rglob("*.parquet"):
        file.unlink()
    with pytest.raises(BarsChanged, match="Run it again"):
        past.rows(0, 10)


def test_what_is_remembered_does_not_grow_with_rewritten_files(tmp_path):
    for _ in range(3):
        History.at(written(tmp_path, market()))
    assert len(history._pieces) == len(list((tmp_path / "data" / "clean").rglob("*.parquet")))


@given(st.integers(2, 60))
def test_a_cut_has_the_digest_that_a_history_ending_there_had(end):
    bars = random_bars(60, 6, "AAA", freq="1h")
    (whole,), (shorter,) = History.of(bars), History.of(bars.iloc[:end])
    known = dict(whole.cuts(10))
    if end in whole.nights:
        assert end not in known
    else:
        assert known[end] == shorter.digests[-1]
