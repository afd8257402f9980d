"""Bars from Feather files (version 2, which is Arrow's file format), one per symbol or one for several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from betti.errors import UnreadableFile
from betti.sources._columnar import ROWS, fetched
from betti.sources._columns import Given

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    import pyarrow as pa

    from betti.sources._files import Place

__all__ = ["fetch"]


def fetch(
    symbols: tuple[str, ...],
    interval: str,
    until: pd.Timestamp,
    *,
    path: str,
    columns: dict[str, str] | None = None,
    markets: dict[str, str] | None = None,
    unit: str | None = None,
    timezone: str | None = None,
    time_format: str | None = None,
    day_first: bool | None = None,
    stamped: Literal["open", "close"] | None = None,
) -> Iterator[pd.DataFrame]:
    """Bars from Feather, read a record batch at a time; see `betti.sources`.

    Args:
        symbols: markets; each fills `{symbol}` in the path, and selects its rows where the file has a `symbol` column.
        interval: fills `{interval}` in the path.
        until: open time of the last bar wanted.
        path: e.g. "~/bars/{symbol}-{interval}.feather".
        columns: their name -> ours, where a column is not found by its name.
        markets: our symbol -> the name in the file's `symbol` column, where they differ.
        unit: s, ms, us or ns where times are epoch numbers and the unit is not the one they seem to have.
        timezone: IANA zone of times that carry none.
        time_format: how times are written, in the signs of `strptime`, where they are text of an uncommon form.
        day_first: whether 01/02/2020 is in February, where no row of the file tells.
        stamped: "close" where bars carry the time of their close; found by itself for a column called `close_time`.

    Raises:
        MissingFile, UnreadableFile: the file is absent, or is not Feather of version 2 (or is cut off).
        UnknownName: the file has a `symbol` column, and no row of that symbol.
        BadBars: a column is missing, there are no rows, or a value cannot be read.
        BadParam: one file for several symbols that names none, or an option that does not fit.
    """
    given = Given(
        columns=columns or {}, unit=unit, timezone=timezone, time_format=time_format, day_first=day_first,
        stamped=stamped,
    )  # fmt: skip
    yield from fetched(Feather(), path, symbols, interval, markets, given)


class Feather:
    """Follows `betti.sources._columnar.Format`."""

    def names(self, where: Place) -> tuple[str, ...]:
        """All columns of the file, in order."""
        import pyarrow as pa

        try:
            with pa.OSFile(str(where.path)) as opened, pa.ipc.open_file(opened) as whole:
                return tuple(whole.schema.names)
        except (pa.ArrowException, OSError) as cause:
            raise _not_whole(where, cause) from cause

    def batches(self, where: Place, wanted: list[str]) -> Iterator[pa.RecordBatch]:
        """These columns alone, from the beginning, at most `ROWS` rows at a time."""
        import pyarrow as pa

        try:
            with pa.OSFile(str(where.path)) as opened, pa.ipc.open_file(opened) as whole:
                for number in range(whole.num_record_batches):
                    batch = whole.get_batch(number).select(wanted)
                    for start in range(0, batch.num_rows, ROWS):
                        yield batch.slice(start, ROWS)
        except (pa.ArrowException, OSError) as cause:
            raise _not_whole(where, cause) from cause


def _not_whole(where: Place, cause: Exception) -> UnreadableFile:
    return UnreadableFile(where, f"is not a whole Feather file of version 2 ({cause})", "Write or copy it again")
