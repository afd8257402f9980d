"""The DAG: dvc.yaml as {stage: upstreams}, and what a request selects from it. Nothing else reads dvc.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from betti.errors import BadInput, UnknownName
from tasks import policy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tasks.record import Workspace

__all__ = ["AmbiguousStage", "Dag", "Looked", "look"]


class AmbiguousStage(BadInput):
    """A word that means items of several stages."""

    def __init__(self, name: str, items: tuple[str, ...]) -> None:
        super().__init__(f"'{name}' is an item of several stages; say which: {', '.join(items)}")


@dataclass(frozen=True)
class Dag:
    """Stages in an order in which they can run, each with the stages it reads from."""

    upstreams: Mapping[str, tuple[str, ...]]

    @property
    def stages(self) -> tuple[str, ...]:
        """All stages."""
        return tuple(self.upstreams)

    def named(self, name: str) -> tuple[str, ...]:
        """The stages one word means: a full name, a stage with all its items, or an item that one stage has.

        Raises:
            UnknownName, AmbiguousStage: it means nothing, or items of several stages.
        """
        if name in self.upstreams:
            return (name,)
        items = tuple(stage for stage in self.stages if stage.partition("@")[0] == name)
        items = items or tuple(stage for stage in self.stages if stage.partition("@")[2] == name)
        if not items:
            raise UnknownName("stage", name, {*self.stages, *(stage.partition("@")[0] for stage in self.stages)})
        if len({stage.partition("@")[0] for stage in items}) > 1:
            raise AmbiguousStage(name, items)
        return items

    def above(self, wanted: Iterable[str]) -> set[str]:
        """These stages and everything they are made from."""
        found: set[str] = set()
        todo = list(wanted)
        while todo:
            stage = todo.pop()
            if stage not in found:
                found.add(stage)
                todo.extend(self.upstreams[stage])
        return found

    def below(self, wanted: Iterable[str]) -> set[str]:
        """These stages and everything that is made from them."""
        found = set(wanted)
        for stage, ups in self._topological():
            if found.intersection(ups):
                found.add(stage)
        return found

    def _topological(self) -> list[tuple[str, tuple[str, ...]]]:
        order: dict[str, tuple[str, ...]] = {}

        def visit(stage: str) -> None:
            if stage not in order:
                for up in self.upstreams[stage]:
                    visit(up)
                order[stage] = self.upstreams[stage]

        for stage in self.stages:
            visit(stage)
        return list(order.items())

    def select(self, stages: Iterable[str], runs: Iterable[str], downstream: bool) -> tuple[str, ...]:
        """The stages a request is about, before what they need: named ones, those of named runs, and on demand below.

        Nothing named means everything.

        Raises:
            UnknownName: a stage or a run that does not exist.
        """
        known = {stage.partition("@")[2] for stage in self.stages if stage.startswith("train@")}
        asked = [stage for name in stages for stage in self.named(name)]
        for run in runs:
            if run not in known:
                raise UnknownName("run", run, known)
            asked += [f"train@{run}", f"evaluate@{run}"]
        chosen = set(asked) if asked else set(self.stages)
        chosen = self.below(chosen) if downstream else chosen
        return tuple(stage for stage, _ in self._topological() if stage in chosen)

    def ready(self, wanted: Iterable[str], done: Iterable[str]) -> tuple[str, ...]:
        """The wanted stages whose upstreams are all done and which are not, the heaviest first."""
        finished = set(done)
        open_ = [stage for stage in wanted if stage not in finished and finished.issuperset(self.upstreams[stage])]
        return tuple(sorted(open_, key=lambda stage: (-policy.of(stage).weight, stage)))


@dataclass(frozen=True)
class Looked:
    """The DAG and what is stale in it: why, stage by stage, and everything behind those."""

    dag: Dag
    why: Mapping[str, tuple[str, ...]]
    stale: frozenset[str]


def look(workspace: Workspace) -> Looked:
    """Look at all stages of a workspace at once."""
    view = workspace.look()
    dag = Dag(view.upstreams)
    return Looked(dag, view.stale, frozenset(dag.below(view.stale)))
