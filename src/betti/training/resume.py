"""Where a training that was killed goes on from: the state after its last epochs, under a key of all it depends on.

Whoever runs the stage says where states may lie (`resuming`); without that nothing is kept and nothing read. A state is
one safetensors file with its facts as JSON in the header, so that one rename puts it into place. It is only a short
cut: with it or without, the result is the same to the last bit on the CPU, since every epoch draws from the seed and
its own number. On a GPU cuDNN's recurrent dropout keeps a state that nobody can read. What does not belong here: the
checkpoints that are kept beside a model (`checkpoints.py`).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from betti.windows import Rows, Windows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

    from betti.models._protocol import Inputs

__all__ = ["Place", "Slot", "State", "digest", "place", "resuming", "somewhere"]

log = logging.getLogger(__name__)
EVERY_SECONDS = 10.0
BLOCK = 1 << 16  # rows hashed at once: a column slice of a wide table is copied for it


@dataclass(frozen=True)
class Place:
    """Where states lie.

    Attributes:
        folder: of one run.
        code: a hash of the code that trains it.
        every: seconds between two states of one training; its end is always kept.
    """

    folder: Path
    code: str
    every: float = EVERY_SECONDS


_place: ContextVar[Place | None] = ContextVar("betti_resume", default=None)


@contextmanager
def resuming(folder: Path, code: str, every: float = EVERY_SECONDS) -> Iterator[None]:
    """Inside, trainings keep their state in `folder` and go on from what lies there; a clean exit removes the folder.

    A run trains several models in turn: those that were done before a kill are not trained again.
    """
    token = _place.set(Place(folder, code, every))
    try:
        yield
    finally:
        _place.reset(token)
    shutil.rmtree(folder, ignore_errors=True)


def place() -> Place | None:
    """Where this context keeps states; None keeps none."""
    return _place.get()


@contextmanager
def somewhere() -> Iterator[Place]:
    """Where this context keeps states, or else a folder of the system that is gone afterwards."""
    from tempfile import TemporaryDirectory

    if (known := place()) is not None:
        yield known
        return
    with TemporaryDirectory(prefix="betti-") as folder:
        yield Place(Path(folder), "")


@dataclass(frozen=True)
class State:
    """A training between two epochs: its tensors by name, and facts for JSON."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]


class Slot:
    """The one file for the state of one training."""

    def __init__(self, where: Place, key: str) -> None:
        self._path = where.folder / f"{key}.safetensors"
        self._every = where.every
        self._written = time.monotonic()

    def read(self) -> State | None:
        """The state that lies there; None where there is none, or a file that is none."""
        from safetensors import SafetensorError, safe_open

        if not self._path.is_file():
            return None
        try:
            with safe_open(self._path, framework="pt") as file:
                facts: dict[str, Any] = json.loads(file.metadata()["facts"])
                return State({name: file.get_tensor(name) for name in file.keys()}, facts)  # noqa: SIM118
        except (SafetensorError, ValueError, KeyError, TypeError) as cause:
            log.warning("%s holds no state of a training (%s): it begins anew", self._path, cause)
            return None

    @property
    def due(self) -> bool:
        """Whether the last state is old enough for another."""
        return time.monotonic() - self._written >= self._every

    def write(self, state: State) -> None:
        """Put a state in the place of the one before, whole or not at all."""
        from safetensors.torch import save_file

        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(f".{os.getpid()}")
        tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in state.tensors.items()}
        save_file(tensors, new, metadata={"facts": json.dumps(state.facts)})
        new.replace(self._path)
        self._written = time.monotonic()


# Keys --------------------------------------------------------------------------------------------------------------


def digest(code: str, facts: Mapping[str, Any], tensors: Mapping[str, Tensor], *data: Any) -> str:
    """A key of everything a training depends on.

    Args:
        code: a hash of the code.
        facts: settings and whatever else JSON can say.
        tensors: the weights that training begins with: they say what the network is, its seed included.
        *data: inputs, targets and weights: arrays, views, mappings of arrays, or None.
    """
    whole = hashlib.blake2b(digest_size=20)
    whole.update(f"{code}\0{json.dumps(facts, sort_keys=True)}\0".encode())
    for name, tensor in tensors.items():
        whole.update(f"{name}\0".encode())
        _array(whole, tensor.detach().cpu().numpy())
    for values in data:
        _values(whole, values)
    return whole.hexdigest()


def _values(whole: hashlib.blake2b, values: Inputs | Rows | Mapping[str, Any] | None) -> None:
    if values is None:
        whole.update(b"none\0")
    elif isinstance(values, Windows):
        whole.update(f"windows {values.length}\0".encode())
        _array(whole, values.values)
        _array(whole, values.ends)
    elif isinstance(values, Rows):
        _array(whole, values.values)
        _array(whole, values.at)
    elif isinstance(values, np.ndarray):
        _array(whole, values)
    else:
        for name, part in values.items():
            whole.update(f"{name}\0".encode())
            _values(whole, part)


def _array(whole: hashlib.blake2b, values: np.ndarray[Any, Any]) -> None:
    whole.update(f"{values.dtype} {values.shape}\0".encode())
    for first in range(0, len(values) if values.ndim else 0, BLOCK):
        whole.update(np.ascontiguousarray(values[first : first + BLOCK]).data)
    if not values.ndim:
        whole.update(values.tobytes())
