"""Bars from Parquet files, one per symbol or one for several."""

from __future__ import annotations

from typing import TYPE_CHECKING

from betti.errors import BadBars, UnreadableFile
from betti.sources._table import file_for, one_file_each, to_bars

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

__all__ = ["fetch"]


def fetch(
    symbols: tuple[str, ...],
    interval: str,
    until: pd.Timestamp,
    *,
    path: str,
    columns: dict[str, str] | None = None,
    unit: str | None = None,
    timezone: str | None = None,
) -> Iterator[pd.DataFrame]:
    """Bars from Parquet; see `betti.sources`.

    Args:
        symbols: markets; each fills `{symbol}` in the path, and selects its rows where the file has a `symbol` column.
        interval: fills `{interval}` in the path.
        until: open time of the last bar wanted.
        path: e.g. "~/bars/{symbol}_{interval}.parquet".
        columns: their name -> ours, where they differ by more than case.
        unit: s, ms, us or ns where times are epoch numbers.
        timezone: IANA zone of times that carry none.

    Raises:
        MissingFile, UnreadableFile: the file is absent, or is not Parquet (or is cut off).
        BadBars: a column is missing, the symbol has no rows, or a value cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    for symbol in symbols:
        file = file_for(path, symbol, interval)
        try:
            raw = pq.read_table(file).to_pandas(ignore_metadata=True)
        except (pa.ArrowInvalid, OSError) as cause:
            raise UnreadableFile(file, f"is not a whole Parquet file ({cause})", "Write or copy it again") from cause
        if "symbol" in raw.columns:
            raw = raw[raw["symbol"] == symbol].drop(columns="symbol")
            if raw.empty:
                raise BadBars(file, f"no rows of symbol '{symbol}'", "Check ingest.symbols in params.yaml")
        else:
            one_file_each(path, symbols)
        yield to_bars(raw, symbol, file, columns=columns or {}, unit=unit, timezone=timezone, first_line=1)
