"""Every artifact: its name, where it lies, what it holds. The only place where a data path is written.

A stage function names artifacts by their names here; `betti.__main__` binds them. What does not belong here: reading
or writing (`betti.io`), and which stage depends on which (`dvc.yaml`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from betti import schemas
from betti.errors import UnknownName

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ARTIFACTS", "STAGES", "Artifact", "Stage", "artifact", "stage", "symbol_folder"]


@dataclass(frozen=True)
class Artifact:
    """One artifact.

    Attributes:
        name: what stage functions call it.
        path: where it lies under the repository root; `{item}` is filled in where there are several.
        form: how it is stored; `betti.io` has one reader and one writer per form.
        schema: the table's columns, where it is a table.
        value: `module:Class` of what it holds, where it is no table (imported only when read).
        item: what its items are called (`family`, `set`, `target`, `run`), None for a single artifact.
        inside: the artifact whose folder holds this one, when DVC tracks only that one.
    """

    name: str
    path: str
    form: str
    schema: schemas.Schema | None = None
    value: str | None = None
    item: str | None = None
    inside: str | None = None

    def at(self, root: Path, item: str | None = None) -> Path:
        """The artifact's path under `root`."""
        return root / (self.path.format(item=item) if self.item else self.path)

    def folder(self, root: Path) -> Path:
        """The folder that holds all of its items."""
        return root / self.path.split("/{item}")[0]


@dataclass(frozen=True)
class Stage:
    """One stage module, and the block of params.yaml that it takes.

    Attributes:
        name: the module and function in `betti.stages`.
        params: the block of params.yaml; for a stage with items either a mapping of items or one shared block.
        out: the artifact it returns; None where it returns a dataclass whose fields are named after its artifacts.
        item: what an item of this stage is (`family`, `set`, `target`, `run`), None where it has none.
        items: the block of params.yaml whose keys are the items.
        clocks: what it takes from asof.yaml: `until`, `accepted`.
    """

    name: str
    params: str | None
    out: str | None = None
    item: str | None = None
    items: str | None = None
    clocks: tuple[str, ...] = ()


STAGES = {
    stage.name: stage
    for stage in (
        Stage("ingest", params="ingest", out="bars", clocks=("until",)),
        Stage("validate", params="validate", clocks=("until", "accepted")),
        Stage("features", params="features", out="features", item="family", items="features"),
        Stage("select", params="sets", out="feature_set", item="set", items="sets"),
        Stage("labels", params="targets", out="labels", item="target", items="targets"),
        Stage("split", params="split", out="folds", item="target", items="targets"),
        Stage("train", params="runs", item="run", items="runs"),
        Stage("evaluate", params="evaluate", item="run", items="runs"),
        Stage("compare", params="compare"),
        Stage("report", params="report", out="report"),
    )
}

ARTIFACTS = {
    artifact.name: artifact
    for artifact in (
        Artifact("bars", "data/1_bars", "parts", schemas.BARS),
        Artifact("revisions", "data/1_bars/_revisions", "parts", schemas.REVISIONS, inside="bars"),
        Artifact("given_context", "data/1_bars/_context", "folder", value="betti.context:Context", inside="bars"),
        Artifact("clean", "data/2_clean", "parts", schemas.BARS),
        Artifact("context", "data/2_clean/_context", "folder", value="betti.context:Context", inside="clean"),
        Artifact("quarantine", "data/2_clean/_quarantine", "parts", schemas.QUARANTINE, inside="clean"),
        Artifact("validation", "data/9_reports/validation", "folder", value="betti.expectations.result:Validation"),
        Artifact("features", "data/3_features/{item}", "parts", schemas.FEATURES, item="family"),
        Artifact("feature_set", "data/4_sets/{item}", "parts", schemas.FEATURES, item="set"),
        Artifact("labels", "data/5_labels/{item}", "parts", schemas.LABELS, item="target"),
        Artifact("folds", "data/6_folds/{item}", "table", schemas.FOLDS, item="target"),
        Artifact("models", "data/7_models/{item}", "folder", value="betti.training.run:TrainedRun", item="run"),
        Artifact("learning", "data/9_reports/plots/{item}/learning.csv", "csv", item="run"),
        Artifact("importance", "data/9_reports/plots/{item}/importance.csv", "csv", item="run"),
        Artifact("predictions", "data/8_predictions/{item}", "table", schemas.PREDICTIONS, item="run"),
        Artifact(
            "metrics", "data/9_reports/evaluation/{item}.json", "json", value="betti.records:RunMetrics", item="run"
        ),
        Artifact("scores", "data/9_reports/metrics/{item}.json", "json", value="betti.records:Scores", item="run"),
        Artifact("confusion", "data/9_reports/plots/{item}/confusion.csv", "csv", item="run"),
        Artifact("equity", "data/9_reports/plots/{item}/equity.csv", "csv", item="run"),
        Artifact("leaderboard", "data/9_reports/leaderboard.json", "json", value="betti.records:Leaderboard"),
        Artifact("champion", "data/9_reports/champion.json", "json", value="betti.records:Champion"),
        Artifact("report", "data/9_reports/report.html", "html"),
    )
}


def artifact(name: str) -> Artifact:
    """The artifact of that name, or `UnknownName`."""
    if name not in ARTIFACTS:
        raise UnknownName("artifact", name, ARTIFACTS)
    return ARTIFACTS[name]


def stage(name: str) -> Stage:
    """The stage of that name, or `UnknownName`."""
    if name not in STAGES:
        raise UnknownName("stage", name, STAGES)
    return STAGES[name]


def symbol_folder(symbol: str) -> str:
    """A folder name for any symbol: path characters and a leading dot or underscore are percent-encoded.

    >>> symbol_folder("BTC/USDT"), symbol_folder("^GSPC"), symbol_folder("_quarantine"), symbol_folder("..")
    ('BTC%2FUSDT', '%5EGSPC', '%5Fquarantine', '%2E.')
    """
    name = quote(symbol, safe="")
    return f"%{ord(name[0]):02X}{name[1:]}" if name[:1] in {".", "_"} else name
