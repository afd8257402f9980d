"""Three parts in time; the definitions of the roles are held in test_roles.py."""

from __future__ import annotations

import pytest

from betti import splits
from betti.errors import BadParam
from tests.unit.splits.checks import spans
from tests.unit.splits.test_walk_forward import daily


def test_by_hand():
    folds = splits.split("three_way", daily(20, 1), valid_share=0.3, test_share=0.25, embargo="2D")
    expected = ["train"] * 8 + ["purged"] + ["valid"] * 3 + ["embargoed"] * 2 + ["purged"] + ["test"] * 5
    assert folds["role"].tolist() == expected
    assert set(folds["fold"]) == {0}


def test_it_is_one_fold_of_walk_forward_where_both_cut_alike():
    labels = spans(8, rows=100, symbols=3, longest=9)
    knobs = {"embargo": "3D"}
    three = splits.split("three_way", labels, valid_share=0.25, test_share=0.5, **knobs)
    one = splits.split("walk_forward", labels, folds=1, valid_share=0.5, **knobs)
    assert (three["role"] == one["role"]).mean() > 0.98, "an odd number of instants may round otherwise"


@pytest.mark.parametrize(
    ("knobs", "problem"),
    [
        ({"valid_share": 0.5, "test_share": 0.5}, "nothing is left to train on"),
        ({"test_share": 0}, "greater than 0"),
        ({"valid_share": 0.001, "test_share": 0.001}, "too few for parts of these shares"),
        ({"embargo": "1 week"}, "match"),
    ],
)
def test_a_knob_out_of_range_is_refused(knobs, problem):
    with pytest.raises(BadParam, match=problem):
        splits.split("three_way", daily(50, 1), **knobs)
