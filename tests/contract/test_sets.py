"""The declared feature sets: what each promises can be built from bars by its name, and is what it says."""

from __future__ import annotations

from fnmatch import fnmatchcase

import numpy as np
import pandas as pd
import pytest

from betti import features
from betti.features._sets import SETS, declared
from betti.stages.select import EmptySet, check_patterns, select
from betti.training.prepare import feature_columns, feature_rows
from betti.training.pruning import choose
from betti.windows import NamedInputs, Rows
from tests.conftest import random_bars

# Fewest and most columns; a network's inputs have one number.
WIDTH = {
    "boosting_optimal": (80, 120),
    "neural_optimal": (40, 60),
    "transformer_raw": (10, 15),
    "itransformer_optimal": (30, 60),
    "ensemble_base": (60, 80),
    "nbeats_raw": (1, 5),
    "linear_raw": (1, 5),
    "chronos_raw": (1, 1),
    "stock": (62, 62),
    "context": (25, 25),
    "film_bars": (14, 14),
    "film_topology": (214, 214),
    "film_complexity": (6, 6),
    "film": (234, 234),
    "expansion": (12, 12),
    "dual_tower": (87, 87),
    "regime": (20, 20),
    "pattern_features": (128, 128),
    "hrm": (139, 139),
    "topology_only": (214, 214),
}
# The one column that is per money by definition; the regime classifier asks for it.
PER_MONEY = "microstructure__amihud_illiquidity"
PER_MONEY_IN = {"regime", "hrm"}
WARM_UP, ROWS = 263, 500
# What a network's set puts together.
INPUTS = {
    "film": ("film_bars", "film_topology", "film_complexity"),
    "dual_tower": ("context", "stock"),
    "hrm": ("neural_optimal", "regime", "pattern_features"),
}

every_set = pytest.mark.parametrize("name", SETS)


def tables(bars: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {name: family.compute(bars) for name, family in features.families().items()}


@pytest.fixture(scope="module")
def bars() -> pd.DataFrame:
    """Hours, so that no part of the calendar stands still."""
    return random_bars(ROWS, 4, freq="1h")


@pytest.fixture(scope="module")
def known(bars: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return tables(bars)


@pytest.fixture(scope="module")
def other_units(bars: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Prices in another currency, volumes in another lot."""
    prices = ["open", "high", "low", "close"]
    return tables(bars.assign(volume=bars["volume"] * 1000, **{name: bars[name] * 16 for name in prices}))


def test_every_set_of_the_models_is_declared() -> None:
    assert set(SETS) == set(WIDTH)
    assert features.sets() == SETS


@every_set
def test_columns_are_as_many_as_promised_and_each_once(name: str) -> None:
    columns = [c for family in features.families().values() for c in family.columns]
    found = [column for pattern in SETS[name].columns for column in columns if fnmatchcase(column, pattern)]
    least, most = WIDTH[name]
    assert least <= len(found) <= most
    assert len(set(found)) == len(found)
    # A name that is not a pattern finds itself: there is such a column at default knobs.
    literal = [column for column in SETS[name].columns if "*" not in column]
    assert [column for column in literal if column not in columns] == []


@every_set
def test_a_set_is_built_from_bars_by_its_name(name: str, known: dict[str, pd.DataFrame]) -> None:
    table = select(known, set=name, columns=[])
    columns = feature_columns(table)
    if "*" not in "".join(SETS[name].columns):
        assert columns == SETS[name].columns
    values = table[list(columns)].to_numpy()[WARM_UP:]
    assert values.dtype == np.float32
    assert np.isfinite(values).all()


@every_set
def test_a_set_says_which_families_it_needs(name: str, known: dict[str, pd.DataFrame]) -> None:
    needed = SETS[name].families
    check_patterns(name, [], needed)
    assert len(select({family: known[family] for family in needed}, set=name, columns=[])) == ROWS
    for family in needed:
        others = tuple(sorted(set(known) - {family}))
        with pytest.raises(EmptySet, match=f"Declare {family} under `features`"):
            check_patterns(name, [], others)


def test_all_families_that_are_off_are_named_at_once() -> None:
    with pytest.raises(EmptySet, match=r"'wavelet__close_approx'.* Declare wavelet, calendar under") as caught:
        check_patterns("neural_optimal", [], ("technical", "candle", "complexity"))
    assert caught.value.needed == ("wavelet", "calendar")


@every_set
def test_no_set_has_a_raw_price(
    name: str, known: dict[str, pd.DataFrame], other_units: dict[str, pd.DataFrame]
) -> None:
    """In another currency and lot all stays as it was: no price, no logarithm of one, no volume as it is."""
    one, two = (select(each, set=name, columns=[]) for each in (known, other_units))
    columns = [column for column in feature_columns(one) if column != PER_MONEY or name not in PER_MONEY_IN]
    np.testing.assert_allclose(one[columns][WARM_UP:], two[columns][WARM_UP:], rtol=2e-3, atol=2e-5)


def test_what_is_per_money_falls_as_money_grows(
    known: dict[str, pd.DataFrame], other_units: dict[str, pd.DataFrame]
) -> None:
    one, two = (select(each, set="regime", columns=[])[PER_MONEY][WARM_UP:] for each in (known, other_units))
    np.testing.assert_allclose(two, one / 16000, rtol=1e-4)


def test_the_regimes_inputs_stand_in_their_order() -> None:
    names = [column.removeprefix("microstructure__") for column in declared("regime").columns]
    assert names[:3] == ["two_scale_volatility", "bipower_volatility", "amihud_illiquidity"]
    assert [sum(name.startswith(kind) for name in names) for kind in ("state_", "volume_decile_")] == [4, 10]
    assert [name.endswith("_spread") for name in names[-3:]] == [True] * 3


@pytest.mark.parametrize("name", INPUTS)
def test_a_network_s_set_is_its_inputs_and_nothing_else(name: str) -> None:
    parts = [declared(part).columns for part in INPUTS[name]]
    assert declared(name).columns == tuple(dict.fromkeys(column for part in parts for column in part))


def test_the_film_network_gets_its_three_inputs(known: dict[str, pd.DataFrame]) -> None:
    ends = np.arange(WARM_UP + 95, ROWS)
    parts = {}
    for part, length in (("bars", 96), ("topology", None), ("complexity", None)):
        table = select(known, set=f"film_{part}", columns=[])
        rows = feature_rows(table, feature_columns(table), length)
        assert rows.complete[ends].all()
        parts[part] = Rows(rows.values, ends) if length is None else rows.inputs(ends, None)
    inputs = NamedInputs(parts)
    count = len(ends)
    assert {name: part.shape for name, part in inputs.items()} == {
        "bars": (count, 96, 14),
        "topology": (count, 214),
        "complexity": (count, 6),
    }


def test_the_raw_series_of_a_forecaster_sums_to_the_log_price(
    bars: pd.DataFrame, known: dict[str, pd.DataFrame]
) -> None:
    path = select(known, set="chronos_raw", columns=[])["bars__close"][WARM_UP:].astype("float64").cumsum()
    price = np.log(bars["close"][WARM_UP:].to_numpy() / bars["close"][WARM_UP - 1])
    np.testing.assert_allclose(path, price, atol=1e-6)


@pytest.mark.parametrize("name", ["boosting_optimal", "neural_optimal"])
def test_pruned_on_real_bars_a_shipped_set_is_still_as_large_as_promised(name: str) -> None:
    from betti.sources import sample

    (bars,) = sample.fetch(("NASDAQ",), "1d", pd.Timestamp("2003-12-31", tz="UTC"))
    found = {family: features.compute(family, bars) for family in declared(name).families}
    table = select(found, set=name, columns=[])
    columns = feature_columns(table)
    rows = feature_rows(table, columns, None)
    choice = choose(columns, rows.values, np.flatnonzero(rows.complete), 0.97)
    assert WIDTH[name][0] <= len(choice.kept) <= WIDTH[name][1]
    # Daily bars all open at the same hour.
    assert choice.constant == ("calendar__hour_sin", "calendar__hour_cos")
