"""The topology of point clouds: embedding, persistent homology, and its numbers. Knows nothing of markets.

* `embedding`: windows of a series -> clouds of delay vectors;
* `persistence`: clouds -> persistence diagrams, by a named backend;
* `vectorisation`: diagrams -> fixed-length rows of numbers; `descriptors`: further ones, off until named;
* `selection`: a series -> the delay and the dimension that suit it.
"""

from __future__ import annotations

from betti.topology.persistence import persistence, persistence_windows

__all__ = ["persistence", "persistence_windows"]
