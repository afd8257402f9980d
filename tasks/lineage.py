"""What people see of a run: tables, the lineage graph, and the run's section in the HTML report.

Self-hosted Prefect has no asset lineage, so it is drawn here from what DVC recorded. What does not belong here: asking
DVC (`tasks.record`), calling Prefect (`tasks.stage`, `flows`).
"""

from __future__ import annotations

import html
import importlib.metadata
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING

from betti import catalog, io

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tasks.journal import Note
    from tasks.record import Entry

__all__ = ["Row", "arrows", "markdown", "mermaid", "publish", "rows", "trace"]

MARKER = "<!-- betti:run -->"
COLOURS = {"ran": "#f9c74f", "cached": "#90be6d", "restored": "#43aa8b", "waiting": "#d9dee3"}
LIBRARIES = (
    "betti", "prefect", "dvc", "pandas", "pyarrow", "numpy", "numba", "scikit-learn", "lightgbm", "torch", "giotto-tda",
    "ta", "great-expectations", "arch",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One line of a stage's table."""

    kind: str
    path: str
    md5: str
    size: int | None
    files: int | None
    rows: int | None


def rows(root: Path, entries: tuple[Entry, ...]) -> list[Row]:
    """A stage's deps and outs, with the number of table rows in each out."""
    return [
        Row(e.kind, e.path, e.md5, e.size, e.files, _table_rows(root / e.path) if e.kind == "out" else None)
        for e in entries
    ]


def _table_rows(path: Path) -> int | None:
    """Rows in all Parquet files under a path, from their footers; None where there are none."""
    import pyarrow.parquet as pq

    files = sorted(path.rglob("*.parquet")) if path.is_dir() else []
    files = [f for f in files if not any(part.startswith("_") for part in f.relative_to(path).parts[:-1])]
    return sum(pq.read_metadata(file).num_rows for file in files) if files else None


def _state(stage: str, states: Mapping[str, str]) -> str:
    return states.get(stage, "waiting")


def mermaid(graph: Mapping[str, tuple[str, ...]], states: Mapping[str, str], notes: Mapping[str, Note]) -> str:
    """The graph as Mermaid text, coloured ran / cached / restored; one line per node and one per node's arrows."""
    ids = {stage: f"s{number}" for number, stage in enumerate(graph)}
    lines = ["graph LR"]
    for stage, key in ids.items():
        note = notes.get(stage)
        seconds = f" {note.seconds:.1f} s" if note and note.seconds is not None else ""
        lines.append(f'  {key}["{stage}<br/>{_state(stage, states)}{seconds}"]')
    for stage, ups in arrows(graph).items():
        if ups:
            lines.append(f"  {' & '.join(ids[up] for up in ups)} --> {ids[stage]}")
    for state, colour in COLOURS.items():
        members = [key for stage, key in ids.items() if _state(stage, states) == state]
        if members:
            lines += [f"  classDef {state} fill:{colour},color:#1c2733", f"  class {','.join(members)} {state}"]
    return "\n".join(lines)


def arrows(graph: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """The arrows worth drawing: those whose ends no longer path joins (the transitive reduction).

    >>> arrows({"a": (), "b": ("a",), "c": ("a", "b")})
    {'a': (), 'b': ('a',), 'c': ('b',)}
    """
    above: dict[str, set[str]] = {}

    def ancestors(stage: str) -> set[str]:
        if stage not in above:
            ups = [up for up in graph[stage] if up in graph]
            above[stage] = set(ups).union(*(ancestors(up) for up in ups))
        return above[stage]

    return {
        stage: tuple(up for up in ups if up in graph and not any(up in ancestors(o) for o in ups if o in graph))
        for stage, ups in graph.items()
    }


def markdown(
    graph: Mapping[str, tuple[str, ...]],
    states: Mapping[str, str],
    notes: Mapping[str, Note],
    recorded: Mapping[str, tuple[Entry, ...]],
) -> str:
    """The graph and the same as a table, for the dashboard (one of its two interfaces does not draw Mermaid)."""
    lines = ["# Pipeline lineage", "", "```mermaid", mermaid(graph, states, notes), "```", ""]
    lines += ["| stage | state | seconds | out | md5 |", "|---|---|---|---|---|"]
    for stage in graph:
        note = notes.get(stage)
        seconds = "" if note is None or note.seconds is None else f"{note.seconds:.2f}"
        for entry in recorded.get(stage, ()):
            if entry.kind == "out":
                lines.append(f"| {stage} | {_state(stage, states)} | {seconds} | {entry.path} | `{entry.md5}` |")
    return "\n".join(lines)


def trace(recorded: Mapping[str, tuple[Entry, ...]], path: str) -> list[tuple[int, str, Entry]]:
    """Everything an artifact was made from, back to the source: (depth, the stage that made it, entry).

    What is made from the same thing twice shows it twice, but only its first appearance is followed further.

    Args:
        recorded: what dvc.lock says.
        path: an out's path, or a folder that holds some outs.
    """
    makers = {e.path: (stage, e) for stage, entries in recorded.items() for e in entries if e.kind == "out"}
    found: list[tuple[int, str, Entry]] = []
    seen: set[str] = set()

    def follow(wanted: str, depth: int) -> None:
        for out, (stage, entry) in makers.items():
            if not (out == wanted or out.startswith(wanted + "/") or wanted.startswith(out + "/")):
                continue
            found.append((depth, stage, entry))
            if out in seen:
                continue
            seen.add(out)
            for dep in recorded[stage]:
                if dep.kind == "dep":
                    _follow_dep(dep, depth + 1)

    def _follow_dep(dep: Entry, depth: int) -> None:
        made = any(out == dep.path or out.startswith(dep.path + "/") for out in makers)
        if made:
            follow(dep.path, depth)
        else:
            found.append((depth, "", dep))

    follow(path, 0)
    return found


# The run's section in the report -------------------------------------------------------------------------------------


def publish(
    root: Path,
    graph: Mapping[str, tuple[str, ...]],
    states: Mapping[str, str],
    notes: Mapping[str, Note],
    recorded: Mapping[str, tuple[Entry, ...]],
) -> Path | None:
    """Write data/9_reports/index.html: the report with this machine's run in it; None where there is no report.

    The report itself depends on data and knobs alone, so that DVC can version it; seconds and versions would make
    it differ from machine to machine. They are added here, to a copy that DVC does not track.
    """
    source = catalog.artifact("report").at(root)
    if not source.is_file():
        return None
    page = source.read_text(encoding="utf-8")
    target = source.with_name("index.html")
    io.write_text(target, page.replace(MARKER, _section(graph, states, notes, recorded), 1))
    return target


def _section(
    graph: Mapping[str, tuple[str, ...]],
    states: Mapping[str, str],
    notes: Mapping[str, Note],
    recorded: Mapping[str, tuple[Entry, ...]],
) -> str:
    lines = [_drawing(graph, states, notes), "<h3>Stages</h3>", '<div class="scroll"><table>']
    lines.append("<tr><th>stage</th><th>this run</th><th>seconds when it last ran</th><th>out</th><th>md5</th></tr>")
    for stage in graph:
        note = notes.get(stage)
        seconds = "" if note is None or note.seconds is None else f"{note.seconds:.2f}"
        outs = [entry for entry in recorded.get(stage, ()) if entry.kind == "out"]
        paths = "<br>".join(html.escape(entry.path) for entry in outs)
        hashes = "<br>".join(f"<code>{entry.md5}</code>" for entry in outs)
        cells = (html.escape(stage), _state(stage, states), seconds, paths, hashes)
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    lines.append("</table></div>")
    lines += ["<h3>Versions</h3>", f"<p>Python {platform.python_version()}, {_versions()}; {platform.platform()}</p>"]
    return "\n".join(lines)


def _versions() -> str:
    found = []
    for library in LIBRARIES:
        try:
            found.append(f"{library} {importlib.metadata.version(library)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{library} absent")
    return ", ".join(found)


def _layers(graph: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
    """A column for each stage: one right of the rightmost stage it reads from."""
    column: dict[str, int] = {}

    def place(stage: str) -> int:
        if stage not in column:
            column[stage] = 1 + max((place(up) for up in graph.get(stage, ())), default=-1)
        return column[stage]

    for stage in graph:
        place(stage)
    return column


def _drawing(graph: Mapping[str, tuple[str, ...]], states: Mapping[str, str], notes: Mapping[str, Note]) -> str:
    """The lineage graph as inline SVG: columns in the order the data flows, one box per stage or item."""
    width, height, gap_x, gap_y = 192, 34, 34, 12
    columns = _layers(graph)
    used: dict[int, int] = {}
    place: dict[str, tuple[int, int]] = {}
    for stage, column in columns.items():
        line = used.get(column, 0)
        used[column] = line + 1
        place[stage] = (column * (width + gap_x) + 8, line * (height + gap_y) + 8)
    total = (max(columns.values(), default=0) + 1) * (width + gap_x), max(used.values(), default=1) * (height + gap_y)
    parts = [
        (
            '<div class="scroll">'
            f'<svg role="img" aria-label="lineage graph" viewBox="0 0 {total[0]} {total[1] + 16}" '
            'style="width:100%;min-width:1100px" font-size="11">'
        )
    ]
    for stage, ups in arrows(graph).items():
        x2, y2 = place[stage][0], place[stage][1] + height // 2
        for up in ups:
            x1, y1 = place[up][0] + width, place[up][1] + height // 2
            bend = (x1 + x2) // 2
            parts.append(
                f'<path d="M{x1},{y1} C{bend},{y1} {bend},{y2} {x2},{y2}" fill="none" stroke="#9aa5b1" opacity=".55"/>'
            )
    for stage, (x, y) in place.items():
        parts.append(_box(stage, x, y, width, height, _state(stage, states), notes.get(stage)))
    return "".join([*parts, "</svg></div>"])


def _box(stage: str, x: int, y: int, width: int, height: int, state: str, note: Note | None) -> str:
    seconds = f", {note.seconds:.1f} s" if note and note.seconds is not None else ""
    name = html.escape(stage if len(stage) <= 27 else stage[:26] + "…")
    return (
        f"<g><title>{html.escape(stage)}: {state}{seconds}</title>"
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" fill="{COLOURS[state]}" stroke="#52606d"/>'
        f'<text x="{x + 8}" y="{y + 14}" font-weight="600">{name}</text>'
        f'<text x="{x + 8}" y="{y + 27}">{state}{seconds}</text></g>'
    )
