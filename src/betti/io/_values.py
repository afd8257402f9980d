"""Everything that is no table: texts, JSON, the CSV files of plots, and values that lay themselves out in a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from betti.errors import BrokenArtifact
from betti.io._place import place

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from pydantic import BaseModel

__all__ = [
    "Items",
    "Saved",
    "read_csv",
    "read_json",
    "read_note",
    "save_into",
    "write_csv",
    "write_folder",
    "write_json",
    "write_text",
]

T = TypeVar("T", bound="BaseModel")
V = TypeVar("V")


class Saved(Protocol):
    """A value that knows how to lay itself out in an empty folder, such as a trained run."""

    def save(self, folder: Path) -> None:
        """Write the value's files into `folder`, which exists and is empty."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""


class Items(Mapping[str, V]):
    """A lazy mapping item -> value: names are known, a value is read when it is asked for."""

    def __init__(self, names: tuple[str, ...], read: Callable[[str], V]) -> None:
        self._names, self._read = names, read

    def __getitem__(self, name: str) -> V:
        if name not in self._names:
            raise KeyError(name)
        return self._read(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def read_note(path: Path) -> str:
    """The text file `path`, or nothing where there is none."""
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def write_text(path: Path, text: str) -> None:
    """Write a text file."""
    with place(path) as new:
        new.write_text(text, encoding="utf-8")


def write_json(path: Path, value: BaseModel) -> None:
    """Write a typed value as indented JSON with a stable key order."""
    write_text(path, value.model_dump_json(indent=2) + "\n")


def read_json(path: Path, kind: type[T]) -> T:
    """Read what `write_json` wrote.

    Raises:
        BrokenArtifact: it does not hold a `kind`.
    """
    from pydantic import ValidationError

    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as cause:
        raise BrokenArtifact(path, f"is not a {kind.__name__}: {cause.error_count()} fields do not fit") from cause


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write a CSV that `dvc plots` reads: ISO times, shortest floats that round-trip."""
    write_text(path, frame.to_csv(index=False, lineterminator="\n"))


def read_csv(path: Path) -> pd.DataFrame:
    """Read what `write_csv` wrote."""
    import pandas as pd

    frame = pd.read_csv(path, float_precision="round_trip")
    return frame.assign(timestamp=pd.to_datetime(frame["timestamp"])) if "timestamp" in frame.columns else frame


def save_into(folder: Path, value: Saved) -> None:
    """Let a value lay itself out in a new folder, which somebody puts into place; without a file there is no folder."""
    folder.mkdir()
    value.save(folder)
    if not any(folder.iterdir()):
        folder.rmdir()


def write_folder(path: Path, value: Saved) -> None:
    """Let a value lay itself out in the folder `path`."""
    with place(path) as new:
        new.mkdir(parents=True)
        value.save(new)
