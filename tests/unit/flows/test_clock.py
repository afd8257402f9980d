"""The clock: the last bar that had closed, and asof.yaml that never moves back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betti import params
from flows import clock
from tests.conftest import REPOSITORY

STEPS = {"1m": 60, "15m": 900, "1h": 3600, "4h": 14_400, "1d": 86_400}


@given(
    st.sampled_from(sorted(STEPS)),
    st.datetimes(min_value=datetime(1975, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)),
)
def test_the_last_closed_bar_is_on_the_grid_closed_and_the_newest_such(interval: str, now: datetime):
    step = timedelta(seconds=STEPS[interval])
    bar = clock.last_closed(interval, now)
    assert bar.timestamp() % step.total_seconds() == 0
    assert bar + step <= now < bar + 2 * step


@pytest.fixture
def root(tmp_path):
    (tmp_path / "params.yaml").write_text((REPOSITORY / "params.yaml").read_text())
    return tmp_path


@pytest.mark.parametrize(
    ("before", "moves"), [("2018-12-31T00:00:00+00:00", True), ("2100-01-01T00:00:00+00:00", False)]
)
def test_asof_moves_forward_only(root, before: str, moves: bool):
    (root / "asof.yaml").write_text(f'until: "{before}"\naccepted: null\n')
    said = clock.advance(root, complete=True)
    assert said == params.until(root)
    assert (said != before) == moves
    assert params.clock(root, "accepted") == (before if moves else None)


def test_what_an_unfinished_run_saw_is_not_accepted(root):
    accepted = "2017-12-29T00:00:00+00:00"
    (root / "asof.yaml").write_text(f'until: "2018-12-31T00:00:00+00:00"\naccepted: "{accepted}"\n')
    clock.advance(root, complete=False)
    assert params.clock(root, "accepted") == accepted
    assert clock.accept(root) == params.until(root) == params.clock(root, "accepted")
