"""Feather files: the same bars as from Parquet, batch by batch."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import feather

from betti import sources
from betti.errors import BadBars, BadParam, MissingFile, UnknownName, UnreadableFile
from tests.conftest import random_bars
from tests.unit.sources.files import END, read


@pytest.fixture
def file(tmp_path):
    def write(frame: pd.DataFrame, **how: object):
        feather.write_feather(frame, str(tmp_path / "x.feather"), **how)
        return tmp_path / "x.feather"

    return write


@pytest.mark.parametrize("compression", ["lz4", "zstd", "uncompressed"])
def test_bars_come_back_as_they_were(file, compression):
    path = file(random_bars(20).drop(columns="symbol"), compression=compression)
    pd.testing.assert_frame_equal(read("feather", path, "AAA"), random_bars(20))


def test_one_file_may_hold_several_symbols_in_pieces(file, monkeypatch):
    whole = pd.concat([random_bars(30, 1, "AAA"), random_bars(20, 2, "BBB")], ignore_index=True)
    path = file(whole.assign(symbol=whole["symbol"].astype("category")), chunksize=8)
    monkeypatch.setattr("betti.sources.feather.ROWS", 3)
    pieces = list(sources.stream("feather", ("BBB", "AAA"), "1d", END, {"path": str(path)}))
    assert max(map(len, pieces)) <= 3
    assert [piece["symbol"].nunique() for piece in pieces] == [1] * len(pieces)
    expected = pd.concat([random_bars(30, 1, "AAA"), random_bars(20, 2, "BBB")], ignore_index=True)
    found = pd.concat(pieces).sort_values("symbol", kind="stable", ignore_index=True)
    pd.testing.assert_frame_equal(found, expected)
    with pytest.raises(UnknownName, match="'CCC'; Available: AAA, BBB"):
        read("feather", path, "CCC")


def test_a_freqtrade_layout_needs_no_option(file):
    frame = random_bars(20).drop(columns="symbol").rename(columns={"timestamp": "date"})
    pd.testing.assert_frame_equal(read("feather", file(frame), "AAA"), random_bars(20))


def test_text_in_a_number_names_the_row_of_the_file(file, monkeypatch):
    monkeypatch.setattr("betti.sources.feather.ROWS", 4)
    frame = random_bars(10).drop(columns="symbol").astype({"close": "str"})
    frame.loc[8, "close"] = "cheap"
    with pytest.raises(BadBars, match="close is 'cheap' in line 9"):
        read("feather", file(frame), "AAA")


def test_no_rows_and_no_market(file):
    with pytest.raises(BadBars, match="no rows"):
        read("feather", file(random_bars(5).iloc[:0].drop(columns="symbol")))
    path = file(random_bars(5).drop(columns="symbol"))
    with pytest.raises(BadParam, match="one file for 2 symbols"):
        sources.fetch("feather", ("AAA", "BBB"), "1d", END, {"path": str(path)})


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b[:-3], lambda b: b"", lambda b: b"FEA1" + b])
def test_a_truncated_or_foreign_file_is_refused_by_name(file, damage):
    path = file(random_bars(20))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UnreadableFile, match="not a whole Feather file") as caught:
        read("feather", path)
    assert str(path) in str(caught.value)


def test_an_arrow_file_of_another_writer_is_feather(tmp_path):
    table = pa.Table.from_pandas(random_bars(20).drop(columns="symbol"), preserve_index=False)
    path = tmp_path / "x.arrow"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    pd.testing.assert_frame_equal(read("feather", path, "AAA"), random_bars(20))


def test_an_absent_file_says_what_to_check(tmp_path):
    with pytest.raises(MissingFile, match=r"X-1d\.feather.*ingest\.options\.path"):
        read("feather", tmp_path / "{symbol}-{interval}.feather")
