"""The trial ledger: every configuration that was ever trained on a target.

The best of many tries looks good by luck alone, and how good follows from how many there were (Bailey and López de
Prado 2014, "The Deflated Sharpe Ratio"). So every training is counted, the discarded ones and those of a search too.

Where it lies: `trials.jsonl` in the repository's root, tracked by git. Not in `.betti`, which anyone may delete; not an
out of DVC, since what was tried is no function of a stage's deps, and restoring an old out would forget what came
after it. No artifact depends on it: a stage that wants it must name it as a dep.

How it is kept: one JSON line per trial, sorted by its key, so that two branches add lines in different places and git
merges most of them by itself; `merge=union` in .gitattributes settles the rest, since reading joins lines of one key.
Lines are added and never removed. The file is written anew beside its place and renamed, under a lock: two runs at
once lose nothing, and a killed one leaves the old file. What does not belong here: when a trial happened (the caller
says), and what follows from the count.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from betti.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["FILE", "BrokenLedger", "Counts", "Data", "FoldScore", "Trial", "add", "count", "merged", "read"]

FILE = "trials.jsonl"
SCRATCH = ".betti"


class BrokenLedger(BadInput):
    """A line of the ledger that is no trial."""

    def __init__(self, path: object, line: int, found: str) -> None:
        self.path, self.line = path, line
        super().__init__(
            f"{path}, line {line}: {found}. Restore the file with `git checkout {FILE}`, or mend that line; trials "
            "that are not in it are not counted"
        )


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Data(_Record):
    """What a trial was trained on: the hashes DVC names the three tables by."""

    set: str
    labels: str
    folds: str


class FoldScore(_Record):
    """Out-of-sample scores of one fold: `log_loss` is a mean in nats, F1 is macro."""

    rows: int
    accuracy: float
    log_loss: float
    macro_f1: float


class Trial(_Record):
    """One configuration trained on one version of the data.

    Attributes:
        at: when it was first seen, ISO 8601 in UTC.
        origin: "run" for a run of params.yaml, "tune" for a search, which has no out-of-sample scores.
        run: the run's name then.
        prune: the run's limit of likeness.
        config: every knob of the model, defaults included, without `seed`.
        valid_loss: mean over the folds, in nats; None where no fold had validation rows.
        folds: "fold_0", ... -> out-of-sample scores; empty until it is evaluated.
        sharpe_per_bar: mean over deviation of the strategy's net returns per bar, not annualised; None until then.
    """

    at: str
    origin: Literal["run", "tune"]
    run: str
    target: str
    model: str
    set: str
    seed: int
    prune: float | None = None
    config: dict[str, Any]
    data: Data
    valid_loss: float | None = None
    folds: dict[str, FoldScore] = {}
    sharpe_per_bar: float | None = None

    @cached_property
    def configuration(self) -> str:
        """Names what was tried, whatever the data: 16 hexadecimal digits.

        A nightly run trains the same configuration on one more day: another trial, not another idea.
        """
        return _hash([self.target, self.model, self.set, self.prune, self.config, self.seed])

    @cached_property
    def key(self) -> str:
        """Names the trial: its configuration on its data. When, why and how well are no part of it."""
        return _hash([self.configuration, self.data.model_dump()])

    @property
    def evaluated(self) -> bool:
        """Whether its out-of-sample scores are known."""
        return self.sharpe_per_bar is not None

    def line(self) -> str:
        """The trial as the ledger writes it; equal trials, equal text."""
        return json.dumps({"key": self.key, **self.model_dump()}, ensure_ascii=False)

    @classmethod
    def of(cls, line: str) -> Trial:
        """What a line says; its key follows from the rest.

        Raises:
            ValueError: it is no JSON, or no trial.
        """
        found = json.loads(line)
        if not isinstance(found, dict):
            raise ValueError("is no mapping")  # noqa: TRY004  # one kind of error, whatever is wrong with a line
        return cls.model_validate({name: value for name, value in found.items() if name != "key"})


@dataclass(frozen=True)
class Counts:
    """How much was tried: distinct trials, and distinct configurations among them."""

    trials: int
    configurations: int


def _hash(what: object) -> str:
    text = json.dumps(what, sort_keys=True, allow_nan=False)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


# Together -----------------------------------------------------------------------------------------------------------


def merged(*ledgers: Iterable[Trial]) -> tuple[Trial, ...]:
    """All trials, one per key, sorted by key.

    Of two accounts of one trial the evaluated one stays, then the later one: so the order in which branches are
    merged does not matter, nor how often.
    """
    best: dict[str, Trial] = {}
    for trial in (trial for ledger in ledgers for trial in ledger):
        best[trial.key] = max(best.get(trial.key, trial), trial, key=lambda one: (one.evaluated, one.at, one.line()))
    return tuple(best[key] for key in sorted(best))


def count(trials: Iterable[Trial], target: str) -> Counts:
    """How much was tried on one target."""
    own = [trial for trial in trials if trial.target == target]
    return Counts(len({trial.key for trial in own}), len({trial.configuration for trial in own}))


# The file -----------------------------------------------------------------------------------------------------------


def read(root: Path) -> tuple[Trial, ...]:
    """The ledger of this repository; empty where nothing was ever trained.

    Raises:
        BrokenLedger: a line that is no trial.
    """
    path = root / FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    except UnicodeDecodeError as cause:
        raise BrokenLedger(path, 1, "the file is not text in UTF-8") from cause
    found = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                found.append(Trial.of(line))
            except ValidationError as cause:
                raise BrokenLedger(path, number, f"{cause.error_count()} fields do not fit") from cause
            except ValueError as cause:
                raise BrokenLedger(path, number, f"is no trial: {cause}") from cause
    return merged(found)


def add(root: Path, trials: Iterable[Trial]) -> int:
    """Write these trials into the ledger; returns how many it did not know, or not with these scores.

    A trial that is there already keeps its line, unless out-of-sample scores come with it that are not on it.

    Raises:
        BrokenLedger: a line that is there is no trial; nothing was written.
    """
    given = list(trials)
    if not given:
        return 0
    with _locked(root):
        known = {trial.key: trial for trial in read(root)}
        news = {}
        for trial in merged(given):
            before = known.get(trial.key)
            if before is None or (trial.evaluated and _scores(trial) != _scores(before)):
                news[trial.key] = trial
        if news:
            _write(root, {**known, **news})
    return len(news)


def _scores(trial: Trial) -> tuple[object, ...]:
    return trial.valid_loss, trial.folds, trial.sharpe_per_bar


def _write(root: Path, trials: dict[str, Trial]) -> None:
    scratch = root / SCRATCH / f"{FILE}.{os.getpid()}"
    try:
        text = "".join(f"{trials[key].line()}\n" for key in sorted(trials))
        scratch.write_text(text, encoding="utf-8", newline="\n")
        scratch.replace(root / FILE)
    finally:
        scratch.unlink(missing_ok=True)


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """One writer at a time; the lock is the operating system's and goes with its process."""
    folder = root / SCRATCH
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "trials.lock").open("a") as handle:
        fcntl.flock(handle.fileno(), fcntl.LOCK_EX)
        yield
