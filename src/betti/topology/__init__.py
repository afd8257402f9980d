"""The topology of point clouds: embedding, persistent homology, and its numbers. Knows nothing of markets.

* `embedding`: windows of a series -> clouds of delay vectors;
* `persistence`: clouds -> persistence diagrams, by a named backend;
* `vectorisation`: diagrams -> fixed-length rows of numbers.
"""

from __future__ import annotations

from betti.topology.persistence import persistence

__all__ = ["persistence"]
