"""The report: everything a reader needs in the morning, as one HTML page that loads nothing from anywhere.

It reads each item of a mapping once and lets it go, so that one family or one run is in memory at a time; what runs are
drawn with besides (`betti.charts.networks.Surroundings`) is kept. What does not belong here: pictures and words
(`betti.charts`), and lineage, versions or seconds, which the flow fills in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from betti import counts
from betti.charts import expansions, modulation, sections, topology
from betti.charts.networks import Surroundings
from betti.charts.page import page, run_section
from betti.charts.run_section import RunTables, reproducibility_section, run_body, runs_section
from betti.charts.topology_tracks import FAMILY, fired, tracks
from betti.charts.verdict import leaderboard_section, verdict_section

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from betti.charts.topology_tracks import Fired, Track
    from betti.expectations.result import Validation
    from betti.records import Champion, Leaderboard, RunMetrics

__all__ = ["report"]


def report(
    clean: pd.DataFrame,
    validation: Validation,
    features: Mapping[str, pd.DataFrame],
    labels: Mapping[str, pd.DataFrame],
    folds: Mapping[str, pd.DataFrame],
    learning: Mapping[str, pd.DataFrame],
    importance: Mapping[str, pd.DataFrame],
    predictions: Mapping[str, pd.DataFrame],
    metrics: Mapping[str, RunMetrics],
    equity: Mapping[str, pd.DataFrame],
    leaderboard: Leaderboard,
    champion: Champion,
    *,
    title: str,
    max_points: int,
) -> str:
    """The whole page as HTML; equal inputs give equal bytes.

    Args:
        clean: columns as in `betti.schemas.BARS`.
        validation: what validation found.
        features: family -> feature table.
        labels: target -> label table.
        folds: target -> fold table.
        learning: run -> `fold`, `epoch`, `train_loss`, `valid_loss`; fold -1 is the final model; may be empty.
        importance: run -> `column`, `share`, `least`, `most`; may be empty.
        predictions: run -> table with `p_0` ..., `prediction` and `label`.
        metrics: run -> its scores.
        equity: run -> `timestamp`, `strategy`, `buy_and_hold`.
        leaderboard: every run, best first.
        champion: the gate's verdict.
        title: heading of the page.
        max_points: points drawn per line, at most.
    """
    scores = {name: metrics[name] for name in metrics}
    families, seen = _families(features, clean, max_points)
    targets, marks, windows = _targets(labels, clean, max_points)
    around = Surroundings(clean, windows, seen.indicators)

    def tables(run: str) -> RunTables:
        return RunTables(learning[run], importance[run], predictions[run], equity[run])

    bodies = {name: run_body(scores[name], tables(name), max_points, around) for name in scores}
    return page(
        title,
        [
            verdict_section(champion, leaderboard, scores),
            sections.data_section(clean, validation.summary),
            sections.features_section(families),
            topology.section(seen.tracks, marks, counts=seen.engine),
            sections.labels_section(targets),
            sections.folds_section({name: sections.fold_picture(name, folds[name]) for name in folds}),
            runs_section(bodies),
            leaderboard_section(leaderboard),
            reproducibility_section(scores),
            run_section(),
        ],
    )


@dataclass
class _Seen:
    """What was kept of families whose tables are gone: of topology what is drawn and how it was computed, and the
    indicators of complexity; None without that family.
    """

    tracks: tuple[Track, ...] | None = None
    engine: topology.EngineCounts | None = None
    indicators: pd.DataFrame | None = None


def _families(
    features: Mapping[str, pd.DataFrame], clean: pd.DataFrame, max_points: int
) -> tuple[dict[str, str], _Seen]:
    """What the page says about each family, and what other sections need of some."""
    bodies: dict[str, str] = {}
    seen = _Seen()
    for name in features:
        table = features[name]
        bodies[name] = sections.family(name, table)
        if name == FAMILY:
            seen.tracks = tracks(table, clean, max_points)
            seen.engine = topology.EngineCounts(**counts.of(table)) if counts.of(table) else None
        elif name == modulation.FAMILY:
            seen.indicators = modulation.indicators(table)
    return bodies, seen


def _targets(
    labels: Mapping[str, pd.DataFrame], clean: pd.DataFrame, max_points: int
) -> tuple[dict[str, str], Fired | None, dict[str, pd.DataFrame]]:
    """What the page says about each target, where the first trigger among them fires, and the labels of expansions."""
    bodies: dict[str, str] = {}
    marks: Fired | None = None
    windows: dict[str, pd.DataFrame] = {}
    for name in labels:
        table = labels[name]
        bodies[name] = sections.target(name, table, clean, max_points)
        marks = marks or fired(name, table)
        if expansions.fits(table):
            windows[name] = table
    return bodies, marks, windows
