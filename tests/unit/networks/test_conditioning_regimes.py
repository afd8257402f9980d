from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from torch import nn

from betti.errors import BadModelInput
from betti.features import _sets
from betti.networks.conditioning import (
    REGIMES,
    ConditioningConfig,
    ConditioningSystem,
    RegimeClassifier,
    RegimeRule,
    against_own_past,
    instrument_information,
    session_regimes,
    sessions_against_own_past,
    switching_share,
)
from betti.networks.conditioning import regimes as rules

PAST = 200


def market(rows: int, seed: int, level: float) -> np.ndarray:
    """(rows, 20) raw regime numbers: volatility wanders around a level, everything in money follows the level."""
    rng = np.random.default_rng(seed)
    wave = np.zeros(rows)
    for row in range(1, rows):
        wave[row] = 0.97 * wave[row - 1] + 0.12 * rng.normal()
    table = np.zeros((rows, 20))
    table[:, 0] = level * np.exp(wave)
    table[:, 1] = table[:, 0] * np.exp(0.2 * rng.normal(size=rows))
    table[:, 2] = level**2 * np.exp(0.5 * rng.normal(size=rows))
    table[:, 3] = 1
    table[:, 7:17] = rng.dirichlet(np.ones(10), rows)
    table[:, 17:] = table[:, :1] * np.abs(1 + 0.3 * rng.normal(size=(rows, 3)))
    return table.astype("float32")


def relative(table: np.ndarray) -> torch.Tensor:
    windows = torch.from_numpy(table).unfold(0, PAST, 1).transpose(1, 2)
    return against_own_past(windows)


def test_the_positions_are_those_of_the_feature_set() -> None:
    columns = [name.partition("__")[2] for name in _sets.declared("regime").columns]
    assert len(columns) == rules.INPUTS
    wanted = {
        rules.TWO_SCALE: "two_scale_volatility",
        rules.BIPOWER: "bipower_volatility",
        rules.AMIHUD: "amihud_illiquidity",
        rules.RESTRICTED: "state_short_sale_restricted",
        rules.AT_LIMIT: "state_price_limit",
        rules.BOTH: "state_both",
    }
    assert {at: columns[at] for at in wanted} == wanted
    assert all(name.startswith("state_") for name in columns[rules.STATES])
    assert all(name.startswith("volume_decile_") for name in columns[rules.DECILES])
    assert all(name.endswith("_spread") for name in columns[rules.SPREADS])


def test_the_level_of_a_market_is_taken_away() -> None:
    table = market(PAST, seed=0, level=0.01)
    louder = table.copy()
    louder[:, [0, 1, 17, 18, 19]] *= 30
    louder[:, 1] *= 2  # changes of one bar are always larger there
    louder[:, 2] *= 1000
    one, other = (against_own_past(torch.from_numpy(rows)[None]) for rows in (table, louder))
    assert torch.allclose(one, other, atol=1e-4)
    assert one.abs().max() > 0.1


def test_a_market_that_stood_still_is_finite() -> None:
    flat = torch.zeros(2, PAST, 20)
    assert torch.isfinite(against_own_past(flat)).all()


def test_every_rule_names_its_regime() -> None:
    features = relative(market(3000, seed=1, level=0.01)).numpy()
    rule = RegimeRule.fitted(features)
    found = rule.regimes(features)
    shares = np.bincount(found, minlength=8) / len(found)
    assert shares[[REGIMES.index("ssr_active"), REGIMES.index("luld_active")]].sum() == 0
    assert all(shares[REGIMES.index(name)] > 0.03 for name in ("low_vol", "high_vol", "illiquid", "normal"))
    assert all(shares[REGIMES.index(name)] > 0.03 for name in ("trending", "mean_reverting"))
    for column, name in ((4, "ssr_active"), (5, "luld_active"), (6, "luld_active")):
        stopped = features.copy()
        stopped[:, column] = 1
        assert set(rule.regimes(stopped)) == {REGIMES.index(name)}


def test_thresholds_come_from_the_rows_that_were_given() -> None:
    features = relative(market(2000, seed=2, level=0.01)).numpy()
    early = RegimeRule.fitted(features[:800])
    assert early == RegimeRule.fitted(features[:800].copy())
    assert early != RegimeRule.fitted(features)


@pytest.mark.parametrize(
    ("features", "words"),
    [(np.zeros((3, 19)), "19"), (np.zeros((0, 20)), "one row"), (np.full((3, 20), np.nan), "finite")],
)
def test_what_is_no_regime_table_is_refused(features: np.ndarray, words: str) -> None:
    with pytest.raises(BadModelInput, match=words):
        RegimeRule.fitted(features)


# Sessions -----------------------------------------------------------------------------------------------------------


def persistent(sessions: int, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True regime of each session (one change in 50 sessions), noisy probabilities of its rows, their session."""
    rng = np.random.default_rng(seed)
    regime = np.zeros(sessions, "int64")
    for session in range(1, sessions):
        regime[session] = rng.integers(8) if rng.random() < 0.02 else regime[session - 1]
    number = np.repeat(np.arange(sessions), rows)
    # Noise that a whole session shares: averaging within it does not help.
    logits = (
        1.5 * np.eye(8)[regime[number]] + rng.normal(size=(sessions, 8))[number] + rng.normal(size=(len(number), 8))
    )
    odds = np.exp(logits)
    return regime, odds / odds.sum(axis=1, keepdims=True), number


def test_fewer_than_5_percent_of_sessions_change_regime() -> None:
    threshold = ConditioningConfig().regime.stability_threshold
    for seed in range(3):
        true, probabilities, sessions = persistent(500, 20, seed)
        steady = session_regimes(probabilities, sessions)
        raw = session_regimes(probabilities, sessions, memory=0.0, margin=0.0, dwell=1)
        assert switching_share(raw) > 4 * threshold  # without smoothing and margin it flickers
        assert switching_share(steady) < threshold
        assert (steady == true).mean() > 0.8  # and it does follow


def test_sessions_know_no_later_one() -> None:
    _, probabilities, sessions = persistent(60, 5, seed=4)
    whole = session_regimes(probabilities, sessions)
    for end in (1, 20, 41):
        assert np.array_equal(session_regimes(probabilities[: 5 * end], sessions[: 5 * end]), whole[:end])


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    sessions=st.integers(2, 120),
    dwell=st.integers(1, 30),
    memory=st.floats(0, 0.95),
    margin=st.floats(0, 0.3),
)
def test_no_market_changes_regime_more_often_than_its_dwell(
    seed: int, sessions: int, dwell: int, memory: float, margin: float
) -> None:
    """Of noise alone, which flips as often as it may."""
    chances = np.random.default_rng(seed).dirichlet(np.full(8, 0.1), sessions)
    found = session_regimes(chances, np.arange(sessions), memory=memory, margin=margin, dwell=dwell)
    assert switching_share(found) <= 1 / dwell
    begins = np.flatnonzero(np.r_[True, found[1:] != found[:-1]])
    assert len(begins) == 1 or np.diff(begins).min() >= dwell


def test_sessions_are_told_against_the_sessions_before_them() -> None:
    table, number = market(90, seed=5, level=0.02), np.repeat(np.arange(30), 3)
    found = sessions_against_own_past(table, number, past=8)
    means = np.stack([table[number == one].mean(axis=0) for one in range(30)])
    # The slow and obvious version: one session after the other.
    slow = [against_own_past(torch.from_numpy(means[end - 8 : end][None]))[0].numpy() for end in range(8, 31)]
    np.testing.assert_allclose(found, slow, atol=1e-5)
    np.testing.assert_array_equal(sessions_against_own_past(table[:60], number[:60], past=8), found[: 20 - 8 + 1])


@pytest.mark.parametrize("past", [1, 11])
def test_sessions_need_their_past(past: int) -> None:
    with pytest.raises(BadModelInput, match="It takes 2 to 10"):
        sessions_against_own_past(np.ones((20, 20)), np.repeat(np.arange(10), 2), past=past)


@pytest.mark.parametrize("knobs", [{"memory": 1.0}, {"margin": -0.1}, {"dwell": 0}])
def test_impossible_smoothing_is_refused(knobs: dict) -> None:
    with pytest.raises(BadModelInput, match=next(iter(knobs))):
        session_regimes(np.ones((2, 2)), np.arange(2), **knobs)


# What regimes give away ---------------------------------------------------------------------------------------------


def taught(features: torch.Tensor, labels: np.ndarray) -> ConditioningSystem:
    """A system with the regime path on, its classifier taught by the rule, its contexts turned to directions."""
    torch.manual_seed(0)
    system = ConditioningSystem(ConditioningConfig(enable_regime=True))
    optimizer = torch.optim.AdamW(system.regime_classifier.parameters(), lr=3e-3)
    answers = torch.from_numpy(labels)
    for _ in range(60):
        rows = torch.randint(0, len(features), (256,))
        optimizer.zero_grad()
        nn.functional.cross_entropy(system.regime_classifier(features[rows]), answers[rows]).backward()
        optimizer.step()
    return system.eval()


def test_contexts_tell_regimes_and_not_instruments() -> None:
    levels = (1e-4, 1e-3, 1e-2, 5e-2)
    tables = [market(1000 + PAST - 1, seed=seed, level=level) for seed, level in enumerate(levels)]
    features = torch.cat([relative(table) for table in tables])
    instruments = np.repeat(np.arange(len(tables)), 1000)
    labels = RegimeRule.fitted(features.numpy()).regimes(features.numpy())
    system = taught(features, labels)
    with torch.no_grad():
        regimes = system.regime_classifier(features).argmax(dim=1).numpy()
        contexts = system({"regime_features": features}).numpy()
    clusters = KMeans(8, n_init=1, random_state=0).fit_predict(contexts)
    assert (regimes == labels).mean() > 0.7
    assert instrument_information(regimes, instruments) < 0.1
    assert instrument_information(clusters, instruments) < 0.1
    # The measure does see instruments where levels are left in: the same rule over raw logarithms.
    raw = np.concatenate([np.log(table[PAST - 1 :, 0]) for table in tables])
    told = np.digitize(raw, np.quantile(raw, np.arange(1, 8) / 8))
    assert instrument_information(told, instruments) > 1.0


def test_information_of_independent_labels_is_nothing() -> None:
    rng = np.random.default_rng(0)
    assert instrument_information(rng.integers(0, 8, 5000), rng.integers(0, 4, 5000)) < 0.005


def test_the_classifier_names_its_regimes() -> None:
    classifier = RegimeClassifier(input_dim=20, num_regimes=8)
    assert classifier(torch.zeros(3, 20)).shape == (3, 8)
    assert classifier.get_regime_names() == [
        *("low_vol", "high_vol", "trending", "mean_reverting"),
        *("ssr_active", "luld_active", "illiquid", "normal"),
    ]
    with pytest.raises(BadModelInput, match="num_regimes = 9"):
        RegimeClassifier(20, 9)
