"""Headlines: what was written about a market, and since when it was there to read.

A file needs a time or day and a text; a column of symbols is optional, without one every headline is about all markets.
Headlines of which the day alone is known count as known from the end of that day (`betti.context._moments`). What does
not belong here: what the words mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from betti import counts
from betti.context import _files as files
from betti.context._moments import Written, moments
from betti.context._tables import HEADLINES, ordered

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read"]

_OPTION = "ingest.context_files.headlines"
_SHAPE = files.Shape(
    aliases={
        "released": (
            *("date", "time", "datetime", "timestamp", "published", "published at", "publishedat", "publish date"),
            *("pub date", "pubdate", "publication date", "created at", "release time", "release date"),
        ),
        "symbol": ("ticker", "tic", "stock", "instrument", "asset"),
        "headline": ("headlines", "title", "text", "news"),
    },
    needed=("released", "headline"),
    option=_OPTION,
)


def read(
    path: str | Path,
    *,
    columns: dict[str, str] | None = None,
    symbol: str = "",
    timezone: str | None = None,
    unit: str | None = None,
    time_format: str | None = None,
    day_first: bool | None = None,
) -> pd.DataFrame:
    """Headlines from a Parquet or text file, columns as in `betti.context.HEADLINES`, in order of release.

    Equal headlines about the same market at the same moment are kept once, and rows without a text are left out: the
    table carries how many (`betti.counts`: `rows`, `repeated`, `empty`).

    Args:
        path: the file; text may be packed with gz, cells end at a comma, semicolon, tab or bar.
        columns: their name -> ours (released, symbol, headline), where a column is not found by its name.
        symbol: the market that all of them are about, where the file has no such column; empty for all markets.
        timezone: IANA zone of times that carry none, and of days; New York for days where it is not given.
        unit: s, ms, us or ns where times are epoch numbers and the unit is not the one they seem to have.
        time_format: in the signs of `strptime`, where times are text of an uncommon form.
        day_first: whether 01/02/2020 is in February, where no row of the file tells.

    Raises:
        MissingFile, UnreadableFile: the file is absent, or neither Parquet nor a table of text.
        UnknownName, BadContext: a column is missing or may be one of several, there are no rows, a cell is no time.
        BadParam: an option that does not fit.
    """
    file, raw = files.table(path, _SHAPE, columns or {})
    written = Written(_OPTION, timezone, unit, time_format, day_first)
    texts = files.texts(raw["headline"])
    rows = raw[texts != ""]
    table = pd.DataFrame(
        {
            "released": moments(rows["released"], file, "released", written),
            "symbol": files.texts(rows["symbol"]) if "symbol" in rows else symbol,
            "headline": texts[texts != ""],
        },
        index=rows.index,
    )
    found = ordered(table, HEADLINES, file)
    return counts.attach(found, {"rows": len(raw), "empty": len(raw) - len(rows), "repeated": len(rows) - len(found)})
