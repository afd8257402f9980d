"""Counts travel with their table: over symbols, through Parquet, and through the part cache, and add up on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from betti import counts, features, io, parts
from betti.features import topology
from betti.features.topology import compute
from betti.history import History
from betti.schemas import BARS, FEATURES
from betti.stages.features import features as stage
from betti.stages.features import slices
from tests.conftest import random_bars
from tests.unit.test_io import digests

SMALL = {"window": 30, "delay": 2, "bins": 10}
TOOK = {"fallback": 1, "general": 0, "planar": 41}

every_stride = pytest.mark.parametrize("stride", [1, 3])
some_counts = st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), st.integers(0, 10**12))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def table(rows: int = 5, symbol: str = "AAA") -> pd.DataFrame:
    return random_bars(rows, symbol=symbol)[["timestamp", "symbol"]].assign(a__x=np.arange(rows, dtype="float32"))


def market(rows: int = 160) -> pd.DataFrame:
    """Bars every 12 hours: about 60 to a monthly part, the second symbol a few bars shorter."""
    return pd.concat([random_bars(rows, 1, "AAA", freq="12h"), random_bars(rows - 20, 2, "BBB", freq="12h")])


# --- attach, of, total


def test_what_is_attached_is_there_by_name() -> None:
    frame = table()
    assert counts.attach(frame, {"planar": 2, "fallback": 1}) is frame
    assert list(counts.of(frame).items()) == [("fallback", 1), ("planar", 2)]


def test_a_table_that_was_not_counted_carries_nothing() -> None:
    assert counts.of(table()) == {}
    assert counts.attach(table(), {}).attrs == {}


def test_attaching_replaces_what_was_there() -> None:
    frame = counts.attach(table(), {"planar": 2, "fallback": 1})
    assert counts.of(counts.attach(frame, {"planar": 5})) == {"planar": 5}
    assert counts.of(counts.attach(frame, {})) == {}


def test_other_attributes_stay() -> None:
    frame = table()
    frame.attrs["from"] = "elsewhere"
    assert counts.attach(counts.attach(frame, TOOK), {}).attrs == {"from": "elsewhere"}


def test_what_is_handed_out_is_a_copy() -> None:
    given_counts = dict(TOOK)
    frame = counts.attach(table(), given_counts)
    given_counts["planar"] = 0
    counts.of(frame)["planar"] = 0
    assert counts.of(frame) == TOOK


@given(several=st.lists(some_counts, max_size=5))
def test_a_total_is_the_sum_of_each_name(several: list[dict[str, int]]) -> None:
    found = counts.total(several)
    assert found == {name: sum(c.get(name, 0) for c in several) for name in sorted({n for c in several for n in c})}
    assert list(found) == sorted(found)


def test_a_name_that_counted_nothing_stays_in_the_total() -> None:
    assert counts.total([{"fallback": 0}, {"fallback": 0, "planar": 1}]) == {"fallback": 0, "planar": 1}
    assert counts.total([]) == {}


# --- a family over several symbols


def by_hand(bars: pd.DataFrame, **knobs: Any) -> int:
    """The windows that end at a row after the look-back, each once."""
    found = 0
    for _, rows in bars.groupby("symbol"):
        back = topology.lookback(**knobs)
        times = rows["timestamp"].astype("int64").to_numpy()
        ends = topology._ends(times, knobs["window"], knobs.get("stride", 1))[back:]
        found += len({end for end in ends.tolist() if end >= back})
    return found


@every_stride
def test_the_counts_of_two_symbols_are_added(stride: int) -> None:
    bars, knobs = market(), {**SMALL, "stride": stride}
    expected = counts.total(counts.of(compute(rows, **knobs)) for _, rows in bars.groupby("symbol"))
    found = counts.of(features.compute("topology", bars.sort_values("timestamp").reset_index(drop=True), **knobs))
    assert found == expected == {"fallback": 0, "general": 0, "planar": by_hand(bars, **knobs)}
    if stride == 1:
        assert found["planar"] == 160 + 140 - 2 * 29


def test_windows_in_space_are_counted_apart() -> None:
    found = counts.of(features.compute("topology", random_bars(40), window=30, delay=2, dimension=3, bins=10))
    assert found == {"fallback": 0, "general": 11, "planar": 0}


def test_a_family_that_counts_nothing_carries_nothing() -> None:
    assert features.compute("complexity", market(60).reset_index(drop=True)).attrs == {}


# --- Parquet


def metadata(file: Path) -> dict[bytes, bytes]:
    return pq.read_schema(file).metadata or {}


def test_counts_come_back_from_one_table(data: Path) -> None:
    io.write_table(data / "a", counts.attach(table(), TOOK), FEATURES)
    back = io.read_table(data / "a", FEATURES)
    assert counts.of(back) == TOOK
    pd.testing.assert_frame_equal(back, table())


def test_counts_of_files_are_added(data: Path) -> None:
    (data / "a").mkdir(parents=True)
    io.table_bytes_to(data / "a" / "1.parquet", counts.attach(table(symbol="A"), TOOK), FEATURES)
    io.table_bytes_to(data / "a" / "2.parquet", table(symbol="B"), FEATURES)
    io.table_bytes_to(data / "a" / "3.parquet", counts.attach(table(symbol="C"), {"planar": 9, "late": 2}), FEATURES)
    back = io.read_table(data / "a", FEATURES)
    assert counts.of(back) == {"fallback": 1, "general": 0, "late": 2, "planar": 50}
    assert counts.of(io.read_part(data / "a" / "3.parquet", FEATURES)) == {"late": 2, "planar": 9}
    assert back["symbol"].tolist() == ["A"] * 5 + ["B"] * 5 + ["C"] * 5


def test_a_table_laid_out_in_parts_tells_its_counts_once(data: Path) -> None:
    whole = pd.concat([table(900, "A"), table(900, "B")], ignore_index=True)
    io.write_parts(data / "a", counts.attach(whole, TOOK), FEATURES)
    assert len(list((data / "a").rglob("*.parquet"))) == 6
    assert counts.of(io.read_table(data / "a", FEATURES)) == TOOK
    assert counts.of(whole) == TOOK


def test_equal_tables_with_equal_counts_give_equal_bytes(data: Path) -> None:
    for name, order in (("a", ["planar", "fallback", "general"]), ("b", ["general", "planar", "fallback"])):
        io.write_table(data / name, counts.attach(table(), {key: TOOK[key] for key in order}), FEATURES)
    io.write_table(data / "c", counts.attach(table(), {**TOOK, "planar": 40}), FEATURES)
    assert digests(data / "a") == digests(data / "b") != digests(data / "c")


def test_a_table_without_counts_has_the_bytes_it_had_before_there_were_any(data: Path) -> None:
    """As pyarrow writes the same columns. Empty metadata would be bytes as well."""
    io.write_table(data / "a", table(), FEATURES)
    io.write_table(data / "b", counts.attach(counts.attach(table(), TOOK), {}), FEATURES)
    assert digests(data / "a") == digests(data / "b")
    assert metadata(data / "a" / "table.parquet") == {}
    bare = pa.schema([("timestamp", pa.timestamp("us", tz="UTC")), ("symbol", pa.string()), ("a__x", pa.float32())])
    bare = pa.schema([field.with_nullable(field.name == "a__x") for field in bare])
    plain = pa.Table.from_pandas(table(), schema=bare, preserve_index=False).replace_schema_metadata(None)
    pq.write_table(plain, data / "x", compression="zstd", version="2.6")
    assert (data / "x").read_bytes() == (data / "a" / "table.parquet").read_bytes()


def test_counts_are_text_in_the_files_metadata(data: Path) -> None:
    io.write_table(data / "a", counts.attach(random_bars(3), TOOK), BARS)
    found = metadata(data / "a" / "table.parquet")
    assert found == {b"betti.counts": b'{"fallback": 1, "general": 0, "planar": 41}'}


# --- the part cache


def recipe(stride: int) -> parts.Recipe:
    """As `betti.binding` makes it."""
    values = {"family": "topology", **SMALL, "stride": stride}
    sliced = slices(**values)
    return parts.Recipe(
        compute=lambda rows: stage(rows, None, **values),
        back=sliced.back,
        ahead=sliced.ahead,
        knobs=values,
        modules=("betti.stages.features", *sliced.modules),
        schema=FEATURES,
        what="features@topology",
    )


def laid_out(folder: Path, bars: pd.DataFrame, stride: int, cache: Path) -> pd.DataFrame:
    io.copy_parts(folder, parts.build(History.of(bars), recipe(stride), cache))
    return io.read_table(folder, FEATURES)


@every_stride
def test_counts_of_parts_add_up_to_the_windows_computed(data: Path, stride: int) -> None:
    bars = market().reset_index(drop=True)
    found = counts.of(laid_out(data / "out", bars, stride, data / "cache"))
    assert len(list((data / "out").rglob("*.parquet"))) == 6
    assert found == counts.of(stage(bars, None, family="topology", **SMALL, stride=stride))
    assert found["planar"] == by_hand(bars, **SMALL, stride=stride)
    assert counts.of(laid_out(data / "again", bars, stride, data / "cache")) == found
    assert digests(data / "again") == digests(data / "out")


@every_stride
def test_a_part_that_grew_night_by_night_counts_what_a_rebuild_counts(data: Path, stride: int) -> None:
    """And has its bytes: a window carried over from the night before must not count again."""
    for rows in range(100, 122, 3):
        bars = market(rows).reset_index(drop=True)
        grown = laid_out(data / "out", bars, stride, data / "cache")
        rebuilt = laid_out(data / "full", bars, stride, data / f"empty-{rows}")
        whole = stage(bars, None, family="topology", **SMALL, stride=stride)
        assert counts.of(grown) == counts.of(rebuilt) == counts.of(whole)
        assert digests(data / "out") == digests(data / "full")
