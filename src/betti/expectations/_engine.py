"""Run a Great Expectations suite over a table and render its data docs, without disk, network or clock.

A suite is a module in this folder, named after its artifact. It offers `suite(...)`, which returns what the artifact
must satisfy, and `prepared(table, ...)`, which adds the columns that the suite judges. Both take their context by name.
"""

from __future__ import annotations

import inspect
import os
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from betti.discovery import Folder
from betti.errors import BadParam, UnknownName
from betti.records import ExpectationResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import great_expectations as gx
    import pandas as pd

__all__ = ["SUITES", "Checked", "broken_rows", "check", "merged", "outcome", "page", "run"]

SUITES = Folder("betti.expectations", kind="suite", helpers=("drift", "flags", "gaps", "judging", "moves", "result"))

_SHOWN = 20  # examples of failing values kept per expectation
_STYLE = """<style>
body { font: 14px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 76rem; padding: 2rem; color: #1c2733; }
table { border-collapse: collapse; } td, th { border: 1px solid #d5dbe1; padding: .3rem .6rem; text-align: left; }
.fa-check-circle::before { content: "\\2713"; color: #0a7d4b; } .fa-times::before { content: "\\2717"; color: #b3261e; }
/* What needs scripts, tells of a run that there is none of, or advertises. */
a:not([href^="#"]) { pointer-events: none; color: inherit; text-decoration: none; } /* to pages there are not */
img, .modal, nav, footer, .sticky, a[data-toggle], .collapse, h4 + p.lead { display: none; }
</style>"""
# The page pulls styles and scripts from content networks; data docs must open without one.
_REMOTE = re.compile(
    r"<script[^>]*src=\"[^\"]*\"[^>]*>\s*</script>|<link[^>]*href=\"[^\"]*\"[^>]*>|<img[^>]*>|<script\b.*?</script>",
    re.S,
)
_REMOTE_STYLE = re.compile(r"url\(\s*['\"]?(?:https?:)?//[^)]*\)")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Checked:
    """What a suite found in a table: one record per expectation, and the data docs page."""

    expectations: list[ExpectationResult]
    page: str


def check(name: str, table: pd.DataFrame, /, **context: Any) -> Checked:
    """What an artifact's suite finds in a table.

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
    found = run(ready, module.suite(**_chosen(context, taken[module.suite])))
    return Checked(outcome(found, ready), page(merged([found]), f"Betti: {name}"))


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


def merged(results: Sequence[Any]) -> Any:
    """The results of one suite over several tables as that over all of them, without the positions of rows."""
    from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult

    alike: dict[str, list[Any]] = {}
    for result in results:
        for one in result.results:
            alike.setdefault(_identity(one), []).append(one)
    whole = [
        ExpectationValidationResult(
            success=all(one.success for one in ones),
            expectation_config=ones[0].expectation_config,
            result=_added([one.result for one in ones]),
            exception_info=ones[0].exception_info,
        )
        for ones in alike.values()
    ]
    met = sum(one.success for one in whole)
    counted = {
        "evaluated_expectations": len(whole),
        "successful_expectations": met,
        "unsuccessful_expectations": len(whole) - met,
        "success_percent": 100 * met / len(whole),
    }
    return ExpectationSuiteValidationResult(
        success=met == len(whole),
        results=whole,
        suite_name=results[0].suite_name,
        statistics=counted,
        meta=dict(results[0].meta),
    )


def _identity(one: Any) -> str:
    """What tells one expectation of a suite from another: its type and what it is about."""
    about = {name: value for name, value in one.expectation_config.kwargs.items() if name != "batch_id"}
    return f"{one.expectation_config.type} {about}"


def _added(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Counts added up, shares told anew, a few examples kept; of an observed value all that differ."""
    if "element_count" not in results[0]:
        observed = list(
            dict.fromkeys(str(result["observed_value"]) for result in results if "observed_value" in result)
        )
        return {"observed_value": ", ".join(observed)}
    rows, bad, missing = (
        sum(int(result.get(name) or 0) for result in results)
        for name in ("element_count", "unexpected_count", "missing_count")
    )
    known = rows - missing
    kinds: Counter[Any] = Counter()
    for result in results:
        kinds.update({kind["value"]: kind["count"] for kind in result.get("partial_unexpected_counts") or []})
    return {
        "element_count": rows,
        "unexpected_count": bad,
        "unexpected_percent": 100 * bad / known if known else 0.0,
        "partial_unexpected_list": [v for one in results for v in one.get("partial_unexpected_list") or []][:_SHOWN],
        "missing_count": missing,
        "missing_percent": 100 * missing / rows if rows else 0.0,
        "unexpected_percent_total": 100 * bad / rows if rows else 0.0,
        "unexpected_percent_nonmissing": 100 * bad / known if known else 0.0,
        "partial_unexpected_counts": [{"value": v, "count": n} for v, n in kinds.most_common(_SHOWN)],
    }


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
