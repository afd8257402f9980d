"""Bind a stage function to the repository: its inputs from data/, its knobs from params.yaml, its outs back to data/.

The signature is the contract: a positional argument names an artifact (a `Mapping` of it means all declared items),
keyword arguments are knobs, and the outs are the return value. What does not belong here: DVC, Prefect, and deciding
whether a stage has to run.
"""

from __future__ import annotations

import importlib
import inspect
import json
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from betti import beside, catalog, io, parts, progress, schemas
from betti import params as _params
from betti.errors import BadParam, MissingArtifact, UnknownName
from betti.history import History

if TYPE_CHECKING:
    from collections.abc import Callable

    from betti.catalog import Artifact, Stage
    from betti.expectations.judging import Judged
    from betti.fetched import Fetched
    from betti.growth import Fetch
    from betti.slices import Slices

__all__ = ["Input", "check", "function", "inputs", "knobs", "outs", "read", "run", "undeclared"]

PARTS_CACHE = ".betti/parts"
RESUME = ".betti/resume"
FETCHED = ".betti/fetched"


@dataclass(frozen=True)
class Input:
    """One positional argument of a stage: an artifact, one item of it or all of them."""

    artifact: Artifact
    every: bool


def function(stage: Stage) -> Callable[..., Any]:
    """The stage's function."""
    found: Callable[..., Any] = getattr(importlib.import_module(f"betti.stages.{stage.name}"), stage.name)
    return found


def inputs(stage: Stage) -> tuple[Input, ...]:
    """What the stage reads, in the order of its arguments."""
    signature = inspect.signature(function(stage))
    return tuple(
        Input(catalog.artifact(name), every=str(parameter.annotation).startswith("Mapping["))
        for name, parameter in signature.parameters.items()
        if parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    )


def outs(stage: Stage) -> tuple[Artifact, ...]:
    """What the stage writes: its one artifact and those inside it, or those its result's fields are named after."""
    if stage.out is not None:
        inside = (artifact for artifact in catalog.ARTIFACTS.values() if artifact.inside == stage.out)
        return (catalog.artifact(stage.out), *inside)
    module = importlib.import_module(f"betti.stages.{stage.name}")
    result = getattr(module, str(function(stage).__annotations__["return"]))
    return tuple(catalog.artifact(field.name) for field in fields(result))


def knobs(params: _params.Params, stage: Stage, item: str | None, root: Path) -> dict[str, Any]:
    """The keyword arguments of the stage: its block, its item's name where it asks for it, the clock where it has one.

    Raises:
        UnknownName: the stage has no such item.
    """
    declared = _params.items(params, stage)
    if (item is None) != (not declared) or (item is not None and item not in declared):
        raise UnknownName(f"{stage.item or 'item'} of stage {stage.name}", str(item), declared)
    values = _params.block(params, stage, item)
    if stage.item in inspect.signature(function(stage)).parameters:
        values[str(stage.item)] = item
    values |= {clock: _params.clock(root, clock) for clock in stage.clocks}
    if "classes" in inspect.signature(function(stage)).parameters:
        values["classes"] = _classes(params, str(item))
    return values


def _classes(params: _params.Params, run: str) -> int:
    """How many classes a run's target has."""
    from betti import labelling

    return int(labelling.FOLDER.load(params.targets[params.runs[run].target].kind).CLASSES)


def check(params: _params.Params, stage: Stage, item: str | None, root: Path) -> None:
    """Refuse a stage whose parts or knobs do not exist or are out of range, before anything is written.

    Raises:
        UnknownName, BadParam, PartUnavailable: what is wrong, and what there is instead.
    """
    from betti import features, labelling, sources, splits
    from betti import knobs as _knobs

    values = knobs(params, stage, item, root)
    if stage.name == "ingest":
        from betti.stages.ingest import coarser_bars

        _knobs.checked(sources.FOLDER.load(values["source"]).fetch, values["options"], "ingest.options")
        coarser_bars(values["interval"], values["resample"], values["sessions"])
        if values["context_files"]:
            from betti import context

            context.check(values["context_files"])
    elif stage.name == "validate":
        _check_validation(values)
    elif stage.name == "features":
        family = values.pop("family")
        _knobs.checked(features.FOLDER.load(family).compute, values, f"features.{family}")
    elif stage.name == "select":
        from betti.stages.select import check_patterns

        check_patterns(str(item), values["columns"], tuple(params.features))
    elif stage.name == "labels":
        kind = values.pop("kind")
        _knobs.checked(labelling.FOLDER.load(kind).label, values, f"targets.{item}")
    elif stage.name == "split":
        scheme = values.pop("scheme")
        _knobs.checked(splits.FOLDER.load(scheme).split, values, "split")
    elif stage.name == "train":
        _check_run(params, values)


def _check_run(params: _params.Params, values: dict[str, Any]) -> None:
    """Refuse a run whose model cannot be trained here, or whose set or target will lack what its model needs.

    As far as the declarations tell: a family's knobs may give it other columns than it declares; then only training
    knows.
    """
    from betti import labelling
    from betti.models import ModelRegistry, _config, _members
    from betti.training import demands

    run, model, target = (str(values[name]) for name in ("run", "model", "target"))
    _config.refuse_owned(f"runs.{run}.config", values["config"], _config.RUN)
    owned = {name: values[name] for name in _config.RUN}
    prototype = ModelRegistry.create(model, {**values["config"], **owned})
    _members.trainable_here(prototype)
    demands.refuse_pruning(run, model, prototype, values["prune"])
    columns = labelling.FOLDER.load(params.targets[target].kind).COLUMNS
    demands.refuse_missing_heads(run, model, prototype, target, columns)
    if prototype.inputs:
        demands.input_facts(run, model, prototype, values["set"], _set_columns(params, values["set"]))


def _set_columns(params: _params.Params, name: str) -> tuple[str, ...]:
    """The columns of a set, in any order: those of the declared families at default knobs that it asks for by name or
    by pattern, and those it asks for by name whatever the knobs.
    """
    from fnmatch import fnmatchcase

    from betti.features import family
    from betti.features._sets import declared

    patterns = tuple(params.sets[name].columns) or declared(name).columns
    known = [column for one in params.features for column in family(one).columns]
    found = [column for pattern in patterns for column in known if fnmatchcase(column, pattern)]
    return tuple(dict.fromkeys((*found, *patterns)))


def _check_validation(values: dict[str, Any]) -> None:
    from betti.expectations._calendars import ALWAYS
    from betti.sessions import ExchangeSessions

    for calendar in values["calendars"].values():
        if calendar != ALWAYS:
            ExchangeSessions(calendar)
    if values["accepted"] is not None and datetime.fromisoformat(values["accepted"]) > datetime.fromisoformat(
        values["until"]
    ):
        raise BadParam("accepted", values["accepted"], f"it lies after until, {values['until']}", _params.ASOF)


def run(root: Path, stage_name: str, item: str | None) -> None:
    """Read, compute, write: one stage or one item of it.

    Raises:
        UnknownName, BadParam: the stage, the item or a knob does not exist, or a value is out of range.
        MissingArtifact: what the stage reads is not there yet.
    """
    stage = catalog.stage(stage_name)
    params = _params.load(root)
    check(params, stage, item, root)
    values = knobs(params, stage, item, root)
    module = importlib.import_module(f"betti.stages.{stage.name}")
    if hasattr(module, "pieces"):
        _write_growing(stage, values, root)
        return
    if hasattr(module, "judged"):
        _write_judged(stage, values, root)
        return
    if hasattr(module, "slices"):
        _write_slices(stage, item, module.slices(**values), values, root)
        return
    arguments = [_read(entry, stage, item, params, root) for entry in inputs(stage)]
    with _resumed(stage, item, values, root):
        value = function(stage)(*arguments, **values)
    _write(stage, item, value, root)


def _resumed(stage: Stage, item: str | None, values: dict[str, Any], root: Path) -> AbstractContextManager[None]:
    """Where a training that is killed leaves off and goes on; other stages begin anew."""
    if stage.name != "train":
        return nullcontext()
    from betti import code, models
    from betti.training import resume

    config = models.ModelRegistry.create(values["model"], values["config"]).config
    key = code.digest(f"betti.stages.{stage.name}", *models.modules(values["model"], config))
    return resume.resuming(root / RESUME / str(item), key)


def _item_of(artifact: Artifact, stage: Stage, item: str | None, params: _params.Params) -> str | None:
    """Which item of an input this item reads: its own, or the one its run names (`set`, `target`)."""
    if artifact.item is None or artifact.item == stage.item:
        return item
    return str(getattr(params.runs[str(item)], artifact.item))


def _read(entry: Input, stage: Stage, item: str | None, params: _params.Params, root: Path) -> Any:
    artifact = entry.artifact
    if not entry.every:
        return read(artifact, root, _item_of(artifact, stage, item, params))
    owner = next(s for s in catalog.STAGES.values() if s.item == artifact.item)
    return io.Items(_params.items(params, owner), lambda name: read(artifact, root, name))


def read(artifact: Artifact, root: Path, item: str | None = None) -> Any:
    """One artifact's value.

    Raises:
        MissingArtifact: it is not there.
        BrokenArtifact: it does not follow its schema.
    """
    path = artifact.at(root, item)
    # A table inside another's folder that has no rows has no file.
    if not path.exists() and not (artifact.inside and catalog.artifact(artifact.inside).at(root).exists()):
        raise MissingArtifact(artifact.name, path, _maker(artifact))
    if artifact.schema is not None:
        return io.read_table(path, artifact.schema)
    if artifact.form == "csv":
        return io.read_csv(path)
    module, _, name = str(artifact.value).partition(":")
    kind = getattr(importlib.import_module(module), name)
    return io.read_json(path, kind) if artifact.form == "json" else kind.load(path)


def undeclared(params: _params.Params, root: Path) -> list[Path]:
    """The files of items that params.yaml declares no more.

    DVC's cache keeps their content, so that they may go, and declaring an item again restores it.
    """
    rest: list[Path] = []
    for found in catalog.ARTIFACTS.values():
        if found.item is None:
            continue
        owner = next(s for s in catalog.STAGES.values() if s.item == found.item)
        wanted = {found.at(root, item) for item in _params.items(params, owner)}
        pattern = found.path.replace("{item}", "*")
        rest += [path for path in root.glob(pattern) if path not in wanted]
    return rest


def _maker(artifact: Artifact) -> str:
    """The stage that writes an artifact."""
    return next(stage.name for stage in catalog.STAGES.values() if artifact in outs(stage))


def _write_slices(stage: Stage, item: str | None, sliced: Slices, values: dict[str, Any], root: Path) -> None:
    """Compute the parts that are not cached, and copy all of them out."""
    compute, artifact = function(stage), outs(stage)[0]
    clean = catalog.artifact("clean")
    if not clean.at(root).exists():
        raise MissingArtifact(clean.name, clean.at(root), _maker(clean))
    context = read(catalog.artifact("context"), root) if sliced.takes_context else None
    given = (context,) if len(inputs(stage)) > 1 else ()
    recipe = parts.Recipe(
        compute=lambda rows: compute(rows, *given, **values),
        back=sliced.back,
        ahead=sliced.ahead,
        knobs=values,
        modules=(f"betti.stages.{stage.name}", *sliced.modules),
        schema=artifact.schema,  # type: ignore[arg-type]  # what is written in slices is a table
        what=f"{stage.name}@{item}",
        context=context,
    )
    io.copy_parts(artifact.at(root, item), parts.build(History.at(clean.at(root)), recipe, root / PARTS_CACHE))


def _write(stage: Stage, item: str | None, value: Any, root: Path) -> None:
    """Write every out; an artifact inside another is written with it."""
    found = outs(stage)
    by_name = {stage.out: value} if stage.out else {a.name: getattr(value, a.name) for a in found}
    for artifact in found:
        if artifact.inside is None:
            guests = {a: by_name[a.name] for a in found if a.inside == artifact.name}
            _write_one(artifact, artifact.at(root, item), by_name[artifact.name], guests)


def _write_growing(stage: Stage, values: dict[str, Any], root: Path) -> None:
    """Merge what the source sends with the bars that are there: the one out that grows."""
    from betti import growth
    from betti.stages import ingest

    path = outs(stage)[0].at(root)
    asked = dict(values)
    shape = {name: asked.pop(name) for name in ("resample", "sessions")}
    context = ingest.surroundings(asked.pop("context_files"), values["interval"], values["until"])
    origin = {name: values[name] for name in ("source", "interval", "options")} | {k: v for k, v in shape.items() if v}
    fetch = growth.Fetch(
        origin=json.dumps(origin, sort_keys=True) + "\n",
        symbols=tuple(values["symbols"]),
        interval=values["interval"],
        until=ingest.last_bar(values["until"]),
        coarser=ingest.coarser_bars(values["interval"], **shape),
    )
    guests = {Path(_context_of(stage).path).name: context}
    kept = _kept(root / FETCHED, path, fetch, values["source"])
    pieces = ingest.pieces(**asked, since=kept.since if kept else {})
    growth.grow(path, beside.ahead(pieces), fetch, guests, kept)


def _kept(folder: Path, path: Path, fetch: Fetch, source: str) -> Fetched | None:
    """What an earlier try has brought, for a source that can be asked for a part; others are files, and at hand."""
    from betti import code, growth, sources
    from betti.fetched import Fetched

    if sources.takes_since(sources.FOLDER.load(source).fetch):
        return growth.resumed(folder, path, fetch, code.digest(f"betti.sources.{source}"))
    Fetched(folder).clear()
    return None


def _context_of(stage: Stage) -> Artifact:
    """What a stage writes of the markets' surroundings."""
    return next(artifact for artifact in outs(stage) if artifact.value == "betti.context:Context")


def _write_judged(stage: Stage, values: dict[str, Any], root: Path) -> None:
    """Part good bars from bad ones a batch at a time, then look at the good ones: what need not fit into memory."""
    from betti.batches import Batches
    from betti.expectations.judging import Tally
    from betti.stages import validate

    bars, given = (entry.artifact for entry in inputs(stage))
    clean, quarantine, context, validation = outs(stage)
    if not (folder := bars.at(root)).exists():
        raise MissingArtifact(bars.name, folder, _maker(bars))
    knobs, tally = validate.settings(**values), Tally()
    with io.place(clean.at(root)) as new:
        inside = new / Path(quarantine.path).name
        new.mkdir(parents=True)
        batches = Batches(folder, schemas.BARS)
        with beside.writing() as later:
            for one in progress.track(validate.judged(beside.ahead(batches), tally, knobs), stage.name, len(batches)):
                later(_lay_out_both, new, inside, one)
        tally.refuse(knobs.max_quarantined_share)
        io.save_into(new / Path(context.path).name, read(given, root))
        found = validate.described(Batches(new, schemas.BARS).symbols(validate.MARGIN), tally, knobs)
    io.write_folder(validation.at(root), found)


def _lay_out_both(clean: Path, quarantine: Path, one: Judged) -> None:
    io.lay_out(clean, one.clean, schemas.BARS)
    io.lay_out(quarantine, one.quarantine, schemas.QUARANTINE)


def _write_one(artifact: Artifact, path: Path, value: Any, guests: dict[Artifact, Any]) -> None:
    if artifact.form == "parts" and artifact.schema is not None:
        others = {Path(a.path).name: (table, a.schema) for a, table in guests.items() if a.schema is not None}
        io.write_parts(path, value, artifact.schema, others)
    elif artifact.form == "table" and artifact.schema is not None:
        io.write_table(path, value, artifact.schema)
    elif artifact.form == "csv":
        io.write_csv(path, value)
    elif artifact.form == "json":
        io.write_json(path, value)
    elif artifact.form == "html":
        io.write_text(path, value)
    else:
        io.write_folder(path, value)
