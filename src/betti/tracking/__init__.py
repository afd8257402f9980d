"""Tracking backends: one file = one backend, registered by being in this folder.

A backend module offers `open_tracker(root: Path, uri: str | None) -> Tracker`, where `uri` None means its own place
under `root`. Tracking comes after a run is recorded and no result depends on it, so that a backend which fails costs
nothing but its own entry. What does not belong here: what is tracked (`flows.tracked`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from betti.discovery import Folder
from betti.tracking._protocol import Point, Record, Reference, Tracker, TrackingFault

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FOLDER", "NONE", "Point", "Record", "Reference", "Tracker", "TrackingFault", "open_tracker"]

FOLDER = Folder("betti.tracking", kind="tracking backend")
NONE = "none"  # tracks nothing


def open_tracker(backend: str, root: Path, uri: str | None = None) -> Tracker:
    """The backend of this name, ready to write.

    Raises:
        UnknownName: no such backend.
        PartUnavailable: its library is not installed.
        TrackingFault: its place cannot be opened.
    """
    tracker: Tracker = FOLDER.load(backend).open_tracker(root, uri)
    return tracker
