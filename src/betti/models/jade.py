"""The expansion network: where in a window the expansion lies, when it starts, what came before it.

For the target `expansion`. The network stands in `betti.networks.jade`. What it says of a window is the probability of
the likeliest bar, calibrated on the validation rows (Platt 1999): a mask that fits its bars well is no probability
that a window has one.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from betti.errors import BadModelInput, BrokenArtifact
from betti.models import ModelRegistry, _files, _torch
from betti.models._platt import LEAST_SLOPE, Platt
from betti.models._protocol import PredictionOutput
from betti.models._search import OneOf, Real, Whole
from betti.networks.balancing import BALANCERS, LOSSES
from betti.networks.jade import JadeCompact
from betti.networks.jade_training import JadeLearner, JadeLoss, parameter_groups
from betti.networks.pretraining import pretrain
from betti.training.problem import Settings
from betti.training.scores import softmax

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

    from betti.models._checks import Bounds, NamedTraining, Training
    from betti.models._protocol import Inputs, Labels, Spans, TrainingMetrics
    from betti.models._search import Choice
    from betti.training.nested import Arrays
    from betti.training.optimisation import Group
    from betti.training.problem import Problem, Targets

    Floats = NDArray[np.float64]

__all__ = ["Jade"]

CALIBRATION = "calibration"
SURE = 1e-13
# The knobs that one balancer has alone, as its class calls them.
OWN: Mapping[str, Mapping[str, str]] = {
    "staged": {"initial_epochs": "initial_epochs"},
    "fixed": {f"scale_{name}": name for name in LOSSES},
}
BOUNDS: Bounds = {
    **_torch.BOUNDS,
    "length": (2, 1e5),
    "hidden_size": (1, 1e5),
    "num_layers": (1, 100),
    "dropout": (0, 0.95),
    "balancer": tuple(BALANCERS),
    "sigma_rate": (1e-9, 10),
    "initial_epochs": (1, 1e6),
    **{f"scale_{name}": (0.0, 1e9) for name in LOSSES},
    "slope": (LEAST_SLOPE, 1e3),
    "intercept": (-1e3, 1e3),
    "pretrain_epochs": (0, 1e6),
}


@ModelRegistry.register("jade", family="neural", description="where expansions lie: LSTM with pointers and bar heads")
class Jade(_torch.TorchModel):
    """`JadeCompact` on windows of the set `expansion`, as long as the target's."""

    NAME: ClassVar[str] = "jade"
    KNOBS: ClassVar[Mapping[str, Any]] = {
        "length": 105,  # bars in a window: the target's `window`
        "hidden_size": 96,
        "num_layers": 1,
        "dropout": 0.3,
        "balancer": "staged",  # of the four losses: staged, initial, running, kendall or fixed
        "initial_epochs": None,  # of the balancer staged: those balanced by `initial`, 15 unless they are given
        "sigma_rate": 0.05,  # learning rate of the log sigmas, which the balancer kendall learns
        **{f"scale_{name}": None for name in LOSSES},  # of the balancer fixed
        "slope": None,  # of the calibration, and its intercept: found on validation rows unless they are given
        "intercept": None,
        "pretrain_epochs": 0,  # of guessing hidden bars in the training windows, before there are labels
        "freeze_encoder": False,  # whether labels teach the heads alone, after pre-training
        "learning_rate": 2e-3,
        "batch_size": 32,
    }
    BOUNDS: ClassVar[Bounds] = BOUNDS
    SMALL: ClassVar[Mapping[str, Any]] = {
        **{"hidden_size": 16, "dropout": 0.0},
        **{"epochs": 12, "warmup_epochs": 1, "batch_size": 64, "learning_rate": 0.02},
    }
    SEARCH: ClassVar[Mapping[str, Choice]] = {
        "learning_rate": Real(3e-4, 1e-2, log=True),
        "hidden_size": Whole(32, 192, log=True),
        "dropout": Real(0.0, 0.5),
        "balancer": OneOf(("staged", "initial", "running", "kendall")),
        "pretrain_epochs": Whole(0, 20),
    }

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(config)
        if self.config["freeze_encoder"] and not self.config["pretrain_epochs"]:
            remedy = "Set pretrain_epochs, or let the encoder learn"
            raise BadModelInput(self.NAME, "freeze_encoder without pre-training, which keeps a random encoder", remedy)
        self._platt = Platt()
        # Between training and the first answer: the rows that the answers are calibrated on, and their classes.
        self._held: tuple[Inputs, NDArray[np.int64]] | None = None

    @property
    def heads(self) -> tuple[str, ...]:
        """The columns that say where the expansion lies."""
        return ("start", "end", "type", "begun", "ahead", "censored")

    def network(self, shape: _torch.Shape) -> nn.Module:
        """All heads on an encoder of the configured size.

        Raises:
            BadModelInput: a target of more than two classes.
        """
        if shape.classes != 2:
            raise BadModelInput(self.NAME, f"{shape.classes} classes", "It takes the target `expansion`, which has two")
        sizes = {name: self.config[name] for name in ("hidden_size", "num_layers", "dropout")}
        network = JadeCompact(shape.features, **sizes)
        if self.config["freeze_encoder"]:
            network.freeze_encoder()
        return JadeLearner(network)

    def loss(self) -> JadeLoss:
        """Four losses, balanced.

        Raises:
            BadModelInput: a knob of another balancer.
        """
        chosen: str = self.config["balancer"]
        given: dict[str, Any] = {}
        for balancer, knobs in OWN.items():
            own = {argument: self.config[knob] for knob, argument in knobs.items() if knob in self.config}
            if balancer == chosen:
                given = own
            elif own:
                found = f"{', '.join(knob for knob in knobs if knob in self.config)} with the balancer {chosen}"
                raise BadModelInput(self.NAME, found, f"Leave it out, or set balancer: {balancer}")
        return JadeLoss(BALANCERS[chosen](**given))

    def groups(self, network: nn.Module) -> Sequence[Group]:
        """The log sigmas at a rate of their own."""
        return parameter_groups(cast("JadeLearner", network).network, self.config["sigma_rate"])

    def targets(self, y: NDArray[np.int64], heads: Mapping[str, Floats]) -> Targets:
        """The heads, whose places must lie in windows of this length.

        Raises:
            BadModelInput: an expansion that ends outside.
        """
        last, length = np.nanmax(heads["end"], initial=0.0), self.config["length"]
        if last >= length:
            found = f"an expansion that ends at bar {last:g} of windows of {length}"
            raise BadModelInput(self.NAME, found, "Set length to the target's window")
        cut = heads["end"][heads["censored"] > 0]
        if len(cut) and cut.max() != length - 1:
            found = f"expansions that the window cuts at bar {cut.max():g}, in windows of {length}"
            raise BadModelInput(self.NAME, found, "Set length to the target's window")
        return super().targets(y, heads)

    def warm(self, X: Inputs) -> Callable[[nn.Module, str], None] | None:
        """Pre-training on the training windows, where it is asked for."""
        if not self.config["pretrain_epochs"]:
            return None
        given = {"epochs": self.config["pretrain_epochs"], "schedule_epochs": 0, "devices": 1, "checkpoints": 0}
        return partial(_pretrained, X, replace(Settings.of(self.config), **given))

    def _problem(self, data: Training | NamedTraining, shape: _torch.Shape) -> Problem:
        if "slope" in self.config and "intercept" in self.config:
            self._platt, self._held = Platt(self.config["slope"], self.config["intercept"]), None
            return super()._problem(data, shape)
        self._platt = Platt()
        self._held = (data.X, data.y) if data.X_val is None or data.y_val is None else (data.X_val, data.y_val)
        return super()._problem(data, shape)

    def fit(
        self,
        X_train: Inputs,
        y_train: Labels,
        X_val: Inputs | None,
        y_val: Labels | None,
        sample_weights: Floats | None = None,
        config: Mapping[str, Any] | None = None,
        spans: Spans | None = None,
    ) -> TrainingMetrics:
        """Train, then calibrate; what the calibration is stands in the history.

        Raises:
            BadModelInput: as every model; windows of another length than the target's.
            LossNotFinite: the loss left the numbers.
        """
        metrics = super().fit(X_train, y_train, X_val, y_val, sample_weights, config, spans)
        told = {f"{CALIBRATION}.slope": [self._platt.slope], f"{CALIBRATION}.intercept": [self._platt.intercept]}
        return replace(metrics, history={**metrics.history, **told})

    def final_config(self, folds: Sequence[TrainingMetrics]) -> dict[str, Any]:
        """As every torch model; the calibration too is that of the folds: on its own rows a model is too sure."""
        told = {name: [one.history[f"{CALIBRATION}.{name}"][0] for one in folds] for name in ("slope", "intercept")}
        return {**super().final_config(folds), **{name: median(values) for name, values in told.items() if values}}

    def _answered(self, X: Inputs) -> PredictionOutput:
        if self._held is not None:
            (rows, y), self._held = self._held, None
            # The first answers of a trained network are scored: they must be calibrated by then.
            chance = super()._answered(rows).class_probabilities[:, 1]
            self._platt = Platt.fitted(_log_odds(chance), y)
        return super()._answered(X)

    def output(self, said: Arrays) -> PredictionOutput:
        """The probability that the window holds an expansion, and where it lies.

        The probability is that of the bar that is most likely in it, calibrated. Taking bars to be independent,
        1 - product (1 - p), would call nearly every window an expansion: a hundred bars at 5 % make 99 %.

        The outputs are `start` and `end` in bars from the window's first, `countdown`, the bars from the decision bar
        to the start as the median bar has it, `type_0` to `type_2`, the probabilities of what came before; of each bar
        `mask` and `countdowns` (n, length), and `pointers` (n, 2).
        """
        arrays = cast("dict[str, Floats]", said)
        odds = arrays["expansion_binary_logits"]
        mask, chance = 1 / (1 + np.exp(-odds)), self._platt.chance(odds.max(axis=1))
        found = PredictionOutput.from_probabilities(np.column_stack([1 - chance, chance]))
        length, pointers, countdowns = mask.shape[1], arrays["pointers"], arrays["expansion_countdown"]
        middle, half = pointers[:, 0] * (length - 1), (pointers[:, 1] * length - 1) / 2
        types = softmax(arrays["logits"])
        # Each bar says where the start is, and those near it say it best; no single one is relied on.
        told = np.median(countdowns + np.arange(length), axis=1) - (length - 1)
        found.outputs.update({"start": middle - half, "end": middle + half, "countdown": told})
        found.outputs.update({f"type_{kind}": types[:, kind] for kind in range(types.shape[1])})
        found.outputs.update({"mask": mask, "countdowns": countdowns, "pointers": pointers})
        return found

    # Files

    def save(self, path: Path) -> None:
        """What every torch model writes; the calibration stands in `model.json`."""
        super().save(path)
        facts = _files.read_facts(path, self.NAME, ())
        del facts["model"]
        calibration = {"slope": self._platt.slope, "intercept": self._platt.intercept}
        _files.write_facts(path, self.NAME, {**facts, CALIBRATION: calibration})

    def load(self, path: Path) -> None:
        """Read what `save` wrote."""
        super().load(path)
        told = _files.read_facts(path, self.NAME, (CALIBRATION,))[CALIBRATION]
        try:
            self._platt = Platt(float(told["slope"]), float(told["intercept"]))
        except (TypeError, KeyError, ValueError) as cause:
            raise BrokenArtifact(path, f"has a {CALIBRATION} that is no slope and intercept: {told!r}") from cause


def _log_odds(chance: Floats) -> Floats:
    """Of (n,) probabilities, cut where their last digit is."""
    inner = np.clip(chance, SURE, 1 - SURE)
    odds: Floats = np.log(inner) - np.log1p(-inner)
    return odds


def _pretrained(windows: Inputs, settings: Settings, network: nn.Module, device: str) -> None:
    pretrain(cast("JadeLearner", network).network, windows, settings, device)
