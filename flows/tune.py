"""`betti tune RUN`: search a run's knobs on its own folds, without a test row; a Prefect flow around Optuna.

Every trial is one configuration, fitted fold by fold and stopped early where it does worse than most did by that fold.
The study lies in `.betti/tuning`, so that a killed search goes on where it was; each trial also goes into the ledger,
since each is one more chance to be lucky. What does not belong here: what a trial costs (`betti.tuning`), what may be
tried (each model's `SEARCH`).

No `annotations` import: Prefect resolves a flow's annotations where it is run.
"""

from betti import threads

threads.pin()

import fcntl
import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from betti import binding, catalog, code, io, models, params, trials, tuning
from betti.errors import BadInput, BettiError, PartUnavailable, UnknownName, UnreadableFile
from betti.models import ModelRegistry, _search
from betti.training.manifest import library_versions
from flows import server, tracked
from flows.words import say

server.choose()

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_progress_artifact, create_table_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE

from flows.embedding import with_knobs

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial, Trial

    from betti.models._search import Choice

__all__ = [
    "Best",
    "BusySearch",
    "NothingToSearch",
    "Search",
    "as_yaml",
    "attempt",
    "best",
    "explore",
    "prepared",
    "studied",
    "tune",
    "write",
]

FOLDER = ".betti/tuning"
Attempt = Callable[["Search", "Study", "Trial"], str]
PLAIN = {"cache_policy": NO_CACHE, "persist_result": False}  # Optuna keeps the trials
STARTUP = 5  # trials that are finished before any is stopped early
CONFIG = "config"  # the attribute of a trial that holds its rounded knobs


class NothingToSearch(BadInput):
    """A model whose file declares no search space, or none beyond the knobs that a search keeps."""

    def __init__(self, run: str, model: str) -> None:
        super().__init__(
            f"run '{run}': the model '{model}' declares nothing to search. Add `SEARCH` to its file "
            "(docs/tuning.md), or choose another run"
        )


class BusySearch(BettiError):
    """Another process searches for the same run."""

    def __init__(self, run: str) -> None:
        super().__init__(f"another process is searching for '{run}'. Let it finish, or stop it: what it tried is kept")


@dataclass(frozen=True)
class Best:
    """What a search has found.

    Attributes:
        config: knobs that were searched -> the best values; empty where no trial was finished.
        loss: their mean validation loss, in nats.
        first: the loss of the run's own knobs, None where they are not within the space.
        finished: trials that saw all folds.
        stopped: trials that were stopped early.
    """

    config: dict[str, Any]
    loss: float
    first: float | None
    finished: int
    stopped: int


@flow(name="tune", persist_result=False, validate_parameters=False)
def tune(
    run: str, trials_wanted: int | None = None, timeout_seconds: float | None = None, folds: tuple[int, ...] = ()
) -> Best:
    """Search the knobs of a run.

    Args:
        run: an entry of `runs` in params.yaml; its set, labels and folds must be up to date.
        trials_wanted: how many in all, those of earlier searches on the same data included; None takes `tune.trials`.
        timeout_seconds: begin no trial after so long; None takes `tune.timeout_seconds`.
        folds: search on these folds alone; none named means all.
    """
    root, log = Path.cwd(), get_run_logger()
    knobs = params.load(root).tune
    wanted = trials_wanted or knobs.trials
    deadline = time.monotonic() + (timeout_seconds or knobs.timeout_seconds or math.inf)
    with _alone(root, run):
        search = prepared(root, run, folds)
        study = studied(root, search, knobs.seed)
        progress = create_progress_artifact(progress=0.0, key=_slug(f"tune-{run}"), description=f"search for {run}")

        def tell(words: str) -> None:
            update_progress_artifact(progress, progress=100.0 * min(len(_done(study)) / wanted, 1.0))
            log.info(words)
            say(words)

        if search.lessons.tested_elsewhere:
            share = f"{search.lessons.tested_elsewhere:.0%}"
            tell(f"{share} of the rows that judge are test rows of another fold, whose scores will flatter: --folds 0")
        explore(search, study, wanted, deadline, task(attempt, name="trial", **PLAIN), tell)
    _show(run, study)
    return best(search, study)


def explore(
    search: "Search", study: "Study", wanted: int, deadline: float, each: Attempt, tell: Callable[[str], None]
) -> None:
    """Try configurations until so many came to an end by themselves, or the time is up.

    Trials that fail do not count among them; as many failures as wanted trials end the search too.
    """
    failures = 0
    while len(_done(study)) < wanted and failures < wanted and time.monotonic() < deadline:
        before = len(_done(study))
        one = study.ask(_distributions(search.space))
        tell(f"trial {before + 1} of {wanted}: {each(search, study, one)}")
        failures += len(_done(study)) == before


def attempt(search: "Search", study: "Study", one: "Trial") -> str:
    """Fit one configuration fold by fold; what became of it, in words."""
    from optuna.trial import TrialState

    drawn = {name: _search.rounded(search.space[name], value) for name, value in one.params.items()}
    config = {**search.config, **drawn}
    one.set_user_attr(CONFIG, drawn)
    losses: list[float] = []
    shown = ", ".join(f"{name} {value}" for name, value in drawn.items())
    try:
        for found in tuning.losses(search.lessons, config):
            losses.append(found.loss)
            mean = sum(losses) / len(losses)
            one.report(mean, step=len(losses))
            if len(losses) < len(search.lessons.folds) and one.should_prune():
                study.tell(one, state=TrialState.PRUNED)
                return f"stopped after {len(losses)} folds at {mean:.4f} ({shown})"
    except BettiError as fault:
        study.tell(one, state=TrialState.FAIL)
        return f"failed ({shown}): {fault}"
    finally:
        whole = len(losses) == len(search.lessons.folds)
        trials.add(search.root, [_trial(search, config, sum(losses) / len(losses) if whole else None)])
    study.tell(one, mean)
    return f"loss {mean:.4f} ({shown})"


# What is searched ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Search:
    """A run, its data, and what of its knobs may change."""

    root: Path
    lessons: tuning.Lessons
    config: Mapping[str, Any]
    space: "Mapping[str, Choice]"
    data: trials.Data
    key: str


def prepared(root: Path, run: str, folds: tuple[int, ...]) -> Search:
    """What a search for this run needs, read from the workspace.

    Raises:
        UnknownName: no such run or fold.
        NothingToSearch: its model declares nothing to search.
        MissingArtifact: its set, labels or folds are not there yet.
        NothingToValidate: its folds have no validation rows.
    """
    known = params.load(root)
    if run not in known.runs:
        raise UnknownName("run", run, known.runs)
    block, stage = known.runs[run], catalog.stage("train")
    binding.check(known, stage, run, root)
    prototype = ModelRegistry.create(block.model, block.config)
    space = {name: choice for name, choice in _search.space(prototype).items() if name != "length"}
    if not space:
        raise NothingToSearch(run, block.model)
    classes = binding.knobs(known, stage, run, root)["classes"]
    subject = tuning.Subject(run, block.model, block.set, block.target, block.seed, classes, block.prune)
    tables = (
        binding.read(catalog.artifact(name), root, item)
        for name, item in (("feature_set", block.set), ("labels", block.target), ("folds", block.target))
    )
    lessons = tuning.lessons(*tables, subject, block.config, folds)
    data = _data(root, block.set, block.target)
    fixed = [subject.model, subject.set, subject.target, subject.seed, subject.prune, list(folds), data.model_dump()]
    # Losses of another code, or of other versions, do not compete with those of this one.
    fixed += [code.digest("betti.tuning", *models.modules(block.model, prototype.config)), library_versions()]
    kept = {name: value for name, value in prototype.config.items() if name not in space}
    text = json.dumps([*fixed, kept, {name: repr(choice) for name, choice in space.items()}], sort_keys=True)
    key = f"{run}-{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}"
    return Search(root, lessons, block.config, space, data, key)


def _data(root: Path, feature_set: str, target: str) -> trials.Data:
    """The hashes of the run's tables, from dvc.lock: another study begins where they are others."""
    made = tracked.outs(root)
    names = {"set": ("feature_set", feature_set), "labels": ("labels", target), "folds": ("folds", target)}
    return trials.Data(
        **{
            name: made.get(catalog.artifact(artifact).at(root, item).relative_to(root).as_posix(), "")
            for name, (artifact, item) in names.items()
        }
    )


def _trial(search: Search, config: Mapping[str, Any], loss: float | None) -> trials.Trial:
    subject = search.lessons.subject
    own = {"seed": subject.seed, "classes": subject.classes}
    try:
        whole = ModelRegistry.create(subject.model, {**config, **own}).config
    except BettiError:
        whole = {**config, **own}
    return trials.Trial(
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        origin="tune",
        run=subject.run,
        target=subject.target,
        model=subject.model,
        set=subject.set,
        seed=subject.seed,
        prune=subject.prune,
        config={name: value for name, value in whole.items() if name != "seed"},
        data=search.data,
        valid_loss=loss,
    )


@contextmanager
def _alone(root: Path, run: str) -> Iterator[None]:
    """One search per run at a time; the lock goes with its process."""
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{run}.lock").open("a") as handle:
        try:
            fcntl.flock(handle.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusySearch(run) from None
        yield


# Optuna -------------------------------------------------------------------------------------------------------------


def studied(root: Path, search: Search, seed: int) -> "Study":
    """The study of this run on this data, gone on with where there is one.

    The sampler's seed moves with what was tried: a search that goes on must not draw its first trials again. A trial
    that a killed process left open is closed as failed.
    """
    try:
        import optuna
    except ImportError as cause:
        raise PartUnavailable("search library", "optuna", cause) from cause
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=f"sqlite:///{root / FOLDER / search.lessons.subject.run}.db",
        study_name=search.key,
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP),
    )
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials))
    for one in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(one.number, state=optuna.trial.TrialState.FAIL)
    if not study.trials:
        own = _own(search)
        if own is not None:
            study.enqueue_trial(own)
    return study


def _own(search: Search) -> dict[str, Any] | None:
    """The run's own values of the searched knobs: the first trial, which the others must beat."""
    prototype = ModelRegistry.create(search.lessons.subject.model, search.config)
    values = {name: prototype.config.get(name) for name in search.space}
    return values if all(_search.holds(search.space[name], value) for name, value in values.items()) else None


def _distributions(space: "Mapping[str, Choice]") -> dict[str, Any]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, Any] = {}
    for name, choice in space.items():
        if isinstance(choice, _search.OneOf):
            found[name] = CategoricalDistribution(choice.values)
        elif isinstance(choice, _search.Whole):
            found[name] = IntDistribution(choice.low, choice.high, log=choice.log)
        else:
            found[name] = FloatDistribution(choice.low, choice.high, log=choice.log)
    return found


def _done(study: "Study") -> "list[FrozenTrial]":
    """Trials that came to an end by themselves."""
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def best(search: Search, study: "Study") -> Best:
    """What a study has found so far; the earliest of equals."""
    from optuna.trial import TrialState

    whole = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    stopped = len(_done(study)) - len(whole)
    if not whole:
        return Best({}, math.nan, None, 0, stopped)
    found = min(whole, key=lambda one: one.value)
    own = _own(search)
    first = next((one.value for one in whole if own is not None and one.params == own), None)
    return Best(dict(found.user_attrs[CONFIG]), found.value, first, len(whole), stopped)


def _show(run: str, study: "Study") -> None:
    table = [
        {"trial": one.number, "state": one.state.name.lower(), "loss": one.value, **one.user_attrs.get(CONFIG, {})}
        for one in study.get_trials(deepcopy=False)
    ]
    create_table_artifact(key=_slug(f"trials-{run}"), table=table, description=f"what was tried for **{run}**")


def _slug(words: str) -> str:
    return words.replace("_", "-").lower()


# The knobs in params.yaml -------------------------------------------------------------------------------------------


def as_yaml(run: str, config: Mapping[str, Any]) -> str:
    """The lines to put into params.yaml.

    >>> print(as_yaml("up-lstm", {"hidden": 32, "learning_rate": 1e-05}), end="")
    runs:
      up-lstm:
        config:
          hidden: 32
          learning_rate: 1.0e-05
    """
    return yaml.safe_dump({"runs": {run: {"config": dict(config)}}}, sort_keys=False)


def write(root: Path, run: str, config: Mapping[str, Any]) -> None:
    """Set these knobs of the run in params.yaml; every other character stays.

    Raises:
        UnreadableFile: it is written so that the knobs cannot be set in its text; nothing was changed.
    """
    path = root / params.FILE
    text = path.read_bytes().decode("utf-8")  # not read_text, which would change the ends of lines
    values = {name: yaml.safe_dump(value).split("\n")[0] for name, value in config.items()}
    expected = deepcopy(yaml.safe_load(text))
    expected["runs"][run]["config"] = {**(expected["runs"][run].get("config") or {}), **config}
    try:
        changed = with_knobs(text, ("runs", run, "config"), values)
        found = yaml.safe_load(changed)
    except (yaml.YAMLError, StopIteration):
        found = None
    if found != expected:
        wanted = ", ".join(f"{name}: {value}" for name, value in values.items())
        raise UnreadableFile(
            path, f"runs.{run}.config is written in a way that cannot be edited as text", f"Set {wanted} there by hand"
        )
    io.write_text(path, changed)
