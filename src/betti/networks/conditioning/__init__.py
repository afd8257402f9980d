"""Conditioning: the regime a market is in and the patterns it has shown before modulate a network's tokens.

`ConditioningSystem` puts the parts together; each of them works alone. What does not belong here: the network that is
conditioned (`betti.networks.hrm`), and computing features (`betti.features`).
"""

from __future__ import annotations

from betti.networks.conditioning.breaker import CircuitBreaker, Guard
from betti.networks.conditioning.config import ConditioningConfig, FiLMConfig, RagConfig, RegimeConfig
from betti.networks.conditioning.film import FiLMLayer
from betti.networks.conditioning.index import ExactIndex, HnswIndex, Neighbours, VectorIndex
from betti.networks.conditioning.library import Pattern, PatternLibrary
from betti.networks.conditioning.patterns import PatternRAG
from betti.networks.conditioning.regime import REGIMES, RegimeClassifier
from betti.networks.conditioning.regimes import (
    RegimeRule,
    against_own_past,
    instrument_information,
    session_regimes,
    sessions_against_own_past,
    switching_share,
)
from betti.networks.conditioning.system import ConditioningSystem

__all__ = [
    "REGIMES",
    "CircuitBreaker",
    "ConditioningConfig",
    "ConditioningSystem",
    "ExactIndex",
    "FiLMConfig",
    "FiLMLayer",
    "Guard",
    "HnswIndex",
    "Neighbours",
    "Pattern",
    "PatternLibrary",
    "PatternRAG",
    "RagConfig",
    "RegimeClassifier",
    "RegimeConfig",
    "RegimeRule",
    "VectorIndex",
    "against_own_past",
    "instrument_information",
    "session_regimes",
    "sessions_against_own_past",
    "switching_share",
]
