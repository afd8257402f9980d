"""Bad input, second part: rows that go to quarantine, bars that are flagged and kept, and what looks bad and is legal.

One workspace holds a market for each case, so that one run of ingest and validate judges them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from betti import features
from betti.errors import TooManyQuarantined
from betti.expectations.result import FLAGS
from betti.schemas import REASONS
from tests.contract import test_bad_input_files, test_bad_input_sources
from tests.contract._faults import NAMED, PRICES, ROWS, STEP, Workspace, as_lines, at, laid_out, sound, stamp

LONG = 1500  # bars of a market whose flags are looked for
ROW = 120  # the row with the fault
LAST = at(LONG - 1)  # the clock


@dataclass(frozen=True)
class Case:
    """One market.

    Attributes:
        case: its name, which begins with one of `NAMED`.
        damage: makes the file's lines of sound bars.
        bad: row of the damaged bars -> its reasons; all others are clean.
        flags: rule -> how often it flags the clean bars, over all of them and no other rule.
        first: rule -> row of the first bar it names.
        rows: of the sound bars.
    """

    case: str
    damage: Callable[[pd.DataFrame], pd.DataFrame] = lambda bars: bars
    bad: dict[int, str] = field(default_factory=dict)
    flags: dict[str, int] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    rows: int = ROWS
    written: Callable[[pd.DataFrame], list[str]] = as_lines


def values(**cells: float) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Other values in the row with the fault."""
    return lambda bars: bars.assign(**{name: bars[name].where(bars.index != ROW, cell) for name, cell in cells.items()})


def moved(name: str, beyond: str, factor: float) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """In the row with the fault one price is a multiple of another."""
    return lambda bars: values(**{name: bars[beyond][ROW] * factor})(bars)


def crossed(bars: pd.DataFrame) -> pd.DataFrame:
    return values(high=bars["low"][ROW], low=bars["high"][ROW])(bars)


def twice(**cells: float) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """The row comes twice, first with these values."""

    def damage(bars: pd.DataFrame) -> pd.DataFrame:
        first = bars.iloc[[ROW]].assign(**cells)
        return pd.concat([bars.iloc[:ROW], first, bars.iloc[ROW:]], ignore_index=True)

    return damage


def times(factor: float, name: list[str] = PRICES) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """These columns are so much larger from the row on."""

    def damage(bars: pd.DataFrame) -> pd.DataFrame:
        bars.loc[ROW:, name] *= factor
        return bars

    return damage


def constant(bars: pd.DataFrame) -> pd.DataFrame:
    bars.loc[ROW : ROW + 29, PRICES] = bars.loc[ROW, "close"]
    return bars


def off(bars: pd.DataFrame) -> pd.DataFrame:
    bars.loc[ROW, "timestamp"] += pd.Timedelta("3min")
    return bars


def later(bars: pd.DataFrame) -> pd.DataFrame:
    """One more bar, that opens after the clock's."""
    return pd.concat([bars, bars.iloc[[-1]].assign(timestamp=LAST + STEP)], ignore_index=True)


def shuffled(bars: pd.DataFrame) -> list[str]:
    header, *rows = as_lines(bars)
    return [header, *np.random.default_rng(0).permutation(rows).tolist()]


def with_times(written: Callable[[int, pd.Timestamp], object]) -> Callable[[pd.DataFrame], list[str]]:
    """The file with its times written otherwise."""

    def lines(bars: pd.DataFrame) -> list[str]:
        header, *rows = as_lines(bars)
        return [header, *(f"{written(i, at(i))},{row.partition(',')[2]}" for i, row in enumerate(rows))]

    return lines


def in_two_zones(row: int, time: pd.Timestamp) -> str:
    return time.tz_convert(["Europe/Berlin", "Asia/Kolkata"][row % 2]).isoformat()


def with_commas(bars: pd.DataFrame) -> list[str]:
    """As a spreadsheet of most of Europe writes them."""
    return [line.replace(",", ";").replace(".", ",") for line in as_lines(bars)]


def renamed(bars: pd.DataFrame) -> list[str]:
    return ["Date;O;H;L;Close/Last;Vol.", *(line.replace(",", ";") for line in as_lines(bars)[1:])]


def broken_off(bars: pd.DataFrame) -> list[str]:
    lines = as_lines(bars)
    lines[ROW + 1] = lines[ROW + 1].rsplit(",", 2)[0]
    return lines


QUARANTINED = [
    Case("NaN price", values(close=np.nan), {ROW: "missing_value"}),
    Case("infinite price", values(high=np.inf), {ROW: "infinite"}),
    Case("infinite price: and its negative", values(low=-np.inf), {ROW: "non_positive_price"}),
    Case("infinite price: or a volume", values(volume=np.inf), {ROW: "infinite"}),
    Case("zero price", values(low=0.0), {ROW: "non_positive_price"}),
    Case("negative price", values(low=-1.0), {ROW: "non_positive_price"}),
    Case("high < low", crossed, {ROW: "high_below_low,open_outside_range,close_outside_range"}),
    Case("open outside [low, high]: above", moved("open", "high", 1.01), {ROW: "open_outside_range"}),
    Case("open outside [low, high]: below", moved("open", "low", 0.99), {ROW: "open_outside_range"}),
    Case("close outside [low, high]: above", moved("close", "high", 1.01), {ROW: "close_outside_range"}),
    Case("close outside [low, high]: below", moved("close", "low", 0.99), {ROW: "close_outside_range"}),
    Case("negative volume", values(volume=-1.0), {ROW: "negative_volume"}),
    Case("duplicate timestamps with equal values", twice(), {ROW: "duplicate_equal"}),
    Case("duplicate timestamps with different values", twice(volume=1.0), {ROW: "duplicate_differs"}),
    Case("duplicate timestamps with different values: one is bad", twice(low=0.0), {ROW: "non_positive_price"}),
]
FLAGGED = [
    Case("bars off the grid", off, flags={"off_grid": 1}, first={"off_grid": ROW}),
    Case("gaps", lambda bars: bars.drop(index=range(ROW, ROW + 8)).reset_index(drop=True), flags={"gaps": 1}, rows=LONG),
    Case("a market without volume: zero", lambda bars: bars.assign(volume=0.0), flags={"zero_volume": ROWS}),
    Case("a market without volume: null", lambda bars: bars.assign(volume=np.nan), flags={"missing_volume": ROWS}),
    Case("a market without volume: no column of it", lambda bars: bars.assign(volume=np.nan),
         flags={"missing_volume": ROWS}, written=lambda bars: as_lines(bars.drop(columns="volume"))),
    Case("price in cents after a date", times(100.0), flags={"jumps": 1, "split_like": 1, "unit_change": 1},
         first={"jumps": ROW, "unit_change": ROW}, rows=LONG),
    Case("price in points after a date", times(1e4), flags={"jumps": 1, "unit_change": 1},
         first={"jumps": ROW, "unit_change": ROW}, rows=LONG),
    Case("split-like jumps", times(0.5), flags={"jumps": 1, "split_like": 1}, first={"jumps": ROW, "split_like": ROW}, rows=LONG),
    Case("split-like jumps: a reverse split", times(10.0), flags={"jumps": 1, "split_like": 1, "unit_change": 1},
         first={"split_like": ROW}, rows=LONG),
    Case("constant price for hours", constant, flags={"flat_bars": 30, "stuck_price": 1, "stale_opens": 1}, first={"stuck_price": ROW}, rows=LONG),
]  # fmt: skip
LEGAL = [
    Case("out of order", written=shuffled),
    Case("out of order: newest first", written=lambda bars: [as_lines(bars)[0], *as_lines(bars)[:0:-1]]),
    Case("mixed offsets", written=with_times(in_two_zones)),
    Case("milliseconds read as seconds: no longer", written=with_times(lambda _, time: time.value // 10**6)),
    Case("renamed column: to a common name", written=renamed),
    Case("a number with two readings: not among others that have one", written=with_commas),
    Case("one symbol with 10 bars", rows=10),
    Case("one symbol with 10 bars: or with one", rows=1),
    Case("a bar still open", rows=LONG),
]
CASES = [*QUARANTINED, *FLAGGED, *LEGAL]
# ruff: noqa: E501 - a case is read as one row of a table


def symbol(case: Case) -> str:
    return f"S{CASES.index(case):02}"


def damaged(case: Case) -> pd.DataFrame:
    return case.damage(sound(case.rows, symbol(case), CASES.index(case)))


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Every case ingested and validated."""
    root = tmp_path_factory.mktemp("markets")
    for case in CASES:
        bars = damaged(case)
        lines = case.written(later(bars) if case.case == "a bar still open" else bars)
        (root / f"{symbol(case)}.csv").write_text("\n".join(lines) + "\n")
    workspace = laid_out(root, "csv", [symbol(case) for case in CASES], LAST, path=str(root / "{symbol}.csv"))
    workspace.run("ingest", "validate")
    return workspace


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.case)
def test_every_row_is_clean_or_in_quarantine_with_its_reasons(judged: Workspace, case: Case) -> None:
    bars, name = damaged(case), symbol(case)
    clean, quarantine = judged.table("clean", name), judged.table("quarantine", name)
    bad = bars.iloc[list(case.bad)]
    pd.testing.assert_frame_equal(quarantine.drop(columns="reason"), bad.reset_index(drop=True), check_dtype=False)
    assert quarantine["reason"].tolist() == list(case.bad.values())
    pd.testing.assert_frame_equal(clean, bars.drop(index=list(case.bad)).reset_index(drop=True))
    found = judged.quality(name)
    assert (found.rows_in, found.rows_clean, found.rows_quarantined) == (len(bars), len(clean), len(bad))
    assert found.reasons == {reason: 1 for reasons in case.bad.values() for reason in reasons.split(",")}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.case)
def test_what_is_strange_is_flagged_where_it_is_and_nothing_else_is(judged: Workspace, case: Case) -> None:
    found = judged.quality(symbol(case))
    assert found.flags == case.flags
    for rule, row in case.first.items():
        named = [example.timestamp for example in found.examples if example.rule == rule]
        assert named == [damaged(case)["timestamp"][row].isoformat()]


def test_a_gap_stays_a_gap_and_is_named(judged: Workspace) -> None:
    (case,) = [one for one in FLAGGED if one.case == "gaps"]
    (gap,) = judged.quality(symbol(case)).gaps
    assert (gap.after, gap.until, gap.missing, gap.kind) == (stamp(ROW - 1), stamp(ROW + 8), 8, "bars")


@pytest.mark.parametrize("volume", ["zero", "null", "no column of it"])
def test_without_volume_its_features_are_missing_and_the_others_as_ever(judged: Workspace, volume: str) -> None:
    (case,) = [one for one in FLAGGED if one.case == f"a market without volume: {volume}"]
    found = features.compute("technical", judged.table("clean", symbol(case)))
    usual = features.compute("technical", sound(case.rows, symbol(case), CASES.index(case)))
    others = [name for name in found.columns if not found[name].equals(usual[name])]
    assert {"technical__obv_20", "technical__vwap_distance_20"} <= set(others)
    assert found[others].isna().all(axis=None)


def test_a_bar_after_the_clock_is_dropped_by_ingest(judged: Workspace) -> None:
    (case,) = [one for one in LEGAL if one.case == "a bar still open"]
    assert judged.table("bars", symbol(case))["timestamp"].max() == LAST


# Markets that need a workspace of their own ---------------------------------------------------------------------------


def market(root: Path, bars: pd.DataFrame, until: pd.Timestamp = LAST) -> Workspace:
    (root / "BBB.csv").write_text("\n".join(as_lines(bars)) + "\n")
    workspace = laid_out(root, "csv", ["BBB"], until, path=str(root / "{symbol}.csv"))
    workspace.run("ingest")
    return workspace


def test_a_row_that_breaks_off_is_quarantined_for_what_it_lacks(tmp_path: Path) -> None:
    workspace = market(tmp_path, sound())
    (tmp_path / "BBB.csv").write_text("\n".join(broken_off(sound())) + "\n")
    workspace.run("ingest", "validate")
    (row,) = workspace.table("quarantine", "BBB").itertuples()
    assert (row.timestamp, row.reason) == (at(ROW), "missing_value")
    pd.testing.assert_frame_equal(workspace.table("clean", "BBB"), sound().drop(index=ROW).reset_index(drop=True))


def test_the_future(tmp_path: Path) -> None:
    """Bars that were there before the clock was set back."""
    workspace = market(tmp_path, sound())
    workspace.until(at(ROWS - 4))
    workspace.run("validate")
    quarantine = workspace.table("quarantine", "BBB")
    assert quarantine["timestamp"].tolist() == [at(row) for row in range(ROWS - 3, ROWS)]
    assert set(quarantine["reason"]) == {"future"}
    pd.testing.assert_frame_equal(workspace.table("clean", "BBB"), sound().head(ROWS - 3))
    found = workspace.quality("BBB")
    assert (found.rows_in, found.rows_clean, found.reasons) == (ROWS, ROWS - 3, {"future": 3})


def test_too_many_bad_rows_stop_the_run(tmp_path: Path) -> None:
    bars = sound()
    bars.loc[ROW : ROW + 3, "low"] = 0.0
    workspace = market(tmp_path, bars)
    assert workspace.refused("validate", TooManyQuarantined) == (
        f"BBB: 4 of 300 bars are bad (1.33% > 1.00% allowed): non_positive_price 4; first at {at(ROW)}. "
        "Mend the source, or raise validate.max_quarantined_share in params.yaml"
    )
    assert all(file.startswith("data/1_bars/") for file in workspace.written())
    bars.loc[ROW + 3, "low"] = sound().loc[ROW + 3, "low"]
    workspace = market(tmp_path, bars)
    workspace.run("validate")
    assert len(workspace.table("quarantine", "BBB")) == 3


PATHS = (
    "BTC/USDT",
    "..",
    "../../outside",
    "/etc/passwd",
    "_quarantine",
    ".hidden",
    "^GSPC",
    "a b%2F",
    "EUR\\USD",
    "CON:",
)


def test_a_symbol_name_with_path_characters(tmp_path: Path) -> None:
    """Each is a folder of its own inside data/, and comes back by its own name."""
    markets = {name: sound(30, name, seed) for seed, name in enumerate(PATHS)}
    pd.concat(markets.values()).to_csv(tmp_path / "all.csv", index=False)
    workspace = laid_out(tmp_path / "root", "csv", PATHS, LAST, path=str(tmp_path / "all.csv"))
    workspace.run("ingest", "validate")
    for name, bars in markets.items():
        pd.testing.assert_frame_equal(workspace.table("clean", name), bars)
        assert workspace.quality(name).rows_clean == 30
    assert {entry.name for entry in tmp_path.iterdir()} == {"all.csv", "root"}
    for artifact in ("1_bars", "2_clean"):
        folders = {Path(file).parts[2] for file in workspace.written() if file.startswith(f"data/{artifact}/")}
        assert len({name for name in folders if name[0] not in "._"}) == len(PATHS)


# The catalogue --------------------------------------------------------------------------------------------------------

ELSEWHERE = ("the future", "a symbol name with path characters")


@pytest.mark.parametrize("named", NAMED)
def test_every_named_case_is_in_the_catalogue(named: str) -> None:
    cases = [case.case for case in CASES] + test_bad_input_files.names() + test_bad_input_sources.names()
    assert [case for case in (*cases, *ELSEWHERE) if case.startswith(named)]


def test_every_case_is_named_and_every_reason_occurs() -> None:
    cases = [case.case for case in CASES] + test_bad_input_files.names() + test_bad_input_sources.names()
    assert [case for case in cases if not case.startswith(NAMED)] == []
    assert {reason for case in CASES for reasons in case.bad.values() for reason in reasons.split(",")} | {
        "future"
    } == set(REASONS)
    assert {rule for case in CASES for rule in case.flags} <= set(FLAGS)
