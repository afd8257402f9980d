"""What a fetch has brought, page by page on disk, until it is merged; of a fetch that broke off, until it is done.

Pages lie by symbol and try, one file a period, and nobody takes them for bars: they are merged when the fetch is whole,
and deleted then. The next try re-asks the last page, and what comes again counts. A page that came before is to the
next try what a stored bar is to the next night: older corrections than those of the pages asked for do not come.

What does not belong here: bars (`betti.growth` merges), and how a source is asked.
"""

from __future__ import annotations

import logging
import shutil
from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from betti.catalog import symbol_folder
from betti.io import read_note

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["Fetched"]

log = logging.getLogger(__name__)
KEY = "_key.txt"  # what the pages are answers to
SINCE = "_since.txt"  # beside the tries of a symbol: from where on the first of them asked
NOTHING = "nothing is at hand\n"


class Fetched:
    """The pages of one fetch, those of its earlier tries included.

    Args:
        folder: theirs alone.
        since: symbol -> open time of the first bar to ask for, UTC; see `resumed`.
        turn: the number of this try.
    """

    def __init__(self, folder: Path, since: Mapping[str, pd.Timestamp] | None = None, turn: int = 0) -> None:
        self._folder, self._turn = folder, turn
        self.since = dict(since or {})

    @classmethod
    def resumed(
        cls, folder: Path, key: str, symbols: Iterable[str], since: Mapping[str, pd.Timestamp], overlap: pd.Timedelta
    ) -> Fetched:
        """Go on where a fetch of the same key broke off; pages of another key, and unreadable ones, are deleted.

        Args:
            folder: where the pages lie.
            key: what the pages depend on, as text.
            symbols: the markets that will be asked for.
            since: symbol -> the first bar worth fetching, UTC; pages that were fetched from another one on go.
            overlap: what is asked for again of a symbol that came whole.

        Returns:
            With `since` moved on to the last page of each symbol, or to `overlap` before its last bar where the source
            had gone on to another symbol.
        """
        if read_note(folder / KEY) != key:
            _begin(folder, KEY, key)
        for symbol in symbols:
            _settle(folder / symbol_folder(symbol), since.get(symbol))
        files = list(folder.glob("*/*/*.feather"))
        reached: dict[int, int] = defaultdict(int)  # by each try
        for file in files:
            reached[_turn(file)] = max(reached[_turn(file)], _number(file))
        found = dict(since)
        for symbol in symbols:
            pages = sorted((folder / symbol_folder(symbol)).glob("*/*.feather"))
            if pages:
                whole = _number(pages[-1]) < reached[_turn(pages[-1])]
                point = _behind(pages, overlap, whole=whole)
                found[symbol] = max(point, since[symbol]) if symbol in since else point
        return cls(folder, found, max(reached, default=-1) + 1)

    def add(self, pieces: Iterable[pd.DataFrame], *, yearly: bool) -> None:
        """Write each piece as it comes, uncompressed.

        Args:
            pieces: bars, each piece of one symbol, in the order that the source gives them.
            yearly: whether a period is a year; else it is a month.
        """
        for number, piece in enumerate(pieces):
            if len(piece):
                self._write(number, piece, yearly=yearly)

    def _write(self, number: int, piece: pd.DataFrame, *, yearly: bool) -> None:
        folder = self._folder / symbol_folder(str(piece["symbol"].iloc[0])) / f"{self._turn:04d}"
        folder.mkdir(parents=True, exist_ok=True)
        names = _periods(piece["timestamp"], yearly=yearly)
        if (names[1:] < names[:-1]).any():
            # The oldest first: whenever the writer dies, the first bar of a page is there, and the page is asked again.
            order = np.argsort(names, kind="stable")
            piece, names = piece.iloc[order], names[order]
        edges = np.flatnonzero(np.r_[True, names[1:] != names[:-1], True])
        for start, end in pairwise(edges.tolist()):
            file = folder / f"{number:08d}.{names[start]}.feather"
            new = file.with_suffix(".new")
            piece.iloc[start:end].reset_index(drop=True).to_feather(new, compression="uncompressed")
            new.replace(file)

    def parts(self, symbol: str) -> Mapping[str, list[list[Path]]]:
        """A symbol's files: period -> tries that brought some of it -> files, all in the order they came."""
        found: dict[str, dict[int, list[Path]]] = defaultdict(lambda: defaultdict(list))
        for file in sorted((self._folder / symbol_folder(symbol)).glob("*/*.feather")):
            found[file.stem.partition(".")[2]][_turn(file)].append(file)
        return {period: list(tries.values()) for period, tries in found.items()}

    def clear(self) -> None:
        """Delete all of it; the key first, so that whoever dies here leaves nothing that counts."""
        (self._folder / KEY).unlink(missing_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)


def _settle(folder: Path, since: pd.Timestamp | None) -> None:
    """Delete a symbol's pages if they were fetched from another time on, or cannot be read."""
    text = NOTHING if since is None else f"{since.isoformat()}\n"
    if read_note(folder / SINCE) == text and all(map(_readable, folder.glob("*/*.feather"))):
        return
    _begin(folder, SINCE, text)


def _begin(folder: Path, name: str, text: str) -> None:
    """Empty a folder and write its note: the old one goes first and the new one comes last, so that dying is safe."""
    (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / name).write_text(text, encoding="utf-8")


def _readable(file: Path) -> bool:
    """Whether a file is whole, told by its end: a machine that lost power leaves empty ones and halves."""
    import pyarrow as pa

    try:
        with pa.OSFile(str(file)) as raw:
            pa.ipc.open_file(raw)
    except (pa.ArrowInvalid, OSError) as cause:
        log.warning("%s cannot be read (%s): what came of that symbol is fetched again", file, cause)
        return False
    return True


def _behind(pages: list[Path], overlap: pd.Timedelta, *, whole: bool) -> pd.Timestamp:
    """Where to go on behind pages of one symbol: nothing that was still to be asked for lies before."""
    import pandas as pd

    last = [file for file in pages if (_turn(file), _number(file)) == (_turn(pages[-1]), _number(pages[-1]))]
    times = pd.concat([pd.read_feather(file, columns=["timestamp"])["timestamp"] for file in last])
    again: pd.Timestamp = times.max() - overlap
    # A page may lie behind a gap that is being filled; the walk never is before the first bar of its last page.
    return again if whole else min(again, times.min())


def _turn(file: Path) -> int:
    return int(file.parent.name)


def _number(file: Path) -> int:
    """Which page of its try, all symbols together."""
    return int(file.name.partition(".")[0])


def _periods(timestamps: pd.Series, *, yearly: bool) -> NDArray[np.datetime64]:
    """The year or the month of each bar; as text 2024 or 2024-05."""
    naive = timestamps.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
    names: NDArray[np.datetime64] = naive.astype("datetime64[Y]" if yearly else "datetime64[M]")
    return names
