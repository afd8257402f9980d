"""Bootstrap intervals against arch and scikit-learn called literally, their coverage, and their seeds."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss

from betti.metrics.significance import (
    Bootstrap,
    block_length,
    difference_interval,
    resample_counts,
    score_intervals,
    trading_intervals,
)


def drawn(instants: int, symbols: int = 1, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = instants * symbols
    return np.repeat(np.arange(instants), symbols), rng.integers(0, 3, rows), rng.dirichlet(np.ones(3), rows)


def test_intervals_equal_scores_of_literally_resampled_rows():
    instants, y, probabilities = drawn(60, 2)
    bootstrap = Bootstrap(repetitions=100, confidence=0.9, seed=3, horizon=5)
    ours = score_intervals(instants, y, probabilities, bootstrap)
    predicted = probabilities.argmax(axis=1)
    losses = -np.log(probabilities[np.arange(len(y)), y]).reshape(60, 2).mean(axis=1)
    right = (predicted == y).reshape(60, 2).mean(axis=1)
    block = block_length([losses, right], 5)
    f1s, logs = [], []
    for chunk in resample_counts(60, block, bootstrap):
        for counts in chunk.astype(int):
            rows = np.repeat(np.arange(120), np.repeat(counts, 2))
            f1s.append(f1_score(y[rows], predicted[rows], average="macro", zero_division=0))
            logs.append(log_loss(y[rows], probabilities[rows], labels=[0, 1, 2]))
    assert [ours["macro_f1"].low, ours["macro_f1"].high] == pytest.approx(np.quantile(f1s, [0.05, 0.95]))
    assert [ours["log_loss"].low, ours["log_loss"].high] == pytest.approx(np.quantile(logs, [0.05, 0.95]))
    assert ours["macro_f1"].estimate == pytest.approx(f1_score(y, predicted, average="macro"))


def test_every_resample_has_as_many_instants_as_the_sample():
    bootstrap = Bootstrap(300, 0.95, 1, 1)
    counts = np.concatenate(list(resample_counts(50, 4, bootstrap)))
    assert counts.shape == (300, 50)
    assert (counts.sum(axis=1) == 50).all()


def test_equal_seeds_give_equal_intervals_and_others_do_not():
    data = drawn(200)
    one, two, other = (score_intervals(*data, Bootstrap(200, 0.95, seed, 3)) for seed in (1, 1, 2))
    assert one == two
    assert one != other


def test_rows_of_one_instant_are_drawn_together():
    instants, _, _ = drawn(100, 10)
    shared = np.repeat(np.random.default_rng(1).normal(size=100), 10)
    alone = np.random.default_rng(1).normal(size=1000)
    bootstrap = Bootstrap(500, 0.95, 1, 1)
    together, apart = (difference_interval(instants, values, bootstrap) for values in (shared, alone))
    # Ten copies of one number are one observation, not ten.
    assert together.high - together.low > 2 * (apart.high - apart.low)
    once = difference_interval(np.arange(100), shared[::10], bootstrap)
    assert together.model_dump() == pytest.approx(once.model_dump())


def test_the_block_is_at_least_the_horizon_and_grows_with_dependence():
    rng = np.random.default_rng(2)
    noise = rng.normal(size=2000)
    slow = np.convolve(noise, np.ones(50), "valid")
    assert block_length([noise], 20) == 20
    assert block_length([slow], 1) > 10
    assert block_length([np.zeros(100)], 7) == 7
    assert block_length([noise[:12]], 20) == 4  # never more than a third of the sample


def test_overlapping_labels_widen_the_interval():
    rng = np.random.default_rng(3)
    overlapping = np.convolve(rng.normal(size=1019), np.ones(20) / 20, "valid")
    narrow = difference_interval(np.arange(1000), rng.permutation(overlapping), Bootstrap(500, 0.95, 1, 1))
    wide = difference_interval(np.arange(1000), overlapping, Bootstrap(500, 0.95, 1, 20))
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_too_few_instants_tell_nothing_apart():
    interval = difference_interval(np.arange(20), np.ones(20), Bootstrap(100, 0.95, 1, 1))
    assert (interval.estimate, interval.low, interval.high) == (1, 0, 1)
    assert difference_interval(np.arange(60), np.ones(60), Bootstrap(100, 0.95, 1, 1)).low == 1


def test_coverage_is_near_its_name():
    rng = np.random.default_rng(4)
    covered = 0
    for seed in range(200):
        interval = difference_interval(np.arange(200), rng.normal(0.3, 1, 200), Bootstrap(200, 0.9, seed, 1))
        covered += interval.low <= 0.3 <= interval.high
    assert 0.8 < covered / 200 < 0.97


def test_trading_intervals_equal_a_literal_computation():
    returns = np.random.default_rng(5).normal(0.001, 0.01, 80)
    bootstrap = Bootstrap(150, 0.8, 6, 4)
    ours = trading_intervals(returns, 252, bootstrap)
    sharpes, means = [], []
    for chunk in resample_counts(80, block_length([returns], 4), bootstrap):
        for counts in chunk.astype(int):
            sample = np.repeat(returns, counts)
            sharpes.append(sample.mean() / sample.std(ddof=1) * np.sqrt(252))
            means.append(sample.mean())
    assert [ours["sharpe"].low, ours["sharpe"].high] == pytest.approx(np.quantile(sharpes, [0.1, 0.9]))
    assert [ours["mean_return"].low, ours["mean_return"].high] == pytest.approx(np.quantile(means, [0.1, 0.9]))


def test_a_strategy_that_never_traded_has_intervals_of_zero():
    ours = trading_intervals(np.zeros(50), 252, Bootstrap(100, 0.95, 1, 1))
    assert {(found.estimate, found.low, found.high) for found in ours.values()} == {(0, 0, 0)}
