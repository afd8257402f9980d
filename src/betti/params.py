"""Every knob in params.yaml: its type, its range and what it does.

The knobs of parts (a feature family, a target, a source, a model) stand in the part's own signature and are checked
against it by `betti.knobs`; here they pass through. What does not belong here: where results lie, which stage runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from betti import tracking
from betti.catalog import symbol_folder
from betti.errors import BadParam, MissingFile, UnknownName, UnreadableFile
from betti.knobs import problem

if TYPE_CHECKING:
    from pathlib import Path

    from betti.catalog import Stage

__all__ = ["ASOF", "FILE", "Params", "block", "clock", "items", "load", "until"]

FILE, ASOF = "params.yaml", "asof.yaml"
LONGEST_NAME = 200  # characters of a folder: file systems take 255

ItemName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


class _Block(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Ingest(_Block):
    """Where bars come from."""

    source: str = Field(description="a file in betti/sources")
    symbols: list[str] = Field(min_length=1, description="markets to fetch, each once")
    interval: str = Field(pattern=r"^[1-9]\d*(m|h|d)$", description="bar length: 1m, 5m, 15m, 30m, 1h, 4h, 1d")
    options: dict[str, Any] = Field(description="the source's own options")
    resample: list[str] = Field(default=[], description="intervals to make of the bars; empty: the bars as they are")
    sessions: str | dict[str, Any] | None = Field(
        default=None, description="when the market is open, for coarser bars: null, XNYS, or zone, opens, closes"
    )
    context_files: dict[str, list[dict[str, Any]]] = Field(
        default={}, description="headlines, policy, macro: files, each with its path and the options of that kind"
    )

    @field_validator("symbols")
    @classmethod
    def _namable(cls, symbols: list[str]) -> list[str]:
        """Each once, and such that a folder can be called after it."""
        for symbol in symbols:
            if symbols.count(symbol) > 1:
                raise ValueError(f"{symbol} stands there twice")
            if not symbol or len(symbol_folder(symbol)) > LONGEST_NAME:
                raise ValueError(f"'{symbol[:20]}' is empty, or too long to name a folder")
        return symbols


class Drift(_Block):
    """How far moves, ranges, gaps, volumes and features may drift from those of the run last accepted."""

    psi_warn: float = Field(default=0.25, gt=0, description="population stability index to warn from")
    psi_stop: float | None = Field(default=None, gt=0, description="index that stops the run; null never does")
    ks_warn: float | None = Field(default=0.2, gt=0, le=1, description="Kolmogorov-Smirnov distance to warn from")
    ks_stop: float | None = Field(default=None, gt=0, le=1, description="distance that stops the run, likewise")


class Validate(_Block):
    """What a bar must pass."""

    max_quarantined_share: float = Field(ge=0, le=1, description="share of a symbol's bars that may be bad")
    stale_open_share: float = Field(
        gt=0,
        le=1,
        description="flag a symbol-year whose opens repeat the previous close by this share more than is its habit",
    )
    jump: float = Field(gt=0, le=10, description="flag close-to-close moves larger than this, in log units")
    calendars: dict[str, str] = Field(
        default={}, description="symbol: trading calendar that tells its gaps, such as XNYS; others: their usual week"
    )
    drift: Drift = Drift()


class FeatureSetChoice(_Block):
    """One feature set; an empty list takes the registered declaration of that name."""

    columns: list[str] = Field(description="column patterns in shell style, e.g. technical__*")


class Target(BaseModel):
    """One target: a file in betti/labelling, and its knobs."""

    model_config = ConfigDict(frozen=True, extra="allow")
    kind: str = Field(description="a file in betti/labelling")


class Split(BaseModel):
    """One scheme for all targets: a file in betti/splits, and its knobs."""

    model_config = ConfigDict(frozen=True, extra="allow")
    scheme: str = Field(description="a file in betti/splits")


class Run(_Block):
    """One run: target + model + feature set + configuration."""

    model: str = Field(description="a file in betti/models")
    set: str = Field(description="an entry of `sets`")
    target: str = Field(description="an entry of `targets`")
    seed: int = Field(ge=0, le=2**31 - 1, description="seed of everything random in the run")
    config: dict[str, Any] = Field(description="the model's own knobs")
    prune: float | None = Field(
        default=None, gt=0, le=1,
        description="columns more alike than this (rank correlation in the train rows) are one; null keeps all",
    )  # fmt: skip
    least_samples_per_feature: float | None = Field(
        default=None, gt=0, le=10_000, description="refuse a run with fewer train rows a column; null warns alone"
    )


class Evaluate(_Block):
    """How runs are judged."""

    cost_bps: float = Field(ge=0, le=1000, description="commission per side, basis points of the traded value")
    slippage_bps: float = Field(ge=0, le=1000, description="slippage per side, basis points")
    decision_threshold: float = Field(gt=0, lt=1, description="probability at which a signal is acted on")
    trade_symbols: list[str] = Field(description="symbols the strategy trades; empty means all")
    repetitions: int = Field(ge=100, le=100_000, description="bootstrap repetitions")
    confidence: float = Field(ge=0.5, lt=1, description="two-sided confidence of every interval")
    seed: int = Field(ge=0, le=2**31 - 1, description="seed of the bootstrap")


class Compare(_Block):
    """The promotion gate."""

    confidence: float = Field(ge=0.5, lt=1, description="stated beside the leaderboard; must equal evaluate's")


class Report(_Block):
    """The HTML report."""

    title: str = Field(min_length=1, description="heading of the page")
    max_points: int = Field(ge=100, le=100_000, description="points drawn per line, at most")


class Flow(_Block):
    """How runs are run; no result depends on these."""

    workers: int = Field(ge=1, le=64, description="stages side by side")
    lock_wait_seconds: float = Field(ge=0, le=86_400, description="wait this long for a workspace another run holds")
    parts_cache_gb: float = Field(gt=0, le=10_000, description="size at which unused parts are dropped")
    cron: str = Field(
        pattern=r"^\s*([-\d*/,]+\s+){4}[-\d*/,]+\s*$", description="when the nightly deployment runs, UTC"
    )
    report_port: int = Field(ge=1024, le=65535, description="where `make dashboard` serves the report, on this machine")
    commit: bool = Field(description="the nightly flow commits asof.yaml, dvc.lock and metrics to git")
    # These two came after params.yaml was first written down by others: without them it still loads.
    remote: str | None = Field(
        default=None, min_length=1, description="folder or s3://bucket/prefix that a run is pushed to; null for none"
    )
    keep: Literal["workspace", "tags", "commits"] = Field(
        default="commits", description="whose artifacts `betti gc` leaves in the cache, besides the workspace's own"
    )


class Tracking(_Block):
    """Where finished runs are written down for people to compare; no result depends on it."""

    backend: str = Field(default="mlflow", description="a file in betti/tracking, or none")
    uri: str | None = Field(
        default=None, min_length=1, description="server, database or folder; null is the backend's own place here"
    )

    @field_validator("backend")
    @classmethod
    def _known(cls, backend: str) -> str:
        if backend not in (known := {*tracking.FOLDER.names(), tracking.NONE}):
            raise ValueError(f"there is {', '.join(sorted(known))}")
        return backend


class Tune(_Block):
    """How `betti tune` searches; no artifact depends on these."""

    trials: int = Field(default=20, ge=1, le=100_000, description="configurations to try in all, earlier ones included")
    timeout_seconds: float | None = Field(default=None, gt=0, description="begin no trial after this; null never ends")
    seed: int = Field(default=7, ge=0, le=2**31 - 1, description="seed of the search")


class Params(_Block):
    """The whole of params.yaml."""

    ingest: Ingest
    validation: Validate = Field(alias="validate")
    features: dict[ItemName, dict[str, Any] | None]
    sets: dict[ItemName, FeatureSetChoice]
    targets: dict[ItemName, Target]
    split: Split
    runs: dict[ItemName, Run]
    evaluate: Evaluate
    compare: Compare
    report: Report
    flow: Flow
    # These two came after params.yaml was first written down by others: without them it still loads.
    tracking: Tracking = Tracking()
    tune: Tune = Tune()


def _yaml(path: Path) -> Any:
    import yaml

    if not path.is_file():
        raise MissingFile(path, "Run inside a Betti repository, or restore the file with `git checkout`")
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as cause:
        raise UnreadableFile(path, "is not text in UTF-8", "Save it as UTF-8") from cause
    except yaml.YAMLError as cause:
        mark = getattr(cause, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"
        raise UnreadableFile(path, f"is not YAML ({where})", "Mend that line") from cause


def load(root: Path) -> Params:
    """The knobs of this repository.

    Raises:
        MissingFile, UnreadableFile: params.yaml is absent or is not YAML.
        UnknownName: a block or knob that does not exist, or a run that names an absent set or target.
        BadParam: a value of the wrong type or out of its range.
    """
    raw = _yaml(root / FILE)
    if not isinstance(raw, Mapping):
        raise UnreadableFile(root / FILE, "holds no blocks", "Restore the file with `git checkout params.yaml`")
    try:
        params = Params.model_validate(raw)
    except ValidationError as error:
        raise _explained(error) from error
    if params.compare.confidence != params.evaluate.confidence:
        stated = params.compare.confidence
        raise BadParam(
            "compare.confidence", stated, f"evaluate.confidence is {params.evaluate.confidence}: make them one"
        )
    for symbol in params.evaluate.trade_symbols:
        if symbol not in params.ingest.symbols:
            raise UnknownName("symbol in params.yaml evaluate.trade_symbols:", symbol, params.ingest.symbols)
    made = {f"{symbol}@{interval}" for symbol in params.ingest.symbols for interval in params.ingest.resample}
    for symbol in params.validation.calendars:
        if symbol not in {*params.ingest.symbols, *made}:
            raise UnknownName("symbol in params.yaml validate.calendars:", symbol, {*params.ingest.symbols, *made})
    for name, run in params.runs.items():
        for word, known in (("set", params.sets), ("target", params.targets)):
            if getattr(run, word) not in known:
                raise UnknownName(f"{word} in params.yaml runs.{name}:", getattr(run, word), known)
    return params


def _explained(error: ValidationError) -> UnknownName | BadParam:
    """The first fault of params.yaml, with the names that exist where a name is the fault."""
    # A misspelt knob is an extra one and a missing one: the extra one says more.
    first = min(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
    knob, value, message = problem(error)
    if first["type"] == "extra_forbidden":
        *above, name = (str(part) for part in first["loc"])
        return UnknownName(f"knob in params.yaml {'.'.join(above)}:", name, _knobs_under(above))
    return BadParam(knob, value, message)


def _knobs_under(above: list[str]) -> list[str]:
    """Names of the knobs in one block of the model tree."""
    model: Any = Params
    for part in above:
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        if part in fields:
            annotation = fields[part].annotation
            nested = [a for a in getattr(annotation, "__args__", ()) if hasattr(a, "model_fields")]
            model = nested[0] if nested else annotation
    return [field.alias or name for name, field in model.model_fields.items()] if hasattr(model, "model_fields") else []


def until(root: Path) -> str:
    """Open time of the last bar that may enter the pipeline."""
    return str(clock(root, "until"))


def clock(root: Path, name: str) -> str | None:
    """A time in asof.yaml, the only clock there is.

    Args:
        root: the repository.
        name: `until`: open time of the last bar that may enter the pipeline. `accepted`: of the last one that the last
            accepted run saw; null where there was none.

    Raises:
        BadParam: it is no time with a zone.
    """
    raw = _yaml(root / ASOF)
    value = raw.get(name) if isinstance(raw, Mapping) else None
    if value is None and name == "accepted" and isinstance(raw, Mapping):
        if name not in raw:
            raise _no_time(name, value, "null, or the open time of the last bar that was accepted: write that line")
        return None
    if not isinstance(value, str):
        raise _no_time(name, value, "a UTC time in quotes, such as '2018-12-31T00:00:00+00:00'")
    try:
        zoned = datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        zoned = False
    if not zoned:
        raise _no_time(name, value, "a time with its zone, such as '2018-12-31T00:00:00+00:00'")
    return value


def _no_time(name: str, value: object, wanted: str) -> BadParam:
    return BadParam(name, value, f"it takes {wanted}", ASOF)


def items(params: Params, stage: Stage) -> tuple[str, ...]:
    """The declared items of a stage, in the order of params.yaml; none for a stage without items."""
    return tuple(getattr(params, stage.items)) if stage.items else ()


def block(params: Params, stage: Stage, item: str | None) -> dict[str, Any]:
    """The keyword arguments that params.yaml gives a stage, or one of its items."""
    if stage.params is None:
        return {}
    found = params.validation if stage.params == "validate" else getattr(params, stage.params)
    if isinstance(found, dict):
        if item not in found:
            raise UnknownName(stage.item or "item", str(item), found)
        found = found[item]
    return dict(found.model_dump()) if isinstance(found, BaseModel) else dict(found or {})
