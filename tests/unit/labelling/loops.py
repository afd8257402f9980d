"""Literal loops that the labelling tests compare with."""

from __future__ import annotations

import numpy as np


def uniqueness(starts: np.ndarray, ends: np.ndarray) -> list[float]:
    """Mean over a label's bars of one over the number of labels that read the bar."""
    weights = []
    for start, end in zip(starts, ends, strict=True):
        shares = []
        for bar in range(start + 1, end + 1):
            readers = sum(1 for s, e in zip(starts, ends, strict=True) if s + 1 <= bar <= e)
            shares.append(1 / readers)
        weights.append(float(np.mean(shares)))
    return weights
