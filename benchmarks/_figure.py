"""One figure of a benchmark, and how times are taken."""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

__all__ = ["Figure", "against", "in_turn", "single", "speedup", "timed"]


@dataclass(frozen=True)
class Figure:
    """One line of output.

    `ratio` is (median, smallest, largest) of ours / reference, pair by pair; of reference / ours in a `speedup`.
    """

    benchmark: str
    case: str
    ours: float
    reference: float | None
    unit: str
    ratio: tuple[float, float, float] | None
    target: str
    met: bool

    def show(self) -> None:
        print(json.dumps(asdict(self)), flush=True)


def timed(work: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def in_turn(ours: Callable[[], float], reference: Callable[[], float], pairs: int) -> list[tuple[float, float]]:
    """Ours, reference, ours, reference, ...: a drift of the machine touches both."""
    return [(ours(), reference()) for _ in range(pairs)]


def against(benchmark: str, case: str, pairs: list[tuple[float, float]], most: float) -> Figure:
    """A comparison whose target is a ratio of at most `most`."""
    ratios = sorted(a / b for a, b in pairs)
    middle = statistics.median(ratios)
    ours, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
    spread = (round(middle, 3), round(ratios[0], 3), round(ratios[-1], 3))
    return Figure(benchmark, case, round(ours, 3), round(theirs, 3), "s", spread, f"ratio <= {most}", middle <= most)


def speedup(
    benchmark: str, case: str, pairs: list[tuple[float, float]], least: float, unit: str = "s", per: int = 1
) -> Figure:
    """A comparison whose target is to be at least this many times faster; shown per item, `per` of them in a call."""
    scale = {"s": 1.0, "ms": 1e3}[unit] / per
    ratios = sorted(reference / ours for ours, reference in pairs)
    middle = statistics.median(ratios)
    ours, theirs = (statistics.median(side) * scale for side in zip(*pairs, strict=True))
    spread = (round(middle, 1), round(ratios[0], 1), round(ratios[-1], 1))
    target = f"reference / ours >= {least:g}"
    return Figure(benchmark, case, round(ours, 4), round(theirs, 4), unit, spread, target, middle >= least)


def single(benchmark: str, case: str, values: list[float], unit: str, most: float) -> Figure:
    """A figure without a reference on the spot: the median, and a target in its own unit, or an infinite one."""
    middle = statistics.median(values)
    target = f"<= {most:g} {unit}" if most < math.inf else "recorded"
    return Figure(benchmark, case, round(middle, 3), None, unit, None, target, middle <= most)
