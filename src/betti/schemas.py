"""Columns, types and units of every table. Plain data: turning it into Arrow belongs to `betti.io`.

Every time is UTC. A bar is stamped with its OPEN time; what is known at bar t is known at its close.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "BARS",
    "FEATURES",
    "FOLDS",
    "LABELS",
    "PREDICTIONS",
    "PRICE_COLUMNS",
    "QUARANTINE",
    "REASONS",
    "REVISIONS",
    "ROLES",
    "ROUNDING",
    "Column",
    "Schema",
]

TIMESTAMP, STRING, FLOAT64, FLOAT32, INT64 = "timestamp[us, tz=UTC]", "string", "double", "float", "int64"
# Texts that repeat: each is held once, and a row holds its number.
INT16, FEW = "int16", "text of few"

PRICE_COLUMNS = ("open", "high", "low", "close")
# Prices that were multiplied, for splits and dividends, may lie outside their bar's range by a rounding: as a share of
# the price, far above that of one multiplication (2e-16) and far below any tick.
ROUNDING = 1e-12
ROLES = ("train", "valid", "test", "purged", "embargoed", "unused")


@dataclass(frozen=True)
class Column:
    """One column: its Arrow type by name, what it means, and its unit."""

    name: str
    type: str
    unit: str
    nullable: bool = False
    required: bool = True


@dataclass(frozen=True)
class Schema:
    """The columns of one artifact, in order.

    `rest` is the type of columns beyond the named ones (feature columns, model outputs); None forbids them.
    """

    name: str
    columns: tuple[Column, ...]
    rest: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the declared columns."""
        return tuple(column.name for column in self.columns)

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the columns that must be there."""
        return tuple(column.name for column in self.columns if column.required)


_KEY = (
    Column("timestamp", TIMESTAMP, "bar open, UTC"),
    Column("symbol", STRING, "market"),
)
_OHLCV = (
    Column("open", FLOAT64, "price", nullable=True),
    Column("high", FLOAT64, "price", nullable=True),
    Column("low", FLOAT64, "price", nullable=True),
    Column("close", FLOAT64, "price", nullable=True),
    Column("volume", FLOAT64, "units traded; null or zero where a market has none", nullable=True),
    Column("buy_volume", FLOAT64, "units bought by takers", nullable=True, required=False),
    Column("sell_volume", FLOAT64, "units sold by takers", nullable=True, required=False),
    Column("trades", FLOAT64, "count", nullable=True, required=False),
    Column("open_interest", FLOAT64, "contracts", nullable=True, required=False),
)
_SPAN = (
    Column("span_start", TIMESTAMP, "the first bar of the span"),
    Column("span_end", TIMESTAMP, "the last bar the label read"),
)

BARS = Schema("bars", _KEY + _OHLCV)
QUARANTINE = Schema("quarantine", (*_KEY, *_OHLCV, Column("reason", STRING, "comma-separated rule names")))
REVISIONS = Schema(
    "revisions",
    (
        *_KEY,
        Column("column", STRING, "what was corrected"),
        Column("old", FLOAT64, "as it was", nullable=True),
        Column("new", FLOAT64, "as it is since", nullable=True),
        Column("seen", TIMESTAMP, "`until` of the fetch that brought it"),
    ),
)
FEATURES = Schema("features", _KEY, rest=FLOAT32)
LABELS = Schema(
    "labels",
    (*_KEY, *_SPAN, Column("weight", FLOAT64, "sample weight, in (0, 1]")),
    rest=FLOAT64,
)
FOLDS = Schema(
    "folds",
    (
        Column("timestamp", TIMESTAMP, "bar open, UTC"),
        Column("symbol", FEW, "market"),
        Column("fold", INT16, "fold number from 0"),
        Column("role", FEW, "one of " + ", ".join(ROLES)),
    ),
)
PREDICTIONS = Schema(
    "predictions",
    (
        *_KEY,
        Column("fold", INT64, "fold number from 0"),
        Column("model", STRING, "registered model"),
        Column("run", STRING, "run name"),
    ),
    rest=FLOAT64,
)

# Quarantine reasons, closed list: rule name -> what it found.
REASONS = {
    "missing_value": "a price is missing or not a number",
    "infinite": "a price or the volume is infinite",
    "non_positive_price": "a price is zero or negative",
    "high_below_low": "high is below low",
    "open_outside_range": "open lies outside [low, high]",
    "close_outside_range": "close lies outside [low, high]",
    "negative_volume": "volume is negative",
    "duplicate_differs": "the timestamp occurs again with other values; the last good row is kept",
    "duplicate_equal": "the timestamp occurs again with the same values; one row is kept",
    "future": "the bar is later than asof.yaml's `until`",
}
