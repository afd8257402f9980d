"""The laws of features, over every registered family: a new file in the folder is under test the moment it is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from betti import causality, features, probes, releases
from betti.context import Context
from betti.errors import BadBars, BadParam, UnknownName
from betti.features import FeatureFamily
from tests.conftest import random_bars

if TYPE_CHECKING:
    from collections.abc import Callable

# Families that are slow at default knobs get smaller ones; every other family is tested at its defaults.
_SMALL = {"window": 40, "delay": 2, "bins": 20}
SMALLER: dict[str, list[dict[str, Any]]] = {"topology": [_SMALL, {**_SMALL, "stride": 3}]}
# Knobs that bring columns, or what else the defaults never show.
ALSO: dict[str, list[dict[str, Any]]] = {
    "calendar": [{"zone": "America/New_York", "opens": "09:30", "closes": "16:00"}],
    "microstructure": [{"window": 20, "us_equities": ("AAA", "WALK"), "session_bars": 78}],
    "topology": [{**_SMALL, "bins": 5, "stride": 3, "extras": ("amplitude", "heat", "image", "silhouette")},
                 {**_SMALL, "bins": 5, "stride": 2, "extras": ("statistics", "wasserstein")}],
}  # fmt: skip
CASES = [(n, knobs) for n in features.FOLDER.names() for knobs in (*SMALLER.get(n, [{}]), *ALSO.get(n, []))]
TAIL = 40  # rows after the warm-up
CUT = 16  # those that are cut off and turned around, each of them
TIMES = 2  # bars after which every other future is tried, and moments from which on releases are others
drawn = settings(max_examples=2, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))

# What is known of families that are here; one that is not named is held to the rules alone.
PRICE_SCALE_FREE = {"bars", "candle", "complexity", "technical", "topology", "wavelet"}
NEEDS_VOLUME = {
    "technical": {
        *("mfi_14", "obv_20", "obv_60", "cmf_20", "vwap_distance_20", "vwap_distance_60", "volume_z_20", "volume_z_60"),
        *("volume_ratio_5_20", "buy_volume_20", "sell_volume_20", "delta_20"),
        *("cumulative_delta_20", "cumulative_delta_60"),
    },
    "complexity": {"volume_price_alignment"},
    "bars": {"volume", "buy_volume", "sell_volume", "delta", "cumulative_delta"},
    "microstructure": {
        "amihud_illiquidity",
        "kyle_lambda",
        *(f"volume_decile_{number:02d}" for number in range(1, 11)),
    },
}
OUT_OF_RANGE = [
    ("complexity", "window", 2),
    ("complexity", "window", "many"),
    ("complexity", "entropy_window", 49),
    ("topology", "window", 4),
    ("topology", "stride", 0),
    ("topology", "bins", 1),
    ("topology", "grid_max", 0.0),
    ("topology", "delay", 126),
    ("candle", "memory", 59),
    ("bars", "window", 7),
    ("calendar", "zone", "Mars"),
    ("wavelet", "window", 8),
    ("microstructure", "scale", 1),
    ("microstructure", "session_bars", 0),
]

every_family = pytest.mark.parametrize(
    ("name", "knobs"), CASES, ids=[f"{n}-{'-'.join(map(str, [len(k), *k.get('extras', ())[:1]]))}" for n, k in CASES]
)


def warm_up(name: str, knobs: dict[str, Any]) -> int:
    family = features.family(name)
    return family.lookback(**(features._knobs.checked(family.function, knobs, name)))


def times(knobs: dict[str, Any], rows: int) -> pd.Series | None:
    """Sessions of New York in five minutes a bar, where rules of that exchange apply; hours for one with hours."""
    if "us_equities" in knobs:
        days = pd.date_range("2001-01-01 09:30", periods=-(-rows // 78), freq="B", tz="America/New_York")
        local = [day + pd.Timedelta(minutes=5 * bar) for day in days for bar in range(78)][:rows]
        return pd.Series(pd.DatetimeIndex(local).tz_convert("UTC").as_unit("us"))
    if "opens" in knobs:
        return pd.Series(pd.date_range("2001-01-01", periods=rows, freq="1h", tz="UTC").as_unit("us"))
    return None


def suited(bars: pd.DataFrame, knobs: dict[str, Any]) -> pd.DataFrame:
    """The bars at the times that the knobs are about, and as wild as limits of price ask for."""
    stamps = times(knobs, len(bars))
    bars = bars if stamps is None else bars.assign(timestamp=stamps)
    return wild(bars) if "us_equities" in knobs else bars


def market(name: str, knobs: dict[str, Any], seed: int = 3, more: int = TAIL) -> pd.DataFrame:
    return suited(random_bars(warm_up(name, knobs) + more, seed), knobs)


def walked(name: str, knobs: dict[str, Any], seed: int, more: int = TAIL) -> pd.DataFrame:
    """Made-up bars with every column."""
    return suited(probes.walk(warm_up(name, knobs) + more, seed), knobs)


def wild(bars: pd.DataFrame) -> pd.DataFrame:
    """The same bars with four times their moves."""
    prices = ["open", "high", "low", "close"]
    return bars.assign(**{name: 100 * (bars[name] / 100) ** 4 for name in prices})


def around(name: str, bars: pd.DataFrame) -> Context | None:
    """What surrounds these bars, for a family that looks at it: without it such columns stand still."""
    if not features.family(name).takes_context:
        return None
    pytest.importorskip("vaderSentiment", reason="the tone of headlines: pip install betti[context]")
    return releases.around(bars, 1)


def computed(name: str, knobs: dict[str, Any], bars: pd.DataFrame, of: pd.DataFrame | None = None) -> pd.DataFrame:
    """The features of bars, in the surroundings of these or of others."""
    return features.compute(name, bars, around(name, bars if of is None else of), **knobs)


def numbers(table: pd.DataFrame) -> np.ndarray:
    return table.iloc[:, 2:].to_numpy()


def corrupted(bars: pd.DataFrame, rows: slice, seed: int) -> pd.DataFrame:
    """Those bars at wildly other levels; high stays the highest and low the lowest."""
    rng = np.random.default_rng(seed)
    copy = bars.copy()
    count = len(copy.iloc[rows])
    factor = np.exp(rng.normal(0, 3, count))
    for column in ("open", "high", "low", "close"):
        copy.iloc[rows, copy.columns.get_loc(column)] *= factor
    copy.iloc[rows, copy.columns.get_loc("volume")] *= np.exp(rng.normal(0, 3, count))
    return copy


# --- no future


@every_family
@drawn
@given(seed=st.integers(0, 2**32 - 1), made=st.sampled_from([walked, market]))
@example(seed=3, made=market)
def test_no_future(name: str, knobs: dict[str, Any], seed: int, made: Callable[..., pd.DataFrame]) -> None:
    """Every row from its own history, and with the opposite after it; then other futures, releases and dates.

    On bars that have every column, and on those that have no more than the required ones.
    """
    bars = made(name, knobs, seed, CUT)
    found = causality.lookahead(
        features.family(name), bars, knobs=knobs, context=around(name, bars), times=TIMES, seed=seed
    )
    assert found.leaks == ()
    assert found.possible == CUT - 1


@pytest.mark.parametrize("name", [name for name in features.FOLDER.names() if features.family(name).takes_context])
def test_no_later_release(name: str) -> None:
    bars = market(name, {}, more=CUT)
    found = causality.lookahead(features.family(name), bars, context=around(name, bars), times=8)
    assert found.leaks == ()
    assert found.moments_tried == 8


@pytest.mark.parametrize(("name", "knobs"), [(n, k) for n, some in ALSO.items() for k in some])
def test_columns_that_knobs_bring_are_not_still(name: str, knobs: dict[str, Any]) -> None:
    """Else every law holds of them. Pictures of loops have corners where no loop lies."""
    table = computed(name, knobs, market(name, knobs, more=400)).iloc[warm_up(name, knobs) :]
    kinds = {"calendar": ("session",), "microstructure": ("state_",)}.get(name, knobs.get("extras", ()))
    for kind in kinds:
        brought = table.filter(regex=f"^{name}__{kind}")
        moving = brought.nunique() > 1
        assert moving.mean() > 0.5 if name == "topology" else moving.all(), list(brought.columns[~moving])


@drawn
@given(row=st.integers(0, CUT - 2), seed=st.integers(0, 2**32 - 1))
def test_a_leak_of_one_row_is_caught_whichever_it_is(row: int, seed: int) -> None:
    bars = random_bars(20 + CUT, seed)
    time = bars["timestamp"].iloc[20 + row]

    def compute(bars: pd.DataFrame) -> pd.DataFrame:
        rises = bars["close"].shift(-1) > bars["close"]
        return pd.DataFrame({"x": rises.where(bars["timestamp"] == time, False).astype("float64")})

    leaky = FeatureFamily("leaky", ("leaky__x",), lambda: 20, compute, lambda: ())
    found = causality.lookahead(leaky, bars, times=TIMES)
    assert [one.row for one in found.leaks if one.kind == "future"] == [20 + row]


LEAKS: dict[str, Callable[[pd.DataFrame], pd.Series]] = {
    "next return": lambda bars: bars["close"].shift(-1) / bars["close"] - 1,
    "centred mean": lambda bars: bars["close"].rolling(5, center=True, min_periods=1).mean(),
    "z-score of the whole": lambda bars: (bars["close"] - bars["close"].mean()) / bars["close"].std(),
    "last bar alone": lambda bars: bars["close"] / bars["close"].iloc[-1],
    "backward fill": lambda bars: bars["close"].where(bars["close"].diff() > 0).bfill(),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_the_checker_catches_a_leak(leak: str) -> None:
    leaky = FeatureFamily(
        "leaky", ("leaky__x",), lambda: 1, lambda bars: pd.DataFrame({"x": LEAKS[leak](bars)}), lambda: ()
    )
    (found,) = causality.lookahead(leaky, random_bars(60, 5), times=TIMES).leaks
    assert (found.column, found.kind) == ("leaky__x", "future")


# --- a finite past


@every_family
def test_a_slice_with_its_lookback_gives_the_same_values(name: str, knobs: dict[str, Any]) -> None:
    back = warm_up(name, knobs)
    bars = market(name, knobs, 6, more=60)
    whole = numbers(computed(name, knobs, bars))
    for row in (back, back + 17, back + 59):
        part = numbers(computed(name, knobs, bars.iloc[row - back : row + 1], of=bars))
        np.testing.assert_allclose(part[-1], whole[row], rtol=1e-5, atol=1e-6)


@every_family
def test_no_column_needs_more_history_than_declared(name: str, knobs: dict[str, Any]) -> None:
    back = warm_up(name, knobs)
    bars = walked(name, knobs, 8, more=max(3 * back, 400 - back))
    assert causality.memory(features.family(name), bars, knobs=knobs).short == ()


@every_family
def test_bars_older_than_the_lookback_do_not_matter(name: str, knobs: dict[str, Any]) -> None:
    back = warm_up(name, knobs)
    bars = market(name, knobs, 7, more=60)
    other = corrupted(bars, slice(0, 20), seed=1)
    before, after = (numbers(computed(name, knobs, b, of=bars))[back + 20 :] for b in (bars, other))
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-6)


# --- form


@every_family
def test_form(name: str, knobs: dict[str, Any]) -> None:
    back = warm_up(name, knobs)
    bars = market(name, knobs)
    bars.index = pd.Index(np.arange(len(bars))[::-1] * 7)
    kept = bars.copy(deep=True)
    table = computed(name, knobs, bars)
    pd.testing.assert_frame_equal(bars, kept)
    pd.testing.assert_index_equal(table.index, bars.index)
    assert list(table.columns[:2]) == ["timestamp", "symbol"]
    assert all(column.startswith(f"{name}__") and column.islower() for column in table.columns[2:])
    assert table.columns.is_unique
    assert set(table.dtypes.iloc[2:]) == {np.dtype("float32")}
    assert np.isnan(numbers(table)[:back]).all()
    assert np.isfinite(numbers(table)[back:]).all()


@pytest.mark.parametrize("name", features.FOLDER.names())
def test_declared_columns_are_the_columns_at_default_knobs(name: str) -> None:
    family = features.family(name)
    table = features.compute(name, random_bars(3))
    assert tuple(table.columns[2:]) == family.columns


@every_family
def test_symbols_do_not_mix(name: str, knobs: dict[str, Any]) -> None:
    first, second = market(name, knobs, 1), market(name, knobs, 2).assign(symbol="BBB")
    mixed = pd.concat([first, second]).sort_values(["timestamp", "symbol"]).reset_index(drop=True)
    table = computed(name, knobs, mixed, of=first)
    for bars in (first, second):
        own = table[table["symbol"] == bars["symbol"].iloc[0]]
        assert numbers(own).tobytes() == numbers(computed(name, knobs, bars, of=first)).tobytes()


# --- degenerate markets


def flat(bars: pd.DataFrame) -> pd.DataFrame:
    return bars.assign(open=0.1, high=0.1, low=0.1, close=0.1)


def flat_later(bars: pd.DataFrame) -> pd.DataFrame:
    copy = bars.copy()
    copy.loc[copy.index[10:], ["open", "high", "low", "close"]] = 101.3
    return copy


def one_tick(bars: pd.DataFrame) -> pd.DataFrame:
    copy = flat(bars)
    copy.loc[copy.index[-20:], "high"] = 0.1 + 1e-5
    copy.loc[copy.index[-20:], "close"] = 0.1 + 1e-5
    return copy


def scaled(factor: float) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def scale(bars: pd.DataFrame) -> pd.DataFrame:
        return bars.assign(**{c: bars[c] * factor for c in ("open", "high", "low", "close")})

    return scale


def some_zero_volume(bars: pd.DataFrame) -> pd.DataFrame:
    return bars.assign(volume=bars["volume"].where(np.arange(len(bars)) % 3 > 0, 0.0))


DEGENERATE: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "flat": flat,
    "flat after ten bars": flat_later,
    "one tick": one_tick,
    "tiny prices": scaled(1e-11),
    "huge prices": scaled(1e7),
    "every third bar without volume": some_zero_volume,
    "some null volume": lambda bars: some_zero_volume(bars).replace({"volume": {0.0: np.nan}}),
    "constant volume": lambda bars: bars.assign(volume=7.0),
    "doji": lambda bars: bars.assign(open=bars["close"]),
    "no range": lambda bars: bars.assign(open=bars["close"], high=bars["close"], low=bars["close"]),
}


@pytest.mark.parametrize("case", DEGENERATE)
@every_family
def test_degenerate_markets_give_finite_values(name: str, knobs: dict[str, Any], case: str) -> None:
    bars = DEGENERATE[case](market(name, knobs))
    table = computed(name, knobs, bars)
    finite = np.isfinite(numbers(table)[warm_up(name, knobs) :]).all(axis=0)
    assert finite.all(), list(table.columns[2:][~finite])


@pytest.mark.parametrize("volume", [0.0, np.nan])
@every_family
def test_a_market_without_volume_misses_its_volume_columns(name: str, knobs: dict[str, Any], volume: float) -> None:
    table = computed(name, knobs, market(name, knobs).assign(volume=volume))
    values = numbers(table)[warm_up(name, knobs) :]
    missing = {column for column, found in zip(table.columns[2:], values.T, strict=True) if np.isnan(found).all()}
    for column, found in zip(table.columns[2:], values.T, strict=True):
        assert column in missing or np.isfinite(found).all(), f"{column} is missing in some rows and not in others"
    if name in NEEDS_VOLUME:
        assert missing == {f"{name}__{column}" for column in NEEDS_VOLUME[name]}


@pytest.mark.parametrize("rows", [0, 1, 2, 7, 13])
@every_family
def test_short_frames_are_all_warm_up(name: str, knobs: dict[str, Any], rows: int) -> None:
    table = computed(name, knobs, random_bars(20).iloc[:rows])
    assert len(table) == rows
    assert np.isnan(numbers(table)[: warm_up(name, knobs)]).all()
    assert np.isfinite(numbers(table)[warm_up(name, knobs) :]).all()


@every_family
def test_the_first_row_after_the_warm_up(name: str, knobs: dict[str, Any]) -> None:
    back = warm_up(name, knobs)
    bars = market(name, knobs, 0, more=1)
    assert np.isnan(numbers(computed(name, knobs, bars.iloc[:back]))).all()
    assert np.isfinite(numbers(computed(name, knobs, bars))[back]).all()


@pytest.mark.parametrize(("name", "knobs"), [case for case in CASES if case[0] in PRICE_SCALE_FREE])
def test_prices_in_another_unit_change_nothing(name: str, knobs: dict[str, Any]) -> None:
    bars = market(name, knobs)
    before, after = (numbers(computed(name, knobs, b)) for b in (bars, scaled(1000.0)(bars)))
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)


# --- knobs


@pytest.mark.parametrize("name", features.FOLDER.names())
def test_an_unknown_knob_is_named(name: str) -> None:
    with pytest.raises(UnknownName, match="no_such_knob"):
        features.compute(name, random_bars(5), no_such_knob=1)


@pytest.mark.parametrize(("name", "knob", "value"), OUT_OF_RANGE)
def test_a_knob_out_of_range_is_refused(name: str, knob: str, value: object) -> None:
    with pytest.raises(BadParam, match=knob):
        features.compute(name, random_bars(5), **{knob: value})


def test_an_unknown_family_is_named() -> None:
    with pytest.raises(UnknownName, match="technical"):
        features.compute("techincal", random_bars(5))


# --- bars that are not in order


@pytest.mark.parametrize("name", features.FOLDER.names())
def test_bars_out_of_time_order_are_refused_with_their_symbol(name: str) -> None:
    """The other symbol, whose rows lie between them, is in order."""
    first, second = random_bars(30, 1), random_bars(30, 2, "BBB")
    for wrong in (first.iloc[::-1], pd.concat([first, first.iloc[[10]]]), first.sample(frac=1, random_state=0)):
        with pytest.raises(BadBars, match=r"bars from AAA: .* follows .*sort"):
            features.compute(name, pd.concat([second.iloc[:15], wrong, second.iloc[15:]]))
