"""Run a Great Expectations suite over a table and render its data docs, without disk, network or clock.

A suite is a module in this folder, named after its artifact. It offers `suite(...)`, which returns what the artifact
must satisfy, and `prepared(table, ...)`, which adds the columns that the suite judges. Both take their context by name.
"""

from __future__ import annotations

import inspect
import os
import re
from typing import TYPE_CHECKING, Any

from betti.discovery import Folder
from betti.errors import BadParam, UnknownName
from betti.records import ExpectationResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import great_expectations as gx
    import pandas as pd

__all__ = ["SUITES", "broken_rows", "check", "outcome", "page", "run"]

SUITES = Folder("betti.expectations", kind="suite", helpers=("drift", "flags", "gaps", "result"))

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


def check(name: str, table: pd.DataFrame, /, **context: Any) -> list[ExpectationResult]:
    """What an artifact's suite finds in a table, in the suite's order.

    Args:
        name: a file in `betti/expectations`, e.g. "labels".
        table: the artifact.
        **context: what its `prepared` and its `suite` take, e.g. `bars`, `target` and `classes`.

    Raises:
        UnknownName: there is no such suite, or it takes no such context.
        BadParam: context that it needs is not given.
    """
    module = SUITES.load(name)
    taken = {function: _takes(function) for function in (module.prepared, module.suite)}
    for given in context:
        if not any(given in names for names in taken.values()):
            raise UnknownName(f"context of suite '{name}':", given, {one for names in taken.values() for one in names})
    for names in taken.values():
        for needed, required in names.items():
            if required and needed not in context:
                raise BadParam(needed, None, "the suite cannot judge without it", f"suite '{name}'")
    ready = module.prepared(table.reset_index(drop=True), **_chosen(context, taken[module.prepared]))
    return outcome(run(ready, module.suite(**_chosen(context, taken[module.suite]))), ready)


def _takes(function: Callable[..., Any]) -> dict[str, bool]:
    """Context that a suite's function takes by name, and whether it must be given; its table comes by position."""
    parameters = inspect.signature(function).parameters.values()
    return {one.name: one.default is one.empty for one in parameters if one.kind is one.KEYWORD_ONLY}


def _chosen(context: Mapping[str, Any], names: Mapping[str, bool]) -> dict[str, Any]:
    return {name: value for name, value in context.items() if name in names}


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


def outcome(result: Any, table: pd.DataFrame | None = None) -> list[ExpectationResult]:
    """One record per expectation, in the suite's order; with the table, each failed one names its first row."""
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
                rule=str((one.expectation_config.meta or {}).get("rule", "")),
                first="" if table is None else _first(table, one.result.get("unexpected_index_list") or []),
            )
        )
    return records


def _first(table: pd.DataFrame, rows: list[int]) -> str:
    """Symbol and time of the first of these rows."""
    if not rows:
        return ""
    row = table.iloc[min(rows)]
    return f"{row['symbol']} {row['timestamp'].isoformat()}"


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
