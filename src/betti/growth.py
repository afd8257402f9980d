"""The bars on disk: the one artifact that grows. What a source sends is merged month by month with what is there.

Pieces of a fetch are first laid out by symbol and month (`betti.fetched`), so that neither the fetch nor the history
has to fit into memory; then each month is merged by itself. A bar that was fetched again with other values is the
fetched one, and the change is kept as a revision: old value, new value, when. Months that were not fetched are copied
as they are. All of it appears at once or not at all.

What does not belong here: fetching, and judging the rows (repeats within one fetch all stay: validation decides).
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial, reduce
from typing import TYPE_CHECKING

from betti import io
from betti.beside import each
from betti.catalog import symbol_folder
from betti.coarser import is_yearly, made_by, write
from betti.errors import BadBars
from betti.fetched import Fetched
from betti.intervals import name_of
from betti.schemas import BARS, REVISIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import pandas as pd

    from betti.intervals import Coarser
    from betti.schemas import Schema

__all__ = ["BASE", "MADE_BY", "ORIGIN", "Fetch", "grow", "merged", "resumed", "revised", "since"]

ORIGIN = "_origin.json"  # beside the bars: where they come from
MADE_BY = "_made_by.txt"  # beside coarser bars: the code and the libraries that made them
REVISED = "_revisions"  # a folder beside the symbols': what was corrected since
BASE = "_base"  # a folder beside them: the source's bars, where coarser ones are made of them


@dataclass(frozen=True)
class Fetch:
    """What was asked of a source.

    Attributes:
        origin: where bars come from, as text: bars of another origin are not mixed in but replaced.
        symbols: the markets, each of which must have a bar in the end. Others that are there go.
        interval: length of a bar.
        until: the open time of the last bar known. Later ones that are there go.
        coarser: what is made of the bars, which then lie in `_base`; None where they are the bars.
    """

    origin: str
    symbols: tuple[str, ...]
    interval: str
    until: pd.Timestamp
    coarser: Coarser | None = None

    @property
    def base(self) -> str:
        """The folder, inside the artifact's, that the source's own bars lie in."""
        return BASE if self.coarser else "."


def grow(
    path: Path,
    pieces: Iterable[pd.DataFrame],
    fetch: Fetch,
    beside: Mapping[str, io.Saved] | None = None,
    kept: Fetched | None = None,
) -> None:
    """Merge fetched bars, each piece of one symbol and none later than `until`, into the folder `path`.

    Args:
        path: the folder; it changes whole or not at all.
        pieces: the bars.
        fetch: what was asked for.
        beside: what else goes into the folder, by the name of its own there.
        kept: what `resumed` gave, where a fetch that breaks off is to go on; it is deleted at the end. None for what
            is quickly fetched again.

    Raises:
        BadBars: a symbol has no bar; nothing is changed.
    """
    with io.place(path) as new:
        new.mkdir(parents=True)
        fetched = kept or Fetched(new / ".spool")
        try:
            fetched.add(pieces, yearly=is_yearly(fetch.interval))
        except BadBars:
            # Were pages kept, the next try would see the last one alone, too few bars to be refused by.
            fetched.clear()
            raise
        before = path if io.read_note(path / ORIGIN) == fetch.origin else None
        maker = made_by() if fetch.coarser else ""
        # What another code has made of the same bars is not what would be made of them now.
        made = before if io.read_note(path / MADE_BY) == maker else None
        for symbol in fetch.symbols:
            folder = symbol_folder(symbol)
            target = new / fetch.base / folder
            known = {file.stem: file for file in (before / fetch.base / folder).glob("*.parquet")} if before else {}
            parts = fetched.parts(symbol)
            target.mkdir(parents=True, exist_ok=True)
            noted = new / REVISED / folder
            files = [
                _Files(
                    target / f"{period}.parquet",
                    noted / f"{period}.{fetch.until:%Y%m%dT%H%M%S}.parquet",
                    known.get(period),
                    parts.get(period, []),
                )
                for period in sorted(parts.keys() | known.keys())
            ]
            each(partial(_merge, until=fetch.until), files)
            _carry(before, new, folder)
            if not any(target.glob("*.parquet")):
                raise BadBars(fetch.origin, f"no bar of {symbol} up to {fetch.until}", "Check the symbol and asof.yaml")
            if fetch.coarser:
                _coarsen(symbol, fetch.coarser, new, made)
        for name, value in (beside or {}).items():
            io.save_into(new / name, value)
        shutil.rmtree(new / ".spool", ignore_errors=True)
        (new / ORIGIN).write_text(fetch.origin, encoding="utf-8")
        if maker:
            (new / MADE_BY).write_text(maker, encoding="utf-8")
    if kept:
        kept.clear()


def since(path: Path, fetch: Fetch) -> dict[str, pd.Timestamp]:
    """From where on each symbol's bars are worth fetching: a day, or ten bars, before the last one that is there."""
    if io.read_note(path / ORIGIN) != fetch.origin:
        return {}
    found: dict[str, pd.Timestamp] = {}
    for symbol in fetch.symbols:
        files = sorted((path / fetch.base / symbol_folder(symbol)).glob("*.parquet"))
        if files:
            found[symbol] = io.read_part(files[-1], BARS)["timestamp"].max() - _overlap(fetch)
    return found


def resumed(folder: Path, path: Path, fetch: Fetch, code: str) -> Fetched:
    """What an earlier try of this fetch has left, and from where on each symbol is worth fetching.

    Args:
        folder: where such pages lie, outside of any artifact.
        path: the folder of the bars.
        fetch: what is asked for.
        code: a hash of the code that asks: pages that another code has made of answers are not mixed in.
    """
    return Fetched.resumed(folder, f"{fetch.origin}{code}\n", fetch.symbols, since(path, fetch), _overlap(fetch))


def _overlap(fetch: Fetch) -> pd.Timedelta:
    import pandas as pd

    return max(pd.Timedelta(days=1), 10 * pd.Timedelta(fetch.interval))


def merged(stored: pd.DataFrame, fetched: pd.DataFrame) -> pd.DataFrame:
    """Stored bars with the fetched ones in place of those of the same time, in time order; repeats in a fetch stay.

    A column that the fetch lacks goes with the last bar that has a value in it, as if it had never been there.
    """
    import pandas as pd

    kept = stored[~stored["timestamp"].isin(frozenset(fetched["timestamp"]))]
    gone = [name for name in kept.columns if name not in fetched.columns and kept[name].isna().all()]
    return pd.concat([kept.drop(columns=gone), fetched]).sort_values("timestamp", kind="stable").reset_index(drop=True)


def revised(stored: pd.DataFrame, fetched: pd.DataFrame, until: pd.Timestamp) -> pd.DataFrame:
    """The values that a fetch changes: a row of `REVISIONS` for each; `seen` is the fetch's `until`."""
    import pandas as pd

    last = fetched.drop_duplicates("timestamp", keep="last")
    both = stored.drop_duplicates("timestamp", keep="last").merge(last, on="timestamp", suffixes=("", "_new"))
    found = []
    for name in BARS.names[2:]:
        if name in both.columns and f"{name}_new" in both.columns:
            old, new = both[name], both[f"{name}_new"]
            other = both[(old != new) & ~(old.isna() & new.isna())]
            found.append(
                pd.DataFrame(
                    {
                        "timestamp": other["timestamp"],
                        "symbol": other["symbol"],
                        "column": name,
                        "old": other[name],
                        "new": other[f"{name}_new"],
                        "seen": until.tz_convert("UTC").as_unit("us"),
                    }
                )
            )
    return pd.concat(found).sort_values(["timestamp", "column"], kind="stable").reset_index(drop=True)


@dataclass(frozen=True)
class _Files:
    """One period of one symbol: where its bars go, and what was corrected in them; what is there, and what came."""

    target: Path
    notes: Path
    known: Path | None
    tries: list[list[Path]]


def _merge(files: _Files, until: pd.Timestamp) -> None:
    """Write one period, and what was corrected in it."""
    import pandas as pd

    target, notes, known, tries = files.target, files.notes, files.known, files.tries
    if known is not None and not tries and target.stem < f"{until:%Y-%m}"[: len(target.stem)]:
        shutil.copyfile(known, target)
        return
    stored = [io.read_part(known, BARS)] if known else []
    fetched = [reduce(merged, (pd.concat(map(pd.read_feather, one)) for one in tries))] if tries else []
    if stored and fetched and stored[0].equals(fetched[0]) and stored[0]["timestamp"].iloc[-1] <= until:
        shutil.copyfile(known, target)  # type: ignore[arg-type]  # what is stored has a file
        return
    if stored and fetched:
        changes = revised(stored[0], fetched[0], until)
        if len(changes):
            _write(notes, changes, REVISIONS)
        stored = [merged(stored[0], fetched.pop())]
    (bars,) = stored + fetched
    bars = bars[bars["timestamp"] <= until].sort_values("timestamp", kind="stable")
    if len(bars):
        io.table_bytes_to(target, bars, BARS)


def _coarsen(symbol: str, coarser: Coarser, new: Path, before: Path | None) -> None:
    """Make a symbol's coarser bars."""
    folder = symbol_folder(symbol)
    for interval in coarser.intervals:
        name = name_of(symbol, interval, coarser)
        old = before or new / ".spool"  # where there is nothing
        earlier = old / BASE / folder, old / symbol_folder(name)
        write(new / BASE / folder, new / symbol_folder(name), name, interval, coarser, earlier)


def _carry(before: Path | None, new: Path, folder: str) -> None:
    """Keep the revisions that were there."""
    for file in sorted((before / REVISED / folder).glob("*.parquet")) if before else ():
        target = new / REVISED / folder / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():  # the same clock again: what it said before stands first
            import pandas as pd

            both = pd.concat([io.read_part(file, REVISIONS), io.read_part(target, REVISIONS)])
            _write(target, both.drop_duplicates(), REVISIONS)
        else:
            shutil.copyfile(file, target)


def _write(file: Path, table: pd.DataFrame, schema: Schema) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    io.table_bytes_to(file, table, schema)
