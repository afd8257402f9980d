"""The gate: a run passes only where it is better than every baseline beyond luck.

Better beyond luck means that the interval of (run - baseline) lies above zero. "Nobody" is a verdict, and on markets
without signal the usual one. What does not belong here: computing intervals, ordering the leaderboard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from betti.records import Candidate, Champion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from betti.records import RunMetrics

__all__ = ["candidate", "choose"]

# Being better than a market that one could simply have bought is what a champion is for.
DECIDING = "buy_and_hold"


def candidate(run: str, metrics: RunMetrics) -> Candidate:
    """Which baselines the run beats, by name; eligible where it was compared with some and fails none."""
    beats = sorted(name for name, interval in metrics.versus.items() if interval.low > 0)
    fails = sorted(set(metrics.versus) - set(beats))
    return Candidate(run=run, eligible=bool(beats) and not fails, beats=beats, fails=fails)


def choose(metrics: Mapping[str, RunMetrics]) -> Champion:
    """The champion among these runs, or none with the reason.

    Among eligible runs it is the one whose interval against buying and holding has the largest low bound; equal runs
    go by name. Several runs pass the same gate, so the more runs are tried, the more often luck alone passes one.
    """
    candidates = [candidate(run, metrics[run]) for run in sorted(metrics)]
    eligible = [found.run for found in candidates if found.eligible]
    if not eligible:
        return Champion(run=None, reason=_why_none(candidates, metrics), candidates=candidates)
    best = max(eligible, key=lambda run: _deciding_bound(metrics[run]))
    return Champion(run=best, reason=_why(best, metrics[best], len(eligible), len(candidates)), candidates=candidates)


def _deciding_bound(metrics: RunMetrics) -> float:
    interval = metrics.versus.get(DECIDING)
    return interval.low if interval else float("-inf")


def _why(run: str, metrics: RunMetrics, eligible: int, runs: int) -> str:
    sentence = f"'{run}' beats every baseline ({', '.join(sorted(metrics.versus))})"
    if DECIDING in metrics.versus:
        sentence += f", {DECIDING} by at least {_deciding_bound(metrics):.3g} in {_score(metrics, DECIDING)}"
    return f"{sentence}; {eligible} of {runs} runs passed the gate."


def _why_none(candidates: list[Candidate], metrics: Mapping[str, RunMetrics]) -> str:
    """Names the run that beats most baselines, and among those the one whose worst bound is nearest to zero."""
    if not candidates:
        return "No run was evaluated."
    closest = max(candidates, key=lambda found: (len(found.beats), _worst(found, metrics[found.run])))
    beaten = f"beats {' and '.join(closest.beats)}" if closest.beats else "beats no baseline"
    found = metrics[closest.run]
    if not closest.fails:
        return f"No run is eligible: '{closest.run}' was compared with no baseline."
    missed = "; ".join(_shortfall(found, name) for name in closest.fails)
    return f"No run beats every baseline. '{closest.run}' came closest: it {beaten}, but not {missed}."


def _worst(found: Candidate, metrics: RunMetrics) -> float:
    """How far the worst bound lies from zero, in widths of its interval: scores have different units."""
    missed = [metrics.versus[name] for name in found.fails]
    return min((one.low / (one.high - one.low) if one.high > one.low else float("-inf") for one in missed), default=0.0)


def _shortfall(metrics: RunMetrics, baseline: str) -> str:
    interval = metrics.versus[baseline]
    return (
        f"{baseline} (difference in {_score(metrics, baseline)} {interval.estimate:+.3g}, "
        f"interval {interval.low:+.3g} to {interval.high:+.3g})"
    )


def _score(metrics: RunMetrics, baseline: str) -> str:
    return metrics.versus_score.get(baseline, "score")
