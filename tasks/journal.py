"""What this machine remembers of its runs: when each stage last ran, and for how many seconds.

Facts about the machine, not about the data: they lie in .betti, outside DVC, and no result depends on them.
"""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.record import Outcome

__all__ = ["Journal", "Note"]


@dataclass(frozen=True)
class Note:
    """A stage's last appearance: its state then, when, and the seconds its body took when it last ran."""

    state: str
    at: str
    seconds: float | None


class Journal:
    """Notes by stage, kept in .betti/journal.json."""

    def __init__(self, root: Path) -> None:
        self._file = root / ".betti" / "journal.json"
        self._mutex = threading.Lock()
        self._notes = self._read()

    def _read(self) -> dict[str, Note]:
        try:
            raw = json.loads(self._file.read_text(encoding="utf-8"))
            return {stage: Note(**note) for stage, note in raw.items()}
        except (FileNotFoundError, json.JSONDecodeError, TypeError, AttributeError):
            return {}  # a memory that is lost or spoilt costs nothing but the numbers it held

    def notes(self) -> dict[str, Note]:
        """All notes."""
        with self._mutex:
            return dict(self._notes)

    def add(self, outcome: Outcome) -> None:
        """Note an outcome and write the file anew."""
        with self._mutex:
            before = self._notes.get(outcome.stage)
            seconds = round(outcome.seconds, 2) if outcome.state == "ran" else before.seconds if before else None
            now = datetime.now(UTC).isoformat(timespec="seconds")
            self._notes[outcome.stage] = Note(outcome.state, now, seconds)
            self._file.parent.mkdir(exist_ok=True)
            scratch = self._file.with_suffix(".new")
            scratch.write_text(
                json.dumps({stage: asdict(note) for stage, note in self._notes.items()}, indent=1), encoding="utf-8"
            )
            scratch.replace(self._file)
