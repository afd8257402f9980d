"""Tables to batches for a training loop of one's own around the dual tower.

Rows are cut by time and purged as everywhere (`betti.splits`), and scaled by what the training rows showed. The
pipeline does not come here: it cuts, scales and batches by itself. What does not belong here: computing features and
labels (`betti.features`, `betti.labelling`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from betti.errors import BadModelInput
from betti.networks.dual_tower_losses import RelevanceLabels, logit_of_class

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from torch import Tensor

    from betti.networks.dual_tower_config import DataConfig

    Batch = dict[str, Any]
    Loader = DataLoader[Batch]

__all__ = ["DualTowerDataset", "create_data_loaders"]

MODEL = "dual_tower"
PARTS = ("train", "valid", "test")
HORIZONS = ("7d", "30d")
# A row's label reads no bar later than this.
LONGEST = "30D"


@dataclass(frozen=True)
class _Part:
    """Rows of one part: (n, 25) and (n, 62) inputs, (n,) labels by horizon, (n,) weights."""

    context: Tensor
    stock: Tensor
    labels: dict[str, RelevanceLabels]
    weights: Tensor


class DualTowerDataset(Dataset["Batch"]):
    """Rows one by one: context apart from stock, labels of both horizons.

    An item is {"context_features": (25,), "stock_features": (62,), "labels_7d": `RelevanceLabels`, "labels_30d": the
    same, "sample_weights": ()}; a batch has them with the rows in front.
    """

    def __init__(self, part: _Part) -> None:
        self._part = part

    def __len__(self) -> int:
        return len(self._part.weights)

    def __getitem__(self, row: int) -> Batch:
        part = self._part
        labels = {
            f"labels_{horizon}": RelevanceLabels(found.score[row], found.direction[row])
            for horizon, found in part.labels.items()
        }
        return {
            "context_features": part.context[row],
            "stock_features": part.stock[row],
            **labels,
            "sample_weights": part.weights[row],
        }


def create_data_loaders(
    df: pd.DataFrame,
    batch_size: int = 32,
    normalize: bool = True,
    time_aware_split: bool = True,
    *,
    config: DataConfig | None = None,
    seed: int = 7,
) -> tuple[Loader, Loader, Loader]:
    """Batches of training rows in random order, of validation rows and of test rows in the order of time.

    Args:
        df: features and labels side by side: `timestamp`, `symbol`, the columns of the sets `context` and `stock`,
            `score_7d`, `score_30d`, `direction_7d`, `direction_30d` as of the label `relevance`; `weight`,
            `span_start` and `span_end` where there are any, else 1, the row's time and 30 days after it.
        batch_size: rows in a batch, 2 at least: normalising over a batch needs two.
        normalize: whether inputs are scaled by mean and deviation of the training rows.
        time_aware_split: True. There is no other split: rows drawn at random would learn from their own future.
        config: symbols to keep and how to cut; its `normalize` gives way to the argument.
        seed: of the order of the training rows.

    Raises:
        BadModelInput: missing columns, inputs that are not finite, a part without rows, a random split.
        BadParam: too few rows to be cut in three.
    """
    from betti.networks.dual_tower_config import DataConfig

    config = config or DataConfig()
    if not time_aware_split:
        raise BadModelInput(MODEL, "time_aware_split = False", "Leave it out: a random split learns from the future")
    if batch_size < 2:
        raise BadModelInput(MODEL, f"batch_size = {batch_size}", "It takes 2 or more")
    rows = _rows(df, config.tickers)
    chosen = _chosen(rows, config)
    inputs = {tower: _inputs(rows, tower, chosen["train"], normalize) for tower in ("context", "stock")}
    train, valid, test = (DualTowerDataset(_part(rows, inputs, chosen[name])) for name in PARTS)
    order = torch.Generator().manual_seed(seed)
    # A last batch of one row cannot be normalised.
    alone = len(train) % batch_size == 1
    return (
        DataLoader(train, batch_size, shuffle=True, drop_last=alone, generator=order),
        DataLoader(valid, batch_size),
        DataLoader(test, batch_size),
    )


def _rows(df: pd.DataFrame, tickers: tuple[str, ...]) -> pd.DataFrame:
    """The rows to keep in the order of time, with spans and weights."""
    import pandas as pd

    wanted = ["timestamp", "symbol", *_columns("context"), *_columns("stock")]
    wanted += [f"{what}_{horizon}" for what in ("score", "direction") for horizon in HORIZONS]
    missing = [name for name in wanted if name not in df.columns]
    if missing:
        found = f"the table lacks {len(missing)} columns: {', '.join(missing)}"
        raise BadModelInput(MODEL, found, "Join features of the sets `context` and `stock` with labels `relevance`")
    kept = df[df["symbol"].isin(tickers)] if tickers else df
    kept = kept.sort_values(["timestamp", "symbol"], kind="stable").reset_index(drop=True)
    if "span_end" not in kept:
        kept = kept.assign(span_start=kept["timestamp"], span_end=kept["timestamp"] + pd.Timedelta(LONGEST))
    return kept if "weight" in kept else kept.assign(weight=1.0)


def _columns(tower: str) -> tuple[str, ...]:
    from betti.features import sets

    columns: tuple[str, ...] = sets()[tower].columns
    return columns


def _chosen(rows: pd.DataFrame, config: DataConfig) -> dict[str, NDArray[np.int64]]:
    """Which rows are in each part; those purged between two parts are in none."""
    from betti.splits import split

    shares = {"valid_share": config.valid_share, "test_share": config.test_share, "embargo": config.embargo}
    roles = split("three_way", rows[["timestamp", "symbol", "span_start", "span_end"]], **shares)
    role = rows[["timestamp", "symbol"]].merge(roles, on=["timestamp", "symbol"], how="left")["role"].astype("str")
    chosen = {name: np.flatnonzero(role == name) for name in PARTS}
    empty = [name for name, found in chosen.items() if not len(found)]
    if empty:
        raise BadModelInput(MODEL, f"no rows to {', '.join(empty)}", "Give more rows, or other shares and embargo")
    return chosen


def _inputs(rows: pd.DataFrame, tower: str, train: NDArray[np.int64], normalize: bool) -> Tensor:
    """(n, columns) of one tower, scaled by the training rows."""
    from betti.training.scaling import fit_kind

    values = rows[list(_columns(tower))].to_numpy(dtype="float32")
    bad = int((~np.isfinite(values)).any(axis=1).sum())
    if bad:
        raise BadModelInput(MODEL, f"{bad} rows of the set `{tower}` hold NaN or infinity", "Leave out warm-up rows")
    scaler = fit_kind("standard" if normalize else "none", values[train])
    return torch.from_numpy(np.ascontiguousarray(scaler.transform(values)))


def _part(rows: pd.DataFrame, inputs: dict[str, Tensor], chosen: NDArray[np.int64]) -> _Part:
    part, at = rows.iloc[chosen], torch.from_numpy(chosen)

    def column(name: str) -> Tensor:
        return torch.from_numpy(part[name].to_numpy(dtype="float32", copy=True))

    labels = {
        horizon: RelevanceLabels(column(f"score_{horizon}"), logit_of_class(column(f"direction_{horizon}")))
        for horizon in HORIZONS
    }
    return _Part(inputs["context"][at], inputs["stock"][at], labels, column("weight"))
