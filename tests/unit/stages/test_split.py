"""The split stage is its scheme."""

from __future__ import annotations

import pandas as pd
import pytest

from betti import splits
from betti.errors import BadParam, UnknownName
from betti.stages.labels import labels
from betti.stages.split import split
from tests.unit.splits.checks import check_split


def test_real_labels_are_split_without_a_leak(bars):
    table = labels(bars, None, kind="direction", horizon=10, measure="atr")
    folds = split(table, scheme="walk_forward", folds=3, embargo="5D")
    check_split(table, folds)
    pd.testing.assert_frame_equal(folds, splits.split("walk_forward", table, folds=3, embargo="5D"))
    assert {"train", "valid", "test", "purged", "embargoed", "unused"} == set(folds["role"])


def test_unknown_schemes_and_knobs_are_refused(bars):
    with pytest.raises(UnknownName, match="did you mean 'walk_forward'"):
        split(bars, scheme="walkforward")
    with pytest.raises(BadParam, match=r"split\.folds"):
        split(bars, scheme="walk_forward", folds=0)


@pytest.mark.parametrize("scheme", ["walk_forward", "combinatorial", "three_way"])
def test_an_embargo_that_leaves_nothing_to_learn_from_is_refused(bars, scheme):
    table = labels(bars, None, kind="direction", horizon=10, measure="atr")
    with pytest.raises(BadParam, match=r"split\.embargo = '9999D': fold 0 keeps no row to train on"):
        split(table, scheme=scheme, embargo="9999D")
