"""A random forest (Breiman 2001), learnt by scikit-learn and stored as plain arrays.

Not by skops: it rightly distrusts scikit-learn's trees, whose node numbers are followed without a look at their bounds,
and its files hold addresses in memory, so that equal models differ. Here the bounds are checked when a forest is read,
and answering takes numpy alone. What does not belong here: what all models of single rows share (`_tabular.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from betti.errors import BadModelInput, BrokenArtifact
from betti.models import ModelRegistry, _config, _files, _weights
from betti.models._search import Real, Whole
from betti.models._tabular import Lesson, Tabular, named_arrays
from betti.training.scores import Course

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from betti.models._checks import Bounds
    from betti.models._search import Choice

__all__ = ["RandomForest"]

DEEPEST = 100
BOUNDS: Bounds = {
    "trees": (1, 1e5),
    "max_depth": (1, DEEPEST),
    "min_samples_split": (2, 1e9),
    "min_samples_leaf": (1, 1e9),
    "max_features": (1e-3, 1),
    "num_threads": (1, 1024),
    **_weights.BOUNDS,
}
FOREST = "forest.safetensors"
ARRAYS = ("left", "right", "feature", "threshold", "shares", "roots", "gain")
BLOCK = 512  # rows that go down the trees together: their states and shares stay in the cache


@dataclass(frozen=True)
class Forest:
    """All trees' nodes one after another; a leaf is its own child, so that every row takes `depth` steps.

    Attributes:
        left: (nodes,) int32, the node to go to where the feature is at most the threshold.
        right: (nodes,) int32, the other one.
        feature: (nodes,) int32; 0 in a leaf.
        threshold: (nodes,) float64; 0 in a leaf.
        shares: (nodes, seen classes) float64, weighted share of each class among the node's training rows.
        roots: (trees,) int32, the first node of each.
        gain: (features,) float64, mean decrease of impurity by the splits on each feature.
        depth: of the deepest tree.
        seen: classes that occurred in training.
    """

    left: NDArray[np.int32]
    right: NDArray[np.int32]
    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    shares: NDArray[np.float64]
    roots: NDArray[np.int32]
    gain: NDArray[np.float64]
    depth: int
    seen: tuple[int, ...]

    def probabilities(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """(n, seen classes): the mean of the shares in the leaves that a row falls into."""
        found = np.empty((len(X), self.shares.shape[1]))
        for first in range(0, len(X), BLOCK):
            block = X[first : first + BLOCK]
            rows = np.arange(len(block))
            # (trees, rows): neighbours in memory go down the same tree.
            at = np.repeat(self.roots[:, None], len(block), axis=1)
            for _ in range(self.depth):
                below = block[rows, self.feature[at]] <= self.threshold[at]
                at = np.where(below, self.left[at], self.right[at])
            found[first : first + BLOCK] = self.shares[at].mean(axis=0)
        return found

    def fault(self, features: int, classes: int) -> str:
        """What is wrong with arrays from a file, or nothing: every node and feature they name must be there."""
        nodes = len(self.left)
        lengths = {len(getattr(self, name)) for name in ("right", "feature", "threshold", "shares")}
        if lengths != {nodes} or self.shares.shape[1:] != (len(self.seen),) or self.gain.shape != (features,):
            return "has arrays of lengths that do not fit"
        for name, most in (("left", nodes), ("right", nodes), ("roots", nodes), ("feature", features)):
            values = getattr(self, name)
            if values.dtype != np.int32 or not len(values) or values.min() < 0 or values.max() >= most:
                return f"names a {name} that is not there"
        if not 0 <= self.depth <= DEEPEST:
            return f"has trees of depth {self.depth}"
        if not self.seen or min(self.seen) < 0 or max(self.seen) >= classes:
            return "names a class that is not there"
        return ""


@ModelRegistry.register("random_forest", family="classical", description="bagged trees on random columns")
class RandomForest(Tabular[Forest]):
    """scikit-learn's `RandomForestClassifier` on rows of (n, features)."""

    FAMILY = "classical"
    # Trees do not care. The family is scaled alike, so that its models are compared on the same inputs.
    SCALED = True
    RANGES = BOUNDS
    OWN = ("depth", "seen")
    SMALL: ClassVar[Mapping[str, Any]] = {"trees": 40, "max_depth": 6}
    SEARCH: ClassVar[Mapping[str, Choice]] = {
        "max_depth": Whole(3, 15),
        "min_samples_leaf": Whole(5, 100, log=True),
        "max_features": Real(0.05, 0.5, log=True),
    }

    def get_default_config(self) -> dict[str, Any]:
        """`classes` = 0 counts the classes in the labels."""
        return {
            "trees": 200,
            "max_depth": 10,
            "min_samples_split": 20,
            "min_samples_leaf": 10,
            "max_features": None,  # share of the columns that a split may choose from; None is the square root of all
            "num_threads": 1,  # answers do not depend on it
            "class_weight": None,  # balanced gives every class the same total weight
            "seed": 7,
            "classes": 0,
        }

    def _learn(self, lesson: Lesson) -> tuple[Forest, Course]:
        """Validation rows are only scored."""
        from sklearn.ensemble import RandomForestClassifier

        config = self.config
        forest = RandomForestClassifier(
            n_estimators=config["trees"],
            max_depth=config["max_depth"],
            min_samples_split=config["min_samples_split"],
            min_samples_leaf=config["min_samples_leaf"],
            max_features=config.get("max_features", "sqrt"),
            n_jobs=config["num_threads"],
            random_state=config["seed"],
        )
        # In single precision weights of another scale are the same ones, to the last bit.
        forest.fit(lesson.X, lesson.y, sample_weight=lesson.weights.astype("float32").astype("float64"))
        return _arrays(forest), Course(config["trees"], best_epoch=None, early_stopped=False, history={})

    def _answer(self, state: Forest, X: NDArray[np.float32], classes: int) -> NDArray[np.float64]:
        found = np.zeros((len(X), classes))
        found[:, list(state.seen)] = state.probabilities(X)
        return found

    def _write(self, state: Forest, path: Path) -> dict[str, Any]:
        _files.write_arrays(path / FOREST, {name: getattr(state, name) for name in ARRAYS})
        return {"depth": state.depth, "seen": list(state.seen)}

    def _read(self, path: Path, facts: Mapping[str, Any]) -> Forest:
        """The forest.

        Raises:
            BrokenArtifact: it names nodes, columns or classes that are not there.
            BadModelInput: a depth or classes that are none.
        """
        name, seen = type(self).__name__, facts["seen"]
        if not isinstance(seen, list):
            raise BadModelInput(name, f"seen = {seen!r}", "It takes a list of classes")
        labels = tuple(_config.whole(name, "seen", label, 0) for label in seen)
        depth = _config.whole(name, "depth", facts["depth"], 0)
        arrays = named_arrays(path / FOREST, ARRAYS)
        forest = Forest(**arrays, depth=depth, seen=labels)
        fault = forest.fault(facts["features"], facts["classes"])
        if fault:
            raise BrokenArtifact(path / FOREST, fault)
        return forest

    def _importance(self, state: Forest, features: int) -> NDArray[np.float64]:  # noqa: ARG002  # one per column
        """Mean decrease of the Gini impurity by the splits on each feature, as shares that sum to 1."""
        return state.gain


def _arrays(forest: Any) -> Forest:
    """A fitted `RandomForestClassifier`'s trees in one row of nodes."""
    trees = [one.tree_ for one in forest.estimators_]
    roots = np.cumsum([0, *(tree.node_count for tree in trees[:-1])]).astype("int32")
    own = np.concatenate([np.arange(tree.node_count) for tree in trees])
    shift = np.repeat(roots, [tree.node_count for tree in trees])
    left, right = (
        np.concatenate([getattr(tree, side) for tree in trees]) for side in ("children_left", "children_right")
    )
    leaf = left < 0
    counts = np.concatenate([tree.value[:, 0, :] for tree in trees])
    return Forest(
        left=(np.where(leaf, own, left) + shift).astype("int32"),
        right=(np.where(leaf, own, right) + shift).astype("int32"),
        feature=np.where(leaf, 0, np.concatenate([tree.feature for tree in trees])).astype("int32"),
        threshold=np.where(leaf, 0.0, np.concatenate([tree.threshold for tree in trees])),
        shares=counts / counts.sum(axis=1, keepdims=True),
        roots=roots,
        gain=np.asarray(forest.feature_importances_, dtype="float64"),
        depth=max(int(tree.max_depth) for tree in trees),
        seen=tuple(int(label) for label in forest.classes_),
    )
