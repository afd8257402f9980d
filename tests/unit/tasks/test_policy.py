"""Every stage has a policy, and an item's own row comes before its stage's."""

from __future__ import annotations

from betti.catalog import STAGES
from tasks import policy


def test_every_stage_has_a_row():
    assert {name.partition("@")[0] for name in policy.POLICIES} == set(STAGES)


def test_an_items_own_row_comes_first():
    assert policy.of("features@topology").own_process
    assert not policy.of("features@technical").own_process
    assert policy.of("train@anything") == policy.POLICIES["train"]


def test_what_runs_in_its_own_process_can_be_stopped():
    assert all(row.timeout_seconds for row in policy.POLICIES.values() if row.own_process)
