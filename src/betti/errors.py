"""Typed errors: facts go in, one sentence and its remedy come out.

An error says what was found, where, and what to do. Every error a user can cause derives from `BadInput`, which the
command line turns into exit code 2. What does not belong here: catching errors, logging, formatting for a terminal.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "BadBars",
    "BadInput",
    "BadModelInput",
    "BadParam",
    "BettiError",
    "BrokenArtifact",
    "LeakError",
    "MissingArtifact",
    "MissingFile",
    "PartUnavailable",
    "TooManyQuarantined",
    "UnknownName",
    "UnreadableFile",
]

MOST_NAMES = 40


class BettiError(Exception):
    """Base of all errors that Betti raises on purpose."""


class BadInput(BettiError):
    """The user's input is at fault: a name, a knob, a file or its rows. Exit code 2."""


class UnknownName(BadInput):
    """A name that nothing is registered under.

    >>> str(UnknownName("model", "lightgbn", ["lightgbm", "lstm"]))
    "unknown model 'lightgbn'; did you mean 'lightgbm'? Available: lightgbm, lstm"
    """

    def __init__(self, kind: str, name: str, available: Iterable[str]) -> None:
        self.kind, self.name, self.available = kind, name, sorted(available)
        near = get_close_matches(name, self.available, n=1, cutoff=0.5)
        hint = f"; did you mean '{near[0]}'?" if near else ";"
        rest = len(self.available) - MOST_NAMES
        listing = ", ".join(self.available[:MOST_NAMES]) or "nothing"
        listing += f" and {rest} more" if rest > 0 else ""
        super().__init__(f"unknown {kind} '{name}'{hint} Available: {listing}")


class BadParam(BadInput):
    """A value in params.yaml that its knob does not take."""

    def __init__(self, knob: str, value: object, problem: str, file: str = "params.yaml") -> None:
        self.knob, self.value, self.problem = knob, value, problem
        super().__init__(f"{file}: {knob} = {value!r}: {problem}")


class MissingFile(BadInput):
    """A file that was named and is not there."""

    def __init__(self, path: object, remedy: str) -> None:
        self.path = path
        super().__init__(f"no such file: {path}. {remedy}")


class UnreadableFile(BadInput):
    """A file that is there and is not what it should be."""

    def __init__(self, path: object, found: str, remedy: str) -> None:
        self.path, self.found = path, found
        super().__init__(f"{path}: {found}. {remedy}")


class BadBars(BadInput):
    """Bars that break the table's contract as a whole (missing columns, wrong types, no rows)."""

    def __init__(self, where: object, found: str, remedy: str) -> None:
        self.where, self.found = where, found
        super().__init__(f"bars from {where}: {found}. {remedy}")


class TooManyQuarantined(BadInput):
    """More of a symbol's bars are bad than `validate.max_quarantined_share` allows."""

    def __init__(self, symbol: str, bad: int, rows: int, share: float, reasons: str, first: str) -> None:
        self.symbol, self.bad, self.rows = symbol, bad, rows
        super().__init__(
            f"{symbol}: {bad} of {rows} bars are bad ({bad / max(rows, 1):.2%} > {share:.2%} allowed): {reasons}; "
            f"first at {first}. Mend the source, or raise validate.max_quarantined_share in params.yaml"
        )


class MissingArtifact(BadInput):
    """A stage was asked to run before what it reads exists."""

    def __init__(self, artifact: str, path: object, stage: str) -> None:
        self.artifact, self.path, self.stage = artifact, path, stage
        super().__init__(f"artifact '{artifact}' is not at {path}. Run `betti run --stages {stage}` to make it")


class BrokenArtifact(BettiError):
    """A file in data/ that does not follow its schema."""

    def __init__(self, path: object, found: str) -> None:
        self.path, self.found = path, found
        super().__init__(f"{path}: {found}. Delete it and run `betti run`: it is restored from cache or made again")


class PartUnavailable(BadInput):
    """A registered file that cannot be imported here: a fault in it, or a library that is not installed.

    It is the user's to mend, and no second try helps.
    """

    def __init__(self, kind: str, name: str, cause: BaseException) -> None:
        self.kind, self.name, self.cause = kind, name, cause
        super().__init__(f"{kind} '{name}' cannot be imported: {type(cause).__name__}: {cause}")


class BadModelInput(BadInput):
    """Arrays or a configuration that a model does not take."""

    def __init__(self, model: str, found: str, remedy: str) -> None:
        self.model, self.found = model, found
        super().__init__(f"model '{model}': {found}. {remedy}")


class LeakError(BettiError):
    """Training rows that look into the test rows: the run refuses to train."""

    def __init__(self, fold: int, rows: int, first: str) -> None:
        self.fold, self.rows = fold, rows
        super().__init__(
            f"fold {fold}: {rows} training rows have a span that overlaps the test span (first at {first}). "
            "The folds do not belong to these labels: run `betti run --stages split --downstream --force`"
        )
