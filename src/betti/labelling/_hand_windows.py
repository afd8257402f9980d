"""Windows that somebody labelled by hand: how they are written down, and where they lie among the bars.

What does not belong here: expansions that a rule finds (`_legs`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from betti.errors import BadParam, MissingFile, UnreadableFile

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["HandWindow", "Placed", "placed", "read_windows"]

TYPES = ("consolidation", "retracement", "reversal")
COLUMNS = ("symbol", "window_start", "expansion_start", "expansion_end", "type")
_KNOB = "targets.expansion.windows"
_REMEDY = f"It needs the columns {', '.join(COLUMNS)}, as CSV or Parquet"


@dataclass(frozen=True)
class HandWindow:
    """One labelled window.

    Attributes:
        symbol: its market.
        window_start: time of its first bar, ISO 8601, UTC where no zone is written.
        expansion_start: the expansion's first bar, which is the last of what came before: its place in the window from
            0 (below it began before, beyond the last bar it lies ahead), or its time. None: there is no expansion.
        expansion_end: its last bar, likewise; None only where it lies ahead of the window.
        type: what came before it; None where that is not known.
    """

    symbol: str
    window_start: str
    expansion_start: int | str | None = None
    expansion_end: int | str | None = None
    type: Literal["consolidation", "retracement", "reversal"] | None = None


@dataclass(frozen=True)
class Placed:
    """Windows among the bars of one symbol, in time order; places count from a window's first bar.

    Attributes:
        row: (k,) position of each window's last bar.
        start, end: (k,) places of the expansion's first and last bar; NaN where there is none.
        type: (k,) 0, 1 or 2; NaN where it is not known.
        last: (k,) position of the last bar that the label read.
    """

    row: Integers
    start: Floats
    end: Floats
    type: Floats
    last: Integers


# Files --------------------------------------------------------------------------------------------------------------


def read_windows(path: str | Path) -> tuple[HandWindow, ...]:
    """Labelled windows from a CSV or Parquet file with the columns symbol, window_start, expansion_start,
    expansion_end, type; empty cells are None, a type may be its number.

    Raises:
        MissingFile, UnreadableFile: no such file, or it is no such table.
    """
    import pandas as pd

    file = Path(path)
    if not file.is_file():
        raise MissingFile(file, "It should hold the labelled windows")
    try:
        parquet = file.suffix == ".parquet"
        table = pd.read_parquet(file) if parquet else pd.read_csv(file, dtype=str, skipinitialspace=True)
    except (ValueError, OSError) as error:
        raise UnreadableFile(file, str(error).splitlines()[0], _REMEDY) from error
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise UnreadableFile(file, f"no column {', '.join(missing)}", _REMEDY)
    cells = table[list(COLUMNS)].astype(object).to_numpy()
    return tuple(_read(cells[line], file, line + 1) for line in range(len(cells)))


def _read(cells: NDArray[np.object_], file: Path, line: int) -> HandWindow:
    import pandas as pd

    symbol, window_start, start, end, kind = (None if pd.isna(cell) else cell for cell in cells)
    if symbol is None or window_start is None:
        raise UnreadableFile(file, f"row {line} has no symbol or no window_start", _REMEDY)
    number = _whole(kind)
    if number in range(len(TYPES)):
        kind = TYPES[int(str(number))]
    if kind is not None and kind not in TYPES:
        raise UnreadableFile(file, f"row {line} has the type '{kind}'", f"Types are {', '.join(TYPES)}, or 0, 1, 2")
    return HandWindow(str(symbol), str(window_start), _whole(start), _whole(end), kind)


def _whole(cell: Any) -> int | str | None:
    """A cell as a whole number where it is one, else as text."""
    if cell is None:
        return None
    try:
        number = float(cell)
    except (TypeError, ValueError):
        return str(cell)
    return int(number) if number.is_integer() else str(cell)


# Places -------------------------------------------------------------------------------------------------------------


def placed(bars: pd.DataFrame, windows: tuple[HandWindow, ...], window: int, most: int) -> Placed:
    """The windows of this symbol that lie in its bars as a whole, up to the last bar that they name.

    Args:
        bars: bars of one symbol in time order.
        windows: of all symbols.
        window: bars in a window.
        most: bars that an expansion may begin before the window or end after it.

    Raises:
        BadParam: a time that is no bar, an expansion that ends before it starts or lies farther off than `most`, or a
            window that is there twice.
    """
    import pandas as pd

    times = pd.DatetimeIndex(bars["timestamp"])
    found: dict[int, tuple[float, float, float, float]] = {}
    for one in windows:
        if not len(times) or one.symbol != bars["symbol"].iloc[0]:
            continue
        first = _position(times, one, "window_start", 0)
        start, end = (_position(times, one, name, first) for name in ("expansion_start", "expansion_end"))
        row = first + window - 1
        last = int(np.nanmax([row, start, end]))
        if last >= len(times):
            continue
        if row in found:
            raise BadParam(_KNOB, one.window_start, f"this window of {one.symbol} is there twice")
        _refuse(one, start - first, end - first, window, most)
        kind = np.nan if one.type is None else TYPES.index(one.type)
        found[row] = (start - first, end - first, kind, last)
    rows = sorted(found)
    columns = np.array([found[row] for row in rows], dtype="float64").reshape(-1, 4).T
    return Placed(np.array(rows, dtype=np.int64), columns[0], columns[1], columns[2], columns[3].astype(np.int64))


def _position(times: pd.DatetimeIndex, one: HandWindow, name: str, first: int) -> Any:
    """Position of the bar that a window names: NaN where it names none, beyond the last where its time lies outside."""
    import pandas as pd

    value = getattr(one, name)
    if value is None:
        return np.nan
    if isinstance(value, int):
        return first + value
    try:
        moment = pd.Timestamp(value)
    except ValueError as error:
        raise BadParam(_KNOB, value, f"{name} is no time: {error}") from error
    moment = moment.tz_localize("UTC") if moment.tz is None else moment
    if not times[0] <= moment <= times[-1]:
        return len(times)
    position = int(times.get_indexer(pd.DatetimeIndex([moment]))[0])
    if position < 0:
        raise BadParam(_KNOB, value, f"{one.symbol} has no bar at this {name}")
    return position


def _refuse(one: HandWindow, start: float, end: float, window: int, most: int) -> None:
    """Refuse an expansion that cannot be: places count from the window's first bar."""
    ahead = start > window - 1
    if np.isnan(start) != np.isnan(end) and not (ahead and np.isnan(end)):
        found = "it has one end of the expansion and not the other"
    elif end < start:
        found = "the expansion ends before it starts"
    elif start < 0 and end < 0:
        found = "the expansion ends before the window"
    elif start < -most or max(start, end) > window - 1 + most:
        found = f"the expansion lies more than {most} bars outside the window"
    else:
        return
    raise BadParam(_KNOB, one.window_start, f"{one.symbol}: {found}")
