"""The model registry: one file = one model, registered by being in this folder (copy `_template.py` to begin).

`ModelRegistry.create("lstm", {...})` imports only the file it needs. Models do not import each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from betti.discovery import Folder
from betti.errors import BettiError, UnknownName
from betti.models._protocol import Answers, BaseModel, InputSpec, PredictionOutput, TrainingMetrics

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "FOLDER",
    "Answers",
    "BaseModel",
    "InputSpec",
    "ModelInfo",
    "ModelRegistry",
    "PredictionOutput",
    "TrainingMetrics",
    "modules",
]

FOLDER = Folder("betti.models", kind="model")
M = TypeVar("M", bound=type[BaseModel])


@dataclass(frozen=True)
class ModelInfo:
    """What is known of a registered model without training it, at its default knobs.

    Attributes:
        inputs: the inputs of a model that takes several, by name; empty for a model of one.
        heads: label columns that it learns beside the class.
    """

    name: str
    family: str
    description: str
    requires_scaling: bool
    requires_sequences: bool
    default_config: dict[str, Any]
    inputs: Mapping[str, InputSpec]
    heads: tuple[str, ...]


@dataclass(frozen=True)
class _Entry:
    model: type[BaseModel]
    family: str
    description: str


def modules(name: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    """The modules of a model and of those that its configuration names: members, and what combines them.

    >>> modules("stacking", {"members": {"line": {"model": "logistic"}, "svm": {}}, "meta": {"model": "logistic"}})
    ('betti.models.stacking', 'betti.models.logistic', 'betti.models.svm')
    """
    found = {f"{FOLDER.package}.{name}": None}
    for member, block in (*dict(config.get("members") or {}).items(), ("", config.get("meta"))):
        if isinstance(block, Mapping) and (block.get("model") or member):
            found |= dict.fromkeys(modules(str(block.get("model") or member), block.get("config") or {}))
    return tuple(found)


class ModelRegistry:
    """Models by name. A model's name is its file's name."""

    _entries: ClassVar[dict[str, _Entry]] = {}

    @classmethod
    def register(cls, name: str, family: str, description: str) -> Callable[[M], M]:
        """Class decorator; a name that another class has is a `ValueError`."""

        def decorate(model: M) -> M:
            present = cls._entries.get(name)
            own = model.__module__, model.__qualname__
            if present is not None and (present.model.__module__, present.model.__qualname__) != own:
                raise ValueError(f"model name '{name}' is taken by {present.model.__module__}")
            cls._entries[name] = _Entry(model, family, description)
            return model

        return decorate

    @classmethod
    def _entry(cls, name: str) -> _Entry:
        if name not in cls._entries:
            if name not in FOLDER.names():
                raise UnknownName("model", name, {*FOLDER.names(), *cls._entries})
            FOLDER.load(name)
        if name not in cls._entries:
            raise BettiError(f"betti/models/{name}.py registers no model named '{name}'")
        return cls._entries[name]

    @classmethod
    def create(cls, name: str, config: Mapping[str, Any] | None = None) -> BaseModel:
        """A fresh model with these knobs replaced.

        Raises:
            UnknownName: no such model (says what there is), or no such knob.
            PartUnavailable: its file does not import here.
            BadModelInput: a knob's value does not fit.
        """
        return cls._entry(name).model(config)

    @classmethod
    def list_models(cls) -> dict[str, list[str]]:
        """Names of the models that import here, by family."""
        families: dict[str, list[str]] = {}
        for name, _ in FOLDER.loaded():
            families.setdefault(cls._entry(name).family, []).append(name)
        return {family: sorted(names) for family, names in sorted(families.items())}

    @classmethod
    def get_model_info(cls, name: str) -> ModelInfo:
        """Family, description, needs and default configuration of one model."""
        entry = cls._entry(name)
        model = entry.model()
        return ModelInfo(
            name,
            entry.family,
            entry.description,
            model.requires_scaling,
            model.requires_sequences,
            model.get_default_config(),
            model.inputs,
            model.heads,
        )
