"""What surrounds a market, as it was known at the time: headlines, policy events, macro releases.

One file of this package reads one kind, and offers `read(path, *, ...options) -> pd.DataFrame`. Every row carries the
moment from which it was known (`released`), and rows enter features by that moment alone.

What does not belong here: numbers that a model sees (`betti.features.context`), and bars.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from betti import counts
from betti import knobs as _knobs
from betti.context import _known as _times
from betti.context import _tables
from betti.context._tables import HEADLINES, MACRO, POLICY, SCHEMAS, BadContext
from betti.discovery import Folder
from betti.errors import BadParam

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = [
    "FOLDER",
    "HEADLINES",
    "MACRO",
    "POLICY",
    "SCHEMAS",
    "BadContext",
    "Context",
    "check",
    "gathered",
    "read",
]

FOLDER = Folder("betti.context", kind="kind of context")


@dataclass(frozen=True, eq=False)
class Context:
    """The three tables, each None where no source of its kind is configured; an empty table is a source without rows.

    Rows are put in one order and equal ones kept once, so that neither depends on the files. Do not change the tables
    afterwards: what was computed from them is remembered.

    Attributes:
        headlines: columns as in `HEADLINES`.
        policy: columns as in `POLICY`.
        macro: columns as in `MACRO`.

    Raises:
        BadContext: a table lacks a column, a type is wrong, a value is missing, infinite or contradicts another row.
    """

    headlines: pd.DataFrame | None = None
    policy: pd.DataFrame | None = None
    macro: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        for kind, schema in SCHEMAS.items():
            table = getattr(self, kind)
            if table is not None:
                object.__setattr__(self, kind, _tables.ordered(table, schema, kind))

    @property
    def sources(self) -> tuple[str, ...]:
        """The kinds that are configured."""
        return tuple(kind for kind in SCHEMAS if getattr(self, kind) is not None)

    def until(self, moment: pd.Timestamp) -> Context:
        """What was known just before a moment: of later events the schedule alone, where it was known by then."""
        cut = object.__new__(Context)  # the rows are in order already
        for kind, table in self._known(moment).items():
            object.__setattr__(cut, kind, table)
        return cut

    def digest(self, until: pd.Timestamp | None = None) -> str:
        """A hash of the content; with a moment, that of `self.until(moment)`.

        Equal rows give equal hashes, whatever order, files or types they came in. What a feature shows up to a moment
        depends on nothing else, so that later rows need not make its cached values stale.
        """
        whole = hashlib.blake2b(digest_size=20)
        for kind, table in self._known(until).items():
            whole.update(f"{kind}:{'absent' if table is None else len(table)}\0".encode())
            if table is not None:
                _tables.feed(whole, table, SCHEMAS[kind])
        return whole.hexdigest()

    def stamp(self, opens: NDArray[np.int64]) -> str:
        """A hash of what was known when some bars of a symbol had closed: what their features may show.

        Args:
            opens: (n,) opens of the bars, microseconds since 1970, ascending.
        """
        return self._stamp(int(_times.closes(opens).max()))

    def _stamp(self, moment: int) -> str:
        whole = hashlib.blake2b(digest_size=20)
        for kind in ("headlines", "macro"):
            released, chain = self._chains[kind]
            whole.update(f"{kind}:{'absent' if getattr(self, kind) is None else ''}\0".encode())
            whole.update(chain[int(np.searchsorted(released, moment, side="left"))])
        if self.policy is not None:
            whole.update(self._events_known(int(np.searchsorted(self._turns, moment, side="left"))))
        return whole.hexdigest()

    @cached_property
    def _turns(self) -> NDArray[np.int64]:
        """When what is known of policy events changes: at their release, and when they are scheduled."""
        assert self.policy is not None
        both = pd.concat([self.policy["released"], self.policy["scheduled_since"]]).dropna()
        return np.unique(_times.microseconds(both))

    def _events_known(self, turns: int) -> bytes:
        """A hash of what is known of policy events after so many turns; nights are many and turns few."""
        if turns not in self._remembered:
            assert self.policy is not None
            after = self._turns[turns - 1] + 1 if turns else np.iinfo(np.int64).min // 2**12
            hashed = hashlib.blake2b(digest_size=16)
            known = _tables.known(self.policy, pd.Timestamp(int(after), unit="us", tz="UTC"))
            _tables.feed(hashed, known, POLICY)
            self._remembered[turns] = hashed.digest()
        return self._remembered[turns]

    @cached_property
    def _remembered(self) -> dict[int, bytes]:
        return {}

    @cached_property
    def _chains(self) -> dict[str, tuple[NDArray[np.int64], list[bytes]]]:
        """Of tables in the order of their release: when each row was, and a hash of all rows before it and of all."""
        chains = {}
        for kind in ("headlines", "macro"):
            table = getattr(self, kind)
            rows = pd.util.hash_pandas_object(table, index=False).to_numpy() if table is not None else np.empty(0)
            links = [b""]
            for row in rows:
                links.append(hashlib.blake2b(links[-1] + row.tobytes(), digest_size=16).digest())
            released = _times.microseconds(table["released"]) if table is not None else np.empty(0, dtype=np.int64)
            chains[kind] = (released, links)
        return chains

    def save(self, folder: Path) -> None:
        """Write a Parquet file for each table that is there, equal bytes for equal rows."""
        for kind, schema in SCHEMAS.items():
            table = getattr(self, kind)
            if table is not None:
                _tables.write(folder / f"{kind}.parquet", table, schema)

    @classmethod
    def load(cls, folder: Path) -> Context:
        """What `save` wrote.

        Raises:
            BadContext: a file is not what `save` writes.
        """
        files = {kind: folder / f"{kind}.parquet" for kind in SCHEMAS}
        return cls(**{kind: _tables.read(file) for kind, file in files.items() if file.is_file()})

    def _known(self, moment: pd.Timestamp | None) -> dict[str, pd.DataFrame | None]:
        tables: dict[str, pd.DataFrame | None] = {kind: getattr(self, kind) for kind in SCHEMAS}
        if moment is None:
            return tables
        return {kind: table if table is None else _tables.known(table, moment) for kind, table in tables.items()}


def check(block: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Refuse a block of params.yaml `ingest.context_files` before anything is read.

    Args:
        block: kind -> files, each with its `path` and options.

    Raises:
        UnknownName, BadParam: no such kind or option, or an option out of range.
    """
    for kind, files in block.items():
        module = FOLDER.load(kind)
        for file in files:
            if not isinstance(file.get("path"), str):
                raise BadParam(f"ingest.context_files.{kind}", dict(file), "each entry takes a path, and options")
            options = {name: value for name, value in file.items() if name != "path"}
            _knobs.checked(module.read, options, f"ingest.context_files.{kind}")


def gathered(block: Mapping[str, Sequence[Mapping[str, Any]]]) -> Context:
    """The context that a block of params.yaml names, as `check` takes it.

    Raises:
        MissingFile, UnreadableFile, BadContext: what was found instead of a table; file, row and remedy are named.
    """
    check(block)
    named = {
        kind: [(file["path"], {name: value for name, value in file.items() if name != "path"}) for file in files]
        for kind, files in block.items()
    }
    return Context(**{kind: read(kind, files) for kind, files in named.items()})


def read(kind: str, files: Sequence[tuple[str | Path, Mapping[str, Any]]]) -> pd.DataFrame:
    """The table of one kind from one or several files; carries how many rows were read and left out (`betti.counts`).

    Args:
        kind: headlines, policy or macro.
        files: each with its options, checked against the signature of the kind's `read`.

    Raises:
        UnknownName, BadParam: no such kind or option, or an option out of range.
        MissingFile, UnreadableFile, BadContext: what was found instead of a table; file, row and remedy are named.
    """
    module = FOLDER.load(kind)
    tables = [
        module.read(path, **_knobs.checked(module.read, options, f"ingest.context_files.{kind}"))
        for path, options in files
    ]
    if not tables:
        raise BadContext(kind, "no file is named", f"Name one in ingest.context_files.{kind}, or leave the kind out")
    joined = _tables.ordered(pd.concat(tables, ignore_index=True), SCHEMAS[kind], kind)
    return counts.attach(joined, counts.total(counts.of(table) for table in tables))
