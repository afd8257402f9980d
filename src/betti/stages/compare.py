"""Stage 9: all evaluated runs side by side, and the verdict on which of them, if any, becomes the champion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from betti.errors import BadInput
from betti.promotion.gate import candidate, choose
from betti.records import Candidate, Champion, Leaderboard, LeaderboardRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from betti.records import RunMetrics

__all__ = ["Compared", "NoRuns", "compare"]

RANKED_BY = "eligible first, then baselines beaten, then log-loss gain over majority_class, then name"


class NoRuns(BadInput):
    """There is nothing to compare."""

    def __init__(self) -> None:
        super().__init__("no run to compare. Declare one under `runs` in params.yaml, then `betti run`")


@dataclass(frozen=True)
class Compared:
    """What the stage hands out."""

    leaderboard: Leaderboard
    champion: Champion


def compare(metrics: Mapping[str, RunMetrics], *, confidence: float) -> Compared:
    """Rank the runs and ask the gate.

    Args:
        metrics: run -> what evaluation says of it.
        confidence: of the intervals inside `metrics`, two-sided; recorded beside the leaderboard.

    Raises:
        NoRuns: `metrics` is empty.
    """
    read = {run: metrics[run] for run in sorted(metrics)}
    if not read:
        raise NoRuns
    rows = sorted((_row(run, found) for run, found in read.items()), key=_rank)
    return Compared(Leaderboard(ranked_by=RANKED_BY, confidence=confidence, rows=rows), choose(read))


def _rank(row: LeaderboardRow) -> tuple[bool, int, float, str]:
    beaten = sum(interval.low > 0 for interval in row.versus.values())
    gain = row.versus["majority_class"].estimate if "majority_class" in row.versus else float("-inf")
    return not row.eligible, -beaten, -gain, row.run


def _row(run: str, metrics: RunMetrics) -> LeaderboardRow:
    scores, trading, found = metrics.pooled, metrics.trading, candidate(run, metrics)
    return LeaderboardRow(
        run=run,
        model=metrics.model,
        target=metrics.target,
        feature_set=metrics.feature_set,
        rows=scores.rows,
        accuracy=scores.accuracy,
        macro_f1=scores.macro_f1,
        auc=scores.auc,
        log_loss=scores.log_loss,
        brier=scores.brier,
        sharpe=trading.sharpe,
        annual_return=trading.annual_return,
        max_drawdown=trading.max_drawdown,
        trades=trading.trades,
        versus=metrics.versus,
        eligible=found.eligible,
        verdict=_verdict(found),
    )


def _verdict(found: Candidate) -> str:
    if found.eligible:
        return "beats every baseline"
    if not found.fails:
        return "compared with no baseline"
    return f"does not beat {', '.join(found.fails)}"
