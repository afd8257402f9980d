"""The door to vector search: which patterns of a library are nearest to a query, among those known by its time.

`ExactIndex` looks at every pattern and is what the others are measured against; `HnswIndex` needs hnswlib. What does
not belong here: time limits (`breaker.py`), and holding patterns (`library.py`).
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from betti.errors import PartUnavailable, UnknownName

if TYPE_CHECKING:
    from betti.networks.conditioning.library import PatternLibrary

__all__ = ["INDEXES", "ExactIndex", "HnswIndex", "Neighbours", "VectorIndex", "opened"]

# Similarity of a place without a neighbour; less than any cosine.
NONE = -2.0
# A batch of 32 queries of 128 numbers takes 8 ms of a processor among so many patterns, and 5 ms by the graph
# (`benchmarks/conditioning.py`): up to here an approximation gains too little.
EXACT_UP_TO = 20_000


class Neighbours(NamedTuple):
    """The nearest patterns of B queries, nearest first.

    Attributes:
        rows: (B, k) int64 rows of the library; -1 where fewer than k are known.
        similarity: (B, k) float32 cosines; `NONE` where there is no row.
    """

    rows: Tensor
    similarity: Tensor


class VectorIndex(ABC):
    """Finds neighbours by the cosine between a query and a pattern."""

    @abstractmethod
    def search(self, library: PatternLibrary, queries: Tensor, as_of: Tensor | None, count: int) -> Neighbours:
        """The `count` nearest patterns of each query.

        Args:
            library: what to search; it holds one pattern at least.
            queries: (B, pattern_dim) float32, on any device.
            as_of: (B,) int64, the time of each query in the library's unit: no pattern known later is found. None
                says that the query is asked now, when all of the library is known.
            count: neighbours wanted, k; fewer come where the library holds fewer.
        """

    def prepare(self, library: PatternLibrary) -> None:  # noqa: B027  # an index may have nothing to prepare
        """Do now what the first search of this library would otherwise have to do."""


class ExactIndex(VectorIndex):
    """Compares a query with every pattern, where the query lies."""

    def __init__(self) -> None:
        # One tuple, so that a thread sees a library and its own tensors or neither.
        self._held: tuple[PatternLibrary, Tensor, Tensor] | None = None

    def search(self, library: PatternLibrary, queries: Tensor, as_of: Tensor | None, count: int) -> Neighbours:
        """As declared; of equally near patterns any may come first."""
        keys, known = self._keys(library, queries.device)
        similarity = functional.normalize(queries, dim=1) @ keys.T
        if as_of is not None:
            # As float the times would round: they are compared as integers.
            similarity.masked_fill_(known[None, :] > as_of[:, None], NONE)
        nearest, rows = similarity.topk(min(count, len(library)), dim=1)
        return Neighbours(rows.masked_fill(nearest == NONE, -1), nearest)

    def _keys(self, library: PatternLibrary, device: torch.device) -> tuple[Tensor, Tensor]:
        held = self._held
        if held is None or held[0] is not library or held[1].device != device:
            keys = functional.normalize(torch.from_numpy(library.features).to(device), dim=1)
            held = self._held = (library, keys, torch.from_numpy(library.known).to(device))
        return held[1], held[2]


class HnswIndex(VectorIndex):
    """A navigable small-world graph (Malkov and Yashunin 2018), by hnswlib: fast and not quite complete.

    The graph knows no times. It is asked for more than is wanted and what a query may not see is left out; a query that
    is left with too few is answered by `ExactIndex`. So no time is ever seen through, and history costs what an exact
    search does.

    The graph follows the library: new patterns are added and those that went are taken out, which is cheap for a few.
    """

    OVERSAMPLED, NEIGHBOURS_PER_NODE, BREADTH_BUILDING, LEAST_BREADTH = 4, 16, 200, 64

    def __init__(self) -> None:
        self._exact = ExactIndex()
        # The graph must not be searched while it changes.
        self._lock = threading.Lock()
        self._graph: Any = None
        self._inside = np.empty(0, "int64")
        self._library: PatternLibrary | None = None

    def search(self, library: PatternLibrary, queries: Tensor, as_of: Tensor | None, count: int) -> Neighbours:
        """As declared, with nearly all of the nearest among those found."""
        wanted = min(count, len(library))
        reach = min(self.OVERSAMPLED * wanted, len(library))
        with self._lock:
            graph = self._follow(library)
            graph.set_ef(max(self.LEAST_BREADTH, reach))
            try:
                labels, distances = graph.knn_query(queries.detach().cpu().numpy(), k=reach, num_threads=1)
            except RuntimeError:  # it came to fewer than `reach` nodes, as a graph may that lost many
                return self._exact.search(library, queries, as_of, count)
        rows = torch.from_numpy(np.searchsorted(library.serials, labels.astype("int64"))).to(queries.device)
        similarity = torch.from_numpy(1 - distances).to(queries)
        if as_of is not None:
            known = torch.from_numpy(library.known).to(queries.device)
            similarity = similarity.masked_fill(known[rows] > as_of[:, None], NONE)
        nearest, places = similarity.topk(wanted, dim=1)
        found = Neighbours(rows.gather(1, places).masked_fill(nearest == NONE, -1), nearest)
        return self._completed(found, library, queries, as_of, count)

    def _completed(
        self, found: Neighbours, library: PatternLibrary, queries: Tensor, as_of: Tensor | None, count: int
    ) -> Neighbours:
        short = (found.rows < 0).any(dim=1)
        if as_of is None or not bool(short.any()):
            return found
        exact = self._exact.search(library, queries[short], as_of[short], count)
        found.rows[short], found.similarity[short] = exact.rows, exact.similarity
        return found

    def prepare(self, library: PatternLibrary) -> None:
        """Bring the graph up to date."""
        if len(library):
            with self._lock:
                self._follow(library)

    def _follow(self, library: PatternLibrary) -> Any:
        """The graph, holding this library; the lock is held."""
        if self._library is library:
            return self._graph
        graph, inside = self._graph, self._inside
        # Should a step below fail, the next call starts anew.
        self._graph, self._inside, self._library = None, np.empty(0, "int64"), None
        fresh = np.setdiff1d(library.serials, inside, assume_unique=True)
        gone = np.setdiff1d(inside, library.serials, assume_unique=True)
        if graph is None or len(fresh) + len(gone) > len(library):
            graph, fresh, gone = self._empty(library), library.serials, np.empty(0, "int64")
        for serial in gone:
            graph.mark_deleted(int(serial))
        if len(fresh):
            # One thread: the graph depends on the order in which nodes come.
            rows = np.searchsorted(library.serials, fresh)
            graph.add_items(library.features[rows], fresh, num_threads=1, replace_deleted=len(gone) > 0)
        self._graph, self._inside, self._library = graph, library.serials, library
        return graph

    def _empty(self, library: PatternLibrary) -> Any:
        try:
            hnswlib = import_module("hnswlib")
        except ImportError as cause:
            raise PartUnavailable("vector index", "hnsw", cause) from cause
        graph = hnswlib.Index(space="cosine", dim=library.features.shape[1])
        graph.init_index(
            library.most,
            M=self.NEIGHBOURS_PER_NODE,
            ef_construction=self.BREADTH_BUILDING,
            random_seed=1,
            allow_replace_deleted=True,
        )
        return graph

    def __reduce__(self) -> tuple[type[HnswIndex], tuple[()]]:
        """A copy, in this process or another, has no graph yet: it is made when the library is searched."""
        return HnswIndex, ()


INDEXES: dict[str, type[VectorIndex]] = {"exact": ExactIndex, "hnsw": HnswIndex}


def opened(name: str, most: int) -> VectorIndex:
    """The index of this name, for a library of `most` patterns.

    `auto` is exact up to `EXACT_UP_TO` patterns; beyond, it is hnsw where hnswlib is installed.

    Raises:
        UnknownName: no such index.
        PartUnavailable: hnsw where hnswlib is not installed.
    """
    if name == "auto":
        name = "hnsw" if most > EXACT_UP_TO and find_spec("hnswlib") else "exact"
    if name not in INDEXES:
        raise UnknownName("vector index", name, [*INDEXES, "auto"])
    if name == "hnsw" and not find_spec("hnswlib"):
        cause = ModuleNotFoundError("hnswlib is not installed. Run `pip install 'betti[retrieval]'`, or choose exact")
        raise PartUnavailable("vector index", "hnsw", cause)
    return INDEXES[name]()
