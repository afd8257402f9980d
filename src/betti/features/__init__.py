"""Feature families: one file = one family, registered by being in this folder.

A family module offers

* `COLUMNS`: the names of its columns at default knobs, without the `family__` prefix;
* `lookback(**knobs) -> int`: how many earlier bars a row's values depend on (recursive indicators: until the start
  is forgotten to 1e-6);
* `compute(bars, *, ...knobs) -> pd.DataFrame`: bars of ONE symbol in time order -> one row per bar, its columns
  without prefix. Only bars up to a row's own may enter it;
* where it looks at what surrounds the market, `context` as a second argument of `compute`: `betti.context.Context` or
  None. What was released before a row's bar had closed may enter it;
* where it loads modules by name, `parts(**knobs) -> tuple[str, ...]`: theirs, so that an edit there is seen;
* in its docstring, if it likes, a Markdown table of its columns with the headings column, what, unit and source.

This module adds what all families share: prefix, key columns, float32, and NaN in the warm-up rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any

from betti import counts
from betti import knobs as _knobs
from betti.discovery import Folder
from betti.errors import BadBars, BadInput, BettiError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    import pandas as pd

    from betti.context import Context

__all__ = [
    "FOLDER",
    "FeatureFamily",
    "NotAFamily",
    "NotFinite",
    "compute",
    "families",
    "family",
    "of_module",
    "sets",
]

FOLDER = Folder("betti.features", kind="feature family")
PROTOCOL = ("COLUMNS", "lookback", "compute")


class NotAFamily(BadInput):
    """A file that does not offer what a family offers."""

    def __init__(self, file: object, missing: list[str]) -> None:
        self.file, self.missing = file, missing
        super().__init__(f"{file} has no {', no '.join(missing)}. A feature family offers {', '.join(PROTOCOL)}")


class NotFinite(BettiError):
    """A family gave an infinite value: a fault in the family, not in the bars."""

    def __init__(self, column: str, timestamp: object) -> None:
        super().__init__(f"feature {column} is infinite at {timestamp}: its family must guard the division")


@dataclass(frozen=True)
class FeatureFamily:
    """One family as the pipeline sees it.

    Attributes:
        name: the module's name and the prefix of its columns.
        columns: full column names at default knobs.
        lookback: knobs -> bars of history that a row depends on.
        function: the family's own `compute`.
        modules: knobs -> the modules that compute it: its own, and those that it loads by name.
    """

    name: str
    columns: tuple[str, ...]
    lookback: Callable[..., int]
    function: Callable[..., pd.DataFrame]
    modules: Callable[..., tuple[str, ...]]

    @property
    def takes_context(self) -> bool:
        """Whether it looks at what surrounds the market."""
        return "context" in signature(self.function).parameters

    def compute(self, bars: pd.DataFrame, /, context: Context | None = None, **knobs: Any) -> pd.DataFrame:
        """The family's features for bars of one or several symbols; same index and row order as `bars`.

        Raises:
            UnknownName, BadParam: a knob does not exist, or a value is out of range.
            BadBars: a symbol's bars are not in time order.
            NotFinite: the family gave an infinity.
        """
        import pandas as pd

        values = _knobs.checked(self.function, knobs, f"features.{self.name}")
        warm_up = self.lookback(**values)
        markets = list(bars.groupby("symbol", sort=False))
        for symbol, rows in markets:
            _refuse_disorder(str(symbol), rows["timestamp"])
        blocks = [self.of_symbol(rows, warm_up, values, context) for _, rows in markets]
        if not blocks:
            blocks = [pd.DataFrame(columns=list(self.columns), index=bars.index, dtype="float32")]
        table = counts.attach(pd.concat(blocks).loc[bars.index], counts.total(counts.of(block) for block in blocks))
        table.insert(0, "timestamp", bars["timestamp"])
        table.insert(1, "symbol", bars["symbol"])
        return table

    def of_symbol(
        self, bars: pd.DataFrame, warm_up: int, values: Mapping[str, Any], context: Context | None = None
    ) -> pd.DataFrame:
        """One symbol: prefixed float32 columns, NaN in the warm-up rows; all knobs are given, and checked already."""
        import numpy as np

        beside = (context,) if self.takes_context else ()
        raw = self.function(bars, *beside, **values)
        numbers = raw.to_numpy(dtype="float64").astype("float32")
        numbers[:warm_up] = np.nan
        bad = np.argwhere(np.isinf(numbers))
        if len(bad):
            row, column = bad[0]
            raise NotFinite(f"{self.name}__{raw.columns[column]}", bars["timestamp"].iloc[row])
        numbers += np.float32(0)  # -0.0 becomes 0.0
        names, counted = [f"{self.name}__{column}" for column in raw.columns], counts.of(raw)
        del raw  # a million rows of a hundred columns are most of what is held here
        return counts.attach(type(bars)(numbers, columns=names, index=bars.index, copy=False), counted)


def _refuse_disorder(symbol: str, times: pd.Series[pd.Timestamp]) -> None:
    """Refuse bars whose rows before are not the bars before: every window over them would be another."""
    import numpy as np

    late = np.flatnonzero(np.diff(times.astype("int64").to_numpy()) <= 0)
    if len(late):
        at = times.iloc[int(late[0]) + 1]
        found = f"{at} follows {times.iloc[int(late[0])]}, which is not earlier"
        raise BadBars(symbol, found, "Give each symbol's bars in time order, each time once: sort_values('timestamp')")


def family(name: str) -> FeatureFamily:
    """One family, imported now.

    Raises:
        UnknownName: no such family.
        PartUnavailable: its file does not import.
        NotAFamily: its file does not follow the protocol.
    """
    return of_module(name, FOLDER.load(name))


def of_module(name: str, module: ModuleType) -> FeatureFamily:
    """A family whose file is imported already, wherever it lies.

    Raises:
        NotAFamily: the module does not follow the protocol.
    """
    missing = [part for part in PROTOCOL if not hasattr(module, part)]
    if missing:
        raise NotAFamily(module.__file__, missing)
    columns = tuple(f"{name}__{column}" for column in module.COLUMNS)
    own = module.__name__

    def modules(**knobs: Any) -> tuple[str, ...]:
        return (own, *(module.parts(**knobs) if hasattr(module, "parts") else ()))

    return FeatureFamily(name, columns, module.lookback, module.compute, modules)


def families() -> dict[str, FeatureFamily]:
    """Every family that imports, by name."""
    return {name: family(name) for name, _ in FOLDER.loaded()}


def compute(family_name: str, bars: pd.DataFrame, /, context: Context | None = None, **knobs: Any) -> pd.DataFrame:
    """The features of one family: `timestamp`, `symbol`, then float32 columns named `family__name`.

    Args:
        family_name: a name in `families()`.
        bars: columns as in `betti.schemas.BARS`, in time order within each symbol.
        context: what surrounds the markets, for families that look at it.
        **knobs: the family's own, checked against its signature.

    Returns:
        A table with the index and row order of `bars`; NaN in the first `lookback` rows of each symbol.

    Raises:
        UnknownName, BadParam: the family or a knob does not exist, or a value is out of range.
        BadBars: a symbol's bars are not in time order, or two have one time.
        NotFinite: the family gave an infinity.
    """
    return family(family_name).compute(bars, context, **knobs)


def sets() -> dict[str, Any]:
    """The declared feature sets, by name."""
    # Named as text: a set is no part of how a family computes, and an edit there must make no family stale.
    found: dict[str, Any] = dict(import_module("betti.features._sets").SETS)
    return found
