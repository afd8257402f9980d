from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from betti.errors import BadModelInput, BadParam
from betti.features import sets
from betti.networks.dual_tower import DataConfig
from betti.networks.dual_tower_data import create_data_loaders

CONTEXT, STOCK = (list(sets()[name].columns) for name in ("context", "stock"))


def table(days: int = 400, symbols: tuple[str, ...] = ("AAPL", "MSFT")) -> pd.DataFrame:
    """Features that drift with time, so that scaling by other rows than the training ones would show."""
    rng = np.random.default_rng(0)
    stamps = pd.date_range("2020-01-01", periods=days, freq="D", tz="UTC")
    parts = []
    for place, symbol in enumerate(symbols):
        values = rng.normal(size=(days, 87)) + np.arange(days)[:, None] / 50 + place
        part = pd.DataFrame(values.astype("float32"), columns=[*CONTEXT, *STOCK])
        scores = rng.uniform(-1, 1, size=(days, 2))
        for horizon, score in zip(("7d", "30d"), scores.T, strict=True):
            part[f"score_{horizon}"] = score
            part[f"direction_{horizon}"] = np.where(np.abs(score) < 0.1, 1.0, np.where(score > 0, 2.0, 0.0))
        parts.append(part.assign(timestamp=stamps, symbol=symbol))
    return pd.concat(parts, ignore_index=True)


def whole(loader) -> dict[str, torch.Tensor]:
    """All rows of a loader, the score of 7 days telling which is which."""
    batches = list(loader)
    return {
        "context": torch.cat([batch["context_features"] for batch in batches]),
        "stock": torch.cat([batch["stock_features"] for batch in batches]),
        "score": torch.cat([batch["labels_7d"].score for batch in batches]),
        "direction": torch.cat([batch["labels_30d"].direction for batch in batches]),
        "weights": torch.cat([batch["sample_weights"] for batch in batches]),
    }


def rows_of(df: pd.DataFrame, found: dict[str, torch.Tensor]) -> pd.DataFrame:
    """The rows of the table that these are, in their order."""
    by_score = df.assign(key=df["score_7d"].astype("float32")).set_index("key")
    return by_score.loc[found["score"].numpy()]


def test_parts_follow_each_other_and_labels_do_not_reach_over():
    df = table()
    train, valid, test = (rows_of(df, whole(loader))["timestamp"] for loader in create_data_loaders(df))
    month = pd.Timedelta("30D")
    assert train.max() + month < valid.min()
    assert valid.max() + month < test.min()
    assert test.max() == df["timestamp"].max()


def test_spans_of_the_table_are_used_where_there_are_any():
    df = table()
    short = df.assign(span_start=df["timestamp"], span_end=df["timestamp"] + pd.Timedelta("2D"))
    assert len(create_data_loaders(short)[0].dataset) > len(create_data_loaders(df)[0].dataset)


def test_inputs_are_scaled_by_the_training_rows_alone():
    df = table()
    train, valid, _ = (whole(loader) for loader in create_data_loaders(df))
    for name in ("context", "stock"):
        assert train[name].mean(dim=0).abs().max() < 1e-3
        assert (train[name].std(dim=0) - 1).abs().max() < 1e-2
        assert valid[name].mean() > 1  # it lies later, and the columns grow
    raw = whole(create_data_loaders(df, normalize=False)[1])
    np.testing.assert_array_equal(raw["stock"].numpy(), rows_of(df, raw)[STOCK].to_numpy(dtype="float32"))
    np.testing.assert_array_equal(raw["context"].numpy(), rows_of(df, raw)[CONTEXT].to_numpy(dtype="float32"))


def test_labels_and_weights_belong_to_their_rows():
    df = table()
    df["weight"] = np.random.default_rng(1).uniform(size=len(df))
    df.loc[df.index[-1], "direction_30d"] = np.nan
    found = whole(create_data_loaders(df)[2])
    wanted = rows_of(df, found)
    assert found["weights"].numpy() == pytest.approx(wanted["weight"].to_numpy())
    place_of_class = {0.0: 1.0, 1.0: 2.0, 2.0: 0.0}
    np.testing.assert_array_equal(found["direction"].numpy(), wanted["direction_30d"].map(place_of_class).to_numpy())
    assert torch.isnan(found["direction"]).sum() == 1


def test_training_rows_come_in_an_order_of_the_seed():
    df = table()
    one, same, other = (whole(create_data_loaders(df, seed=seed)[0])["score"] for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(one.sort().values, other.sort().values)


def test_no_training_batch_has_a_single_row():
    df = table()
    rows = len(create_data_loaders(df)[0].dataset)
    sizes = [len(batch["sample_weights"]) for batch in create_data_loaders(df, batch_size=rows - 1)[0]]
    assert sizes == [rows - 1]


def test_symbols_can_be_chosen():
    loaders = create_data_loaders(table(), config=DataConfig(tickers=("MSFT",)))
    assert set(rows_of(table(), whole(loaders[0]))["symbol"]) == {"MSFT"}


@pytest.mark.parametrize(
    ("change", "knobs", "message"),
    [
        (lambda df: df.drop(columns=[STOCK[3]]), {}, f"lacks 1 columns: {STOCK[3]}"),
        (lambda df: df.assign(**{CONTEXT[0]: np.nan}), {}, "800 rows of the set `context` hold NaN"),
        (lambda df: df, {"time_aware_split": False}, "time_aware_split = False.*learns from the future"),
        (lambda df: df, {"batch_size": 1}, "batch_size = 1"),
    ],
)
def test_what_cannot_be_cut_is_refused(change, knobs, message):
    with pytest.raises(BadModelInput, match=message):
        create_data_loaders(change(table()), **knobs)


def test_too_few_rows_are_refused():
    with pytest.raises(BadParam, match="too few"):
        create_data_loaders(table(days=5))
