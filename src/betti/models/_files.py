"""How a model's files are written: facts as JSON, arrays as safetensors. Equal values, equal bytes; never code.

What does not belong here: which files a model has.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from betti.errors import BrokenArtifact, MissingFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["read_arrays", "read_facts", "write_arrays", "write_facts"]

FACTS = "model.json"
REMEDY = "Name the folder that the model was saved into"


def write_facts(folder: Path, model: str, facts: Mapping[str, Any]) -> None:
    """Write `model.json`: the model's name and what it must know to answer again."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"model": model, **facts}, indent=1, sort_keys=True, allow_nan=False)
    (folder / FACTS).write_text(text + "\n", encoding="utf-8")


def read_facts(folder: Path, model: str, names: tuple[str, ...]) -> dict[str, Any]:
    """Read `model.json` of this model, holding at least these names.

    Raises:
        MissingFile: it is not there.
        BrokenArtifact: it is no JSON, another model's, or lacks a name.
    """
    path = folder / FACTS
    if not path.exists():
        raise MissingFile(path, REMEDY)
    try:
        facts: dict[str, Any] = json.loads(path.read_bytes())
    except ValueError as cause:
        raise BrokenArtifact(path, f"is not JSON: {cause}") from cause
    if not isinstance(facts, dict) or facts.get("model") != model:
        raise BrokenArtifact(path, f"does not hold a {model} model")
    missing = [name for name in names if name not in facts]
    if missing:
        raise BrokenArtifact(path, f"lacks {', '.join(missing)}")
    return facts


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write named arrays as one safetensors file."""
    from safetensors.numpy import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}, path)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read named arrays.

    Raises:
        MissingFile: the file is not there.
        BrokenArtifact: it is not safetensors.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not path.exists():
        raise MissingFile(path, REMEDY)
    try:
        arrays: dict[str, NDArray[Any]] = load_file(path)
    except SafetensorError as cause:
        raise BrokenArtifact(path, f"is not a safetensors file: {cause}") from cause
    return arrays
