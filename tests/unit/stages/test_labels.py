"""The labels stage is its target, and one period of it needs what its slices say."""

from __future__ import annotations

import pandas as pd
import pytest

from betti import labelling
from betti.errors import BadParam, UnknownName
from betti.stages.labels import labels, slices


@pytest.mark.parametrize(
    ("kind", "knobs"), [("direction", {"horizon": 7, "measure": "atr"}), ("trigger", {"threshold": 0.01})]
)
def test_the_table_is_the_targets(bars, kind, knobs):
    pd.testing.assert_frame_equal(labels(bars, None, kind=kind, **knobs), labelling.label(kind, bars, **knobs))
    back, ahead = labelling.reach(kind, **knobs)
    found = slices(kind=kind, **knobs)
    assert (found.back, found.ahead, found.modules) == (back, ahead, (f"betti.labelling.{kind}",))


def test_a_longer_horizon_reaches_farther():
    assert slices(kind="direction", horizon=20).ahead > slices(kind="direction", horizon=5).ahead


@pytest.mark.parametrize("stage", [lambda **knobs: labels(None, None, **knobs), slices])
def test_unknown_kinds_and_knobs_are_refused(stage):
    with pytest.raises(UnknownName, match="target 'directon'"):
        stage(kind="directon")
    with pytest.raises(UnknownName, match="did you mean 'horizon'"):
        stage(kind="trigger", horizn=3)
    with pytest.raises(BadParam, match="horizon"):
        stage(kind="trigger", horizon=0)
