"""The leaderboard's order, its verdicts, and what it refuses."""

from __future__ import annotations

import pytest

from betti.errors import BadInput
from betti.io import Items
from betti.stages.compare import NoRuns, compare
from tests.unit.promotion.test_gate import three

RUNS = {
    "passes": three("passes", 0.1, 0.1, 0.1),
    "two_small": three("two_small", 0.1, 0.1, -1),
    "two_large": three("two_large", 0.3, 0.1, -1),
    "none": three("none", -0.1, -0.1, -0.1),
    "also_none": three("also_none", -0.1, -0.1, -0.1),
}


def test_eligible_first_then_baselines_beaten_then_gain_then_name():
    table = compare(RUNS, confidence=0.95).leaderboard
    assert [row.run for row in table.rows] == ["passes", "two_large", "two_small", "also_none", "none"]
    assert table.confidence == 0.95
    assert "eligible first" in table.ranked_by


def test_verdicts_say_what_is_missing():
    rows = {row.run: row for row in compare(RUNS, confidence=0.95).leaderboard.rows}
    assert rows["passes"].verdict == "beats every baseline"
    assert rows["two_small"].verdict == "does not beat buy_and_hold"
    assert [run for run, row in rows.items() if row.eligible] == ["passes"]


def test_the_champion_is_on_the_leaderboard_and_everyone_is_a_candidate():
    compared = compare(RUNS, confidence=0.95)
    assert compared.champion.run == "passes"
    assert {found.run for found in compared.champion.candidates} == set(RUNS)


def test_lazy_items_are_each_read_once():
    asked: list[str] = []

    def read(run: str):
        asked.append(run)
        return RUNS[run]

    assert compare(Items(tuple(RUNS), read), confidence=0.95) == compare(RUNS, confidence=0.95)
    assert sorted(asked) == sorted(RUNS)


def test_nothing_to_compare_is_a_typed_error():
    with pytest.raises(NoRuns, match=r"params\.yaml") as caught:
        compare({}, confidence=0.95)
    assert isinstance(caught.value, BadInput)
