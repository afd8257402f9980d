"""A repository in a folder of its own and the feed that its source reads: what the laws are tested on.

Its stages run as `python -m betti STAGE` runs them, on real folders. What does not belong here: the laws themselves.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from betti import binding, catalog, params
from tests.conftest import REPOSITORY, random_bars

__all__ = [
    "FAMILIES",
    "PARTWISE",
    "STAGES",
    "TARGETS",
    "Repository",
    "differing",
    "edited",
    "founded",
    "market",
    "run_with",
    "steps",
]

STAGES = ("ingest", "validate", "features", "select", "labels", "split")

_SHIPPED = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
_TOPOLOGY = {"window": 20, "delay": 1, "dimension": 2, "stride": 3, "bins": 5, "layers": 1}

# What is declared, and two that may not be; topology costs most and is small here.
FAMILIES: dict[str, dict[str, Any]] = {**_SHIPPED["features"], "candle": {}, "calendar": {}, "topology": _TOPOLOGY}
TARGETS: dict[str, dict[str, Any]] = {
    "direction_5": {"kind": "direction", "horizon": 5, "width": 1.5, "measure": "atr"},
    "trigger": {"kind": "trigger", "horizon": 8, "threshold": 0.02, "side": "up"},
}
# What is held to the law of parts alone, beside these: a whole night's work with all of it takes too long.
PARTWISE: dict[str, dict[str, dict[str, Any]]] = {
    "features": {**FAMILIES, "bars": {}},
    "targets": {
        **TARGETS,
        "expansion": {
            **{"kind": "expansion", "window": 30, "lead": 5, "longest": 8, "displacement": 3.0},
            **{"stride": 3},
        },
        "relevance": {"kind": "relevance", "bars_per_day": 2},
        "meta": {"kind": "meta", "horizon": 5},
        "fading": {
            **{"kind": "direction", "horizon": 5, "weigh": "return"},
            **{"half_life_days": 2000.0, "newest": "2003-01-01"},
        },
    },
}
_SETS = {
    "shapes": {"columns": ["candle__*", "topology__entropy_*"]},
    "mixed": {"columns": [f"{family}__*" for family in FAMILIES if family != "topology"]},
}
_BLOCKS: dict[str, Any] = {
    "features": FAMILIES,
    "sets": _SETS,
    "targets": TARGETS,
    "split": {"scheme": "walk_forward", "folds": 2, "valid_share": 0.2, "embargo": "2D"},
    "runs": {},
    "evaluate": {**_SHIPPED["evaluate"], "trade_symbols": []},
    "validate": {**_SHIPPED["validate"], "max_quarantined_share": 0.6},
}

_EDIT = """

_{name} = {name}


def {name}(*values, **knobs):
    return ({change})(_{name}(*values, **knobs))


{name}.__wrapped__ = _{name}
"""
# What runs the stages: the code must be the copy's.
_RUN = """
import sys
from pathlib import Path
import betti
from betti import binding
assert Path(betti.__file__).is_relative_to(sys.argv[1]), betti.__file__
for step in sys.argv[3:]:
    stage, _, item = step.partition("@")
    binding.run(Path(sys.argv[2]), stage, item or None)
"""


def market(rows: int, seed: int = 1, symbol: str = "AAA", of: int = 600) -> pd.DataFrame:
    """The first so many of `of` bars, one every 12 hours from 2001 on: about 60 to a monthly part."""
    return random_bars(of, seed, symbol, freq="12h").iloc[:rows]


@dataclass(frozen=True)
class Repository:
    """One repository.

    Attributes:
        root: its folder.
        feed: the folder that its source reads, one Parquet file to a market; several repositories may share it.
    """

    root: Path
    feed: Path

    def deliver(self, bars: pd.DataFrame) -> None:
        """Put these bars in the place of what the feed held, and let the clock stand at the last of them."""
        shutil.rmtree(self.feed, ignore_errors=True)
        self.feed.mkdir(parents=True)
        for symbol, rows in bars.groupby("symbol"):
            rows.drop(columns="symbol").dropna(axis=1, how="all").to_parquet(self.feed / f"{symbol}.parquet")
        self.set_clock(bars["timestamp"].max())
        self.change(ingest={**self.params["ingest"], "symbols": sorted(bars["symbol"].unique())})

    @property
    def params(self) -> dict[str, Any]:
        """What params.yaml holds."""
        found: dict[str, Any] = yaml.safe_load((self.root / "params.yaml").read_text())
        return found

    def change(self, **blocks: object) -> None:
        """Replace whole blocks of params.yaml."""
        (self.root / "params.yaml").write_text(yaml.safe_dump({**self.params, **blocks}, sort_keys=False))

    def set_clock(self, until: pd.Timestamp, accepted: str | None = None) -> None:
        """Write asof.yaml."""
        (self.root / "asof.yaml").write_text(yaml.safe_dump({"until": until.isoformat(), "accepted": accepted}))

    def run(self, *stages: str) -> None:
        """Run all items of these stages, or of the first six, in order."""
        for stage, item in steps(self.root, stages or STAGES):
            binding.run(self.root, stage, item)

    def copy(self, root: Path) -> Repository:
        """The same repository elsewhere, with all that it remembers, and at the same feed."""
        shutil.copytree(self.root, root)
        return Repository(root, self.feed)

    def fresh(self, root: Path) -> Repository:
        """A repository with the same knobs, clock and feed in which nothing ever ran."""
        root.mkdir(parents=True)
        for name in ("params.yaml", "asof.yaml"):
            shutil.copy(self.root / name, root / name)
        return Repository(root, self.feed)

    def everything(self) -> dict[str, str]:
        """Every file under data/, scratch aside, and the hash of its bytes."""
        data = self.root / "data"
        found = (file.relative_to(data) for file in sorted(data.rglob("*")) if file.is_file())
        return {str(file): _hash(data / file) for file in found if file.parts[0] != ".tmp"}

    def files(self) -> dict[str, str]:
        """The same without the revisions of the bars.

        They are the history of what was fetched when, which a repository that fetched all of it at once cannot have.
        """
        return {name: digest for name, digest in self.everything().items() if "_revisions" not in Path(name).parts}

    def table(self, artifact: str, item: str | None = None) -> pd.DataFrame:
        """One artifact's rows."""
        found: pd.DataFrame = binding.read(catalog.artifact(artifact), self.root, item)
        return found

    def parts(self) -> set[str]:
        """The files of the part cache."""
        return {file.name for file in (self.root / binding.PARTS_CACHE).glob("*.parquet")}


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def founded(folder: Path, bars: pd.DataFrame, **blocks: object) -> Repository:
    """A repository whose feed holds these bars, and in which nothing ever ran."""
    found = Repository(folder / "repository", folder / "feed")
    found.root.mkdir(parents=True)
    ingest = {
        **{"source": "parquet", "symbols": [], "interval": "12h"},
        **{"options": {"path": str(found.feed / "{symbol}.parquet")}},
    }
    found.root.joinpath("params.yaml").write_text(yaml.safe_dump({**_SHIPPED, **_BLOCKS, "ingest": ingest, **blocks}))
    found.deliver(bars)
    return found


def steps(root: Path, stages: Iterable[str] = STAGES) -> Iterator[tuple[str, str | None]]:
    """Every item of these stages, in order."""
    loaded = params.load(root)
    for name in stages:
        stage = catalog.stage(name)
        yield from ((name, item) for item in (params.items(loaded, stage) if stage.item else [None]))


def differing(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """Names of the files that are not the same in both: nothing, where two repositories hold equal bytes."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def edited(package: Path, module: str, name: str, change: str) -> None:
    """Let a function of a module of the copied package give something else."""
    file = package / "betti" / module
    assert f"def {name}(" in file.read_text()
    file.write_text(file.read_text() + _EDIT.format(name=name, change=change))


def run_with(package: Path, repository: Repository, *jobs: str) -> None:
    """Run stages with another copy of the code."""
    environment = {**os.environ, "PYTHONPATH": str(package)}
    command = [sys.executable, "-c", _RUN, str(package), str(repository.root), *jobs]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
