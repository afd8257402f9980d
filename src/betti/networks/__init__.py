"""The named networks as torch modules, each importable from here: `from betti.networks import MultiTaskFiLM`.

A name is looked up in its own module when it is asked for, so that a network which wants a further library costs only
those who use it. Two classes are called FiLMLayer: take `betti.networks.film.FiLMLayer` for features, and
`betti.networks.conditioning.FiLMLayer` for tokens. What does not belong here: training (`betti.training`), and what
makes a network a registered model (`betti.models`).
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_MODULES = {
    "nbeats": ("OHLCVNBEATSEncoder", "AttentionBlock", "StackAttention", "TDAEncoder", "ComplexityEncoder"),
    "film_fusion": ("FiLMGenerator", "FiLMConditioningFusion", "ConcatFusion"),
    "film": ("MultiTaskFiLM", "MultiTaskNBEATS", "create_model_from_config"),
    "film_config": ("FiLMConfig", "FiLMModelConfig"),
    "film_training": ("FiLMLearner", "FiLMLoss"),
    "jade": ("JadeCompact",),
    "jade_training": ("JadeLearner", "JadeLoss"),
    "balancing": ("InitialLossNormalizer", "RunningLossNormalizer", "KendallUncertainty", "FixedScales"),
    "pretraining": ("MaskedReconstruction",),
    "dual_tower": (
        *("ContextTower", "StockTower", "RelevanceHead", "DualTowerRelevanceModel"),
        *("RelevanceRegressionLoss", "RelevanceDirectionLoss", "TowerRegularizationLoss", "EmbeddingMagnitudeLoss"),
        *("DualTowerLoss", "WeightedDualTowerLoss"),
        *("create_model", "count_parameters"),
    ),
    # Apart from the network, which is trained without it: it knows feature sets and splits.
    "dual_tower_data": ("DualTowerDataset", "create_data_loaders"),
    "conditioning": ("RegimeClassifier", "PatternRAG", "ConditioningSystem"),
    "hrm": ("HierarchicalReasoningModel",),
}
NAMES = {name: f"{__name__}.{module}" for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "FiLMLayer":
        raise AttributeError("there are two: betti.networks.film.FiLMLayer and betti.networks.conditioning.FiLMLayer")
    if name not in NAMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(NAMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *NAMES})
