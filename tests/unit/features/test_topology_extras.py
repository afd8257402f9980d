"""Extra descriptors of the topology family: beside the other columns, out of any slice, and refused by their place."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import betti
from betti import binding, catalog, code, counts, features, params, parts
from betti.errors import BadInput, BadParam, UnknownName
from betti.features import topology
from betti.schemas import FEATURES
from betti.stages.features import features as stage
from betti.stages.features import slices
from betti.topology import descriptors, persistence, pool
from betti.topology.embedding import standardised, takens
from betti.topology.vectorisation import fixed_grid
from tests.conftest import REPOSITORY, random_bars

SMALL = {"window": 40, "delay": 2, "bins": 20}
EVERY = descriptors.FOLDER.names()
BARS = random_bars(130, 21)

every_stride = pytest.mark.parametrize("stride", [1, 4])


def irregular(rows: int, seed: int) -> pd.DataFrame:
    """Gaps of a night or a week among bursts of many bars."""
    minutes = np.cumsum(np.random.default_rng(seed).choice([1, 15, 15, 15, 600, 10_000], rows))
    stamps = pd.Timestamp("2020-01-01", tz="UTC") + pd.to_timedelta(minutes, unit="min").as_unit("us")
    return random_bars(rows, seed).assign(timestamp=stamps)


MARKETS: dict[str, Callable[[], pd.DataFrame]] = {"daily": lambda: BARS, "irregular": lambda: irregular(130, 3)}
every_market = pytest.mark.parametrize("market", MARKETS)


def compute(bars: pd.DataFrame, stride: int = 1, extras: tuple[str, ...] = EVERY) -> pd.DataFrame:
    return topology.compute(bars, **SMALL, stride=stride, extras=extras)


# --- columns


@every_stride
def test_extras_stand_in_the_order_named_after_the_others_and_before_the_age(stride: int) -> None:
    chosen = ("wasserstein", "image", "amplitude")
    names = topology.columns(bins=20, stride=stride, extras=chosen)
    age = ("age",) if stride > 1 else ()
    assert names == (*topology.columns(bins=20), *descriptors.columns(chosen, 20), *age)
    assert tuple(compute(BARS, stride, chosen).columns) == names
    assert len(set(names)) == len(names)


def test_without_extras_there_are_the_214_columns() -> None:
    assert topology.columns(extras=()) == topology.COLUMNS
    assert len(topology.COLUMNS) == 214


@every_stride
@every_market
@pytest.mark.parametrize("extras", [("heat",), ("wasserstein",), EVERY], ids=len)
def test_extras_change_no_byte_of_the_other_columns(market: str, stride: int, extras: tuple[str, ...]) -> None:
    bars = MARKETS[market]()
    plain, more = compute(bars, stride, ()), compute(bars, stride, extras)
    back = topology.lookback(**SMALL, stride=stride, extras=extras)
    ours, theirs = (np.ascontiguousarray(t[plain.columns].iloc[back:]).tobytes() for t in (more, plain))
    assert ours == theirs
    assert more.iloc[:back].isna().all(axis=None)
    assert np.isfinite(more.iloc[back:].to_numpy()).all()


@every_stride
def test_an_extra_does_not_depend_on_those_beside_it(stride: int) -> None:
    together = compute(BARS, stride)
    for name in EVERY:
        own = list(descriptors.columns([name], 20))
        alone = compute(BARS, stride, (name,))[own]
        back = topology.lookback(**SMALL, stride=stride, extras=EVERY)
        assert np.array_equal(alone.iloc[back:], together[own].iloc[back:]), name


@every_stride
def test_the_numbers_are_the_descriptors_own_of_the_row_and_the_window_a_stride_earlier(stride: int) -> None:
    table, grid, closes = compute(BARS, stride), fixed_grid(2.0, 20), BARS["close"].to_numpy()

    def diagrams(end: int) -> list[np.ndarray]:
        window = standardised(closes[None, end - 39 : end + 1])
        return persistence(takens(window, dimension=2, delay=2)[0])

    for row in (60, 61, 90, 129):
        end = row - int(table["age"].iloc[row] if stride > 1 else 0)
        expected = descriptors.describe(EVERY, [diagrams(end)], [diagrams(end - stride)], grid)[0]
        found = table[list(descriptors.columns(EVERY, 20))].iloc[row].to_numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.filterwarnings("ignore")
def test_the_reference_backend_gives_the_same_extras() -> None:
    bars = BARS.iloc[:50]
    ours, theirs = (
        topology.compute(bars, **SMALL, extras=("statistics", "wasserstein"), backend=backend)
        for backend in ("native", "giotto")
    )
    np.testing.assert_allclose(theirs.iloc[:, 54:], ours.iloc[:, 54:], atol=1e-4)
    assert counts.of(ours)["planar"] == 10
    assert counts.of(theirs) == {}, "giotto-tda is none of the algorithms that are counted"


@pytest.mark.parametrize("threads", ["1", "2", "4"])
def test_the_number_of_threads_changes_no_byte(monkeypatch: pytest.MonkeyPatch, threads: str) -> None:
    monkeypatch.setattr(pool, "cores", lambda: int(threads))
    bars, knobs = random_bars(260, 5), {**SMALL, "extras": ("statistics", "wasserstein"), "stride": 1}
    found = topology.compute(bars, **knobs)
    monkeypatch.setattr(pool, "cores", lambda: 3)
    again = topology.compute(bars, **knobs)
    assert found.to_numpy().tobytes() == again.to_numpy().tobytes()
    assert counts.of(found) == counts.of(again) == {"fallback": 0, "general": 0, "planar": 260 - 40}


# --- slices


@pytest.mark.parametrize("stride", [1, 2, 4, 7])
def test_looking_back_costs_a_stride(stride: int) -> None:
    plain = topology.lookback(**SMALL, stride=stride)
    assert topology.lookback(**SMALL, stride=stride, extras=("heat", "image")) == plain
    assert topology.lookback(**SMALL, stride=stride, extras=("heat", "wasserstein")) == plain + stride


@every_stride
@every_market
def test_a_slice_has_the_rows_of_the_whole(market: str, stride: int) -> None:
    bars, back = MARKETS[market](), topology.lookback(**SMALL, stride=stride, extras=EVERY)
    whole = compute(bars, stride)
    for row in (back, back + 1, back + 2, back + 5, 90, 109, len(bars) - 1):
        for last in sorted({row, min(row + 9, len(bars) - 1)}):
            part = compute(bars.iloc[row - back : last + 1], stride)
            expected = np.ascontiguousarray(whole.iloc[row : last + 1]).tobytes()
            assert np.ascontiguousarray(part.iloc[back:]).tobytes() == expected, (row, last)


@every_stride
@every_market
def test_counts_of_slices_add_up_to_those_of_the_whole(market: str, stride: int) -> None:
    bars, back = MARKETS[market](), topology.lookback(**SMALL, stride=stride)
    whole = counts.of(compute(bars, stride, ()))
    cuts = [back, 53, 54, 71, 100, len(bars)]
    pieces = [bars.iloc[start - back : end] for start, end in pairwise(cuts)]
    assert counts.total(counts.of(compute(part, stride, ())) for part in pieces) == whole
    ends = topology._ends(bars["timestamp"].astype("int64").to_numpy(), 40, stride)[back:]
    assert sum(whole.values()) == len({end for end in ends.tolist() if end >= back})


# --- what is refused


def place(error: pytest.ExceptionInfo[BadInput]) -> str:
    assert "features.topology.extras" in str(error.value)
    return str(error.value)


ASKS: dict[str, Callable[[object], object]] = {
    "the stage's reach": lambda extras: slices(family="topology", extras=extras),
    "the stage": lambda extras: stage(BARS, None, family="topology", **SMALL, extras=extras),
    "the family": lambda extras: features.compute("topology", BARS, **SMALL, extras=extras),
}
every_ask = pytest.mark.parametrize("ask", ASKS)


@every_ask
def test_an_unknown_extra_is_named_with_its_place(ask: str) -> None:
    with pytest.raises(UnknownName, match="'imag'; did you mean 'image'") as error:
        ASKS[ask](["heat", "imag"])
    assert all(name in place(error) for name in EVERY)


@every_ask
def test_an_extra_that_is_named_twice_is_refused_with_its_place(ask: str) -> None:
    with pytest.raises(BadParam, match="'heat' is named more than once") as error:
        ASKS[ask](["heat", "image", "heat"])
    place(error)


@every_ask
@pytest.mark.parametrize("extras", ["heat", {"heat": {}}, 3, [3], None], ids=str)
def test_what_is_no_list_of_names_is_refused_with_its_place(ask: str, extras: object) -> None:
    with pytest.raises(BadParam) as error:
        ASKS[ask](extras)
    place(error)


@pytest.mark.parametrize(("extras", "error"), [(["imag"], UnknownName), (["heat", "heat"], BadParam)], ids=str)
def test_params_are_refused_before_any_stage_runs(extras: list[str], error: type[BadInput]) -> None:
    known = params.load(REPOSITORY)
    known.features["topology"] = {**SMALL, "extras": extras}
    with pytest.raises(error, match=r"features\.topology\.extras"):
        binding.check(known, catalog.stage("features"), "topology", REPOSITORY)


def test_from_python_the_errors_are_typed_too() -> None:
    with pytest.raises(UnknownName, match="did you mean 'image'"):
        compute(BARS, extras=("imag",))
    with pytest.raises(descriptors.NamedTwice, match="heat"):
        compute(BARS, extras=("heat", "heat"))


# --- the code that computes them


@pytest.fixture
def edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Add a line to a source file of the package, in a copy of it that import closures are read from."""
    copy = tmp_path / "betti"
    shutil.copytree(Path(betti.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(betti, "__path__", [str(copy)])

    def forget() -> None:
        importlib.invalidate_caches()
        for cached in (code._origin, code._imports, code.closure, code.digest):
            cached.cache_clear()

    def change(file: str) -> None:
        with (copy / file).open("a", encoding="utf-8") as text:
            text.write("# edited\n")
        forget()

    forget()
    yield change
    monkeypatch.undo()
    forget()


def base(extras: list[str]) -> bytes:
    """What all parts of the family share in their keys, as `betti.binding` makes them but for the knobs."""
    modules = slices(family="topology", **SMALL, extras=extras).modules
    recipe = parts.Recipe(lambda bars: bars, 0, 0, {}, ("betti.stages.features", *modules), FEATURES, "topology")
    return parts._base(recipe)


def test_the_modules_of_the_extras_are_among_those_that_compute_the_family() -> None:
    assert topology.parts(**SMALL) == ()
    assert topology.parts(extras=("heat", "image")) == (
        "betti.topology.descriptors.heat",
        "betti.topology.descriptors.image",
    )
    assert slices(family="topology").modules == ("betti.features.topology",)
    assert slices(family="topology", extras=["heat"]).modules == (
        "betti.features.topology",
        "betti.topology.descriptors.heat",
    )
    assert slices(family="technical").modules == ("betti.features.technical",)


CHOICES = ([], ["heat"], ["image"], ["statistics"], ["heat", "statistics"])


@pytest.mark.parametrize(
    ("file", "stale"),
    [
        ("topology/descriptors/heat.py", [["heat"], ["heat", "statistics"]]),
        ("topology/descriptors/statistics.py", [["statistics"], ["heat", "statistics"]]),
        ("topology/descriptors/_pictures.py", [["heat"], ["image"], ["heat", "statistics"]]),
        ("topology/descriptors/wasserstein.py", []),
        ("topology/descriptors/__init__.py", list(CHOICES)),
        ("topology/chords.py", list(CHOICES)),
        ("topology/pool.py", list(CHOICES)),
        ("charts/topology.py", []),
    ],
)
def test_an_edit_makes_stale_what_uses_the_file_and_nothing_else(
    edit: Callable[[str], None], file: str, stale: list[list[str]]
) -> None:
    before = [base(extras) for extras in CHOICES]
    edit(file)
    after = [base(extras) for extras in CHOICES]
    assert [extras for extras, old, new in zip(CHOICES, before, after, strict=True) if old != new] == stale
