"""Hold a stage's table to its suite before it is recorded, and leave the data docs where the dashboard links to.

The pages lie outside DVC: they say of a table what its suite found when it was made, and no result depends on them.
What does not belong here: the suites (`betti.expectations`), and showing a run (`tasks.lineage`).
"""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING

from betti import binding, catalog, expected, io, params

if TYPE_CHECKING:
    from betti.expected import Found

__all__ = ["INDEX", "held", "index"]

DOCS = (Path(catalog.artifact("report").path).parent / "docs").as_posix()
INDEX = f"{DOCS}/index.html"


def held(root: Path, name: str) -> Found | None:
    """What the suite of a stage's table finds, its page written; None for a stage without one.

    Raises:
        SuiteBroken: an expectation is not met; the page says the same.
        Drifted: a feature moved further than `validate.drift` allows.
    """
    stage, _, item = name.partition("@")
    found = expected.check(root, stage, item or None)
    if found is not None:
        io.write_text(root / DOCS / f"{found.name.replace('@', '-')}.html", found.page)
        expected.refuse(found)
    return found


def index(root: Path) -> Path:
    """Write the page that lists the data docs, the bars' first; pages of items that are declared no more go."""
    declared = params.load(root)
    wanted = {
        f"{artifact.name}-{item}.html"
        for stage in catalog.STAGES.values()
        for artifact in binding.outs(stage)
        for item in params.items(declared, stage)
    }
    for file in (root / DOCS).glob("*.html"):
        if file.name not in wanted:
            io.remove(file)
    bars = sorted(catalog.artifact("validation").at(root).glob("*.html"), reverse=True)
    others = sorted((root / DOCS).glob("*.html"))
    lines = [f'<li><a href="../validation/{file.name}">bars: {_words(file)}</a></li>' for file in bars]
    lines += [f'<li><a href="{html.escape(file.name)}">{_words(file)}</a></li>' for file in others]
    style = "body { font: 15px/1.6 system-ui, sans-serif; margin: 2rem auto; max-width: 50rem; color: #1c2733; }"
    io.write_text(
        root / INDEX,
        "<!doctype html><html lang=en><head><meta charset=utf-8><title>Betti: data docs</title>"
        f"<style>{style}</style></head><body><h1>Data docs</h1>"
        "<p>What Great Expectations found in each table when it was last computed here.</p>"
        f"<ul>{''.join(lines)}</ul></body></html>\n",
    )
    return root / INDEX


def _words(file: Path) -> str:
    return html.escape(file.stem.replace("-", " ", 1))
