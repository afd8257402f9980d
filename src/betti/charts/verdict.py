"""The first screen and the leaderboard: what the gate decided, in plain words, and what it looked at.

What does not belong here: deciding (`betti.promotion`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from betti.charts import versus
from betti.charts.markup import Raw, escaped, interval, number, paragraph, percent, picture, standing, table
from betti.charts.page import Section

if TYPE_CHECKING:
    from collections.abc import Mapping

    from betti.records import Candidate, Champion, Interval, Leaderboard, LeaderboardRow, RunMetrics

__all__ = ["leaderboard_section", "verdict_section"]


def verdict_section(champion: Champion, leaderboard: Leaderboard, metrics: Mapping[str, RunMetrics]) -> Section:
    """Champion or none, why, and how every run stands against every baseline."""
    runs = _in_order(leaderboard, metrics)
    eligible = sum(row.eligible for row in leaderboard.rows)
    body = [
        paragraph(_headline(champion), "verdict"),
        paragraph(escaped(champion.reason), "reason"),
        paragraph(
            f"{len(runs)} {'run was' if len(runs) == 1 else 'runs were'} evaluated out of sample, after costs; "
            f"{eligible} met every condition of the gate."
        ),
    ]
    if runs and versus.baselines(runs):
        body += [
            "<h4>Each run against each baseline</h4>",
            paragraph(
                f"Run minus baseline, with its {percent(leaderboard.confidence, 0)} bootstrap interval. Positive means "
                "the run is better. An interval that contains zero is no evidence either way."
            ),
            _against(runs, {one.run: one for one in champion.candidates}),
            picture("fig-versus", versus.forest(runs), "Difference to each baseline, with its interval"),
        ]
    return Section("verdict", "Verdict", "\n".join(body))


def _headline(champion: Champion) -> str:
    if champion.run is None:
        return "No champion: no run has earned the place."
    return f"Champion: {escaped(champion.run)}"


def _in_order(leaderboard: Leaderboard, metrics: Mapping[str, RunMetrics]) -> list[RunMetrics]:
    """Runs as the leaderboard ranks them; runs it does not list come last."""
    ranked = [row.run for row in leaderboard.rows if row.run in metrics]
    return [metrics[name] for name in dict.fromkeys([*ranked, *metrics])]


def _against(runs: list[RunMetrics], candidates: Mapping[str, Candidate]) -> str:
    names = versus.baselines(runs)
    header = ["run", *(f"{name} ({versus.score_of(runs, name)})" for name in names), "beats", "does not beat"]
    rows = [
        [run.run, *(_difference(run.versus.get(name)) for name in names), *_outcome(candidates.get(run.run))]
        for run in runs
    ]
    return table(header, rows)


def _difference(value: Interval | None) -> str:
    if value is None:
        return interval(None)
    verdict = standing(value)
    return Raw(f'<span class="{verdict}">{interval(value)} {verdict}</span>')


def _outcome(candidate: Candidate | None) -> tuple[str, str]:
    if candidate is None:
        return "n/a", "n/a"
    return ", ".join(candidate.beats) or "none", ", ".join(candidate.fails) or "none"


HEADER = (
    "rank", "run", "model", "target", "feature set", "rows", "accuracy", "macro F1", "AUC", "log loss", "Brier",
    "Sharpe", "annual return", "max drawdown", "trades", "eligible", "verdict",
)  # fmt: skip


def leaderboard_section(leaderboard: Leaderboard) -> Section:
    """Every evaluated run, best first."""
    if not leaderboard.rows:
        return Section("leaderboard", "Leaderboard", paragraph("No run was evaluated."))
    body = paragraph(
        f"{len(leaderboard.rows)} runs, ranked by {escaped(leaderboard.ranked_by)}. Rank is order, not evidence: a run "
        "is eligible only when it beats its baselines with confidence."
    )
    ranked = [_line(rank, row) for rank, row in enumerate(leaderboard.rows, start=1)]
    return Section("leaderboard", "Leaderboard", body + table(HEADER, ranked, kind="words"))


def _line(rank: int, row: LeaderboardRow) -> list[object]:
    scores = (row.accuracy, row.macro_f1, row.auc, row.log_loss, row.brier)
    return [
        rank,
        row.run,
        row.model,
        row.target,
        row.feature_set,
        number(row.rows, 0),
        *(number(score) for score in scores),
        number(row.sharpe, 2),
        percent(row.annual_return),
        percent(row.max_drawdown),
        number(row.trades, 0),
        Raw('<span class="better">yes</span>') if row.eligible else "no",
        row.verdict,
    ]
