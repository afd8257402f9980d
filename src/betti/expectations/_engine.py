"""Run a Great Expectations suite over a table and render its data docs, without disk, network or clock."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from betti.records import ExpectationResult

if TYPE_CHECKING:
    import great_expectations as gx
    import pandas as pd

__all__ = ["broken_rows", "outcome", "page", "run"]

_STYLE = """<style>
body { font: 14px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; color: #1c2733; }
table { border-collapse: collapse; } td, th { border: 1px solid #d5dbe1; padding: .3rem .6rem; text-align: left; }
.fa-check-circle::before { content: "\\2713"; color: #0a7d4b; } .fa-times::before { content: "\\2717"; color: #b3261e; }
img, .modal, nav { display: none; }
</style>"""
# The page pulls styles and scripts from content networks; data docs must open without one.
_REMOTE = re.compile(
    r"<script[^>]*src=\"[^\"]*\"[^>]*>\s*</script>|<link[^>]*href=\"[^\"]*\"[^>]*>|<img[^>]*>|<script\b.*?</script>",
    re.S,
)
_REMOTE_STYLE = re.compile(r"url\(\s*['\"]?(?:https?:)?//[^)]*\)")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def run(table: pd.DataFrame, suite: gx.ExpectationSuite) -> Any:
    """Great Expectations' own result object, complete with the positions of failing rows.

    Args:
        table: any table whose index is 0 .. n - 1.
        suite: what it must satisfy.
    """
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read at import: nothing is sent anywhere
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    definition = context.data_sources.add_pandas("betti").add_dataframe_asset(suite.name)
    batch = definition.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": table})
    return batch.validate(suite, result_format={"result_format": "COMPLETE"})


def broken_rows(result: Any) -> list[tuple[str, list[int]]]:
    """(reason, positions of the rows that break it) for every expectation that has a reason and failed."""
    broken = []
    for one in result.results:
        reason = (one.expectation_config.meta or {}).get("reason")
        if reason and not one.success:
            broken.append((str(reason), [int(row) for row in one.result.get("unexpected_index_list") or []]))
    return broken


def outcome(result: Any) -> list[ExpectationResult]:
    """One record per expectation, in the suite's order."""
    records = []
    for one in result.results:
        kwargs = one.expectation_config.kwargs
        pair = [kwargs[name] for name in ("column_A", "column_B") if name in kwargs]
        column = kwargs.get("column") or ", ".join(pair or kwargs.get("column_list", []))
        records.append(
            ExpectationResult(
                expectation=one.expectation_config.type,
                column=column,
                success=bool(one.success),
                unexpected=int(one.result.get("unexpected_count") or 0),
            )
        )
    return records


def page(result: Any, title: str) -> str:
    """The data docs page of a result: one file, no network, equal bytes for equal results."""
    from great_expectations.render.renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    # What the batch was and when it was loaded: a clock, and a fingerprint of memory.
    for volatile in ("batch_markers", "batch_spec", "active_batch_definition"):
        result.meta.pop(volatile, None)
    html: str = DefaultJinjaPageView().render(ValidationResultsPageRenderer().render(result))
    html = _REMOTE_STYLE.sub("none", _REMOTE.sub("", html))
    names: dict[str, str] = {}
    html = _UUID.sub(lambda match: names.setdefault(match[0], f"part-{len(names)}"), html)
    return html.replace("<head>", f"<head><title>{title}</title>{_STYLE}", 1)
