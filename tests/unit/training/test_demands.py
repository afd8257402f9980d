from __future__ import annotations

import pytest

from betti.errors import BadParam, UnknownName
from betti.features._sets import declared
from betti.models import InputSpec, ModelRegistry
from betti.training.demands import MissingHeads, MissingInputs, input_facts, refuse_missing_heads, refuse_pruning
from betti.training.scaling import ONLY
from tests.several import Several

COLUMNS = ("other__first", *declared("itransformer_optimal").columns)


class Topological(Several):
    """Its input's set is a pattern, as long as the family's knobs make it."""

    @property
    def inputs(self):
        return {"topology": InputSpec("topology_only")}


class Astray(Several):
    @property
    def inputs(self):
        return {"bars": InputSpec("film_barz")}


def test_inputs_are_the_columns_of_their_sets_in_the_sets_order() -> None:
    found = input_facts("r", "m", Several(), "s", tuple(reversed(COLUMNS)))
    assert found["bars"].columns == declared("linear_raw").columns
    assert found["complexity"].columns == declared("film_complexity").columns
    assert [one.length for one in found.values()] == [4, None, None]


def test_a_model_of_one_input_takes_the_whole_set() -> None:
    (name, one), *_ = input_facts("r", "lstm", ModelRegistry.create("lstm", {"length": 9}), "s", COLUMNS).items()
    assert (name, one.set, one.columns, one.length) == (ONLY, "s", COLUMNS, 9)
    assert input_facts("r", "logistic", ModelRegistry.create("logistic"), "s", COLUMNS)[ONLY].length is None


def test_a_pattern_takes_what_it_matches_and_is_missing_where_it_matches_nothing() -> None:
    columns = ("topology__b", "other__x", "topology__a")
    assert input_facts("r", "m", Topological(), "s", columns)["topology"].columns == ("topology__b", "topology__a")
    with pytest.raises(MissingInputs, match=r"1 of 'topology_only': topology__\*\. Use the set 'topology_only'"):
        input_facts("r", "m", Topological(), "s", COLUMNS)


def test_everything_that_is_missing_is_counted_and_the_first_of_it_named() -> None:
    with pytest.raises(MissingInputs) as found:
        input_facts("night", "m", Several(), "s", declared("linear_raw").columns)
    assert "run 'night'" in str(found.value)
    assert found.value.absent == {"film_complexity": list(declared("film_complexity").columns)}
    with pytest.raises(MissingInputs, match=r"5 of 'linear_raw': bars__open, .*; 6 of 'film_complexity': .*; 1 of"):
        input_facts("night", "m", Several(), "s", ())
    with pytest.raises(UnknownName, match="did you mean 'film_bars'"):
        input_facts("r", "m", Astray(), "s", COLUMNS)


def test_a_target_that_does_not_fit_is_told_which_kinds_do() -> None:
    refuse_missing_heads("r", "m", Several(), "trigger", ["trigger", "max_pct"])
    with pytest.raises(
        MissingHeads, match=r"the labels of 'direction_5' have no max_pct\. Targets of the kind trigger"
    ):
        refuse_missing_heads("r", "m", Several(), "direction_5", ["direction"])


def test_only_a_model_of_one_input_is_pruned() -> None:
    refuse_pruning("r", "m", Several(), None)
    refuse_pruning("r", "logistic", ModelRegistry.create("logistic"), 0.9)
    with pytest.raises(BadParam, match=r"runs\.r\.prune"):
        refuse_pruning("r", "m", Several(), 0.9)
