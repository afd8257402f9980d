"""The laws of building: no row is lost, doing it again changes no byte, and a night's work equals a full rebuild.

A full rebuild is a fresh repository with the same feed, knobs and clock, and an empty part cache. All files under data/
are compared byte for byte; the folder of revisions aside, which is the history of what was fetched when.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from betti import batches, binding, features, io, knobs, labelling
from betti.schemas import BARS, PRICE_COLUMNS, REASONS
from tests.conftest import REPOSITORY
from tests.contract._repository import (
    FAMILIES,
    PARTWISE,
    STAGES,
    TARGETS,
    Repository,
    differing,
    edited,
    founded,
    market,
    run_with,
)

BOTH = 300  # bars of each market at first: five months
MISSED = 200  # a bar of AAA that comes late
BAD = 90  # a bar of AAA without a close


def history(rows: int, *, late: bool = False, bad: bool = True) -> pd.DataFrame:
    """Two markets, of which one tells the number of trades."""
    first, second = market(rows, 1, "AAA"), market(rows, 2, "BBB")
    if bad:
        first = first.assign(close=first["close"].where(first.index != BAD))
    second = second.assign(trades=np.arange(rows) % 17 + 1.0)
    return pd.concat([first if late else first.drop(index=MISSED, errors="ignore"), second], ignore_index=True)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository in which every stage has run once. Tests copy it."""
    found = founded(tmp_path_factory.mktemp("done"), history(BOTH))
    found.run()
    return found


@pytest.fixture
def warm(done: Repository, tmp_path: Path) -> Repository:
    """A copy of it, with the feed that both have as it was."""
    found = done.copy(tmp_path / "warm")
    found.deliver(history(BOTH))
    return found


# --- conservation

FAULTS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "no price": lambda rows: rows.assign(close=np.nan),
    "infinite": lambda rows: rows.assign(high=np.inf),
    "below zero": lambda rows: rows.assign(open=-rows["open"]),
    "crossed": lambda rows: rows.assign(high=rows["low"], low=rows["high"]),
    "outside": lambda rows: rows.assign(close=rows["high"] * 2),
    "volume below zero": lambda rows: rows.assign(volume=-1.0),
    "three times": lambda rows: pd.concat([rows, rows, rows]),
    "twice and differing": lambda rows: pd.concat([rows, rows.assign(volume=rows["volume"] + 1)]),
    "twice and bad": lambda rows: pd.concat([rows, rows.assign(low=np.nan)]),
}


def damaged(bars: pd.DataFrame, faults: list[tuple[str, int]]) -> pd.DataFrame:
    """Bars of which some have become others, or several."""
    pieces = {row: bars.loc[[row]] for row in bars.index}
    for fault, row in faults:
        pieces[row] = FAULTS[fault](pieces[row])
    return pd.concat(pieces.values(), ignore_index=True)


def same_rows(one: pd.DataFrame, other: pd.DataFrame) -> None:
    """Both hold the same rows as often, in whatever order."""
    names = [name for name in BARS.names if name in one.columns]
    ordered = (table[names].sort_values(names).reset_index(drop=True) for table in (one, other))
    pd.testing.assert_frame_equal(*ordered, check_dtype=False)


def assert_conserved(repository: Repository, known: pd.DataFrame) -> None:
    """Every bar that the clock allows is among the bars, and then either clean or in quarantine for a reason."""
    bars, clean, quarantine = (repository.table(name) for name in ("bars", "clean", "quarantine"))
    same_rows(bars, known)
    same_rows(pd.concat([clean, quarantine.drop(columns="reason")]), bars)
    assert set(quarantine["reason"].str.split(",").explode()) <= set(REASONS)
    assert not clean.duplicated(["symbol", "timestamp"]).any()
    assert np.isfinite(clean[list(PRICE_COLUMNS)]).all(axis=None)
    for quality in repository.table("validation").summary.symbols:  # type: ignore[operator]
        assert quality.rows_in == (known["symbol"] == quality.symbol).sum()
        assert quality.rows_quarantined == (quarantine["symbol"] == quality.symbol).sum()
        assert quality.rows_clean == (clean["symbol"] == quality.symbol).sum()


@settings(max_examples=6, deadline=None)
@given(
    faults=st.lists(st.tuples(st.sampled_from(sorted(FAULTS)), st.integers(0, 239)), max_size=60),
    order=st.randoms(use_true_random=False),
    clock=st.integers(200, 239),
)
def test_no_row_is_lost(tmp_path_factory, faults, order, clock):
    whole = pd.concat([market(120, 1, "AAA"), market(120, 2, "BBB")], ignore_index=True)
    bars = damaged(whole, faults)
    bars = bars.iloc[order.sample(range(len(bars)), len(bars))]
    repository = founded(tmp_path_factory.mktemp("conserved"), bars)
    until = whole["timestamp"][clock]
    repository.set_clock(until)
    repository.run("ingest", "validate")
    assert_conserved(repository, bars[bars["timestamp"] <= until])


def test_no_row_is_lost_where_a_batch_has_none_but_midnights_in_quarantine(tmp_path, monkeypatch):
    """Parts are named after years where all rows are stamped midnight: two batches must not take one name."""
    monkeypatch.setattr(batches, "ROWS", 70)
    bars = damaged(market(180), [("no price", row) for row in range(0, 180, 40)])
    repository = founded(tmp_path, bars)
    repository.run("ingest", "validate")
    assert_conserved(repository, bars)


# --- again


@pytest.mark.parametrize("remembering", [True, False], ids=["with its parts", "without its parts"])
@pytest.mark.parametrize("stage", STAGES)
def test_doing_it_again_changes_no_byte(done, warm, stage, remembering):
    if not remembering:
        shutil.rmtree(warm.root / binding.PARTS_CACHE)
    warm.run(stage)
    assert differing(warm.everything(), done.everything()) == []
    if remembering:
        assert warm.parts() == done.parts()


# --- incremental = full


def corrected(bars: pd.DataFrame, symbol: str, row: int, **factors: float) -> pd.DataFrame:
    """Bars with other values in one row of a market."""
    at = bars.index[bars["symbol"] == symbol][row]
    return bars.assign(**{name: bars[name].where(bars.index != at, bars[name] * k) for name, k in factors.items()})


def forgetful(repository: Repository) -> None:
    """Two days, on the first of which the feed held the last bars alone."""
    repository.deliver(history(BOTH + 2).groupby("symbol").tail(8))
    repository.run("ingest")
    repository.deliver(history(BOTH + 4))


def nights(repository: Repository) -> None:
    """Some nights one after the other, the last of which is left to do."""
    for rows in (BOTH + 2, BOTH + 4):
        repository.deliver(history(rows))
        repository.run("ingest", "validate", "features", "labels")
    repository.deliver(history(BOTH + 6))


def turned(repository: Repository) -> None:
    """A knob of every stage at another value."""
    repository.change(
        validate={**repository.params["validate"], "jump": 0.02},
        features={**FAMILIES, "candle": {"window": 30}, "topology": {**FAMILIES["topology"], "bins": 6}},
        sets={"shapes": {"columns": ["candle__b*"]}, "mixed": {"columns": ["calendar__*", "candle__*"]}},
        targets={**TARGETS, "direction_5": {**TARGETS["direction_5"], "horizon": 6}},
        split={**repository.params["split"], "embargo": "3D"},
    )


SMALL = dict.fromkeys(PRICE_COLUMNS, 1.001)
CHANGES: dict[str, Callable[[Repository], None]] = {
    "a day": lambda repository: repository.deliver(history(BOTH + 2)),
    "days over a month's border": lambda repository: repository.deliver(history(BOTH + 10)),
    "several nights": nights,
    "a correction": lambda repository: repository.deliver(corrected(history(BOTH), "AAA", 140, **SMALL, volume=2)),
    "a bad bar mended and a good one broken": lambda repository: repository.deliver(
        corrected(history(BOTH, bad=False), "BBB", 150, high=0.1)
    ),
    "a bar that comes late": lambda repository: repository.deliver(history(BOTH, late=True)),
    "a market more": lambda repository: repository.deliver(pd.concat([history(BOTH), market(200, 3, "CCC")])),
    "a market less": lambda repository: repository.deliver(history(BOTH).query("symbol == 'BBB'")),
    "other knobs": turned,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_nights_work_equals_a_full_rebuild(done, warm, tmp_path, change):
    CHANGES[change](warm)
    warm.run()
    full = warm.fresh(tmp_path / "full")
    full.run()
    assert differing(warm.files(), full.files()) == []
    assert differing(warm.files(), done.files()) != [], "the change changed nothing"


# --- incremental = full, for what is computed part by part, over any changes

ITEMS = [
    *(("features", family) for family in PARTWISE["features"] if family != "topology"),
    *(("labels", target) for target in PARTWISE["targets"]),
]


def reach(stage: str, item: str) -> tuple[int, int]:
    """Bars before and after a row that enter it: with fewer there is no value that could be wrong."""
    if stage == "labels":
        own = dict(PARTWISE["targets"][item])
        return labelling.reach(own.pop("kind"), **own)
    family = features.family(item)
    return family.lookback(**knobs.checked(family.function, PARTWISE["features"][item], item)), 0


def appended(bars: pd.DataFrame, count: int) -> pd.DataFrame:
    """The next bars of the market: after some were dropped, it has seen more than it holds."""
    whole = market(600)
    after = whole[whole["timestamp"] > bars["timestamp"].max()]
    return pd.concat([bars, after.head(count)], ignore_index=True)


EVENTS: dict[str, Callable[[pd.DataFrame, int], pd.DataFrame]] = {
    "append": lambda bars, row: appended(bars, 1 + row % 9),
    "correct": lambda bars, row: corrected(bars, "AAA", row % len(bars), **dict.fromkeys(PRICE_COLUMNS, 1.5)),
    "drop": lambda bars, row: bars.drop(index=row % len(bars)).reset_index(drop=True),
    "cut": lambda bars, row: bars.iloc[: max(len(bars) - row, 150)],
}


def cleaned(repository: Repository, bars: pd.DataFrame, stage: str, item: str) -> dict[str, str]:
    """Run one item on these clean bars."""
    io.write_parts(repository.root / "data/2_clean", bars, BARS)
    binding.run(repository.root, stage, item)
    return repository.files()


@pytest.mark.parametrize(("stage", "item"), ITEMS)
@settings(max_examples=3, deadline=None)
@given(events=st.lists(st.tuples(st.sampled_from(sorted(EVENTS)), st.integers(0, 149)), min_size=1, max_size=4))
@example(events=[("drop", 0), ("append", 0)])
def test_parts_continued_from_earlier_ones_equal_those_made_at_once(tmp_path_factory, stage, item, events):
    folder, bars = tmp_path_factory.mktemp("parts"), market(max(sum(reach(stage, item)) + 70, 160))
    repository = founded(folder, bars, **PARTWISE)
    cleaned(repository, bars, stage, item)
    assert has_values(repository, stage, item)
    for event, row in events:
        bars = EVENTS[event](bars, row)
        found = cleaned(repository, bars, stage, item)
    assert differing(found, cleaned(repository.fresh(folder / "full"), bars, stage, item)) == []


def has_values(repository: Repository, stage: str, item: str) -> bool:
    """Whether something was computed that could be wrong: a look-back that is longer than the bars leaves nothing."""
    table = repository.table(stage, item)
    return len(table) > 0 and bool(table.iloc[:, 2:].notna().any(axis=None))


@pytest.mark.parametrize(("stage", "item"), ITEMS)
def test_a_correction_reaches_every_part_that_looks_back_on_it(tmp_path, stage, item):
    """Of bars close to the end of a month, which the first rows of the next month's part look back on."""
    back, ahead = reach(stage, item)
    first = market(600)["timestamp"].dt.month.diff().fillna(0) != 0
    edge = int(first.index[first & (first.index > back + 20)][0])
    bars = market(edge + 30 + ahead)
    repository = founded(tmp_path, bars, **PARTWISE)
    found = cleaned(repository, bars, stage, item)
    moved = 0
    for row in range(edge - 18, edge, 4):
        before, bars = found, EVENTS["correct"](bars, row)
        found = cleaned(repository, bars, stage, item)
        assert differing(found, cleaned(repository.fresh(tmp_path / str(row)), bars, stage, item)) == []
        moved += any(name.startswith(("3_features", "5_labels")) for name in differing(found, before))
    assert (moved > 0) == (item != "calendar")  # times alone


# --- incremental = full, for the bars alone

FETCHES: dict[str, Callable[[Repository], None]] = {
    **{change: CHANGES[change] for change in CHANGES if change not in ("several nights", "other knobs")},
    "a feed that forgets": forgetful,
    "a column more": lambda repository: repository.deliver(history(BOTH).assign(open_interest=5.0)),
    "a column less": lambda repository: repository.deliver(history(BOTH).drop(columns="trades")),
    "a clock set back": lambda repository: repository.set_clock(market(260)["timestamp"].max()),
    "other intervals": lambda repository: resampled(repository, "1w"),
}


def resampled(repository: Repository, *intervals: str) -> None:
    """Have coarser bars made of those of the feed."""
    repository.change(ingest={**repository.params["ingest"], "resample": list(intervals)})


@pytest.mark.parametrize("intervals", [(), ("1d", "1w")], ids=["as they are", "coarser"])
@pytest.mark.parametrize("change", FETCHES)
def test_bars_grown_by_a_night_equal_those_fetched_at_once(done, tmp_path, change, intervals):
    warm = done.fresh(tmp_path / "warm")
    warm.deliver(history(BOTH))
    resampled(warm, *intervals)
    warm.run("ingest")
    before = warm.files()
    FETCHES[change](warm)
    warm.run("ingest")
    full = warm.fresh(tmp_path / "full")
    full.run("ingest")
    assert differing(warm.files(), full.files()) == []
    assert differing(warm.files(), before) != [], "the change changed nothing"


# --- order of arrival


@settings(max_examples=5, deadline=None)
@given(data=st.data(), days=st.integers(2, 4))
def test_the_order_of_arrival_does_not_matter_and_what_was_fetched_last_stands(tmp_path_factory, data, days):
    """Any bars come on any day in any order, some of them corrected: the same bytes as what stands in the end."""
    folder = tmp_path_factory.mktemp("order")
    whole = history(90, late=True)
    repository, stands = founded(folder, whole), whole.iloc[:0]
    for _ in range(days):
        seed = data.draw(st.integers(0, 99))
        share = data.draw(st.sampled_from([0.2, 0.6, 1.0]))
        rows = whole.groupby("symbol").sample(frac=share, random_state=seed).sample(frac=1, random_state=seed)
        rows = rows.assign(volume=rows["volume"] * data.draw(st.sampled_from([1.0, 1.5])))
        repository.deliver(rows)
        repository.set_clock(whole["timestamp"].max())
        repository.run("ingest")
        stands = pd.concat([stands, rows]).drop_duplicates(["symbol", "timestamp"], keep="last")
    full = founded(folder / "full", whole)
    full.deliver(stands.sort_values(["symbol", "timestamp"]))
    full.set_clock(whole["timestamp"].max())
    full.run("ingest")
    same_rows(repository.table("bars"), stands)
    origin = "1_bars/_origin.json"  # it names the feed
    assert set(differing(repository.files(), full.files())) <= {origin}


def test_the_order_of_rows_and_of_markets_does_not_matter_to_what_is_clean(tmp_path):
    whole = history(90)
    one = founded(tmp_path, whole)
    one.run("ingest", "validate")
    other = one.fresh(tmp_path / "other")
    other.deliver(whole.sample(frac=1, random_state=5))
    other.change(ingest={**other.params["ingest"], "symbols": ["BBB", "AAA"]})
    other.run("ingest", "validate")
    assert differing(one.everything(), other.everything()) == []


# --- a changed line of code


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The code, elsewhere."""
    shutil.copytree(REPOSITORY / "src/betti", tmp_path / "package/betti", copy_function=shutil.copy2)
    return tmp_path / "package"


def test_the_same_code_elsewhere_takes_the_parts_that_are_there(warm, done, package):
    run_with(package, warm, "features@candle", "labels@trigger")
    assert warm.parts() == done.parts()
    assert differing(warm.everything(), done.everything()) == []


def test_a_changed_line_of_code_takes_no_old_part(warm, done, package, tmp_path):
    """In a family, in a helper of another one and in a target."""
    edited(package, "features/calendar.py", "compute", "lambda table: table + 1")
    edited(package, "features/_ranges.py", "average_true_range", "lambda found: found * 2")
    edited(package, "labelling/direction.py", "label", "lambda table: table.assign(weight=0.5)")
    jobs = ("features@calendar", "features@candle", "features@complexity", "labels@trigger", "labels@direction_5")
    run_with(package, warm, *jobs)
    full = warm.fresh(tmp_path / "full")
    shutil.copytree(warm.root / "data/2_clean", full.root / "data/2_clean")
    run_with(package, full, *jobs)
    made = full.files()
    assert {name: digest for name, digest in warm.files().items() if name in made} == made
    folders = {"/".join(Path(name).parts[:2]) for name in differing(warm.files(), done.files())}
    assert folders == {"3_features/calendar", "3_features/candle", "5_labels/direction_5"}


def test_a_changed_line_of_code_takes_no_old_coarser_bars(done, package, tmp_path):
    warm = done.fresh(tmp_path / "warm")
    warm.deliver(history(BOTH))
    resampled(warm, "1d")
    warm.run("ingest")
    before = warm.files()
    change = "lambda made: __import__('dataclasses').replace(made, bars=made.bars.assign(volume=1.0))"
    edited(package, "resampling.py", "aggregated", change)
    full = warm.fresh(tmp_path / "full")
    for repository in (warm, full):
        run_with(package, repository, "ingest")
    assert differing(warm.files(), full.files()) == []
    assert differing(warm.files(), before) != []
