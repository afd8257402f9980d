"""The example of docs/add-a-source.md is a source that works, word for word."""

from __future__ import annotations

import importlib.util
import re
import sqlite3
from contextlib import closing

import pandas as pd
import pytest

from betti import knobs
from betti.errors import BadBars, UnknownName, UnreadableFile
from tests.conftest import REPOSITORY, random_bars
from tests.unit.sources.files import END


@pytest.fixture
def sqlite(tmp_path):
    page = (REPOSITORY / "docs" / "add-a-source.md").read_text(encoding="utf-8")
    (tmp_path / "sqlite.py").write_text(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1])
    spec = importlib.util.spec_from_file_location("documented_sqlite", tmp_path / "sqlite.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def database(tmp_path):
    bars = pd.concat([random_bars(30, 1, "AAA"), random_bars(20, 2, "BBB")], ignore_index=True)
    bars["timestamp"] = bars["timestamp"].astype("int64") // 1000
    with closing(sqlite3.connect(tmp_path / "bars_1d.db")) as open_database:
        bars.to_sql("bars", open_database, index=False)
    return str(tmp_path / "bars_{interval}.db")


def test_it_yields_bars_in_pieces(sqlite, database, monkeypatch):
    monkeypatch.setattr(sqlite, "ROWS", 8)
    pieces = list(
        sqlite.fetch(("BBB",), "1d", END, **knobs.checked(sqlite.fetch, {"path": database}, "ingest.options"))
    )
    assert [len(piece) for piece in pieces] == [8, 8, 4]
    pd.testing.assert_frame_equal(pd.concat(pieces, ignore_index=True), random_bars(20, 2, "BBB"))


def test_it_refuses_as_the_protocol_says(sqlite, database, tmp_path):
    with pytest.raises(UnknownName, match="'CCC'; Available: AAA, BBB"):
        list(sqlite.fetch(("CCC",), "1d", END, path=database))
    with pytest.raises(UnreadableFile, match="no readable table 'prices'"):
        list(sqlite.fetch(("AAA",), "1d", END, path=database, table="prices"))
    with closing(sqlite3.connect(tmp_path / "bars_1d.db")) as open_database:
        open_database.execute("UPDATE bars SET close = 'cheap' WHERE symbol = 'AAA' AND rowid = 3")
        open_database.commit()
    with pytest.raises(BadBars, match="close is 'cheap' in line 3"):
        list(sqlite.fetch(("AAA",), "1d", END, path=database))
