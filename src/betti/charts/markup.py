"""Small pieces of HTML: numbers, tables, pictures. Every text that comes from data is escaped here.

What does not belong here: what a section says, or the page around it.
"""

from __future__ import annotations

import html
import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import plotly.graph_objects as go

    from betti.records import Interval

__all__ = [
    "Raw",
    "escaped",
    "grid",
    "interval",
    "number",
    "paragraph",
    "percent",
    "picture",
    "slug",
    "standing",
    "table",
]

NOTHING = "n/a"


class Raw(str):
    """A piece of HTML that is already safe, so that `table` leaves it as it is."""

    __slots__ = ()


def escaped(text: object) -> str:
    """Text made safe for HTML, attributes and plotly's labels (which read a few tags and entities)."""
    return html.escape(str(text), quote=True)


def slug(text: str) -> str:
    """An id for any name; different names never share one.

    >>> slug("direction_5-lstm"), slug("a<b")
    ('direction_5-lstm', 'a.3c.b')
    """
    return re.sub(r"[^A-Za-z0-9_-]", lambda found: f".{ord(found.group()):x}.", text)


def number(value: float | None, digits: int = 3) -> str:
    """A number with fixed decimals; what is undefined says so.

    >>> number(0.51234), number(None), number(12345.6, 0)
    ('0.512', 'n/a', '12,346')
    """
    return NOTHING if value is None or not math.isfinite(value) else f"{value:,.{digits}f}"


def percent(value: float | None, digits: int = 1) -> str:
    """A share as a percentage.

    >>> percent(0.0123)
    '1.2 %'
    """
    return NOTHING if value is None or not math.isfinite(value) else f"{value * 100:,.{digits}f} %"


def interval(value: Interval | None) -> str:
    """An estimate with its interval, signed, three significant digits."""
    return NOTHING if value is None else f"{value.estimate:+.3g} [{value.low:+.3g}, {value.high:+.3g}]"


def standing(value: Interval) -> str:
    """What an interval of a difference says: `better`, `worse`, or `unclear` when it contains zero."""
    if value.low > 0:
        return "better"
    return "worse" if value.high < 0 else "unclear"


def paragraph(text: str, kind: str = "note") -> str:
    """A paragraph; `text` is HTML, so names in it must be escaped already."""
    return f'<p class="{kind}">{text}</p>'


def table(header: Sequence[object], rows: Iterable[Sequence[object]], *, kind: str = "") -> str:
    """A table that scrolls sideways when it is wider than the page; the first column names the row."""
    head = "".join(f'<th scope="col">{_cell(name)}</th>' for name in header)
    body = "".join("<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row) + "</tr>\n" for row in rows)
    inner = f"<thead><tr>{head}</tr></thead><tbody>\n{body}</tbody>"
    return f'<div class="scroll"><table class="{kind}">{inner}</table></div>\n'


def _cell(value: object) -> str:
    return value if isinstance(value, Raw) else escaped(value)


def picture(name: str, figure: go.Figure, caption: str) -> str:
    """A figure that the page's script draws when it comes near the screen.

    Args:
        name: the id of its element, fixed, so that equal inputs give equal bytes.
        figure: what to draw; its layout states its height.
        caption: HTML above the figure; names in it must be escaped already.
    """
    from plotly.io import to_json

    # "<" inside a script element could end it; JSON reads \u003c as the same character.
    data = to_json(figure, engine="json").replace("<", "\\u003c")
    plain = escaped(html.unescape(re.sub(r"<[^>]*>", "", caption)))
    return (
        f'<figure><figcaption>{caption}</figcaption><div id="{name}" class="plot" role="img" aria-label="{plain}" '
        f'style="height:{figure.layout.height}px"></div>'
        f'<script type="application/json" id="{name}-data">{data}</script></figure>\n'
    )


def grid(pieces: Iterable[str]) -> str:
    """Pieces side by side where the page is wide enough."""
    return '<div class="grid">' + "".join(pieces) + "</div>\n"
