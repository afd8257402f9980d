"""The one torch training loop, which every torch model hands its problem (`problem.py`).

AdamW over groups of parameters, a learning rate with warm-up, clipping, accumulation, early stopping, the best epoch's
weights restored, checkpoints, going on after a kill. Same seed, same weights on the CPU. What does not belong here:
networks (`betti.models`, `betti.nn`), and choosing or scaling rows (`prepare.py`).
"""

from __future__ import annotations

import copy
import logging
import math
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from betti.errors import BadModelInput, BettiError
from betti.nn.losses import objective_of
from betti.progress import tell
from betti.training import resume
from betti.training.batches import Held, in_order, portions, resident, shuffled
from betti.training.checkpoints import Best
from betti.training.device import epoch_seed, seeded
from betti.training.engine import Alone
from betti.training.memory import in_parts
from betti.training.nested import arrays, joined
from betti.training.optimisation import adamw, rate_factor, set_rates
from betti.training.problem import Examples, Outcome, Problem, Settings, plainly
from betti.training.weighing import weighed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn

    from betti.models._protocol import Inputs
    from betti.training.engine import Engine
    from betti.training.nested import Arrays, Batch, Outputs
    from betti.training.resume import Place, Slot

__all__ = ["Examples", "LossNotFinite", "Outcome", "Problem", "Settings", "outputs", "train"]

log = logging.getLogger(__name__)
EVALUATION_BATCH = 1024
ORDER, DRAWS = 0, 1  # streams of an epoch's seed: the order of batches, and rank 0's dropout


class LossNotFinite(BettiError):
    """A loss or a weight became NaN or infinite; going on would only spread it.

    `batch` is the one whose loss it was, from 1; None for what is known at the epoch's end alone.
    """

    def __init__(self, what: str, epoch: int, batch: int | None) -> None:
        self.what, self.epoch, self.batch = what, epoch, batch
        where = f"epoch {epoch}" if batch is None else f"epoch {epoch}, batch {batch}"
        super().__init__(
            f"training stopped at {where}: {what} is not finite. "
            "Lower learning_rate or clip in the run's config, or look for extreme values among the features"
        )


def train(problem: Problem, settings: Settings, device: str) -> Outcome:
    """Build a network and train it; inside `resume.resuming`, go on from where a kill has ended it.

    Args:
        problem: the network, the loss and the rows.
        settings: the loop's knobs.
        device: "cpu" or "cuda".

    Raises:
        LossNotFinite: names the epoch, and the batch where a batch is at fault.
        OutOfMemory: not even two rows at a time fit into the device's memory.
        BadModelInput: a precision or a number of devices that is not to be had, or parameter groups that overlap.
    """
    if not settings.rate_reached:
        told = settings.learning_rate, settings.warmup_epochs, settings.course
        log.warning("the learning rate never reaches %g: it warms up over %d epochs, of %d in all", *told)
    if settings.devices > 1:
        return _train_on_several(problem, settings, device)

    def alone(parts: int) -> Outcome:
        engine = Alone(device, settings.precision, settings.compile)
        with seeded(settings.seed, device):
            return _Training(engine, problem, settings, parts, resume.place()).run()

    return in_parts(alone, "training", settings.batch_size, settings.accumulate, device)


def _train_on_several(problem: Problem, settings: Settings, device: str) -> Outcome:
    """The ranks leave the end of the training where a killed one leaves its state, and it is read from there."""
    from betti.training.several import launched

    with resume.somewhere() as where:

        def together(parts: int) -> None:
            launched(_rank, device, settings.devices, settings.precision, problem, settings, parts, where)

        in_parts(together, "training", settings.batch_size, settings.accumulate, device)
        with seeded(settings.seed, device):
            return _Training(Alone(device, "32", False), problem, settings, 1, where).ended()


def _rank(engine: Engine, problem: Problem, settings: Settings, parts: int, where: Place) -> None:
    with seeded(settings.seed, engine.device):
        _Training(engine, problem, settings, parts, where).run()


class _Training:
    """One training from its first epoch, or from where it was interrupted, to its end."""

    def __init__(self, engine: Engine, problem: Problem, settings: Settings, parts: int, where: Place | None) -> None:
        self.engine, self.problem, self.settings, self.parts = engine, problem, settings, parts
        self.network = problem.build().to(engine.device)
        self.objective = copy.deepcopy(objective_of(problem.loss)).to(engine.device)
        self.optimizer = adamw(self.network, self.objective, problem.groups(self.network), settings)
        self.slot = None if where is None else _slot(where, self)
        self.best = Best(settings.checkpoints if problem.valid else 0, settings.min_delta)
        self.history: dict[str, list[float]] = {"train_loss": [], "val_loss": [], "learning_rate": []}
        self.epoch, self.early_stopped = 0, False
        self.judging = parts  # of the validation rows; how they are cut moves no weight

    # From the first epoch to the last

    def run(self) -> Outcome:
        """Train to the end."""
        found = self.slot.read() if self.slot else None
        if found is not None and found.facts["parts"] < self.parts:
            found = None  # left by a training that ran out of memory since
        self.engine.ready(self.network, self.optimizer)
        if found is not None:
            self._take(found)
            log.info("training goes on after epoch %d of %d", self.epoch, self.settings.epochs)
        elif self.problem.warm is not None:
            self.problem.warm(self.network, self.engine.device)
        if not self._done:
            data = Held(self.problem.train, self.engine.device)
            valid = self.problem.valid
            held_out = None if valid is None else Held(valid, self.engine.device, beside=data)
            rows = math.ceil(self.settings.batch_size / (self.parts * self.engine.ranks))
            with weighed(self.network, self.problem, data, min(rows, len(data)), self.settings.precision):
                self._go_on(data, held_out)
        return self._outcome()

    def ended(self) -> Outcome:
        """What another process has trained to the end.

        Raises:
            BettiError: it left nothing.
        """
        found = self.slot.read() if self.slot else None
        if found is None:
            raise BettiError("the processes that trained left no result. Train with devices: 1")
        self._take(found)
        return self._outcome()

    @property
    def _done(self) -> bool:
        return self.early_stopped or self.epoch >= self.settings.epochs

    def _go_on(self, data: Held, valid: Held | None) -> None:
        least = 2 * self.engine.ranks
        if len(data) < least:
            raise BadModelInput("torch", f"{len(data)} training rows for {self.engine.ranks} devices", "Use one device")
        while not self._done:
            self.epoch += 1
            torch.manual_seed(epoch_seed(self.settings.seed, self.epoch, DRAWS + self.engine.rank))
            watched = self.history[self._watched(valid)]
            factor = rate_factor(self.epoch, self.settings, watched)
            set_rates(self.optimizer, factor)
            order = torch.Generator().manual_seed(epoch_seed(self.settings.seed, self.epoch, ORDER))
            batches = shuffled(len(data), self.settings.batch_size, order, self.engine.device, least)
            self._note("train_loss", self._learn(data, batches))
            self._note("learning_rate", self.settings.learning_rate * factor)
            self.engine.mean(self.objective)
            said = dict(self.objective.epoch_ended())
            if valid is not None:
                self._validate(valid)
                self.best.offer(self.epoch, watched[-1], self.network)
                self.early_stopped = self.epoch - self.best.epoch >= self.settings.patience
            self._observe(valid or data, said)
            tell(self.epoch, self.settings.epochs, "epochs")
            self._keep()

    def _watched(self, valid: Held | None) -> str:
        """The name in the history of what early stopping and the plateau schedule go by."""
        if valid is None:
            return "train_loss"
        if self.problem.score is None:
            return "val_loss"
        self.history.setdefault("val_score", [])
        return "val_score"

    def _note(self, name: str, value: float) -> None:
        self.history.setdefault(name, []).append(value)

    # One epoch

    def _learn(self, data: Held, batches: list[Tensor]) -> float:
        """One pass over the training rows; the mean weighted loss per row as it went."""
        self.network.train()
        self.objective.train()
        sums = [self._step(data, rows) for rows in batches]
        # Asked once an epoch: asking after every batch would make a GPU wait for it.
        whole = self.engine.total(torch.stack(sums)).double().cpu()
        if not torch.isfinite(whole).all():
            raise LossNotFinite("the loss", self.epoch, int((~torch.isfinite(whole)).nonzero()[0]) + 1)
        for name, parameter in self.network.named_parameters():
            # All losses were finite, so the last batch did it, or an earlier one to a weight that no later loss used.
            if not torch.isfinite(parameter).all():
                raise LossNotFinite(f"the weight '{name}'", self.epoch, None)
        return float(whole.sum()) / len(data)

    def _step(self, data: Held, rows: Tensor) -> Tensor:
        """Learn from this rank's share of a batch, in parts; the sum of its losses."""
        engine = self.engine
        own = rows[engine.rank :: engine.ranks]
        parts = portions(own, math.ceil(len(own) / self.parts))
        sums = []
        for number, part in enumerate(parts, start=1):
            said = engine.outputs(self.problem.call, data.inputs.gather(part))
            mean = self.objective(said, data.answers(part), data.weights[part]).mean()
            # Ranks' gradients are averaged and those of parts added: together the mean over the batch.
            engine.backward(mean * (len(part) * engine.ranks / len(rows)), last=number == len(parts))
            sums.append(mean.detach() * len(part))
        engine.step(self.settings.clip)
        return sums[0] if len(sums) == 1 else torch.stack(sums).sum()

    def _validate(self, valid: Held) -> None:
        """Note the validation loss, and the model's own score. Every rank judges all rows, and the first one counts."""
        self.network.eval()
        self.objective.eval()
        device = self.engine.device
        loss, said = in_parts(partial(self._judge, valid), "validation", EVALUATION_BATCH, self.judging, device)
        self._judged("val_loss", loss, "the validation loss")
        if self.problem.score is not None:
            score = self.problem.score(joined(said), valid.targets, valid.weights)
            self._judged("val_score", score, "the validation score")

    @torch.no_grad()
    def _judge(self, valid: Held, parts: int) -> tuple[float, list[Outputs]]:
        """The mean loss, and what the network says where the model's own score asks for it."""
        self.judging = parts
        kept, total = [], 0.0
        for rows in in_order(len(valid), math.ceil(EVALUATION_BATCH / parts), self.engine.device):
            said = self.problem.call(self.network, valid.inputs.gather(rows))
            values = self.objective(said, valid.answers(rows), valid.weights[rows])
            total += float(values.double().mean()) * len(rows)
            if self.problem.score is not None:
                kept.append(said)
        return total / len(valid), kept

    def _judged(self, name: str, value: float, what: str) -> None:
        agreed = self.engine.agreed(value)
        if not math.isfinite(agreed):
            raise LossNotFinite(what, self.epoch, None)
        self._note(name, agreed)

    @torch.no_grad()
    def _observe(self, data: Held, said: dict[str, float]) -> None:
        """Note what the objective has said of this epoch, and what the model sees in the first rows."""
        if self.problem.watch is not None:
            self.network.eval()
            rows = next(in_order(len(data), math.ceil(EVALUATION_BATCH / self.judging), self.engine.device))
            said |= self.problem.watch(self.network, data.inputs.gather(rows))
        for name, value in said.items():
            self._note(name, float(value))

    # Its end, and its state in between

    def _outcome(self) -> Outcome:
        if self.best.epoch:
            self.network.load_state_dict(self.best.weights[self.best.epoch])
        network, best = self.network.eval(), self.best.epoch or None
        return Outcome(network, self.epoch, best, self.early_stopped, self.history, self.best.checkpoints())

    def _keep(self) -> None:
        """Leave the state for whoever goes on, now and then, and at the end always."""
        if self.slot is not None and self.engine.rank == 0 and (self._done or self.slot.due):
            self.slot.write(resume.State(dict(self._tensors()), self._facts()))

    def _facts(self) -> dict[str, Any]:
        best = {"epoch": self.best.epoch, "value": self.best.value, "values": self.best.values}
        progress = {"epoch": self.epoch, "early_stopped": self.early_stopped, "parts": self.parts}
        return {**progress, "history": self.history, "best": best, "engine": self.engine.facts()}

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Every tensor of the state by `kind/name` or `kind/number/name`; no moments once nothing is left to learn."""
        yield from ((f"network/{name}", value) for name, value in self.network.state_dict().items())
        yield from ((f"objective/{name}", value) for name, value in self.objective.state_dict().items())
        for epoch, weights in self.best.weights.items():
            yield from ((f"kept/{epoch}/{name}", value) for name, value in weights.items())
        if not self._done:
            for index, moments in self.optimizer.state_dict()["state"].items():
                yield from ((f"optimizer/{index}/{name}", value) for name, value in moments.items())

    def _take(self, state: resume.State) -> None:
        """Become what `_facts` and `_tensors` told."""
        tensors: dict[str, dict[str, Tensor]] = {"network": {}, "objective": {}}
        for path, value in state.tensors.items():
            kind = path.partition("/")[0]
            *place, name = path.split("/", 1 if kind in ("network", "objective") else 2)
            tensors.setdefault("/".join(place), {})[name] = value.to(self.engine.device)
        self.network.load_state_dict(tensors["network"])
        self.objective.load_state_dict(tensors["objective"])
        moments = {int(key.split("/")[1]): found for key, found in tensors.items() if key.startswith("optimizer/")}
        if moments:
            groups = self.optimizer.state_dict()["param_groups"]
            self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        facts, best = state.facts, state.facts["best"]
        self.best.epoch, self.best.value = int(best["epoch"]), float(best["value"])
        self.best.values = {int(epoch): float(value) for epoch, value in best["values"].items()}
        self.best.weights = {int(key.split("/")[1]): w for key, w in tensors.items() if key.startswith("kept/")}
        self.history, self.epoch, self.parts = facts["history"], int(facts["epoch"]), int(facts["parts"])
        self.early_stopped = bool(facts["early_stopped"])
        self.engine.restore(facts["engine"])


def _slot(where: Place, training: _Training) -> Slot:
    """The place of this training's state, by everything it depends on."""
    problem = training.problem
    begun = {**training.network.state_dict(), **{f"loss.{k}": v for k, v in training.objective.state_dict().items()}}
    rates = [(group["lr"], group["weight_decay"], len(group["params"])) for group in training.optimizer.param_groups]
    facts = {
        "settings": asdict(training.settings),
        "facts": dict(problem.facts),
        "rates": rates,
        "device": training.engine.device.partition(":")[0],
        "torch": torch.__version__,
    }
    rows = [(one.inputs, one.targets, one.weights) for one in (problem.train, problem.valid) if one is not None]
    return resume.Slot(where, resume.digest(where.code, facts, begun, *(values for row in rows for values in row)))


# Answering ---------------------------------------------------------------------------------------------------------


def outputs(
    network: nn.Module,
    inputs: Inputs,
    device: str,
    call: Callable[[nn.Module, Batch], Outputs] = plainly,
) -> Arrays:
    """What the network says of all rows, in order, as float64: one array, or several as the network gives them."""
    network.to(device).eval()
    rows = resident(inputs, device)

    @torch.no_grad()
    def answer(parts: int) -> Outputs:
        size = math.ceil(EVALUATION_BATCH / parts)
        return joined([call(network, rows.gather(chosen)) for chosen in in_order(len(rows), size, device)])

    return arrays(in_parts(answer, "answering", EVALUATION_BATCH, 1, device))
