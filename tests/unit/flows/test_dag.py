"""What a request selects from the DAG, and in which order it can run."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti.errors import UnknownName
from flows.dag import AmbiguousStage, Dag

DAG = Dag(
    {
        "ingest": (),
        "features@topology": ("ingest",),
        "features@technical": ("ingest",),
        "labels@trigger": ("ingest",),
        "split@trigger": ("labels@trigger",),
        "select@mixed": ("features@technical", "features@topology"),
        "train@trigger-lightgbm": ("labels@trigger", "select@mixed", "split@trigger"),
        "evaluate@trigger-lightgbm": ("train@trigger-lightgbm",),
        "compare": ("evaluate@trigger-lightgbm",),
    }
)


def test_a_word_means_a_stage_its_items_or_an_item():
    assert DAG.named("ingest") == ("ingest",)
    assert DAG.named("features") == ("features@topology", "features@technical")
    assert DAG.named("topology") == ("features@topology",)


def test_a_word_that_means_nothing_or_too_much_is_refused():
    with pytest.raises(UnknownName, match="did you mean 'features@topology'"):
        DAG.named("topolgy")
    with pytest.raises(AmbiguousStage, match="labels@trigger, split@trigger"):
        DAG.named("trigger")


def test_nothing_named_means_everything():
    assert set(DAG.select([], [], downstream=False)) == set(DAG.stages)


def test_a_run_means_its_two_stages():
    chosen = DAG.select([], ["trigger-lightgbm"], downstream=False)
    assert chosen == ("train@trigger-lightgbm", "evaluate@trigger-lightgbm")
    with pytest.raises(UnknownName, match="unknown run 'x'"):
        DAG.select([], ["x"], downstream=False)


def test_downstream_adds_everything_made_from_it_and_nothing_else():
    chosen = set(DAG.select(["split@trigger"], [], downstream=True))
    assert chosen == {"split@trigger", "train@trigger-lightgbm", "evaluate@trigger-lightgbm", "compare"}


def test_above_is_what_a_stage_is_made_from():
    assert DAG.above(["split@trigger"]) == {"split@trigger", "labels@trigger", "ingest"}


def test_the_heaviest_ready_stage_comes_first():
    assert DAG.ready(DAG.stages, done=[]) == ("ingest",)
    assert DAG.ready(DAG.stages, done=["ingest"])[0] == "features@topology"


@st.composite
def dags(draw: st.DrawFn) -> Dag:
    names = [f"features@{i}" for i in range(draw(st.integers(1, 9)))]
    ups = {n: tuple(draw(st.sets(st.sampled_from(names[:i])))) if i else () for i, n in enumerate(names)}
    order = draw(st.permutations(names))
    return Dag({name: ups[name] for name in order})


@given(dags())
@settings(max_examples=60, deadline=None)
def test_working_off_what_is_ready_reaches_every_stage_after_its_upstreams(dag: Dag):
    done: list[str] = []
    while len(done) < len(dag.stages):
        ready = dag.ready(dag.stages, done)
        assert ready
        done.append(ready[0])
    assert all(done.index(up) < done.index(stage) for stage in dag.stages for up in dag.upstreams[stage])


@given(dags())
@settings(max_examples=60, deadline=None)
def test_below_and_above_are_each_others_mirror(dag: Dag):
    for a in dag.stages:
        for b in dag.stages:
            assert (a in dag.above([b])) == (b in dag.below([a]))
