"""The part cache: incremental output equals a full rebuild, byte for byte, and costs what changed."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti import io, parts
from betti.history import History
from betti.parts import Recipe
from betti.schemas import FEATURES
from tests.conftest import random_bars
from tests.unit.test_io import digests

BACK, AHEAD = 4, 2


class Counted:
    """Mean close of 4 bars before, the bar and 2 after, and how often it was asked for."""

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale
        self.calls: list[tuple[str, int]] = []

    def __call__(self, bars: pd.DataFrame) -> pd.DataFrame:
        self.calls.append((bars["symbol"].iloc[0], len(bars)))
        mean = bars["close"].rolling(BACK + 1 + AHEAD).mean().shift(-AHEAD) * self.scale
        return bars[["timestamp", "symbol"]].assign(mean__close=mean.astype("float32"))

    def recipe(self) -> Recipe:
        return Recipe(
            compute=self,
            back=BACK,
            ahead=AHEAD,
            knobs={"scale": self.scale},
            modules=("betti.windows",),
            schema=FEATURES,
            what="mean",
        )


def market(rows: int = 200, symbol: str = "AAA", seed: int = 1) -> pd.DataFrame:
    """Bars every 12 hours: about 60 to a monthly part."""
    return random_bars(400, seed, symbol, freq="12h").iloc[:rows]


def laid_out(folder: Path, bars: pd.DataFrame, cache: Path, compute: Counted | None = None) -> dict[str, str]:
    io.copy_parts(folder / "data" / "out", parts.build(History.of(bars), (compute or Counted()).recipe(), cache))
    return digests(folder / "data" / "out")


def corrected(bars: pd.DataFrame, row: int) -> pd.DataFrame:
    changed = bars.copy()
    changed.loc[row, "close"] *= 1.5
    return changed


CHANGES = {
    "append": lambda bars, row: pd.concat([bars, market(200 + row % 80).iloc[200:]], ignore_index=True),
    "correction": corrected,
    "deletion": lambda bars, row: bars.drop(index=row).reset_index(drop=True),
    "new symbol": lambda bars, row: pd.concat([bars, market(40 + row, "BBB", 2)], ignore_index=True),
    "truncation": lambda bars, row: bars.iloc[: row + 1],
}


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(st.tuples(st.sampled_from(sorted(CHANGES)), st.integers(0, 199)), min_size=1, max_size=3))
def test_incremental_output_equals_a_full_rebuild(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("parts")
    bars = market()
    laid_out(folder, bars, folder / "warm")
    for number, (change, row) in enumerate(steps):
        bars = CHANGES[change](bars, min(row, len(bars) - 1))
        bars = bars.drop_duplicates(["symbol", "timestamp"]).reset_index(drop=True)
        incremental = laid_out(folder, bars, folder / "warm")
        assert incremental == laid_out(folder / "full", bars, folder / f"empty-{number}")


def test_the_parts_together_equal_one_computation_over_everything(tmp_path):
    bars = pd.concat([market(), market(120, "BBB", 2)], ignore_index=True)
    laid_out(tmp_path, bars, tmp_path / "cache")
    whole = pd.concat([Counted()(rows) for _, rows in bars.groupby("symbol")], ignore_index=True)
    back = io.read_table(tmp_path / "data" / "out", FEATURES)
    pd.testing.assert_frame_equal(back, whole)


def test_nothing_is_computed_when_nothing_changed(tmp_path):
    laid_out(tmp_path, market(), tmp_path / "cache")
    again = Counted()
    laid_out(tmp_path, market(), tmp_path / "cache", again)
    assert again.calls == []


def test_appending_computes_the_last_month_alone(tmp_path):
    laid_out(tmp_path, market(200), tmp_path / "cache")
    after = Counted()
    laid_out(tmp_path, market(201), tmp_path / "cache", after)
    assert len(after.calls) == 1


def test_a_night_costs_its_own_bars_and_equals_a_full_rebuild(tmp_path):
    laid_out(tmp_path, market(150), tmp_path / "cache")
    for rows in range(152, 202, 2):
        night = Counted()
        found = laid_out(tmp_path, market(rows), tmp_path / "cache", night)
        # Two new bars, two whose look-ahead is complete now, and what they look back on.
        assert all(bars <= BACK + 2 * AHEAD for _, bars in night.calls)
        assert found == laid_out(tmp_path / "full", market(rows), tmp_path / f"empty-{rows}")


def test_a_part_is_not_continued_from_a_broken_one(tmp_path):
    laid_out(tmp_path, market(190), tmp_path / "cache")
    for file in (tmp_path / "cache").glob("*.parquet"):
        file.write_bytes(file.read_bytes()[:-7] + b"garbage")
    found = laid_out(tmp_path, market(192), tmp_path / "cache")
    assert found == laid_out(tmp_path / "full", market(192), tmp_path / "empty")


def test_a_part_is_not_continued_past_a_correction(tmp_path):
    laid_out(tmp_path, market(190), tmp_path / "cache")
    bars = corrected(market(192), 187)
    found = laid_out(tmp_path, bars, tmp_path / "cache")
    assert found == laid_out(tmp_path / "full", bars, tmp_path / "empty")


def test_appending_beside_a_border_also_computes_the_part_that_looks_ahead_into_it(tmp_path):
    january = 62  # 31 days of two bars
    laid_out(tmp_path, market(january + 1), tmp_path / "cache")
    after = Counted()
    laid_out(tmp_path, market(january + 2), tmp_path / "cache", after)
    assert len(after.calls) == 2


def test_a_correction_computes_its_own_month_and_those_within_reach(tmp_path):
    laid_out(tmp_path, market(), tmp_path / "cache")
    for row, touched in ((90, 1), (62, 2), (64, 1), (61, 2), (57, 1), (58, 2)):
        after = Counted()
        laid_out(tmp_path, corrected(market(), row), tmp_path / "cache", after)
        assert len(after.calls) == touched, f"row {row}"


def test_a_new_symbol_leaves_the_others_alone(tmp_path):
    laid_out(tmp_path, market(), tmp_path / "cache")
    after = Counted()
    laid_out(tmp_path, pd.concat([market(), market(60, "BBB", 2)]), tmp_path / "cache", after)
    assert {symbol for symbol, _ in after.calls} == {"BBB"}


def test_two_symbols_with_equal_bars_do_not_share_a_part(tmp_path):
    twins = pd.concat([market(60, "AAA"), market(60, "BBB")], ignore_index=True)
    laid_out(tmp_path, twins, tmp_path / "cache")
    back = io.read_table(tmp_path / "data" / "out", FEATURES)
    assert back.groupby("symbol").size().to_dict() == {"AAA": 60, "BBB": 60}


def test_a_changed_knob_computes_everything_and_going_back_nothing(tmp_path):
    first = laid_out(tmp_path, market(), tmp_path / "cache")
    other = Counted(scale=2.0)
    assert laid_out(tmp_path, market(), tmp_path / "cache", other) != first
    assert len(other.calls) == 4
    back = Counted()
    assert laid_out(tmp_path, market(), tmp_path / "cache", back) == first
    assert back.calls == []


def test_changed_code_computes_everything(tmp_path):
    parts.build(History.of(market()), Counted().recipe(), tmp_path / "cache")
    other = Counted()
    parts.build(History.of(market()), replace(other.recipe(), modules=("betti.slices",)), tmp_path / "cache")
    assert len(other.calls) == 4


def test_an_optional_column_changes_the_key(tmp_path):
    parts.build(History.of(market(60)), Counted().recipe(), tmp_path / "cache")
    other = Counted()
    parts.build(History.of(market(60).assign(trades=1.0)), other.recipe(), tmp_path / "cache")
    assert len(other.calls) == 1


@settings(max_examples=40, deadline=None)
@given(row=st.integers(0, 199))
def test_a_key_depends_on_the_days_within_reach_and_on_nothing_else(row):
    bars = market()
    base = parts._base(Counted().recipe())
    (past,), (other,) = History.of(bars), History.of(corrected(bars, row))
    before = parts._jobs(past, Counted().recipe(), base)
    after = parts._jobs(other, Counted().recipe(), base)
    month, day = (bars["timestamp"].dt.strftime(f) for f in ("%Y-%m", "%Y-%m-%d"))
    for old, new in zip(before, after, strict=True):
        own = np.flatnonzero(month == old.period)
        # A day that is reached counts as a whole.
        reached = day.iloc[max(own[0] - BACK, 0) : own[-1] + AHEAD + 1]
        assert (old.key() != new.key()) == (day.iloc[row] in set(reached))


def test_each_part_sees_its_reach_and_no_more(tmp_path):
    compute = Counted()
    parts.build(History.of(market()), compute.recipe(), tmp_path / "cache")
    months = market()["timestamp"].dt.strftime("%Y-%m").value_counts(sort=False).tolist()
    expected = [n + (BACK if i else 0) + (AHEAD if i < len(months) - 1 else 0) for i, n in enumerate(months)]
    assert [rows for _, rows in compute.calls] == expected


def test_a_failed_computation_leaves_no_part(tmp_path):
    def broken(bars: pd.DataFrame) -> pd.DataFrame:
        return Counted()(bars).drop(columns="timestamp").assign(timestamp=pd.NaT)

    with pytest.raises(TypeError):
        parts.build(History.of(market(60)), replace(Counted().recipe(), compute=broken), tmp_path / "cache")
    assert list((tmp_path / "cache").rglob("*.parquet")) == []


def test_concurrent_builds_of_one_part_do_not_clash(tmp_path):
    barrier = threading.Barrier(4, timeout=30)
    found: list[dict[tuple[str, str], bytes]] = []

    class Together(Counted):
        def __call__(self, bars: pd.DataFrame) -> pd.DataFrame:
            table = super().__call__(bars)
            barrier.wait()
            return table

    def one() -> None:
        files = parts.build(History.of(market(60)), Together().recipe(), tmp_path / "cache")
        found.append({key: file.read_bytes() for key, file in files.items()})

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(one == found[0] for one in found)
    assert len(list((tmp_path / "cache").glob("*.parquet"))) == 1
    assert list((tmp_path / "cache" / ".tmp").iterdir()) == []


def test_pruning_keeps_what_was_used_last(tmp_path):
    cache = tmp_path / "cache"
    old = parts.build(History.of(market(seed=1)), Counted().recipe(), cache)
    new = parts.build(History.of(market(seed=2)), Counted().recipe(), cache)
    for age, files in ((1000, old), (500, new)):
        for file in files.values():
            os.utime(file, (1e9 - age, 1e9 - age))
    parts.build(History.of(market(seed=1)), Counted().recipe(), cache)
    kept = sum(file.stat().st_size for file in old.values())
    assert parts.prune(cache, kept) == len(new)
    assert set(cache.glob("*.parquet")) == set(old.values())


def test_pruning_below_the_limit_drops_nothing(tmp_path):
    parts.build(History.of(market()), Counted().recipe(), tmp_path / "cache")
    assert parts.prune(tmp_path / "cache", 10**9) == 0
    assert parts.prune(tmp_path / "absent", 0) == 0


def test_pruning_everything_is_safe(tmp_path):
    first = laid_out(tmp_path, market(), tmp_path / "cache")
    assert parts.prune(tmp_path / "cache", 0) == 4
    assert laid_out(tmp_path, market(), tmp_path / "cache") == first


def test_pruning_sweeps_what_a_killed_build_left(tmp_path):
    parts.build(History.of(market(60)), Counted().recipe(), tmp_path / "cache")
    left = tmp_path / "cache" / ".tmp" / "4194999-ab12"  # beyond the largest process number
    left.write_bytes(b"half a part")
    parts.prune(tmp_path / "cache", 10**9)
    assert not left.exists()


def test_a_night_that_ends_inside_a_day_continues_the_last_one(tmp_path):
    """Bars of an hour up to 01:00, night after night: each computes its own day, not the month."""
    bars = random_bars(24 * 25 + 2, 5, "AAA", freq="1h")
    compute, rows = Counted(), []
    for night in range(3):
        known = bars.iloc[: 24 * (22 + night) + 2]
        compute.calls.clear()
        files = parts.build(History.of(known), compute.recipe(), tmp_path / "cache")
        io.copy_parts(tmp_path / "data" / "out", files)
        rows.append(sum(count for _, count in compute.calls))
    assert rows[0] == 24 * 22 + 2
    assert max(rows[1:]) <= 24 + BACK + AHEAD
    laid = digests(tmp_path / "data" / "out")
    assert laid == laid_out(tmp_path / "new", bars.iloc[: 24 * 24 + 2], tmp_path / "another")
