"""The targets on a million bars of one symbol, one thread, compiled code warm; each beside Python loops.

`python benchmarks/labels.py`. The bars are of one minute, so that thirty days ahead are 43,200 bars. Loops are timed on
fewer bars and told for a million. They give the answers alone; our side makes the table and its weights too. Most such
labels are written as a loop over the bars that cuts a piece out of the frame for each: those have the target. A loop
over plain lists is the least that Python can do, and has none.
"""

from __future__ import annotations

import bisect
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from betti import threads

threads.pin()

import numpy as np
import pandas as pd

from benchmarks._figure import in_turn, single, speedup, timed
from benchmarks.features import walk

BARS, LIST_BARS, FRAME_BARS = 1_000_000, 50_000, 2_000
SECONDS, RULE_SECONDS, FASTER, RUNS = 2, 5, 50, 3
HORIZONS = (5, 10, 15, 20)

Lists = dict[str, list[float]]


def labelled(target: str, bars: pd.DataFrame, **knobs: Any) -> Callable[[], object]:
    """A target as the pipeline computes it, its compiled code loaded before."""
    from betti import labelling

    labelling.label(target, bars.iloc[:2000], **knobs)
    return lambda: labelling.label(target, bars, **knobs)


def every_horizon(bars: pd.DataFrame) -> Callable[[], object]:
    works = [labelled("direction", bars, horizon=horizon) for horizon in HORIZONS]
    return lambda: [work() for work in works]


def rule(bars: pd.DataFrame) -> Callable[[], object]:
    from betti.labelling.expansion import Rule, find_legs

    default = Rule(displacement=7.0, efficiency=0.6, longest=20, drag=0.25, pause=10, pause_range=2.5)
    find_legs(bars.iloc[:2000], default)
    return lambda: find_legs(bars, default)


# Loops --------------------------------------------------------------------------------------------------------------


def direction_of_frame(bars: pd.DataFrame) -> list[int]:
    found = []
    for horizon in HORIZONS:
        sigma = np.log(bars["close"]).diff().ewm(span=20).std()
        for t in range(200, len(bars) - horizon):
            close, ahead = bars["close"].iloc[t], bars.iloc[t + 1 : t + horizon + 1]
            distance = close * sigma.iloc[t] * math.sqrt(horizon)
            up, down = ahead["high"] >= close + distance, ahead["low"] <= close - distance
            first_up, first_down = (int(side.argmax()) if side.any() else horizon for side in (up, down))
            found.append(1 + (first_up < first_down) - (first_down < first_up))
    return found


def direction_of_lists(bars: Lists) -> list[int]:
    """The deviation is the recursive one, which needs no window."""
    high, low, close = bars["high"], bars["low"], bars["close"]
    found = []
    for horizon in HORIZONS:
        mean = variance = 0.0
        for t in range(1, len(close) - horizon):
            move = math.log(close[t] / close[t - 1])
            mean += (move - mean) * 2 / 21
            variance += ((move - mean) ** 2 - variance) * 2 / 21
            distance = close[t] * math.sqrt(variance * horizon)
            upper, lower, answer = close[t] + distance, close[t] - distance, 1
            for i in range(t + 1, t + horizon + 1):
                up, down = high[i] >= upper, low[i] <= lower
                if up or down:
                    answer = 1 + up - down
                    break
            found.append(answer)
    return found


def trigger_of_frame(bars: pd.DataFrame) -> list[float]:
    return [100 * (bars["high"].iloc[t + 1 : t + 9].max() / bars["close"].iloc[t] - 1) for t in range(len(bars) - 8)]


def trigger_of_lists(bars: Lists) -> list[float]:
    high, close = bars["high"], bars["close"]
    return [100 * (max(high[t + 1 : t + 9]) / close[t] - 1) for t in range(len(close) - 8)]


def relevance_of_frame(bars: pd.DataFrame) -> list[float]:
    times, found = bars["timestamp"], []
    for t in range(len(bars)):
        for days in (7, 30):
            end = times.searchsorted(times.iloc[t] + pd.Timedelta(days=days), side="right") - 1
            found.append(math.tanh(10 * (bars["close"].iloc[end] / bars["close"].iloc[t] - 1)))
    return found


def relevance_of_lists(bars: Lists) -> list[float]:
    times, close, found = bars["time"], bars["close"], []
    for t, now in enumerate(times):
        for days in (7, 30):
            end = bisect.bisect_right(times, now + days * 86_400) - 1
            found.append(math.tanh(10 * (close[end] / close[t] - 1)))
    return found


def rule_of_lists(bars: Lists) -> list[tuple[int, int]]:
    """Candidates and legs; types are left out."""
    high, low, close = bars["high"], bars["low"], bars["close"]
    ranges = [0.0] + [max(high[i], close[i - 1]) - min(low[i], close[i - 1]) for i in range(1, len(close))]
    best: dict[int, tuple[float, int]] = {}
    for first in range(14, len(close)):
        atr, path = sum(ranges[first - 13 : first + 1]) / 14, 0.0
        top = bottom = close[first]
        for last in range(first + 1, min(first + 20, len(close))):
            path += abs(close[last] - close[last - 1])
            top, bottom, net = max(top, close[last]), min(bottom, close[last]), abs(close[last] - close[first])
            if net == top - bottom and net >= 7 * atr and net >= 0.6 * path:
                best[first] = max(
                    best.get(first, (-math.inf, 0)), (net - 0.6 * path - 0.25 * atr * (last - first), last)
                )
    kept = []
    for first, (score, last) in best.items():
        rivals = [best[i] for i in range(first - 18, last) if i in best and i != first]
        if all(other_last <= first or other < score for other, other_last in rivals):
            kept.append((first, last))
    return kept


def lists(bars: pd.DataFrame) -> Lists:
    found = {name: bars[name].tolist() for name in ("high", "low", "close")}
    return {**found, "time": (bars["timestamp"].astype("int64") // 1_000_000).tolist()}


def beside(case: str, work: Callable[[], object], loop: Callable[[], object], bars: int, least: float) -> None:
    pairs = in_turn(lambda: timed(work), lambda: timed(loop) * BARS / bars, RUNS)
    speedup("labels", f"{case}, {BARS} bars", pairs, least).show()


def main() -> None:
    bars, few, fewer = walk(BARS), walk(LIST_BARS), walk(FRAME_BARS)
    rows, together = lists(few), f"direction at {', '.join(map(str, HORIZONS))} bars"
    direction, trigger = every_horizon(bars), labelled("trigger", bars)
    relevance, legs = labelled("relevance", bars, bars_per_day=1440), rule(bars)
    works = {together: direction, "trigger": trigger, "relevance": relevance}
    works |= {name: labelled(name, bars) for name in ("meta", "expansion")}
    for case, work in works.items():
        single("labels", f"{case}, {BARS} bars", [timed(work) for _ in range(RUNS)], "s", SECONDS).show()
    single(
        "labels", f"the rule of expansion, {BARS} bars", [timed(legs) for _ in range(RUNS)], "s", RULE_SECONDS
    ).show()

    frame, plain = "beside a loop over the frame", "beside a loop over lists"
    beside(f"{together} {frame}", direction, lambda: direction_of_frame(fewer), FRAME_BARS, FASTER)
    beside(f"trigger {frame}", trigger, lambda: trigger_of_frame(fewer), FRAME_BARS, FASTER)
    beside(f"relevance {frame}", relevance, lambda: relevance_of_frame(fewer), FRAME_BARS, FASTER)
    beside(f"the rule of expansion {plain}", legs, lambda: rule_of_lists(rows), LIST_BARS, FASTER)
    beside(f"{together} {plain}", direction, lambda: direction_of_lists(rows), LIST_BARS, 1)
    beside(f"trigger {plain}", trigger, lambda: trigger_of_lists(rows), LIST_BARS, 1)
    beside(f"relevance {plain}", relevance, lambda: relevance_of_lists(rows), LIST_BARS, 1)


if __name__ == "__main__":
    main()
