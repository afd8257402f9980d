"""Stage 4, one item per feature set: the set's columns of all families, aligned row by row."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from betti import counts
from betti.errors import BadInput
from betti.features import FOLDER
from betti.features._sets import declared

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

__all__ = ["EmptySet", "check_patterns", "select"]


class EmptySet(BadInput):
    """A pattern of a feature set that matches no column of any declared family."""

    def __init__(self, name: str, pattern: str, families: list[str], needed: Iterable[str] = ()) -> None:
        self.needed = tuple(needed)
        declare = f"Declare {', '.join(self.needed)}" if self.needed else "Declare its family"
        super().__init__(
            f"feature set '{name}': pattern '{pattern}' matches no column of the families {', '.join(families)}. "
            f"{declare} under `features`, or mend the pattern in params.yaml"
        )


def select(features: Mapping[str, pd.DataFrame], *, set: str, columns: list[str]) -> pd.DataFrame:
    """The columns of one feature set: `timestamp`, `symbol`, then its columns in the order of its patterns.

    Args:
        features: every declared family's table; only those a pattern can match are read.
        set: the set's name; without `columns` the registered declaration of that name applies.
        columns: patterns over full column names, shell style.

    Raises:
        UnknownName: no patterns given and no declared set of that name.
        EmptySet: a pattern matches nothing.
    """
    patterns = tuple(columns) or declared(set).columns
    tables = {name: features[name] for name in features if any(_may_match(p, name) for p in patterns)}
    chosen: dict[str, str] = {}
    for pattern in patterns:
        matched = {
            column: family
            for family, table in tables.items()
            for column in table.columns[2:]
            if fnmatchcase(column, pattern)
        }
        if not matched:
            raise EmptySet(set, pattern, sorted(features))
        chosen |= {column: family for column, family in matched.items() if column not in chosen}
    return _aligned(tables, chosen)


def check_patterns(set: str, columns: list[str], families: tuple[str, ...]) -> None:
    """Refuse a set one of whose patterns can match no column of these families, before any is computed.

    Raises:
        UnknownName: no patterns given and no declared set of that name.
        EmptySet: names every family that the set needs and that is not there.
    """
    patterns = tuple(columns) or declared(set).columns
    idle = [pattern for pattern in patterns if not any(_may_match(pattern, family) for family in families)]
    if idle:
        # All families that are off, at once: a set may need several.
        prefixes = (pattern.partition("__")[0] for pattern in idle if "__" in pattern)
        needed = dict.fromkeys(prefix for prefix in prefixes if prefix in FOLDER.names())
        raise EmptySet(set, idle[0], sorted(families), needed)


def _may_match(pattern: str, family: str) -> bool:
    """Whether a column `family__...` can match the pattern at all."""
    return fnmatchcase(family, pattern.partition("__")[0]) or "__" not in pattern


def _aligned(tables: Mapping[str, pd.DataFrame], chosen: Mapping[str, str]) -> pd.DataFrame:
    """Join the chosen columns on (symbol, timestamp); families share their bars, so that no row is lost."""
    import pandas as pd

    blocks = []
    for family in dict.fromkeys(chosen.values()):
        names = [column for column, owner in chosen.items() if owner == family]
        blocks.append(tables[family].set_index(["symbol", "timestamp"])[names])
    joined = pd.concat(blocks, axis=1, join="inner")[list(chosen)].reset_index()
    joined = joined.sort_values(["symbol", "timestamp"], kind="stable").reset_index(drop=True)
    return counts.attach(joined[["timestamp", "symbol", *chosen]], {})  # a set is no family: nothing was counted
