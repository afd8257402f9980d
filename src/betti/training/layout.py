"""What a run leaves beside its models: its configuration in three parts.

    config/training.json   how it was fitted: the loop's knobs, the seed, the fold numbers
    config/model.json      what was fitted: the model, its own knobs, those the final model has otherwise
    config/feature.json    from what: the set, the columns, the inputs, what pruning took, the target

All of it follows from the manifest, so that equal runs leave equal bytes. What does not belong here: the
manifest, and the models' own files (`run.py`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from betti.training.manifest import RunManifest

__all__ = ["FOLDER", "Configs", "configs", "write_configs"]

FOLDER = "config"
# Knobs of how a model is fitted that are not the torch loop's.
FITTING = {"device", "early_stopping_rounds", "num_threads", "class_weight", "loss", "focal_gamma"}


@dataclass(frozen=True)
class Configs:
    """A run's configuration in three parts, ready for JSON."""

    training: dict[str, Any]
    model: dict[str, Any]
    feature: dict[str, Any]


def configs(manifest: RunManifest) -> Configs:
    """What was asked for, by part; every knob stands in exactly one of `training` and `model`."""
    from betti.training.problem import Settings  # torch takes seconds to import, and most models do without

    fitting = FITTING | {one.name for one in fields(Settings)}
    knobs = manifest.config
    return Configs(
        training={
            "run": manifest.run,
            "seed": manifest.seed,
            "folds": list(manifest.folds),
            "knobs": {name: value for name, value in knobs.items() if name in fitting and name != "seed"},
        },
        model={
            "model": manifest.model,
            "classes": manifest.classes,
            "heads": list(manifest.heads),
            "knobs": {name: value for name, value in knobs.items() if name not in fitting | {"classes"}},
            "final": manifest.final_config,
        },
        feature={
            "set": manifest.set,
            "target": manifest.target,
            "label": manifest.label,
            "inputs": {name: one.model_dump() for name, one in manifest.parts.items()},
            "prune": manifest.prune,
            "dropped": {name: choice.dropped for name, choice in manifest.pruned.items()},
        },
    )


def write_configs(manifest: RunManifest, folder: Path) -> None:
    """Write `config/training.json`, `model.json` and `feature.json` into a run's folder."""
    place = folder / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    for name, part in vars(configs(manifest)).items():
        text = json.dumps(part, indent=1, sort_keys=True, allow_nan=False)
        (place / f"{name}.json").write_text(text + "\n", encoding="utf-8")
