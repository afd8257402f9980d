"""After a run: its trials go into the ledger, what it trained into the tracking backend, and both ways lead back.

What is due follows from dvc.lock and from a note per run in `.betti/tracking`: models or an evaluation whose hash the
note does not have. So it does not matter who trained them (the nightly flow, `betti run`, `dvc repro`), how often this
is asked, or whether the last time was killed. Of several trainings of one run between two looks the last alone is seen:
every `betti` command that trains looks when it ends, `dvc repro` leaves it to the next. It reads what is recorded,
writes nothing that DVC tracks, and a fault in it is told and fails no run. What does not belong here: backends
(`betti.tracking`), the ledger's file (`betti.trials`).
"""

from __future__ import annotations

import fcntl
import json
import math
import os
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from betti import catalog, io, params, tracking, trials
from betti.errors import BettiError, PartUnavailable
from tasks import logs
from tasks.lockfile import LockText

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pandas as pd

    from betti.records import RunMetrics
    from betti.tracking import Reference
    from betti.training.manifest import RunManifest

    Say = Callable[[str], None]

__all__ = ["Entry", "Recorded", "Row", "catch_up", "entries", "outs", "recorded", "table"]

NOTES = ".betti/tracking"
EXTRAS = {"wandb": "wandb"}  # what to install, where that is not the extra `tracking`
# The folder of an entry that an artifact is kept in; the manifest, a page of pictures, logs and the model join them.
KEPT = {"metrics": "metrics", "learning": "plots", "importance": "plots", "confusion": "plots", "equity": "plots"}
NO_SCORES = ("baselines", "baseline_trading", "columns_dropped", "rows_dropped")


@dataclass(frozen=True)
class Recorded:
    """What dvc.lock says of one run.

    Attributes:
        run: its name.
        models: the hash of the trained models.
        evaluation: the hash of their evaluation; None where they were not evaluated yet, or others were.
        ins: path -> hash of what they were trained on, code left out.
        outs: path -> hash of what train and evaluate made.
    """

    run: str
    models: str
    evaluation: str | None
    ins: Mapping[str, str]
    outs: Mapping[str, str]


@dataclass(frozen=True)
class Entry:
    """The note of one run: which hashes are settled, with which backend, and where they are found.

    `counted` is false where the ledger could not be written.
    """

    run: str
    models: str
    evaluation: str | None
    counted: bool
    backend: str
    reference: Reference | None


@dataclass(frozen=True)
class Row:
    """A line of the dashboard's table `tracking`."""

    run: str
    models: str
    backend: str
    id: str
    show: str


# What is recorded ---------------------------------------------------------------------------------------------------


def recorded(root: Path) -> tuple[Recorded, ...]:
    """Every declared run whose training dvc.lock records, in the order of params.yaml."""
    fragments = LockText.read(root / "dvc.lock").fragments
    found = (_recorded(root, run, fragments) for run in params.load(root).runs)
    return tuple(one for one in found if one is not None)


def outs(root: Path) -> dict[str, str]:
    """Path -> hash of every out that dvc.lock records, of all stages."""
    fragments = LockText.read(root / "dvc.lock").fragments
    return {path: md5 for stage in fragments for path, md5 in _hashes(_parsed(stage, fragments), "outs").items()}


def _recorded(root: Path, run: str, fragments: Mapping[str, str]) -> Recorded | None:
    trained, judged = (_parsed(f"{stage}@{run}", fragments) for stage in ("train", "evaluate"))
    outs = _hashes(trained, "outs")
    models_path = _path(root, "models", run)
    if models_path not in outs:
        return None
    models = outs[models_path]
    same = _hashes(judged, "deps").get(models_path) == models  # an evaluation of these models, not of earlier ones
    judged_outs = _hashes(judged, "outs") if same else {}
    ins = {path: md5 for path, md5 in _hashes(trained, "deps").items() if not path.startswith("src/")}
    return Recorded(run, models, judged_outs.get(_path(root, "metrics", run)), ins, {**outs, **judged_outs})


def _parsed(stage: str, fragments: Mapping[str, str]) -> Any:
    """A stage's entry in dvc.lock; an empty one where there is none."""
    import yaml

    text = fragments.get(stage)
    return {} if text is None else yaml.load(text, Loader=yaml.CSafeLoader)[stage]


def _hashes(entry: Any, kind: str) -> dict[str, str]:
    return {one["path"]: str(one["md5"]) for one in entry.get(kind, ()) if "md5" in one}


def _path(root: Path, artifact: str, item: str) -> str:
    return catalog.artifact(artifact).at(root, item).relative_to(root).as_posix()


# What is due --------------------------------------------------------------------------------------------------------


def catch_up(root: Path, say: Say, warn: Say) -> int:
    """Count and track what was recorded since the last time; returns how many runs that were.

    Costs about ten milliseconds where nothing is due; a backend's library is imported only where something is.
    """
    backend = params.load(root).tracking.backend
    with _alone(root) as mine:
        if not mine:
            return 0
        # A ledger that is gone is begun anew with what is recorded; what came before it only git can bring back.
        notes = {entry.run: entry for entry in entries(root)} if (root / trials.FILE).exists() else {}
        due = [one for one in recorded(root) if not _settled(one, notes.get(one.run), backend)]
        if due:
            counted = _count(root, due, warn)
            _track(root, due, counted, say, warn)
    return len(due)


def _settled(one: Recorded, note: Entry | None, backend: str) -> bool:
    if note is None or not note.counted:
        return False
    return (note.models, note.evaluation, note.backend) == (one.models, one.evaluation, backend)


@contextmanager
def _alone(root: Path) -> Iterator[bool]:
    """Whether this process is the only one at it: another is doing the same work already."""
    folder = root / NOTES
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as handle:
        try:
            fcntl.flock(handle.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def entries(root: Path) -> tuple[Entry, ...]:
    """The notes, by run; a note that is lost or spoilt costs one look into the backend."""
    found = []
    for file in sorted((root / NOTES).glob("*.json")):
        try:
            raw = json.loads(file.read_text(encoding="utf-8"))
            reference = raw["reference"] and tracking.Reference(**raw["reference"])
            found.append(Entry(**{**raw, "reference": reference}))
        except (OSError, ValueError, TypeError, KeyError):
            continue
    return tuple(found)


def _note(root: Path, entry: Entry) -> None:
    file = root / NOTES / f"{entry.run}.json"
    scratch = file.with_suffix(f".{os.getpid()}")
    scratch.write_text(json.dumps(asdict(entry), indent=1), encoding="utf-8")
    scratch.replace(file)


def table(root: Path) -> tuple[Row, ...]:
    """What is tracked, for the dashboard."""
    return tuple(
        Row(one.run, one.models, one.reference.backend, one.reference.id, one.reference.show)
        for one in entries(root)
        if one.reference is not None
    )


# The ledger ---------------------------------------------------------------------------------------------------------


def _count(root: Path, due: list[Recorded], warn: Say) -> bool:
    """Whether the ledger has them all now."""
    try:
        trials.add(root, [_trial(root, one) for one in due])
    except (BettiError, OSError) as fault:
        warn(f"these trainings are not counted yet: {fault}")
        return False
    return True


def _trial(root: Path, one: Recorded) -> trials.Trial:
    manifest, metrics = _manifest(root, one), _metrics(root, one)
    losses = [fit.val_loss for name, fit in manifest.fits.items() if name != "final" and fit.val_loss is not None]
    hashes = {
        name: one.ins.get(_path(root, artifact, item), "")
        for name, artifact, item in (
            ("set", "feature_set", manifest.set),
            ("labels", "labels", manifest.target),
            ("folds", "folds", manifest.target),
        )
    }
    return trials.Trial(
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        origin="run",
        run=one.run,
        target=manifest.target,
        model=manifest.model,
        set=manifest.set,
        seed=manifest.seed,
        prune=manifest.prune,
        config={name: value for name, value in manifest.config.items() if name != "seed"},
        data=trials.Data(**hashes),
        valid_loss=sum(losses) / len(losses) if losses else None,
        folds={} if metrics is None else _fold_scores(metrics),
        sharpe_per_bar=None if metrics is None else metrics.trading.sharpe / math.sqrt(metrics.trading.bars_per_year),
    )


def _fold_scores(metrics: RunMetrics) -> dict[str, trials.FoldScore]:
    return {
        name: trials.FoldScore(rows=one.rows, accuracy=one.accuracy, log_loss=one.log_loss, macro_f1=one.macro_f1)
        for name, one in metrics.folds.items()
    }


def _manifest(root: Path, one: Recorded) -> RunManifest:
    from betti import binding

    manifest: RunManifest = binding.read(catalog.artifact("models"), root, one.run).manifest
    return manifest


def _metrics(root: Path, one: Recorded) -> RunMetrics | None:
    from betti import binding

    if one.evaluation is None:
        return None
    metrics: RunMetrics = binding.read(catalog.artifact("metrics"), root, one.run)
    return metrics


# The backend --------------------------------------------------------------------------------------------------------


def _track(root: Path, due: list[Recorded], counted: bool, say: Say, warn: Say) -> None:
    knobs = params.load(root).tracking
    tracker = None
    if knobs.backend != tracking.NONE:
        try:
            tracker = tracking.open_tracker(knobs.backend, root, knobs.uri)
        except PartUnavailable as fault:
            extra = EXTRAS.get(knobs.backend, "tracking")
            say(f"Not tracked: {fault}. Install it with `pip install 'betti[{extra}]'`, or set tracking.backend: none")
        except BettiError as fault:
            warn(str(fault))
            return  # without a note, so that the next time tries again
    for one in due:
        try:
            reference = None if tracker is None else _logged(root, one, tracker)
            _note(root, Entry(one.run, one.models, one.evaluation, counted, knobs.backend, reference))
        except (BettiError, OSError) as fault:
            warn(str(fault))
            return


def _logged(root: Path, one: Recorded, tracker: tracking.Tracker) -> tracking.Reference:
    with TemporaryDirectory(prefix="betti-") as scratch:
        page = Path(scratch) / "pictures.html"
        page.write_text(_pictures(root, one), encoding="utf-8")
        return tracker.log(_record(root, one, page))


def _record(root: Path, one: Recorded, page: Path) -> tracking.Record:
    manifest, metrics = _manifest(root, one), _metrics(root, one)
    return tracking.Record(
        run=one.run,
        group=manifest.target,
        models=one.models,
        evaluation=one.evaluation,
        params=_params(manifest),
        curves=_curves(root, one.run),
        scores={} if metrics is None else _scores(metrics),
        tags=_tags(one),
        files=_files(root, one, page),
        model=catalog.artifact("models").at(root, one.run) / "final",
    )


def _files(root: Path, one: Recorded, page: Path) -> tuple[tuple[str, Path], ...]:
    """What is kept with an entry. Files of an evaluation of earlier models may lie there still: they are none of it."""
    models = catalog.artifact("models").at(root, one.run)
    kept = [("config", models / "manifest.json"), *(("config", file) for file in sorted(models.glob("config/*")))]
    kept.append(("plots", page))
    kept += [(folder, root / _path(root, name, one.run)) for name, folder in KEPT.items()
             if _path(root, name, one.run) in one.outs]  # fmt: skip
    made = {f"train@{one.run}": _path(root, "models", one.run), f"evaluate@{one.run}": _path(root, "metrics", one.run)}
    told = [logs.log_of(root, stage, out, one.outs[out]) for stage, out in made.items() if out in one.outs]
    kept += [("logs", log) for log in told if log is not None]
    return tuple((folder, file) for folder, file in kept if file.is_file())


def _pictures(root: Path, one: Recorded) -> str:
    """The run's part of the report as a page of its own."""
    import pandas as pd

    from betti import binding
    from betti.tracking._pictures import Judged, run_page

    def table(name: str) -> pd.DataFrame:
        if _path(root, name, one.run) not in one.outs:
            return pd.DataFrame()  # an earlier Betti made none
        found: pd.DataFrame = binding.read(catalog.artifact(name), root, one.run)
        return found

    metrics = _metrics(root, one)
    judged = None if metrics is None else Judged(metrics, table("predictions"), table("equity"))
    points = params.load(root).report.max_points
    return run_page(one.run, table("learning"), table("importance"), judged, points)


def _params(manifest: RunManifest) -> dict[str, str]:
    plain = ("model", "set", "target", "seed", "classes", "length", "prune", "device")
    values: dict[str, object] = {name: getattr(manifest, name) for name in plain}
    values["columns"] = len(manifest.columns)
    values |= {f"config.{name}": value for name, value in manifest.config.items()}
    values |= {f"final.{name}": value for name, value in manifest.final_config.items()}
    return {name: str(value) for name, value in values.items()}


def _tags(one: Recorded) -> dict[str, str]:
    ins = {f"dvc.in.{path}": md5 for path, md5 in one.ins.items()}
    outs = {f"dvc.out.{path}": md5 for path, md5 in one.outs.items()}
    folder = next(path for path, md5 in one.outs.items() if md5 == one.models)
    return {**ins, **outs, "betti.lineage": f"betti lineage {folder}"}


def _curves(root: Path, run: str) -> tuple[tracking.Point, ...]:
    """Every number of the learning table, fold by fold; the final model's fold is called final."""
    path = catalog.artifact("learning").at(root, run)
    if not path.is_file():
        return ()
    rows = io.read_csv(path)
    names = [str(name) for name in rows.columns if name not in ("fold", "epoch")]
    return tuple(
        tracking.Point(f"{'final' if row['fold'] < 0 else 'fold_' + str(int(row['fold']))}/{name}",
                       int(row["epoch"]), float(row[name]))
        for row in rows.to_dict("records")
        for name in names
        if isinstance(row[name], int | float) and math.isfinite(row[name])
    )  # fmt: skip


def _scores(metrics: RunMetrics) -> dict[str, float]:
    """Every finite number that the run earned, by its place: "pooled/accuracy", "folds/fold_0/auc", ...

    Not those of the baselines, and no counts of columns: they are no scores, and a backend draws a picture of each.
    """
    whole = metrics.model_dump()
    own = {name: value for name, value in whole.items() if isinstance(value, dict) and name not in NO_SCORES}
    return dict(_numbers(own, ""))


def _numbers(value: Any, above: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _numbers(inner, f"{above}/{name}" if above else str(name))
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        yield above, float(value)
