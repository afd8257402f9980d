"""What the page says about data, features, labels and folds: pictures with the words around them.

What does not belong here: runs (`run_section.py`), the verdict (`verdict.py`), drawing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from betti.charts import balance, barriers, coverage, distribution, drift, expansions, relevance, timeline, triggers
from betti.charts import folds as fold_pictures
from betti.charts.markup import Raw, escaped, number, paragraph, percent, picture, slug, table
from betti.charts.page import Section, gathered
from betti.expectations.result import FLAGS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from betti.records import ExpectationResult, SymbolQuality, ValidationSummary

__all__ = [
    "data_section",
    "family",
    "features_section",
    "fold_picture",
    "folds_section",
    "label_balance",
    "labels_section",
    "target",
]

GAPS_SHOWN = 10


def data_section(clean: pd.DataFrame, summary: ValidationSummary) -> Section:
    """Coverage over time, gaps, what was quarantined or flagged, and the expectations."""
    body = _coverage(clean, summary) + _quality(summary) + _moved(summary) + _flagged(summary)
    body += _expectations(summary)
    return Section("data", "Data: coverage and quality", body)


def _coverage(clean: pd.DataFrame, summary: ValidationSummary) -> str:
    if clean.empty:
        return paragraph("There are no clean bars.")
    many = clean["symbol"].nunique() > coverage.MOST_PANELS
    pauses = coverage.gaps(summary)
    drawn = coverage.heat(clean) if many else coverage.panels(clean, pauses)
    period = timeline.period_name(clean["timestamp"])
    words = f"Clean bars per {period} and symbol. The first and the last {period} may be incomplete."
    if not many and (pauses["kind"] == "bars").any():
        words += " A red triangle marks a gap."
    return picture("fig-coverage", drawn, words) + _gaps(summary, pauses)


def _gaps(summary: ValidationSummary, pauses: pd.DataFrame) -> str:
    """How many gaps there are, and the longest."""
    inside, whole = (sum(one.flags.get(name, 0) for one in summary.symbols) for name in ("gaps", "closed_sessions"))
    if not inside + whole:
        return paragraph("No symbol has a gap.")
    told = [f"{inside:,} {'gap' if inside == 1 else 'gaps'} where other weeks have bars"] if inside else []
    told += (
        [f"{whole:,} {'pause' if whole == 1 else 'pauses'} of whole sessions (holidays or outages)"] if whole else []
    )
    body = paragraph(f"{' and '.join(told)}. Gaps are kept as gaps, never filled.")
    longest, closed = (pauses[pauses["kind"] == kind].head(GAPS_SHOWN) for kind in ("bars", "sessions"))
    body += _gap_table(longest) if len(longest) else ""
    return body + (_collapsed("The longest pauses of whole sessions", _gap_table(closed)) if len(closed) else "")


def _gap_table(pauses: pd.DataFrame) -> str:
    rows = zip(
        pauses["symbol"],
        pauses["after"].dt.strftime("%Y-%m-%d %H:%M"),
        pauses["until"].dt.strftime("%Y-%m-%d %H:%M"),
        (number(bars, 0) for bars in pauses["missing"]),
        (percent(share, 0) for share in pauses["sure"]),
        strict=True,
    )
    header = ["symbol", "last bar before (UTC)", "next bar (UTC)", "bars missing", "weeks that have them"]
    return table(header, rows)


def _collapsed(title: str, body: str) -> str:
    """A part that opens on a click; `title` is HTML."""
    return f"<details><summary>{title}</summary>{body}</details>\n"


def _quality(summary: ValidationSummary) -> str:
    header = ["symbol", "bars in", "clean", "quarantined", "first", "last", "reasons", "flags"]
    found = coverage.set_aside(summary)
    body = "<h4>Quality</h4>" + table(header, [_quality_row(one) for one in summary.symbols])
    if not len(found):
        return body + paragraph("No bar was quarantined and none was flagged.")
    caption = "Quarantined bars are taken out, with their reason; flagged findings stay in and are for you to judge"
    return body + picture("fig-quality", coverage.findings(summary), caption)


def _moved(summary: ValidationSummary) -> str:
    """What drifted since the bars that were accepted."""
    if not summary.accepted:
        return ""
    since = f"Since {_day(summary.accepted)}, the last bar of the run that was accepted,"
    body = "<h4>Drift of the bars</h4>"
    if not summary.moved:
        return body + paragraph(f"{since} moves, ranges, gaps and volumes are distributed as before.")
    rows = [
        [one.column, number(one.rows, 0), _short(one.psi), _short(one.distance), one.finding] for one in summary.moved
    ]
    told = f"{since} these are distributed otherwise than before. A market may have moved, or a source changed."
    return body + paragraph(told) + table(["quantity", "bars", "PSI", "distance", "why it is told"], rows)


def _quality_row(one: SymbolQuality) -> list[object]:
    counts = (number(count, 0) for count in (one.rows_in, one.rows_clean, one.rows_quarantined))
    return [one.symbol, *counts, _day(one.first), _day(one.last), _listed(one.reasons), _listed(one.flags)]


def _day(stamp: str) -> str:
    """A time in the words of a table, and no more of it than it says.

    >>> _day("2018-12-31T00:00:00+00:00"), _day("2018-12-31T09:30:00+00:00")
    ('2018-12-31', '2018-12-31 09:30')
    """
    return stamp[:16].replace("T", " ").removesuffix(" 00:00")


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {count:,}" for name, count in sorted(counts.items())) or "none"


def _flagged(summary: ValidationSummary) -> str:
    """Every rule that flagged a bar: what it says, how often, and examples of each symbol."""
    counts: dict[str, int] = {}
    for one in summary.symbols:
        for rule, count in one.flags.items():
            counts[rule] = counts.get(rule, 0) + count
    if not counts:
        return ""
    body = ""
    for rule, count in sorted(counts.items()):
        said = f"{escaped(rule)}: {count:,}. {escaped(FLAGS.get(rule, '')).capitalize()}"
        examples = _examples(summary, rule)
        body += _collapsed(said, examples) if examples else paragraph(said)
    words = paragraph("What each rule found, and the first bars of each symbol. A flagged bar may be right.")
    return "<h4>Flagged</h4>" + words + body


def _examples(summary: ValidationSummary, rule: str) -> str:
    rows = [
        [one.symbol, bar.timestamp, _short(bar.value), _short(bar.usual)]
        for one in summary.symbols
        for bar in one.examples
        if bar.rule == rule
    ]
    return table(["symbol", "bar (UTC)", "value", "usual"], rows) if rows else ""


def _short(value: float | None) -> str:
    """Four significant digits: values are factors, lengths, prices or volumes, as the rule has it."""
    return "n/a" if value is None else f"{value:,.4g}"


def _expectations(summary: ValidationSummary) -> str:
    """Those that are not met in the open, the others folded away."""
    broken, met = ([one for one in summary.expectations if one.success == success] for success in (False, True))
    if not summary.expectations:
        return ""
    every = len(summary.expectations)
    told = f"Of {every} expectations {len(broken)} are not met." if broken else f"All {every} are met."
    body = "<h4>Expectations</h4>" + paragraph(told)
    if broken:
        body += _expectation_table(broken)
    return body + (_collapsed(f"The {len(met)} that are met", _expectation_table(met)) if met else "")


def _expectation_table(found: list[ExpectationResult]) -> str:
    rows = [
        [one.rule or one.expectation, one.column, _met(success=one.success), number(one.unexpected, 0), one.first]
        for one in found
    ]
    return table(["expectation", "column", "met", "unexpected values", "first"], rows, kind="words")


def _met(*, success: bool) -> str:
    return Raw('<span class="better">yes</span>' if success else '<span class="worse">no</span>')


def features_section(bodies: Mapping[str, str]) -> Section:
    """All families; each body is made by `family`, so that only one table is in memory at a time."""
    words = paragraph(
        "The first half of history is compared with the second. The population stability index (PSI) is zero when "
        "both halves have the same distribution; 0.1 and 0.25 are rules of thumb for moderate and large drift, not "
        "tests. Missing values are left out of it."
    )
    return gathered("features", "Features and drift", words, bodies)


def family(name: str, table_of_family: pd.DataFrame) -> str:
    """One family: its size, where drift lies, and the distributions that moved most."""
    index = drift.psi_by_column(table_of_family)
    columns = list(index.index)
    known = index.dropna().sort_values(ascending=False, kind="stable")
    body = paragraph(_family_words(table_of_family, index))
    if known.empty:
        return body + paragraph("There are too few values in either half to compare them.")
    ident = f"fig-features-{slug(name)}"
    if len(columns) > drift.SHOWN:
        caption = f"Drift of all {len(columns)} columns, {drift.GRID_WIDTH} to a row; grey has too few values"
        body += picture(f"{ident}-overview", drift.overview(index), caption)
    most = min(len(known), drift.SHOWN)
    body += picture(f"{ident}-psi", drift.top(index), f"Drift by column, the {most} largest of {len(columns)}")
    moved = list(known.index[: distribution.SHOWN])
    caption = "Share of values per bin in either half, for the columns that moved most"
    return body + picture(f"{ident}-spread", distribution.multiples(table_of_family, moved), caption)


def _family_words(table_of_family: pd.DataFrame, index: pd.Series) -> str:
    missing = [float(np.isnan(table_of_family[name].to_numpy(dtype=float)).mean()) for name in index.index]
    share = float(np.mean(missing)) if missing and len(table_of_family) else float("nan")
    large = int((index >= drift.LARGE).sum())
    silent = int(index.isna().sum())
    words = f"{len(index)} columns, {len(table_of_family):,} rows, {percent(share)} of the values missing (warm-up). "
    words += f"{large} columns with a PSI of {drift.LARGE} or more."
    return words + (f" {silent} columns could not be compared." if silent else "")


def labels_section(bodies: Mapping[str, str]) -> Section:
    """All targets; each body is made by `target`."""
    words = paragraph(
        "The share of each class over time. A share that moves is a base rate that a model must follow. Below, some "
        "labels among their bars; falling bars are grey. <code>betti labels plot</code> draws any other."
    )
    return gathered("labels", "Labels", words, bodies)


def target(name: str, labels: pd.DataFrame, clean: pd.DataFrame, max_points: int) -> str:
    """One target: how many labels, their balance over time, and pictures of some where its kind has them.

    Args:
        name: the target's.
        labels: columns as in `betti.schemas.LABELS`.
        clean: columns as in `betti.schemas.BARS`.
        max_points: points drawn of a line, at most.
    """
    if labels.empty:
        return paragraph("There are no labels: the history is shorter than the target's horizon.")
    body = label_balance(name, labels)
    if barriers.fits(labels):
        body += barriers.body(name, labels, clean)
    if expansions.fits(labels):
        body += expansions.body(name, labels, clean)
    if triggers.fits(labels):
        body += triggers.body(name, labels, clean, max_points)
    if relevance.fits(labels):
        body += relevance.body(name, labels, clean, max_points)
    return body


def label_balance(name: str, labels: pd.DataFrame) -> str:
    """How many labels there are, at least one, and their balance over time.

    Args:
        name: the target's.
        labels: columns as in `betti.schemas.LABELS`.
    """
    column = balance.target_column(labels)
    known = labels[column].dropna()
    symbols = labels["symbol"].nunique()
    words = f"{len(known):,} labels of {symbols:,} {'symbol' if symbols == 1 else 'symbols'}, column {escaped(column)}."
    if known.empty:
        return paragraph(words)
    period = timeline.period_name(labels["timestamp"])
    ident = f"fig-labels-{slug(name)}"
    if not balance.has_classes(known):
        return paragraph(words) + picture(ident, balance.spread(labels), f"Median and quartiles per {period}")
    module = next((one for one in (barriers, expansions, triggers, relevance) if one.fits(labels)), None)
    names, colours = (module.NAMES, module.COLOURS) if module else ((), ())
    share = known.astype(int).value_counts(normalize=True).sort_index()
    told = (f"{balance.class_name(key, names)} {percent(value)}" for key, value in zip(share.index, share, strict=True))
    words += f" Overall: {'; '.join(told)}."
    if len(share) == 1:
        words += " There is a single class: nothing can be learned from this target."
    drawn = balance.stacked(labels, names, colours)
    return paragraph(words) + picture(ident, drawn, f"Share of each class per {period}")


def folds_section(bodies: Mapping[str, str]) -> Section:
    """All targets; each body is made by `fold_picture`."""
    words = paragraph(
        "Every labelled row has a role in every fold. Purged rows have a label that looks into the test rows; "
        "embargoed rows lie too close to them in time; unused rows belong to no part of that fold. Purged and "
        "embargoed stretches are drawn wider than they are, so that they can be seen."
    )
    return gathered("folds", "Folds", words, bodies)


def fold_picture(name: str, folds: pd.DataFrame) -> str:
    """One target: the picture of its folds and the rows behind it."""
    if folds.empty:
        return paragraph("There are no folds.")
    counts = fold_pictures.role_counts(folds)
    rows = [
        [f"fold {fold}", *(number(count, 0) for count in counts.loc[fold]), number(counts.loc[fold].sum(), 0)]
        for fold in counts.index
    ]
    drawn = picture(f"fig-folds-{slug(name)}", fold_pictures.bands(folds), "Role of each stretch of history, per fold")
    return drawn + table(["rows", *counts.columns, "all"], rows)
