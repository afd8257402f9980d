"""Workspaces with bad input in them: what the catalogue of bad input shares.

A workspace is a real folder with params.yaml, asof.yaml and the files of a source; stages run in it as `python -m
betti STAGE` runs them. What does not belong here: the cases themselves.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import yaml

from betti import binding, catalog
from betti.errors import BettiError
from betti.records import SymbolQuality
from betti.schemas import BARS
from tests.conftest import REPOSITORY, random_bars

__all__ = [
    "NAMED",
    "PRICES",
    "ROWS",
    "START",
    "STEP",
    "Refusal",
    "Workspace",
    "as_lines",
    "at",
    "laid_out",
    "matches",
    "sound",
    "stamp",
]

ROWS, START, STEP = 300, pd.Timestamp("2024-01-01", tz="UTC"), pd.Timedelta("15min")
PRICES = ["open", "high", "low", "close"]

# The cases that must be answered, word for word; a case of the catalogue begins its name with one of them.
NAMED = (
    "missing column",
    "renamed column",
    "duplicated column",
    "empty file",
    "header only",
    "text in a number",
    "NaN price",
    "infinite price",
    "zero price",
    "negative price",
    "high < low",
    "open outside [low, high]",
    "close outside [low, high]",
    "negative volume",
    "duplicate timestamps with equal values",
    "duplicate timestamps with different values",
    "out of order",
    "a number with two readings",
    "local time without a zone",
    "a time format that does not fit",
    "a year without markets",
    "mixed offsets",
    "a daylight-saving hour twice",
    "milliseconds read as seconds",
    "bars of another length than declared",
    "bars off the grid",
    "gaps",
    "a bar still open",
    "the future",
    "a market without volume",
    "price in cents after a date",
    "price in points after a date",
    "split-like jumps",
    "constant price for hours",
    "one symbol with 10 bars",
    "a symbol name with path characters",
    "a 10 GB file",
    "a truncated Parquet",
    "another file type",
    "another encoding",
    "a source that answers 429",
    "a source that answers 500",
    "a source that answers HTML",
    "a source that answers half a page",
)


@dataclass(frozen=True)
class Refusal:
    """A file that must be refused.

    Attributes:
        case: its name, which begins with one of `NAMED`.
        content: the file's bytes, from the lines of a sound one.
        error: the class of the error, exactly.
        said: its sentence; `{file}` stands for the file and * for the words of a library.
        options: of the source.
    """

    case: str
    content: Callable[[list[str]], bytes]
    error: type[BettiError]
    said: str
    options: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True)
class Workspace:
    """A folder in which nothing ever ran but what a test ran there."""

    root: Path

    def run(self, *stages: str) -> None:
        for stage in stages:
            binding.run(self.root, stage, None)

    def refused(self, stage: str, error: type[BettiError]) -> str:
        """Run a stage that must fail with this error and leave data/ as it was; gives what it said, on one line."""
        before = self.written()
        with pytest.raises(error) as caught:
            self.run(stage)
        assert type(caught.value) is error
        assert self.written() == before
        said = str(caught.value)
        assert "\n" not in said
        return said

    def written(self) -> dict[str, str]:
        """Every file below data/, hidden ones too, with a hash of it."""
        files = sorted(file for file in (self.root / "data").rglob("*") if file.is_file())
        return {str(file.relative_to(self.root)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}

    def table(self, artifact: str, symbol: str) -> pd.DataFrame:
        """One symbol's rows of an artifact, without the columns of bars that no source here gives."""
        whole = binding.read(catalog.artifact(artifact), self.root)
        rows = whole[whole["symbol"] == symbol].reset_index(drop=True)
        return rows.drop(columns=[column.name for column in BARS.columns if not column.required], errors="ignore")

    def quality(self, symbol: str) -> SymbolQuality:
        """What the report of validation says of a symbol."""
        summary = binding.read(catalog.artifact("validation"), self.root).summary
        (found,) = [one for one in summary.symbols if one.symbol == symbol]
        return found

    def until(self, last: pd.Timestamp) -> None:
        """Set the clock."""
        (self.root / "asof.yaml").write_text(f'until: "{last.isoformat()}"\naccepted: null\n')


def laid_out(
    root: Path, source: str, symbols: Sequence[str], until: pd.Timestamp, interval: str = "15m", **options: object
) -> Workspace:
    """A workspace with the shipped knobs, but for its source and its clock."""
    root.mkdir(parents=True, exist_ok=True)
    knobs = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    knobs["ingest"] |= {"source": source, "symbols": list(symbols), "interval": interval, "options": options}
    knobs["evaluate"]["trade_symbols"] = []
    (root / "params.yaml").write_text(yaml.safe_dump(knobs, sort_keys=False))
    workspace = Workspace(root)
    workspace.until(until)
    return workspace


def sound(rows: int = ROWS, symbol: str = "BBB", seed: int = 0) -> pd.DataFrame:
    """Bars of a quarter of an hour with nothing wrong, as `betti.schemas.BARS` has them."""
    return random_bars(rows, seed, symbol, start=START.isoformat(), freq="15min")


def at(row: int) -> pd.Timestamp:
    """The time of a row of `sound`."""
    return START + row * STEP


def stamp(row: int) -> str:
    """That time as the files have it."""
    return at(row).isoformat()


def as_lines(bars: pd.DataFrame) -> list[str]:
    """The lines of a CSV file of these bars; row 0 is in line 2. Their floats are written to the last bit."""
    table = bars.drop(columns="symbol").assign(timestamp=bars["timestamp"].map(lambda time: time.isoformat()))
    return table.to_csv(index=False).splitlines()


def matches(said: str, template: str, file: Path) -> bool:
    """Whether an error said what it should, word for word."""
    words = map(re.escape, template.replace("{file}", str(file)).split("*"))
    return re.fullmatch(".*".join(words), said) is not None
