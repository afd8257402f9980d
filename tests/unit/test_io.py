"""Artifacts appear whole or not at all, equal values give equal bytes, and a broken file is said to be broken."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from betti import io
from betti.catalog import symbol_folder
from betti.errors import BrokenArtifact
from betti.records import Interval
from betti.schemas import BARS, FEATURES, QUARANTINE
from tests.conftest import random_bars


def digests(folder: Path) -> dict[str, str]:
    """Every file under a folder and the hash of its bytes."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def scratch_of(data: Path) -> list[Path]:
    return list((data / ".tmp").glob("*"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


# --- atomic


def test_a_file_appears_when_the_block_ends(data):
    with io.place(data / "one.txt") as new:
        new.write_text("new")
        assert not (data / "one.txt").exists()
    assert (data / "one.txt").read_text() == "new"
    assert scratch_of(data) == []


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_an_exception_leaves_the_old_value(data, kind):
    path = data / "value"
    write(path, "old", kind)
    before = digests(data)
    with pytest.raises(RuntimeError, match="midway"):
        write_and_fail(path, kind)
    assert digests(data) == before
    assert scratch_of(data) == []


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_block_that_writes_nothing_leaves_the_old_value(data, kind):
    path = data / "value"
    write(path, "old", kind)
    before = digests(data)
    with pytest.raises(FileNotFoundError), io.place(path):
        pass
    assert digests(data) == before


def test_a_new_folder_replaces_the_old_one_whole(data):
    write(data / "value", "old", "folder")
    with io.place(data / "value") as new:
        new.mkdir()
        (new / "other").write_text("new")
    assert [file.name for file in (data / "value").iterdir()] == ["other"]


def write(path: Path, text: str, kind: str) -> None:
    with io.place(path) as new:
        fill(new, text, kind)


def write_and_fail(path: Path, kind: str) -> None:
    with io.place(path) as new:
        fill(new, "new", kind)
        raise RuntimeError("midway")


def fill(path: Path, text: str, kind: str) -> None:
    if kind == "folder":
        path.mkdir()
        path = path / "inside"
    path.write_text(text)


KILLED = """
import os, signal, sys
from pathlib import Path
from betti import io
from betti.io import _place, _tables
from betti.schemas import BARS
from tests.conftest import random_bars

moment, path = sys.argv[1], Path(sys.argv[2])

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

if moment.startswith("after part"):
    left, whole = [int(moment.split()[-1])], _tables.table_bytes_to
    def table_bytes_to(*arguments):
        whole(*arguments)
        left[0] -= 1
        if left[0] == 0:
            die()
    _tables.table_bytes_to = table_bytes_to
elif moment == "before the exchange":
    _place._exchange = die
elif moment == "after the exchange":
    exchange = _place._exchange
    def once(new, path):
        exchange(new, path)
        die()
    _place._exchange = once
io.write_parts(path, random_bars(900, seed=2), BARS)
"""


@pytest.mark.parametrize("moment", ["after part 1", "after part 3", "before the exchange", "after the exchange"])
def test_a_killed_writer_leaves_the_old_value_or_the_new_one(data, moment):
    path = data / "1_bars"
    io.write_parts(path, random_bars(900, seed=1), BARS)
    before = digests(path)
    killed = subprocess.run([sys.executable, "-c", KILLED, moment, str(path)], check=False, cwd=root())
    assert killed.returncode == -signal.SIGKILL
    if moment == "after the exchange":
        io.write_parts(data / "new", random_bars(900, seed=2), BARS)
        assert digests(path) == digests(data / "new")
    else:
        assert digests(path) == before
    assert scratch_of(data), "the killed writer left nothing to sweep: it died too early"
    assert io.sweep(data) >= 1
    assert scratch_of(data) == []
    io.write_parts(path, random_bars(900, seed=1), BARS)
    assert digests(path) == before


def root() -> Path:
    return Path(__file__).resolve().parents[2]


def test_sweeping_leaves_what_the_living_write(data):
    with io.place(data / "value") as new:
        new.write_text("being written")
        assert io.sweep(data) == 0
        assert new.exists()


def test_sweeping_a_workspace_without_scratch_does_nothing(data):
    assert io.sweep(data) == 0


def test_the_scratch_lies_outside_what_is_written(data):
    with io.place(data / "3_features" / "technical") as new:
        new.mkdir()
        assert new.parent == data / ".tmp"


def test_remove_takes_files_folders_and_absence(data):
    write(data / "file", "x", "file")
    write(data / "folder", "x", "folder")
    for name in ("file", "folder", "absent"):
        io.remove(data / name)
        assert not (data / name).exists()


# --- tables


floats = st.floats(allow_nan=True, allow_infinity=True, width=64)


@settings(max_examples=30, deadline=None)
@given(values=arrays("float64", st.integers(1, 40), elements=floats), data=st.data())
def test_values_survive_and_equal_frames_give_equal_bytes(tmp_path_factory, values, data):
    folder = tmp_path_factory.mktemp("io") / "data"
    frame = random_bars(len(values)).assign(close=values)
    shuffled = frame.sample(frac=1, random_state=data.draw(st.integers(0, 99)))[list(reversed(frame.columns))]
    io.write_parts(folder / "a", frame, BARS)
    io.write_parts(folder / "b", shuffled, BARS)
    assert digests(folder / "a") == digests(folder / "b")
    back = io.read_table(folder / "a", BARS)
    pd.testing.assert_frame_equal(back[list(frame.columns)], frame, check_exact=True)


def test_minus_zero_is_zero(data):
    frame = random_bars(3)
    io.write_table(data / "a", frame.assign(volume=[0.0, 0.0, 1.0]), BARS)
    io.write_table(data / "b", frame.assign(volume=[-0.0, 0.0, 1.0]), BARS)
    assert digests(data / "a") == digests(data / "b")
    assert not np.signbit(io.read_table(data / "b", BARS)["volume"]).any()


def test_a_frames_index_and_attributes_leave_no_trace(data):
    frame = random_bars(5)
    other = frame.set_axis(pd.Index(list("vwxyz"), name="row"))
    other.attrs["from"] = "elsewhere"
    io.write_table(data / "a", frame, BARS)
    io.write_table(data / "b", other, BARS)
    assert digests(data / "a") == digests(data / "b")
    assert b"pandas" not in (pq.read_schema(data / "a" / "table.parquet").metadata or {})


def test_nan_is_not_turned_into_null(data):
    io.write_table(data / "a", random_bars(2).assign(open=[np.nan, 1.0]), BARS)
    assert pq.read_table(data / "a" / "table.parquet")["open"].null_count == 0
    assert np.isnan(io.read_table(data / "a", BARS)["open"].iloc[0])


def features(rows: int) -> pd.DataFrame:
    frame = random_bars(rows)[["timestamp", "symbol"]]
    return frame.assign(a__x=np.arange(rows, dtype="float32"), a__b=np.float32(0.1))


def test_a_schema_with_rest_keeps_the_frames_columns_in_order_as_float32(data):
    io.write_table(data / "a", features(4), FEATURES)
    back = io.read_table(data / "a", FEATURES)
    pd.testing.assert_frame_equal(back, features(4))


def test_writing_without_a_required_column_is_refused(data):
    with pytest.raises(BrokenArtifact, match="columns missing: close"):
        io.write_table(data / "a", random_bars(3).drop(columns="close"), BARS)
    assert not (data / "a").exists()


def test_writing_a_column_outside_the_schema_is_refused(data):
    with pytest.raises(BrokenArtifact, match="outside the schema: mood"):
        io.write_table(data / "a", random_bars(3).assign(mood=1.0), BARS)


def test_writing_a_row_without_a_time_is_refused(data):
    frame = random_bars(3)
    frame.loc[1, "timestamp"] = pd.NaT
    with pytest.raises(BrokenArtifact, match="timestamp has 1 nulls"):
        io.write_table(data / "a", frame, BARS)


def test_optional_columns_may_differ_between_parts(data):
    whole = pd.concat([random_bars(3, symbol="A").assign(trades=1.0), random_bars(3, symbol="B")], ignore_index=True)
    io.write_parts(data / "a", whole, BARS)
    plain = random_bars(2, symbol="C")
    io.table_bytes_to(data / "a" / "late.parquet", plain, BARS)
    back = io.read_table(data / "a", BARS)
    assert back["trades"].notna().sum() == 3
    assert len(back) == 8


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f.drop(columns="low"), "columns missing: low"),
        (lambda f: f.assign(mood="good"), "columns outside the schema: mood"),
        (lambda f: f.assign(low="cheap"), "column low is .*string.*, not double"),
        (lambda f: f.assign(low=f["low"].astype("float32")), "column low is float, not double"),
        (lambda f: f.assign(timestamp=f["timestamp"].dt.tz_localize(None)), "column timestamp is timestamp"),
    ],
)
def test_reading_a_file_that_does_not_follow_the_schema_is_refused(data, change, said):
    data.mkdir()
    table = pa.Table.from_pandas(change(random_bars(3)), preserve_index=False)
    table = table.set_column(1, "symbol", table["symbol"].cast(pa.string()))
    pq.write_table(table, data / "table.parquet")
    with pytest.raises(BrokenArtifact, match=said) as caught:
        io.read_table(data, BARS)
    assert str(data / "table.parquet") in str(caught.value)


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b[:-1], lambda b: b"", lambda b: b"PK\3\4 zip"]
)
def test_a_truncated_or_foreign_file_is_refused_by_name(data, damage):
    io.write_table(data / "a", random_bars(50), BARS)
    file = data / "a" / "table.parquet"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(BrokenArtifact, match="not a readable Parquet file") as caught:
        io.read_table(data / "a", BARS)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    "symbol", ["BTC/USDT", "../../etc", "..", ".hidden", "_quarantine", "^GSPC", "A B", "a=b", "é"]
)
def test_any_symbol_has_one_folder_inside_the_artifact(data, symbol):
    io.write_parts(data / "a", random_bars(3, symbol=symbol), BARS)
    (folder,) = (data / "a").iterdir()
    assert folder.name == symbol_folder(symbol)
    assert [path.name for path in data.iterdir() if path.name != ".tmp"] == ["a"]
    assert set(io.read_table(data / "a", BARS)["symbol"]) == {symbol}


@settings(max_examples=40, deadline=None)
@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_two_symbols_never_share_a_folder(one, other):
    assert (symbol_folder(one) == symbol_folder(other)) == (one == other)
    assert "/" not in symbol_folder(one)
    assert symbol_folder(one)[0] not in "._"


def test_a_folder_that_starts_with_an_underscore_is_another_table(data):
    clean, bad = random_bars(5), random_bars(2, seed=9).assign(reason="future")
    io.write_parts(data / "clean", clean, BARS, beside={"_quarantine": (bad, QUARANTINE)})
    assert len(io.read_table(data / "clean", BARS)) == 5
    assert io.read_table(data / "clean" / "_quarantine", QUARANTINE)["reason"].tolist() == ["future", "future"]


def test_an_empty_table_comes_back_empty_with_its_columns(data):
    io.write_parts(data / "parts", random_bars(3).iloc[:0], BARS)
    io.write_table(data / "table", random_bars(3).iloc[:0], BARS)
    for name in ("parts", "table"):
        back = io.read_table(data / name, BARS)
        assert back.empty
        assert list(back.columns[:7]) == list(BARS.required)
        assert str(back["timestamp"].dtype) == "datetime64[us, UTC]"


def test_daily_bars_lie_in_years_and_intraday_bars_in_months(data):
    io.write_parts(data / "daily", random_bars(400), BARS)
    io.write_parts(data / "hourly", random_bars(1000, freq="1h"), BARS)
    assert sorted(file.stem for file in (data / "daily").rglob("*.parquet")) == ["2001", "2002"]
    assert sorted(file.stem for file in (data / "hourly").rglob("*.parquet")) == ["2001-01", "2001-02"]


def test_copied_parts_share_no_inode_with_the_cache(data, tmp_path):
    source = tmp_path / "part.parquet"
    io.table_bytes_to(source, random_bars(3), BARS)
    io.copy_parts(data / "a", {("AAA", "2001"): source})
    copy = data / "a" / "AAA" / "2001.parquet"
    assert copy.read_bytes() == source.read_bytes()
    assert not copy.samefile(source)


# --- everything else


def test_items_are_read_when_they_are_asked_for():
    asked: list[str] = []
    items = io.Items(("a", "b"), lambda name: asked.append(name) or name.upper())
    assert list(items) == ["a", "b"]
    assert len(items) == 2
    assert "a" in dict.fromkeys(items)
    assert asked == []
    assert items["b"] == "B"
    assert asked == ["b"]
    with pytest.raises(KeyError):
        items["c"]
    assert asked == ["b"]


def test_json_comes_back_typed(data):
    value = Interval(estimate=0.1, low=-1.0, high=2.0)
    io.write_json(data / "value.json", value)
    assert io.read_json(data / "value.json", Interval) == value


@pytest.mark.parametrize("text", ["", "{", '{"estimate": 1}', '{"estimate": 1, "low": 0, "high": "much"}'])
def test_json_of_another_shape_is_refused(data, text):
    io.write_text(data / "value.json", text)
    with pytest.raises(BrokenArtifact, match="is not a Interval"):
        io.read_json(data / "value.json", Interval)


def test_csv_round_trips_times_and_floats(data):
    frame = random_bars(5)[["timestamp", "close"]]
    io.write_csv(data / "a.csv", frame)
    back = io.read_csv(data / "a.csv")
    assert back["close"].tolist() == frame["close"].tolist()
    assert (back["timestamp"] == frame["timestamp"]).all()
