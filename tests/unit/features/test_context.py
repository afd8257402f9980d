"""Context columns: nothing from after a bar's close, and the definitions, each against a slow reading of the rows."""

from __future__ import annotations

import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betti import causality, counts, features
from betti.context import Context
from betti.context import _known as known
from betti.context import _words as words
from betti.errors import BadParam
from betti.features import context as family
from tests.unit.context.made import bars, event, headlines, macro, policy

pytest.importorskip("vaderSentiment", reason="the tone of headlines: pip install betti[context]")

few = settings(max_examples=25, deadline=None, derandomize=True)
HOUR = pd.Timedelta(hours=1)
START = pd.Timestamp("2024-01-08", tz="UTC")
TEXTS = (
    "Great profits and a happy outlook",
    "Terrible crash and a bad loss",
    "Shares of the bank",
    "War fears hurt oil",
)
ROWS = known.STEPS + 60
MACRO_SERIES = ("US_CPI_YOY", "DGS10", "DGS2", "DFF", "VIXCLS", "UNRATE", "DCOILWTICO")
KNOBS = {"news_hours": 6, "news_history_days": 1, "fade_days": 1.0, "change_days": 7, "history_days": 60}


def hourly(rows: int = ROWS, symbol: str = "AAA") -> pd.DataFrame:
    return bars(pd.date_range(START, periods=rows, freq="h"), symbol)


def columns(table: pd.DataFrame) -> pd.DataFrame:
    return table.rename(columns=lambda name: name.removeprefix("context__"))


def computed(market: pd.DataFrame, context: Context | None, **knobs: object) -> pd.DataFrame:
    return columns(features.compute("context", market, context, **knobs))


def numbers(table: pd.DataFrame) -> np.ndarray:
    return table.iloc[:, 2:].to_numpy()


def text_at(minutes: int) -> str:
    return str(START + pd.Timedelta(minutes=minutes))


# --- made-up contexts

# Whole hours are where bars close and open: the moment itself must come up often.
minutes = st.one_of(st.integers(0, ROWS).map(lambda hours: 60 * hours), st.integers(-600, 60 * ROWS + 600))
part = st.integers(-4, 4).map(lambda quarter: quarter / 4)


@st.composite
def contexts(draw: st.DrawFn) -> Context:
    news = draw(st.lists(st.tuples(minutes, st.sampled_from(["", "AAA", "BBB"]), st.sampled_from(TEXTS)), max_size=25))
    events: dict[int, dict] = {}
    for at, notice, wait in draw(
        st.lists(st.tuples(minutes, st.none() | st.integers(0, 3000), st.integers(0, 90)), max_size=8)
    ):
        since = None if notice is None else text_at(at - notice)
        events[at] = event(text_at(at), text_at(at + wait), since, stance=draw(part), impact=draw(part))
    values: dict[tuple, tuple] = {}
    for released, name, age in draw(
        st.lists(st.tuples(minutes, st.sampled_from(MACRO_SERIES), st.integers(0, 40)), max_size=60)
    ):
        row = (text_at(released), name, str((START - pd.Timedelta(days=age)).normalize()))
        values[row] = (*row, 1.0 + abs(draw(part)), draw(part))
    return Context(
        headlines(*((text_at(at), symbol, text) for at, symbol, text in news)) if news else None,
        policy(*events.values()) if events else None,
        macro(*values.values()) if values else None,
    )


def corrupted(context: Context, moment: pd.Timestamp) -> Context:
    """Everything that is released at or after a moment with another content, at another time, or gone."""
    news, events, values = context.headlines, context.policy, context.macro
    if news is not None:
        late = news["released"] >= moment
        news = news.assign(headline=news["headline"].where(~late, "Catastrophic disaster kills hope, joy and trust"))
        news = news.assign(released=news["released"].where(~late, news["released"] + HOUR))[
            ~late | (news["symbol"] == "")
        ]
    if events is not None:
        late, announced = events["released"] >= moment, events["scheduled_since"] < moment
        events = events.assign(
            **{name: events[name].where(~late, -1.0) for name in ("stance", "impact")},
            urgency=events["urgency"].where(~late, 1.0),
        )
        events = events.assign(released=events["released"].where(~late, pd.NaT))[~late | announced]
    if values is not None:
        late = values["released"] >= moment
        values = values.assign(value=values["value"].where(~late, 1e6), forecast=values["forecast"].where(~late, -1e6))
        values = values.assign(released=values["released"].where(~late, values["released"] + HOUR))
    return Context(news, events, values)


# --- no future


@few
@given(contexts(), st.integers(known.STEPS, ROWS - 1))
def test_nothing_released_after_a_close_changes_a_value_up_to_it(context: Context, row: int) -> None:
    market = hourly()
    close = market["timestamp"].iloc[row] + HOUR
    before = numbers(computed(market, context, **KNOBS))[: row + 1]
    for other in (corrupted(context, close), context.until(close)):
        after = numbers(computed(market, other, **KNOBS))[: row + 1]
        assert after.tobytes() == before.tobytes()
    # What a part of the history shows is told by the hash of what was known at its end.
    assert corrupted(context, close).digest(close) == context.digest(close)


def one_more(kind: str, at: pd.Timestamp) -> Context:
    when = str(at)
    return {
        "headlines": lambda: Context(headlines=headlines((when, "", TEXTS[0]))),
        "policy": lambda: Context(policy=policy(event(when, stance=1.0))),
        "macro": lambda: Context(macro=macro((when, "US_CPI_YOY", "2024-01-01", 3.0, 2.5))),
    }[kind]()


@pytest.mark.parametrize("kind", ["headlines", "policy", "macro"])
@pytest.mark.parametrize(("shift", "first"), [(-1, 0), (0, 1), (1, 1)])
def test_a_release_is_known_at_the_bar_that_it_falls_into(kind: str, shift: int, first: int) -> None:
    """In the last microsecond of a bar it is known at it; at the moment of its close, at the next one."""
    market, row = hourly(), known.STEPS + 10
    close = market["timestamp"].iloc[row] + HOUR
    values = numbers(computed(market, one_more(kind, close + pd.Timedelta(shift, "us"))))[known.STEPS :]
    touched = np.flatnonzero((values != 0).any(axis=1)) + known.STEPS
    assert touched[0] == row + first
    assert (np.diff(touched) == 1).all() and touched[-1] == ROWS - 1


def test_a_delay_makes_everything_known_later() -> None:
    market, row = hourly(), known.STEPS + 10
    context = one_more("headlines", market["timestamp"].iloc[row] + HOUR / 2)
    first = {
        delay: int((computed(market, context, delay_minutes=delay)["news_volume"] > 0).to_numpy().argmax())
        for delay in (0, 29, 30, 90)
    }
    assert first == {0: row, 29: row, 30: row + 1, 90: row + 2}


@settings(few, max_examples=3)
@given(contexts())
def test_nothing_of_the_bars_comes_from_the_future(context: Context) -> None:
    whole = features.family("context")
    fed = features.FeatureFamily(
        whole.name, whole.columns, whole.lookback, lambda b: family.compute(b, context=context), whole.modules
    )
    found = causality.lookahead(fed, hourly(known.STEPS + 6), times=3).leaks
    # Its values hang on dates by design, and moved bars show that; no bar after a row's own may.
    assert {leak.kind for leak in found} <= {"elsewhere"}


@few
@given(contexts())
def test_a_slice_gives_what_the_whole_gives(context: Context) -> None:
    market = hourly()
    whole = numbers(computed(market, context))
    for row in (known.STEPS, known.STEPS + 17, ROWS - 1):
        piece = market.iloc[row - known.STEPS : row + 1]
        assert numbers(computed(piece, context))[-1].tobytes() == whole[row].tobytes()


@few
@given(contexts(), st.randoms(use_true_random=False))
def test_the_order_of_rows_and_repeats_change_no_bit(context: Context, random) -> None:
    tables = [context.headlines, context.policy, context.macro]
    shuffled = []
    for table in tables:
        order = list(range(len(table))) * 2 if table is not None else []
        random.shuffle(order)
        shuffled.append(None if table is None else table.iloc[order])
    one, two = computed(hourly(), context), computed(hourly(), Context(*shuffled))
    assert numbers(one).tobytes() == numbers(two).tobytes()


# --- news


def slow_news(context: Context, close: pd.Timestamp, hours: int, history: int) -> dict[str, float]:
    table = context.headlines
    assert table is not None
    own = table[table["symbol"].isin(["", "AAA"]) & (table["released"] < close)]
    window = pd.Timedelta(hours=hours)

    def within(start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        return own[(own["released"] >= start) & (own["released"] < end)]

    now, before = within(close - window, close), within(close - 2 * window, close - window)
    score, earlier = (words.scores(rows["headline"]) / words.ONE for rows in (now, before))
    text = [word for line in now["headline"] for word in re.findall("[a-z]+", line.lower())]
    found = dict.fromkeys(family.NEWS, 0.0)
    if len(now):
        found["news_sentiment"], found["news_sentiment_deviation"] = score.mean(), score.std()
        found["news_negative_share"] = (score <= -0.05).mean()
        found["news_diversity"] = len(set(text)) / len(text)
    if len(now) and len(before):
        found["news_sentiment_change"] = score.mean() - earlier.mean()
    found["news_volume"] = math.log1p(len(now))
    there = min(close - window - own["released"].min(), pd.Timedelta(days=history)) if len(own) else pd.Timedelta(0)
    if there >= window:
        past = within(close - window - pd.Timedelta(days=history), close - window)
        found["news_volume_surprise"] = math.log((len(now) + 1) / (len(past) * (window / there) + 1))
    if len(own):
        found["news_freshness"] = 0.5 ** ((close - own["released"].max()) / window)
    return found


def hours_then_minutes() -> pd.DataFrame:
    """Hours, then five minutes: the first short bar closes before the last long one does."""
    steps = np.repeat([60, 5], [40, ROWS - 40])
    return bars(pd.DatetimeIndex(START + pd.to_timedelta(np.cumsum(steps) - 60, unit="min")))


def assert_news(market: pd.DataFrame, context: Context, rows: range) -> None:
    found = computed(market, context, **KNOBS)
    closes = known.closes(known.microseconds(market["timestamp"]))
    for row in rows:
        close = pd.Timestamp(closes[row], unit="us", tz="UTC")
        expected = slow_news(context, close, KNOBS["news_hours"], KNOBS["news_history_days"])
        np.testing.assert_allclose([found[name].iloc[row] for name in family.NEWS], list(expected.values()), atol=2e-6)


@few
@given(contexts())
def test_news_columns_are_what_they_say(context: Context) -> None:
    if context.headlines is not None:
        assert_news(hourly(), context, range(known.STEPS, ROWS, 7))


def test_bars_that_close_out_of_order_have_the_news_of_their_own_window() -> None:
    market = hours_then_minutes()
    rng = np.random.default_rng(1)
    syllables = ["".join(letters) for letters in rng.choice(list("abcde"), (300, 3))]
    news = [
        (text_at(10 * k), "", " ".join([TEXTS[k % 4], *rng.choice(syllables, rng.integers(0, 9))])) for k in range(300)
    ]
    assert_news(market, Context(headlines=headlines(*news)), range(37, 50))


def test_headlines_of_another_market_do_not_count() -> None:
    context = Context(headlines=headlines((text_at(60), "BBB", TEXTS[0]), (text_at(90), "AAA", TEXTS[1])))
    last = {
        symbol: computed(hourly(symbol=symbol), context, news_hours=200).iloc[-1]
        for symbol in ("AAA", "AAA@1h", "BBB", "CCC")
    }
    assert last["AAA"]["news_sentiment"] < 0 < last["BBB"]["news_sentiment"]
    assert last["AAA@1h"]["news_sentiment"] == last["AAA"]["news_sentiment"]
    assert last["CCC"]["news_volume"] == 0


def test_usual_news_are_no_surprise() -> None:
    rows = [(text_at(60 * hour + 30), "", TEXTS[hour % 4]) for hour in range(-24 * 40, ROWS)]
    found = computed(hourly(), Context(headlines=headlines(*rows)))["news_volume_surprise"].iloc[known.STEPS :]
    np.testing.assert_allclose(found, 0, atol=1e-6)


# --- policy


def test_the_last_announcement_fades() -> None:
    at = START + 30 * HOUR
    context = Context(policy=policy(event(str(at), stance=-0.5, urgency=0.5, impact=0.25)))
    found = computed(hourly(), context, fade_days=1.0)
    for row in (30, 53, 77):
        half_lives = (row + 1 - 30) / 24
        row_found = found.iloc[row][["policy_stance", "policy_urgency", "policy_impact", "policy_freshness"]]
        np.testing.assert_allclose(list(row_found), np.array([-0.5, 0.5, 0.25, 1.0]) * 0.5**half_lives, rtol=1e-6)
    assert (found["policy_freshness"].iloc[known.STEPS : 30] == 0).all()


def test_what_is_released_together_is_one_announcement() -> None:
    rows = [
        event(text_at(1800), kind="a", stance=1.0),
        event(text_at(1800), kind="b", stance=0.5),
        event(text_at(1800), kind="c"),
    ]
    last = computed(hourly(), Context(policy=policy(*rows)), fade_days=365.0).iloc[-1]
    assert last["policy_stance"] == pytest.approx(0.75, rel=0.01)


def test_an_event_ahead_is_near_by_its_schedule_alone() -> None:
    at, since = START + 60 * HOUR, START + 30 * HOUR
    ahead = event(str(at), None, str(since))
    found = computed(hourly(), Context(policy=policy(ahead)), fade_days=1.0)["policy_imminence"].to_numpy()
    assert (found[known.STEPS : 30] == 0).all()
    # Bar 59 closes at the event's own time.
    np.testing.assert_allclose(found[30:60], [0.5 ** ((59 - row) / 24) for row in range(30, 60)], rtol=1e-6)
    assert (found[60:] == 0).all()
    surprise = computed(hourly(), Context(policy=policy(event(str(at)))))
    assert (surprise["policy_imminence"].iloc[known.STEPS :] == 0).all()


def test_of_several_events_ahead_the_next_counts() -> None:
    dates = [(50, 0), (70, -100), (40, 35)]
    rows = [event(text_at(60 * at), None, text_at(60 * since), kind=str(at)) for at, since in dates]
    found = computed(hourly(), Context(policy=policy(*rows)), fade_days=1.0)["policy_imminence"].to_numpy()
    for row in range(known.STEPS, ROWS):
        close = row + 1
        distance = [at - close for at, since in dates if since < close <= at]
        assert found[row] == pytest.approx(0.5 ** (min(distance) / 24) if distance else 0.0, rel=1e-6)


def test_an_event_off_the_schedule_is_urgent() -> None:
    planned = event(text_at(25 * 60), scheduled_since=text_at(-9000))
    context = Context(policy=policy(planned, event(text_at(40 * 60)), event(text_at(60 * 60), urgency=0.25)))
    found = computed(hourly(), context, fade_days=365.0)["policy_urgency"]
    assert [found.iloc[row] for row in (30, 45, 70)] == pytest.approx([0.0, 1.0, 0.25], abs=0.01)
    unknown = computed(hourly(), Context(policy=policy(event(text_at(40 * 60)))))["policy_urgency"]
    assert (unknown.iloc[known.STEPS :] == 0).all()


# --- macroeconomy


def test_a_surprise_stands_at_its_release_and_fades() -> None:
    released = START + 40 * HOUR + pd.Timedelta(minutes=30)
    context = Context(macro=macro((str(released), "US_CPI_YOY", "2023-12-01", 3.4, 3.2)))
    found = computed(hourly(), context, fade_days=1.0)
    assert (found["macro_inflation_surprise"].iloc[known.STEPS : 40] == 0).all()
    np.testing.assert_allclose(
        found["macro_inflation_surprise"].iloc[[40, 64]], [0.2 * 0.5 ** (0.5 / 24), 0.1 * 0.5 ** (0.5 / 24)], rtol=1e-5
    )
    np.testing.assert_allclose(found["macro_inflation"].iloc[40:], 3.4, rtol=1e-6)


def test_a_revision_changes_what_follows_it_alone() -> None:
    first = ((text_at(600), "DFF", "2024-01-01", 5.0), (text_at(1200), "DFF", "2024-01-08", 5.5))
    revised = (text_at(40 * 60 + 30), "DFF", "2024-01-08", 4.0)
    before, after = (
        computed(hourly(), Context(macro=macro(*rows)), change_days=7) for rows in (first, (*first, revised))
    )
    assert numbers(before)[:40].tobytes() == numbers(after)[:40].tobytes()
    assert after["macro_short_rate"].iloc[[39, 40]].tolist() == [5.5, 4.0]
    assert after["macro_short_rate_change"].iloc[[39, 40]].tolist() == [0.5, -1.0]


def test_the_best_series_that_is_known_counts() -> None:
    rows = (
        (text_at(0), "DGS10", "2024-01-05", 4.0),
        (text_at(0), "DGS2", "2024-01-05", 4.4),
        (text_at(50 * 60), "T10Y2Y", "2024-01-05", -0.5),
    )
    found = computed(hourly(), Context(macro=macro(*rows)))["macro_term_spread"]
    np.testing.assert_allclose(found.iloc[[49, 50]], [-0.4, -0.5], rtol=1e-6)


def test_a_series_that_has_stopped_is_forgotten() -> None:
    context = Context(macro=macro((text_at(0), "DFF", "2024-01-05", 5.0)))
    market = bars(pd.date_range(START, periods=60, freq="D"))
    found = computed(market, context, stale_days=30)["macro_short_rate"]
    assert found.iloc[29] == 5.0 and (found.iloc[30:] == 0).all()


# --- form


def test_names_and_number_of_columns() -> None:
    assert (len(family.NEWS), len(family.POLICY), len(family.MACRO), len(family.COLUMNS)) == (8, 5, 12, 25)
    assert [name.partition("_")[0] for name in family.COLUMNS] == ["news"] * 8 + ["policy"] * 5 + ["macro"] * 12


@few
@given(contexts())
def test_values_are_finite_and_within_their_ranges(context: Context) -> None:
    found = computed(hourly(), context, **KNOBS).iloc[known.STEPS :]
    assert np.isfinite(numbers(found)).all()
    shares = [
        "news_negative_share",
        "news_diversity",
        "news_freshness",
        "policy_urgency",
        "policy_freshness",
        "policy_imminence",
    ]
    assert ((found[shares] >= 0) & (found[shares] <= 1)).all(axis=None)
    signed = ["news_sentiment", "policy_stance", "policy_impact"]
    assert (found[signed].abs() <= 1).all(axis=None)


@pytest.mark.parametrize("context", [None, Context()])
def test_absent_sources_give_zeros_and_are_counted(context: Context | None) -> None:
    table = features.compute("context", hourly(), context=context)
    assert (numbers(table)[known.STEPS :] == 0).all()
    assert counts.of(table) == {"no_headlines": 60, "no_macro": 60, "no_policy": 60}


def test_a_source_that_knows_nothing_yet_gives_zeros_and_is_not_absent() -> None:
    context = Context(
        headlines(("2030-01-01", "", "x")), policy(event("2030-01-01")), macro(("2030-01-01", "DFF", "2029-12-01", 5.0))
    )
    table = features.compute("context", hourly(), context=context)
    assert (numbers(table)[known.STEPS :] == 0).all()
    assert counts.of(table) == {f"no_{name}": 60 for name in family.MACRO}


def test_rows_without_a_value_of_a_macro_column_are_counted() -> None:
    context = Context(
        headlines=headlines(("2020-01-01", "", "x")), macro=macro((text_at(50 * 60), "DFF", "2024-01-05", 5.0))
    )
    counted = counts.of(features.compute("context", hourly(), context=context))
    assert counted["no_macro_short_rate"] == 30 and counted["no_macro_oil_change"] == 60
    assert "no_policy" in counted and "no_headlines" not in counted


def test_markets_of_other_bars_do_not_touch_each_other() -> None:
    other = hours_then_minutes().assign(symbol="BBB")
    rows = [(text_at(60 * hour), "", TEXTS[hour % 4]) for hour in range(0, 200, 3)]
    context = Context(headlines=headlines(*rows))
    mixed = pd.concat([hourly(), other]).sort_values("timestamp", kind="stable").reset_index(drop=True)
    found = features.compute("context", mixed, context=context)
    own = features.compute("context", other, context=context)
    assert numbers(found[found["symbol"] == "BBB"]).tobytes() == numbers(own).tobytes()


def test_a_knob_out_of_range_is_refused() -> None:
    with pytest.raises(BadParam, match=r"features.context.news_hours"):
        features.compute("context", hourly(), news_hours=0)
