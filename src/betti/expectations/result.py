"""What validation leaves in data/9_reports/validation: a summary and the data docs pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from betti.records import ValidationSummary

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Validation"]

SUMMARY = "summary.json"


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
