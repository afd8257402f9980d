"""Sudden death, and company: what killed processes leave, and two at once, is what one undisturbed run leaves.

The law for one stage: after a kill every artifact is the old one, the new one or absent, no part is half-written, and
the next run ends with an undisturbed run's bytes. For whole runs, with DVC and a server, it stands in tests/flow.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from betti import binding, catalog, io, parts
from tests.conftest import REPOSITORY
from tests.contract._mortals import End, Mortals, Order
from tests.contract._repository import Repository, differing, founded, market

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork processes")

BARS, NIGHT = 130, 6  # of each market: two months and a bit at first, and what comes later
STAGES = {"ingest": None, "validate": None, "features": "candle"}  # and the item
KILLS = {"ingest": 25, "validate": 3, "features": 25}  # of each kind, spread over both days
DAYS = ("first", "later")

on_every_day = pytest.mark.parametrize("day", DAYS)


def delivered(rows: int, factor: float) -> pd.DataFrame:
    """Two markets. One bar is bad, so that there is a quarantine; the one after it is corrected by a factor."""
    both = pd.concat([market(rows, 1, "AAA"), market(rows, 2, "BBB")], ignore_index=True)
    both.loc[40, "close"] = float("nan")
    both.loc[41, ["open", "high", "low", "close"]] *= factor
    return both


@dataclass(frozen=True)
class Case:
    """A stage about to run on some day, and what is there once it has run undisturbed.

    Attributes:
        stage: its name.
        before: the repository as it starts; copied for every trial.
        files: of data/ afterwards.
        parts: of the part cache afterwards.
        end: of the undisturbed process.
    """

    stage: str
    before: Repository
    files: dict[str, str]
    parts: set[str]
    end: End

    def order(self, repository: Repository) -> Order:
        return Order(str(repository.root), self.stage, STAGES[self.stage])


@pytest.fixture(scope="module")
def mortals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mortals]:
    warm = founded(tmp_path_factory.mktemp("warm"), delivered(BARS, 1.0))
    found = Mortals(REPOSITORY, *(Order(str(warm.root), stage, item) for stage, item in STAGES.items()))
    yield found
    found.close()


@pytest.fixture(scope="module")
def cases(mortals: Mortals, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Case]:
    """Every stage on the first day, when nothing ever ran, and on a later one with new bars and a correction."""
    folder = tmp_path_factory.mktemp("cases")
    later = founded(folder, delivered(BARS, 1.0))
    for stage, item in STAGES.items():
        binding.run(later.root, stage, item)
    later.deliver(delivered(BARS + NIGHT, 1.01))
    found = {}
    for day, repository in zip(DAYS, (later.fresh(folder / "first"), later), strict=True):
        for stage, item in STAGES.items():
            before = repository.copy(folder / f"{day}-{stage}")
            (end,) = mortals.run(Order(str(repository.root), stage, item))
            assert end.status == 0, end.said
            found[day, stage] = Case(stage, before, repository.everything(), repository.parts(), end)
    return found


def under(files: dict[str, str], folder: Path) -> dict[str, str]:
    """Those of the files that lie in a folder of data/."""
    return {name: digest for name, digest in files.items() if Path("data", name).is_relative_to(folder)}


def scratch(repository: Repository) -> list[Path]:
    """What processes have laid aside and not taken away."""
    return [*(repository.root / "data/.tmp").glob("*"), *(repository.root / binding.PARTS_CACHE / ".tmp").glob("*")]


def assert_nothing_is_half_written(case: Case, repository: Repository) -> None:
    """Every artifact is the old one, the new one or absent, and every part is what its name says."""
    old, found = case.before.everything(), repository.everything()
    for artifact in binding.outs(catalog.stage(case.stage)):
        folder = artifact.at(Path(), STAGES[case.stage])
        assert under(found, folder) in ({}, under(old, folder), under(case.files, folder))
        found = {name: digest for name, digest in found.items() if name not in under(found, folder)}
    assert found.items() <= old.items(), "the stage touched what is not its own"
    cache = repository.root / binding.PARTS_CACHE
    assert parts.broken(cache) == []
    for file in cache.glob("*.parquet"):
        pq.read_table(file)
    assert repository.parts() <= case.parts


def assert_it_ends_well(case: Case, repository: Repository, mortals: Mortals) -> None:
    """What is left lying about goes, and the next run ends with the bytes of an undisturbed one."""
    data, cache = repository.root / "data", repository.root / binding.PARTS_CACHE
    left = scratch(repository)
    assert io.sweep(data) + io.sweep(cache) == len(left)
    (end,) = mortals.run(case.order(repository))
    assert end.status == 0, end.said
    assert differing(repository.everything(), case.files) == []
    assert repository.parts() == case.parts
    assert scratch(repository) == []


def killed(case: Case, mortals: Mortals, folder: Path, **moment: float) -> End:
    """Try one moment; how the process ended, which may have been done by then."""
    repository = case.before.copy(folder / str(len(list(folder.iterdir()))))
    order = case.order(repository)
    (end,) = mortals.run(Order(order.root, order.stage, order.item, **moment))  # type: ignore[arg-type]
    assert end.status in (0, -9), end.said
    assert_nothing_is_half_written(case, repository)
    assert_it_ends_well(case, repository, mortals)
    return end


@on_every_day
@pytest.mark.parametrize("stage", STAGES)
def test_killed_before_any_step_on_the_disk(cases, mortals, tmp_path, stage, day):
    case = cases[day, stage]
    tries = KILLS[stage] // 2 + 1
    steps = sorted({round(1 + k * (case.end.steps - 1) / (tries - 1)) for k in range(tries)})
    for step in steps:
        assert killed(case, mortals, tmp_path, kill_at=step).status == -9


@on_every_day
@pytest.mark.parametrize("stage", STAGES)
def test_killed_at_any_moment(cases, mortals, tmp_path, stage, day):
    case = cases[day, stage]
    drawn, longest, hits = random.Random(f"{stage} {day}"), case.end.seconds, 0
    for _ in range(KILLS[stage] // 2 + 1):
        end = killed(case, mortals, tmp_path, kill_after=drawn.uniform(0, longest))
        hits += end.status == -9
        longest = longest if end.status == -9 else end.seconds  # the machine may be quicker than it was
    assert hits > 0


@on_every_day
@pytest.mark.parametrize("stage", ["ingest", "features"])
def test_two_at_once_leave_what_one_leaves(cases, mortals, tmp_path, stage, day):
    """One stands still before some step until the other is done; then both run side by side."""
    case = cases[day, stage]
    last = case.end.steps
    for step in [*range(1, last, max(1, last // 10)), *range(last - 3, last + 1), None, None]:
        repository = case.before.copy(tmp_path / str(len(list(tmp_path.iterdir()))))
        order = case.order(repository)
        ends = mortals.run(Order(order.root, order.stage, order.item, stop_at=step), order)
        assert {end.status for end in ends} <= {0, 1}, f"step {step}: {[end.said for end in ends]}"
        assert 0 in {end.status for end in ends}
        assert differing(repository.everything(), case.files) == []
        assert parts.broken(repository.root / binding.PARTS_CACHE) == []
        assert repository.parts() == case.parts
        assert scratch(repository) == []
