"""What validation leaves in data/9_reports/validation: a summary and the data docs pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from betti.records import ValidationSummary

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["FLAGS", "Validation"]

SUMMARY = "summary.json"

# Flags, closed list: rule -> what it found. One row of a stretch's kind stands for the whole stretch.
FLAGS = {
    "closed_sessions": "whole sessions without a bar: a holiday or an outage",
    "flat_bars": "high equals low",
    "gaps": "bars are missing where other weeks have them",
    "jumps": "a close-to-close move beyond validate.jump, in log units",
    "missing_extras": "no value in an optional column that other bars have; value: how many columns",
    "missing_volume": "no volume is given",
    "off_grid": "the bar opens where others do not; value: seconds to the nearest usual opening",
    "repeated_bars": "a block that occurred before, bar for bar, within about a million bars; value: its length",
    "spikes": "a close far from both its neighbours, which agree; value: log distance",
    "split_like": "the price goes on near a split's ratio; value: the factor",
    "stale_opens": "a stretch whose opens repeat the close before; value: its length",
    "stuck_price": "a stretch with one close though bars traded; value: its length",
    "unit_change": "the price goes on near 10, 100 ... 100,000 times higher or lower; value: the factor",
    "volume_units": "the volume is about a thousandth or a thousandfold of the usual",
    "years_with_stale_opens": "in a year opens repeat closes more than is its habit: validate.stale_open_share",
    "zero_volume": "the volume is zero",
}


@dataclass(frozen=True)
class Validation:
    """The summary, and HTML pages by file name."""

    summary: ValidationSummary
    pages: Mapping[str, str] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write summary.json and the pages."""
        (folder / SUMMARY).write_text(self.summary.model_dump_json(indent=2) + "\n", encoding="utf-8")
        for name, html in self.pages.items():
            (folder / name).write_text(html, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        summary = ValidationSummary.model_validate_json((folder / SUMMARY).read_bytes())
        return cls(summary, {page.name: page.read_text(encoding="utf-8") for page in sorted(folder.glob("*.html"))})
