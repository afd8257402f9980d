"""One run's part of the report as a page of its own, to be opened where the run is tracked.

The pictures and words are the report's (`betti.charts`). The page loads nothing when it is opened; plotly's script is
in it compressed, since every entry of a backend keeps a copy. What does not belong here: drawing, and which files are
kept (`flows.tracked`).
"""

from __future__ import annotations

import base64
import gzip
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from betti.charts import importance as importance_picture
from betti.charts import learning as learning_picture
from betti.charts.assets import SCRIPT
from betti.charts.markup import escaped, paragraph, picture
from betti.charts.page import Section, page
from betti.charts.run_section import RunTables, run_body

if TYPE_CHECKING:
    import pandas as pd

    from betti.records import RunMetrics

__all__ = ["Judged", "run_page"]

# Runs what stands in the element "library", then draws. Browsers unpack gzip since 2020 (Chrome) to 2023 (Firefox).
UNPACK = """
(async function () {
  var packed = Uint8Array.from(atob(document.getElementById('library').textContent), function (c) {
    return c.charCodeAt(0); });
  var plain = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'));
  [await new Response(plain).text(), document.getElementById('drawing').textContent].forEach(function (code) {
    var script = document.createElement('script');
    script.textContent = code;
    document.body.appendChild(script);
  });
}());
"""


@dataclass(frozen=True)
class Judged:
    """What the evaluation of a run left."""

    metrics: RunMetrics
    predictions: pd.DataFrame
    equity: pd.DataFrame


def run_page(run: str, learning: pd.DataFrame, importance: pd.DataFrame, judged: Judged | None, max_points: int) -> str:
    """A document of about two megabytes, the same bytes for the same tables.

    Args:
        run: its name.
        learning: `fold`, `epoch`, `train_loss`, `valid_loss`; may be empty.
        importance: `column`, `share`, `least`, `most`; may be empty.
        judged: the scores and tables of its evaluation; None draws what training left.
        max_points: points drawn per line, at most.
    """
    if judged is None:
        body = _trained(run, learning, importance, max_points)
    else:
        tables = RunTables(learning, importance, judged.predictions, judged.equity)
        body = run_body(judged.metrics, tables, max_points)
    return _packed(page(run, [Section("run", "Scores and pictures", body)]))


def _trained(run: str, learning: pd.DataFrame, importance: pd.DataFrame, max_points: int) -> str:
    body = paragraph(f"{escaped(run)} is trained and not evaluated yet.")
    if not learning.empty:
        caption = "Loss per epoch: validation solid, training dotted"
        body += picture("fig-learning", learning_picture.curves(learning, max_points), caption)
    if not importance.empty:
        caption = importance_picture.caption(importance)
        body += picture("fig-importance", importance_picture.bars(importance), caption)
    return body


def _packed(whole: str) -> str:
    """The page with plotly's script in less than half of its bytes."""
    before, _, _ = whole.partition(f"<script>{_library()}</script>")
    return (
        f'{before}<script type="text/plain" id="library">{_packed_library()}</script>\n'
        f'<script type="text/plain" id="drawing">{SCRIPT}</script>\n<script>{UNPACK}</script>\n</body>\n</html>\n'
    )


@cache
def _library() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


@cache
def _packed_library() -> str:
    return base64.b64encode(gzip.compress(_library().encode(), mtime=0)).decode()
