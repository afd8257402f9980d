"""What a conditioning system is made of: frozen settings, and their way to YAML and back.

What does not belong here: the knobs of training, which stand with the registered model (`betti.models.hrm`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from betti.errors import BadModelInput, UnknownName

__all__ = ["ConditioningConfig", "FiLMConfig", "RagConfig", "RegimeConfig"]

NAME = "ConditioningSystem"


@dataclass(frozen=True)
class RegimeConfig:
    """Settings of the regime classifier.

    Attributes:
        input_dim: numbers that describe a bar.
        num_regimes: regimes told apart.
        stability_threshold: the largest share of sessions that may change regime.
    """

    input_dim: int = 20
    num_regimes: int = 8
    stability_threshold: float = 0.05


@dataclass(frozen=True)
class RagConfig:
    """Settings of retrieval.

    Attributes:
        pattern_dim: numbers of a pattern.
        timeout_ms: how long a retrieval may take; 0 waits for as long as it takes.
        max_patterns: patterns held; beyond it the oldest go.
        neighbours: patterns looked at for one answer.
        outcome_dim: numbers that say what followed a pattern, such as one for each class.
        index: exact, hnsw, or auto, which is exact but for large libraries (`index.EXACT_UP_TO`).
    """

    pattern_dim: int = 128
    timeout_ms: float = 60.0
    max_patterns: int = 10_000
    neighbours: int = 8
    outcome_dim: int = 3
    index: str = "auto"


@dataclass(frozen=True)
class FiLMConfig:
    """Settings of the modulation.

    Attributes:
        context_dim: width of the conditioning context.
        target_dim: width of the tokens that are modulated.
        rank: width that the map between them is squeezed through.
    """

    context_dim: int = 256
    target_dim: int = 512
    rank: int = 64


@dataclass(frozen=True)
class ConditioningConfig:
    """Settings of the whole system; every path is off until it is switched on.

    Attributes:
        enable_regime: the market regime conditions.
        enable_rag: retrieved patterns condition.
        enable_hybrid: the two are mixed by a learnt gate instead of being added; needs both.
        fail_open: a part that fails leaves the others at work. It is always on.
        regime: the regime classifier.
        rag: retrieval.
        film: modulation.
    """

    enable_regime: bool = False
    enable_rag: bool = False
    enable_hybrid: bool = False
    fail_open: bool = True
    regime: RegimeConfig = field(default_factory=RegimeConfig)
    rag: RagConfig = field(default_factory=RagConfig)
    film: FiLMConfig = field(default_factory=FiLMConfig)

    def __post_init__(self) -> None:
        if not self.fail_open:
            raise BadModelInput(NAME, "fail_open = False", "It is always on: leave it out")
        if self.enable_hybrid and not (self.enable_regime and self.enable_rag):
            raise BadModelInput(NAME, "enable_hybrid without both paths", "Set enable_regime and enable_rag too")
        for name, value in self._sizes():
            if value < 1:
                raise BadModelInput(NAME, f"{name} = {value}", "It takes a value of 1 or more")
        if self.rag.timeout_ms < 0:
            raise BadModelInput(NAME, f"rag.timeout_ms = {self.rag.timeout_ms}", "Give milliseconds, or 0 for no limit")

    def _sizes(self) -> list[tuple[str, int]]:
        parts: dict[str, Any] = {"regime": self.regime, "rag": self.rag, "film": self.film}
        return [
            (f"{part}.{one.name}", getattr(group, one.name))
            for part, group in parts.items()
            for one in fields(group)
            if one.type == "int"
        ]

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> ConditioningConfig:
        """The defaults with these values in their place; groups are mappings themselves.

        Raises:
            UnknownName: a setting that there is not.
            BadModelInput: a value of another type, or settings that do not go together.

        >>> ConditioningConfig.of({"enable_rag": True, "rag": {"timeout_ms": 40}}).rag.timeout_ms
        40.0
        """
        built: ConditioningConfig = _built(cls(), given, "conditioning")
        return built

    @classmethod
    def from_yaml(cls, text: str) -> ConditioningConfig:
        """What `to_yaml` wrote, or a part of it; a block named `conditioning` is taken for the whole.

        Raises:
            BadModelInput: no YAML mapping; else as `of`.
        """
        import yaml

        found = yaml.safe_load(text) or {}
        if not isinstance(found, Mapping):
            raise BadModelInput(NAME, f"settings that are a {type(found).__name__}", "Give a YAML mapping")
        return cls.of(found.get("conditioning", found))

    def to_yaml(self) -> str:
        """Every setting, as YAML."""
        import yaml

        text: str = yaml.safe_dump({"conditioning": asdict(self)}, sort_keys=False)
        return text


def _built(default: Any, given: Mapping[str, Any], place: str) -> Any:
    """The dataclass `default` with the given values, each of its own type."""
    own = {one.name: getattr(default, one.name) for one in fields(default)}
    for name, value in given.items():
        if name not in own:
            raise UnknownName(f"{place} setting", name, own)
        own[name] = _value(own[name], value, f"{place}.{name}")
    return type(default)(**own)


def _value(default: Any, value: Any, place: str) -> Any:
    if isinstance(value, Mapping) and not isinstance(default, bool | int | float | str):
        return _built(default, value, place)
    if isinstance(default, float) and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(default):
        raise BadModelInput(NAME, f"{place} = {value!r}", f"It takes a {type(default).__name__} such as {default!r}")
    return value
