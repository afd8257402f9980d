"""The page: sections in, one self-contained HTML document out. It loads nothing when it is opened.

What does not belong here: what the sections say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from betti.charts.assets import SCRIPT, STYLE
from betti.charts.markup import escaped, paragraph, slug

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PENDING", "RUN_ANCHOR", "RUN_MARKER", "Section", "gathered", "page", "run_section"]

RUN_ANCHOR = "run"
# The flow writes lineage, hashes, versions and seconds in its place: they are not known to a pure stage.
RUN_MARKER = "<!-- betti:run -->"
PENDING = "Lineage, versions and seconds per stage are added by `betti run`."


@dataclass(frozen=True)
class Section:
    """One section of the page.

    Attributes:
        anchor: its id.
        title: its heading, not yet escaped.
        body: its HTML.
        entries: (anchor, title) of what lies inside and belongs in the table of contents; titles not yet escaped.
    """

    anchor: str
    title: str
    body: str
    entries: tuple[tuple[str, str], ...] = ()


def gathered(anchor: str, title: str, words: str, bodies: Mapping[str, str]) -> Section:
    """A section of many parts under one heading each; `bodies` holds their HTML by name, not yet escaped."""
    entries = tuple((f"{anchor}-{slug(name)}", name) for name in bodies)
    parts = "".join(f'<h3 id="{place}">{escaped(name)}</h3>\n{bodies[name]}' for place, name in entries)
    return Section(anchor, title, words + (parts or paragraph("There are none.")), entries)


def run_section() -> Section:
    """The place that the flow fills in after a run."""
    return Section(RUN_ANCHOR, "This run", f'{RUN_MARKER}\n<p class="note pending">{escaped(PENDING)}</p>\n')


def page(title: str, sections: list[Section]) -> str:
    """The whole document: a table of contents that stays in view, the sections, plotly's script inlined once."""
    from plotly.offline import get_plotlyjs

    contents = "".join(_entry(section) for section in sections)
    bodies = "".join(
        f'<section id="{section.anchor}">\n<h2>{escaped(section.title)}</h2>\n{section.body}</section>\n'
        for section in sections
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escaped(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f'<div class="page">\n<nav aria-label="Contents"><strong>Contents</strong><ol>{contents}</ol></nav>\n'
        f"<main>\n<h1>{escaped(title)}</h1>\n{bodies}</main>\n</div>\n"
        f"<script>{get_plotlyjs()}</script>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def _entry(section: Section) -> str:
    inner = "".join(f"<li>{_link(anchor, title)}</li>" for anchor, title in section.entries)
    return f"<li>{_link(section.anchor, section.title)}{f'<ol>{inner}</ol>' if inner else ''}</li>"


def _link(anchor: str, title: str) -> str:
    return f'<a href="#{anchor}">{escaped(title)}</a>'
