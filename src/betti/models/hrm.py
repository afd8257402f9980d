"""A hierarchical reasoning model over windows of features, conditioned by the market's regime and remembered patterns.

The network is `betti.networks.hrm`, the conditioning `betti.networks.conditioning`. Every conditioning path is off
until its knob switches it on, and a path that is off asks for no columns.

`enable_regime`: a window of raw regime numbers is told against its own past, so that no level gives the instrument
away. Regimes are made by rule from the training rows; the classifier learns them first and then stays as it is.

`enable_rag`: training rows become the pattern library, each known from the end of its label's span. A training row
sees only what was known at its own decision, in training and in the scores of training rows. Rows that are predicted
see the whole library: in walk-forward folds all of it was known before them. In combinatorial folds a part was not, no
more than the weights were.

What does not belong here: the network and its parts, and the loop (`betti.training`).
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
import torch

from betti.errors import BadModelInput
from betti.models import ModelRegistry, _checks, _config, _files, _torch
from betti.models._protocol import InputSpec
from betti.networks.conditioning.config import ConditioningConfig, RagConfig
from betti.networks.conditioning.library import PatternLibrary
from betti.networks.conditioning.regimes import RegimeRule, against_own_past
from betti.networks.hrm import HierarchicalReasoningModel, HrmConfig
from betti.training import loop
from betti.training.batches import in_order, resident
from betti.training.optimisation import Group
from betti.training.problem import Examples, Problem, Settings
from betti.training.scores import softmax
from betti.windows import NamedInputs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from betti.models._checks import Bounds, NamedTraining, Training
    from betti.models._protocol import Inputs, Labels, PredictionOutput, Spans, TrainingMetrics
    from betti.networks.conditioning.system import ConditioningSystem
    from betti.training.nested import Batch, Outputs

__all__ = ["Hrm"]

PRESETS = {"small": HrmConfig.small, "full": HrmConfig.full}
TOKENS, REGIME, PATTERNS, AS_OF = "tokens", "regime", "patterns", "as_of"
LIBRARY = "library"
# Windows gathered at once; then rows in a step, few enough that a short history has steps to learn in.
REGIME_WINDOWS, REGIME_BATCH, REGIME_RATE = 1024, 64, 3e-3

BOUNDS: Bounds = {
    **_torch.TorchClassifier.BOUNDS,
    "preset": tuple(PRESETS),
    "length": (1, 1e5),
    "high_cycles": (1, 100),
    "low_steps": (1, 100),
    "dropout": (0, 0.95),
    "regime_length": (2, 1e5),
    "regime_epochs": (1, 1e4),
    "neighbours": (1, 1e3),
    "max_patterns": (1, 1e7),
    "index": ("exact", "hnsw", "auto"),
    "retrieval_timeout_ms": (0, 1e6),
}


@ModelRegistry.register("hrm", family="neural", description="slow and fast transformers, conditioned")
class Hrm(_torch.TorchClassifier):
    """`HierarchicalReasoningModel` trained by the one torch loop; `preset` small is for CPUs, full has 20 million."""

    NAME: ClassVar[str] = "hrm"
    KNOBS: ClassVar[Mapping[str, Any]] = {
        "preset": "small",  # small or full
        "length": 64,  # rows in a window of tokens
        "high_cycles": 2,
        "low_steps": 2,
        "dropout": 0.1,
        "enable_regime": False,
        "enable_rag": False,
        "enable_hybrid": False,
        "regime_length": 200,  # rows of its own past that a regime is told against
        "regime_epochs": 5,  # passes in which the classifier learns the rule's regimes
        "neighbours": 8,
        "max_patterns": 10_000,  # beyond it every second, third, ... training row is remembered
        "index": "exact",  # exact, hnsw or auto; results do not depend on what is installed with exact
        "retrieval_timeout_ms": 0.0,  # of predictions; 0 waits, so that results do not depend on the clock
    }
    BOUNDS: ClassVar[Bounds] = BOUNDS
    # What an ablation leaves out; the mixture of both paths goes with either.
    VARIANTS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "without regime": {"enable_regime": False, "enable_hybrid": False},
        "without patterns": {"enable_rag": False, "enable_hybrid": False},
        "without conditioning": {"enable_regime": False, "enable_rag": False, "enable_hybrid": False},
    }
    SMALL: ClassVar[Mapping[str, Any]] = {
        "length": 6,
        "enable_regime": True,
        "regime_length": 6,
        "regime_epochs": 1,
        "high_cycles": 1,
        "low_steps": 1,
        "epochs": 10,
        "warmup_epochs": 1,
        "batch_size": 64,
        "learning_rate": 5e-3,
        "dropout": 0.0,
        "device": "cpu",
    }

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(config)
        self._conditioning(classes=2)  # refuses here what `fit` would refuse
        self._library: PatternLibrary | None = None
        self._spans: Spans | None = None
        # The training inputs as they came, and as the network is taught by them: with the time of each row.
        self._taught: tuple[NamedInputs, NamedInputs] | None = None

    @property
    def inputs(self) -> Mapping[str, InputSpec]:
        """`tokens`, and what the enabled paths need: `regime` windows as they are, the `patterns` of the last row."""
        found = {TOKENS: InputSpec("neural_optimal", self.config["length"])}
        if self.config["enable_regime"]:
            found[REGIME] = InputSpec("regime", self.config["regime_length"], scaling="none")
        if self.config["enable_rag"]:
            found[PATTERNS] = InputSpec("pattern_features")
        return found

    # The network

    def network(self, shape: _torch.Shape) -> nn.Module:
        """The preset for these inputs, with the library that the model has."""
        sizes = PRESETS[self.config["preset"]](
            shape.inputs[TOKENS][-1], shape.classes, self._conditioning(shape.classes, shape.inputs)
        )
        settings = {name: self.config[name] for name in ("high_cycles", "low_steps", "dropout")}
        built = HierarchicalReasoningModel(replace(sizes, **settings))
        # It learns the rule's regimes before (`warm`): whatever helps a label is no regime.
        built.conditioning.regime_classifier.requires_grad_(False)
        if self._library is not None:
            built.conditioning.pattern_rag.use(self._library)
        return built

    def _conditioning(self, classes: int, inputs: Mapping[str, tuple[int, ...]] | None = None) -> ConditioningConfig:
        width = (inputs or {}).get(PATTERNS, (RagConfig.pattern_dim,))[-1]
        # Training waits for its patterns: `_serve` sets the limit for answers.
        rag = RagConfig(
            pattern_dim=width,
            timeout_ms=0,
            max_patterns=self.config["max_patterns"],
            neighbours=self.config["neighbours"],
            outcome_dim=classes,
            index=self.config["index"],
        )
        flags = {name: self.config[name] for name in ("enable_regime", "enable_rag", "enable_hybrid")}
        return ConditioningConfig(**flags, rag=rag)

    def call(self, network: nn.Module, batch: Batch) -> Outputs:
        """Logits of a batch of named inputs."""
        logits: Tensor = network(_features(cast("dict[str, Tensor]", batch)))
        return logits

    def groups(self, network: nn.Module) -> Sequence[Group]:
        """No decay for gamma's and beta's bias: it would pull the modulation from 1 to 0."""
        conditioning = _conditioning_of(network)
        return [Group((conditioning.film_layer.wide.bias, conditioning.pattern_rag.sharpness), weight_decay=0.0)]

    def watch(self) -> Callable[[nn.Module, Batch], Mapping[str, float]]:
        """How far gamma is from 1 and beta from 0, as root mean squares."""
        return _modulation

    def warm(self, X: Inputs) -> Callable[[nn.Module, str], None] | None:
        """Teach the regime classifier, where it is asked."""
        if not self.config["enable_regime"]:
            return None
        windows = NamedInputs({REGIME: cast("NamedInputs", X)[REGIME]})
        return partial(_teach_regimes, windows, self.config["regime_epochs"], self.config["seed"])

    # Learning with patterns

    def fit(
        self,
        X_train: Inputs,
        y_train: Labels,
        X_val: Inputs | None,
        y_val: Labels | None,
        sample_weights: NDArray[np.float64] | None = None,
        config: Mapping[str, Any] | None = None,
        spans: Spans | None = None,
    ) -> TrainingMetrics:
        """Train; with `enable_rag` it needs `spans`, which say when each training row's label was known.

        Raises:
            BadModelInput: as every model; no spans where patterns are remembered.
            LossNotFinite: the loss left the numbers.
        """
        self._spans, self._library, self._taught = spans, None, None
        metrics = super().fit(X_train, y_train, X_val, y_val, sample_weights, config, spans)
        self._spans, self._taught = None, None
        self._serve()
        return metrics

    def _problem(self, data: Training | NamedTraining, shape: _torch.Shape) -> Problem:
        self._conditioning(shape.classes)
        if not self.config["enable_rag"]:
            return super()._problem(data, shape)
        start, end = self._known(data)
        X = cast("NamedInputs", data.X)
        self._library = _remembered(X, data.y, end, shape, self.config["max_patterns"])
        self._taught = (X, _timed(X, start))
        problem = super()._problem(data, shape)
        valid = problem.valid
        if valid is not None:
            later = np.full(len(valid), np.iinfo("int64").max)
            valid = replace(valid, inputs=_timed(cast("NamedInputs", valid.inputs), later))
        known = hashlib.blake2b(np.ascontiguousarray(end).data).hexdigest()
        return replace(
            problem,
            train=replace(problem.train, inputs=self._taught[1]),
            valid=valid,
            facts={**problem.facts, "labels_known": known},
        )

    def _known(self, data: Training | NamedTraining) -> Spans:
        """(start, end) of the rows that are learnt from."""
        if self._spans is None:
            found = "enable_rag without the spans of the labels"
            raise BadModelInput("Hrm", found, "Give `spans`: a row must not see labels that were not known yet")
        start, end = (np.asarray(one, dtype="int64") for one in self._spans)
        if start.shape != data.kept.shape or end.shape != data.kept.shape or (end <= start).any():
            found = f"spans of {len(start)} and {len(end)} rows for {len(data.kept)}, or one that ends where it starts"
            raise BadModelInput("Hrm", found, "Give the decision and the last bar of each row's label")
        return start[data.kept], end[data.kept]

    # Answering

    def _answered(self, X: Inputs) -> PredictionOutput:
        # The training rows are scored as they were taught: else each would find itself in the library, and its label.
        rows = self._taught[1] if self._taught is not None and X is self._taught[0] else X
        return replace(super()._answered(rows), outputs=self._regimes(rows))

    def _regimes(self, X: Inputs) -> dict[str, NDArray[np.float64]]:
        """`regime_NAME` (n,): the probability of each regime at each row, where regimes are told."""
        if not self.config["enable_regime"]:
            return {}
        assert self._fitted is not None
        classifier = _conditioning_of(self._fitted.network).regime_classifier
        said = loop.outputs(classifier, X, _torch.answering(self.config), _regime_logits)
        chances = softmax(cast("NDArray[np.float64]", said))
        return {f"regime_{name}": chances[:, place] for place, name in enumerate(classifier.get_regime_names())}

    def _serve(self) -> None:
        assert self._fitted is not None
        conditioning = _conditioning_of(self._fitted.network)
        conditioning.timeout_ms = self.config["retrieval_timeout_ms"] or None

    @property
    def library(self) -> PatternLibrary:
        """The patterns that the fitted model remembers.

        Raises:
            BadModelInput: it is not fitted.
        """
        _checks.fitted(self, self._fitted)
        assert self._fitted is not None
        return _conditioning_of(self._fitted.network).pattern_rag.library

    def remember(self, library: PatternLibrary) -> None:
        """Use a library from now on, such as `library.extended(...)` with patterns whose labels are known by now.

        Raises:
            BadModelInput: it is not fitted, or the patterns have another width.
        """
        _checks.fitted(self, self._fitted)
        assert self._fitted is not None
        _conditioning_of(self._fitted.network).pattern_rag.use(library)
        self._library = library

    # Files

    def save(self, path: Path) -> None:
        """What every torch model writes, and the pattern library in `library` where there is one."""
        super().save(path)
        if self.config["enable_rag"]:
            self.library.save(path / LIBRARY)

    def load(self, path: Path) -> None:
        """Read what `save` wrote."""
        facts = _files.read_facts(path, self.NAME, ("config", "classes"))
        with _config.stored(path):
            config = _config.restored(self, facts, self.BOUNDS)
        self._library = PatternLibrary.load(path / LIBRARY) if config["enable_rag"] else None
        super().load(path)
        self._serve()


def _conditioning_of(network: nn.Module) -> ConditioningSystem:
    """The conditioning system of the model's network."""
    assert isinstance(network, HierarchicalReasoningModel)
    return network.conditioning


def _features(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What the network takes, from named inputs."""
    found = {TOKENS: batch[TOKENS]}
    if REGIME in batch:
        found["regime_features"] = against_own_past(batch[REGIME])
    if PATTERNS in batch:
        found["pattern_features"] = batch[PATTERNS]
    if AS_OF in batch:
        found[AS_OF] = batch[AS_OF]
    return found


def _regime_logits(classifier: nn.Module, batch: Batch) -> Outputs:
    logits: Tensor = classifier(against_own_past(cast("dict[str, Tensor]", batch)[REGIME]))
    return logits


def _modulation(network: nn.Module, batch: Batch) -> dict[str, float]:
    conditioning = _conditioning_of(network)
    gamma, beta = conditioning.film_layer.get_params(conditioning(_features(cast("dict[str, Tensor]", batch))))
    return {"gamma_shift": float((gamma - 1).square().mean().sqrt()), "beta_size": float(beta.square().mean().sqrt())}


# Regimes -----------------------------------------------------------------------------------------------------------


def _teach_regimes(windows: NamedInputs, epochs: int, seed: int, network: nn.Module, device: str) -> None:
    """Teach the network's classifier the rule's regimes of these training windows; then it stays as it is."""
    held = resident(windows, device)
    batches = in_order(len(held), REGIME_WINDOWS, device)
    parts = [against_own_past(cast("dict[str, Tensor]", held.gather(rows))[REGIME]).cpu() for rows in batches]
    features = torch.cat(parts).numpy()
    labels = RegimeRule.fitted(features).regimes(features)
    classifier = _conditioning_of(network).regime_classifier
    settings = Settings(
        epochs=epochs,
        schedule_epochs=0,
        batch_size=REGIME_BATCH,
        learning_rate=REGIME_RATE,
        weight_decay=1e-4,
        clip=1.0,
        warmup_epochs=0,
        patience=1,
        min_delta=0.0,
        seed=seed,
    )
    examples = Examples(features, labels, np.ones(len(labels)))
    classifier.requires_grad_(True)
    loop.train(Problem(lambda: classifier, _cross_entropy, examples), settings, device.partition(":")[0])
    classifier.requires_grad_(False)


def _cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    return weights * torch.nn.functional.cross_entropy(logits, targets, reduction="none")


# Patterns ----------------------------------------------------------------------------------------------------------


def _timed(X: NamedInputs, times: NDArray[np.int64]) -> NamedInputs:
    """The inputs with the time that each row is asked about."""
    # Beside floats as everything else is: the loop gathers rows whatever their type.
    return NamedInputs({**X, AS_OF: times})  # type: ignore[dict-item]


def _remembered(
    X: NamedInputs, y: NDArray[np.int64], known: NDArray[np.int64], shape: _torch.Shape, most: int
) -> PatternLibrary:
    """Training rows as patterns; of too many every second, third, ..., which reach as far back as all of them."""
    rows = np.arange(0, len(y), -(-len(y) // most))
    width = shape.inputs[PATTERNS][-1]
    outcomes = np.eye(shape.classes, dtype="float32")[y[rows]]
    return PatternLibrary.empty(width, shape.classes, most).with_rows(X.take(rows)[PATTERNS][:], outcomes, known[rows])
