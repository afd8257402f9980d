"""What the columns of the families are, as the families say it: docs/features.md, and the rows of `betti features`.

A family describes its columns in its own docstring, by a Markdown table whose first heading is `column`. Further
headings are found by a word in them: `unit`, `source`; the first other one says what the column is. A cell names
columns without the prefix, several with commas between, or all of a kind with a `*`. What no row names is listed as not
described. The page ends with the declared sets. What does not belong here: the terminal.

    python -m betti.features._documented > docs/features.md
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from betti import features
from betti import knobs as _knobs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

__all__ = ["Description", "Documented", "descriptions", "documented", "page"]

COMMAND = "python -m betti.features._documented > docs/features.md"
NOT_DESCRIBED = "not described"


@dataclass(frozen=True)
class Description:
    """One row: which columns, what they are, their unit, whose idea they are.

    Attributes:
        pattern: names as written, without the family's prefix; commas between, `*` for any letters.
        columns: those it names at default knobs, in the family's order; none where other knobs are needed.
        what: a formula or a sentence.
        unit: with the range, where there is one.
        source: a paper and its year, or a library.
    """

    pattern: str
    columns: tuple[str, ...]
    what: str
    unit: str
    source: str


@dataclass(frozen=True)
class Documented:
    """One family.

    Attributes:
        name: the prefix of its columns.
        summary: the first sentence of its docstring.
        columns: names without prefix at default knobs.
        lookback: bars, at default knobs.
        knobs: name -> default.
        rows: one per row of its table, and one at the end for what no row names.
    """

    name: str
    summary: str
    columns: tuple[str, ...]
    lookback: int
    knobs: dict[str, object]
    rows: tuple[Description, ...]

    @property
    def described(self) -> int:
        """Columns that some row names."""
        return sum(len(row.columns) for row in self.rows if row.what != NOT_DESCRIBED)


def documented(name: str) -> Documented:
    """What a registered family says of itself.

    Raises:
        UnknownName, PartUnavailable, NotAFamily: as `betti.features.family`.
    """
    module, family = features.FOLDER.load(name), features.family(name)
    knobs = {key: parameter.default for key, parameter in _knobs.accepted(family.function).items()}
    summary = " ".join((module.__doc__ or "").strip().partition("\n\n")[0].split())
    columns = tuple(column.removeprefix(f"{name}__") for column in family.columns)
    return Documented(name, summary, columns, family.lookback(**knobs), knobs, descriptions(module, columns))


def descriptions(module: ModuleType, columns: tuple[str, ...]) -> tuple[Description, ...]:
    """The rows of a module's table; a column belongs to the first row that names it."""
    left, rows = list(columns), []
    for pattern, what, unit, source in _table(module.__doc__ or ""):
        patterns = [part.strip() for part in pattern.split(",")]
        named = tuple(column for column in left if any(fnmatchcase(column, part) for part in patterns))
        left = [column for column in left if column not in named]
        rows.append(Description(pattern, named, what, unit, source))
    if left:
        rows.append(Description(", ".join(left), tuple(left), NOT_DESCRIBED, "", ""))
    return tuple(rows)


def _table(text: str) -> Iterator[tuple[str, str, str, str]]:
    """Column, what, unit and source of each row of the tables whose first heading is `column`."""
    places: tuple[int | None, int | None, int | None] | None = None
    for line in text.splitlines():
        cells = [cell.strip().replace("`", "") for cell in line.strip().strip("|").split("|")]
        if not line.strip().startswith("|"):
            places = None
        elif places is None and cells[0].lower() in ("column", "columns"):
            places = _places(cells)
        elif places is not None and set("".join(cells)) - set("-: "):
            what, unit, source = ("" if at is None or at >= len(cells) else cells[at] for at in places)
            yield cells[0], what, unit, source


def _places(headings: list[str]) -> tuple[int | None, int | None, int | None]:
    """Where the meaning, the unit and the source stand."""
    rest = range(1, len(headings))
    unit = next((k for k in rest if "unit" in headings[k].lower()), None)
    source = next((k for k in rest if "source" in headings[k].lower()), None)
    return next((k for k in rest if k not in (unit, source)), None), unit, source


# The page -----------------------------------------------------------------------------------------------------------


def page() -> str:
    """docs/features.md, from the code."""
    families = [documented(name) for name in features.FOLDER.names()]
    lines = [
        "# Features",
        "",
        "Every registered family and its columns at default knobs. This page is made from the code:",
        "",
        "```",
        COMMAND,
        "```",
        "",
        "What a column is stands in the docstring of its family. A full name is `family__column`, look-backs are in",
        "bars, and `*` stands for any letters. `by knob` means that knobs other than the defaults bring the column.",
        "",
        "| family | columns | look-back | knobs | what it is |",
        "|---|---|---|---|---|",
        *(_overview(family) for family in families),
    ]
    for family in families:
        lines += ["", f"## {family.name}", "", "| column | number | what | unit | source |", "|---|---|---|---|---|"]
        lines += [_line(row) for row in family.rows]
    lines += ["", "## Sets", "", "The declared choices of columns; `params.yaml` may declare more.", ""]
    lines += ["| set | columns | of the families | meant for |", "|---|---|---|---|"]
    for name, one in features.sets().items():
        number = "by pattern" if any("*" in column for column in one.columns) else str(len(one.columns))
        lines.append(f"| {name} | {number} | {', '.join(one.families)} | {one.description} |")
    return "\n".join(lines) + "\n"


def _overview(family: Documented) -> str:
    knobs = ", ".join(f"{name}: {value}" for name, value in family.knobs.items()) or "-"
    name = f"[{family.name}](#{family.name})"
    return f"| {name} | {len(family.columns)} | {family.lookback} | {knobs} | {family.summary} |"


def _line(row: Description) -> str:
    names = ", ".join(f"`{part.strip()}`" for part in row.pattern.split(","))
    number = str(len(row.columns)) if row.columns else "by knob"
    return f"| {names} | {number} | {row.what or '-'} | {row.unit or '-'} | {row.source or '-'} |"


if __name__ == "__main__":
    sys.stdout.write(page())
