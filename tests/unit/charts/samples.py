"""Tables shaped as the stages leave them, for the report's tests: small, seeded, quick to make."""

from __future__ import annotations

import numpy as np
import pandas as pd

from betti import records
from betti.expectations.gaps import gaps
from tests.conftest import random_bars

Table = pd.DataFrame


def bars(rows: int, symbols: tuple[str, ...] = ("AAA", "BBB")) -> Table:
    tables = []
    for seed, symbol in enumerate(symbols):
        table = random_bars(rows, seed, symbol)
        week_days = table[table["timestamp"].dt.dayofweek < 5] if rows > 20 else table
        hole = (week_days.index > rows * 0.4) & (week_days.index < rows * 0.45) & (seed == 1)
        tables.append(week_days[~hole])
    return pd.concat(tables, ignore_index=True)


def validation(clean: Table, *, quarantined: int = 3) -> records.ValidationSummary:
    symbols = [
        records.SymbolQuality(
            symbol=str(symbol),
            rows_in=len(rows) + quarantined,
            rows_clean=len(rows),
            rows_quarantined=quarantined,
            first=str(rows["timestamp"].min()),
            last=str(rows["timestamp"].max()),
            reasons={"high_below_low": quarantined} if quarantined else {},
            flags={"jumps": 2, "gaps": len(gaps(rows).rows)} if quarantined else {},
            examples=[records.FlaggedBar(timestamp=str(rows["timestamp"].max()), rule="jumps", value=0.3, usual=0.01)],
            gaps=[
                records.Gap(
                    after=str(gap.after), until=str(gap.until), missing=gap.missing, sure=gap.sure, kind=gap.kind
                )
                for gap in gaps(rows).rows.itertuples()
            ],
        )
        for symbol, rows in clean.groupby("symbol")
    ]
    expectation = records.ExpectationResult(
        expectation="expect_column_values_to_be_between", column="close", success=True, unexpected=0
    )
    return records.ValidationSummary(symbols=symbols, expectations=[expectation])


def features(clean: Table, family: str, columns: int, seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    along = np.linspace(-1, 1, len(clean))[:, None]
    values = rng.normal(size=(len(clean), columns)) + along * rng.exponential(0.3, columns)
    values[: min(20, len(clean) // 2)] = np.nan
    names = [f"{family}__feature_{number:03d}" for number in range(columns)]
    return pd.concat([clean[["timestamp", "symbol"]], Table(values.astype(np.float32), columns=names)], axis=1)


def topology(clean: Table, bins: int = 12, seed: int = 0) -> Table:
    """The columns of the topology family that the report draws, unknown in the first twenty rows of a symbol."""
    rng = np.random.default_rng(seed)
    names = [f"topology__betti1_{step:03d}" for step in range(bins)]
    table = Table(rng.poisson(1.5, (len(clean), bins)).astype(np.float32), columns=names)
    table[names[-3:]] = 0.0
    for name in ("total_h1", "entropy_h1", "landscape_h1_1"):
        table[f"topology__{name}"] = rng.exponential(1.0, len(clean)).astype(np.float32)
    table[(clean.groupby("symbol").cumcount() < 20).to_numpy()] = np.nan
    return pd.concat([clean[["timestamp", "symbol"]], table], axis=1)


def labels(clean: Table, classes: int, horizon: int = 5, column: str = "direction") -> Table:
    rng = np.random.default_rng(classes)
    table = clean[["timestamp", "symbol"]].copy()
    table["span_start"] = table["timestamp"]
    table["span_end"] = table["timestamp"] + pd.Timedelta(days=horizon)
    table[column] = rng.integers(0, classes, len(table)).astype(float)
    table["weight"] = 1.0
    return table


def folds(label_table: Table, count: int = 5) -> Table:
    """Walk-forward by time, with a purge and an embargo of a few days."""
    times = np.sort(label_table["timestamp"].unique())
    cuts = [times[len(times) * (fold + 2) // (count + 2)] for fold in range(count)] + [times[-1]]
    tables = []
    for fold in range(count):
        now, start, end = label_table["timestamp"], cuts[fold], cuts[fold + 1]
        role = np.where(now < start - pd.Timedelta(days=200), "train", "valid").astype(object)
        role[(now >= start) & (now <= end)] = "test"
        role[(now < start) & (label_table["span_end"] >= start)] = "purged"
        role[(now > end) & (now <= end + pd.Timedelta(days=5))] = "embargoed"
        role[now > end + pd.Timedelta(days=5)] = "unused"
        tables.append(label_table[["timestamp", "symbol"]].assign(fold=fold, role=role))
    return pd.concat(tables, ignore_index=True)


def predictions(label_table: Table, fold_table: Table, classes: int, run: str = "a-run") -> Table:
    rng = np.random.default_rng(3)
    test = fold_table[fold_table["role"] == "test"].drop(columns="role")
    table = test.merge(label_table[["timestamp", "symbol", "direction"]], on=["timestamp", "symbol"])
    chance = rng.dirichlet(np.ones(classes) * 4, len(table))
    table = table.assign(model="logistic", run=run)
    for number in range(classes):
        table[f"p_{number}"] = chance[:, number]
    table["prediction"] = chance.argmax(axis=1).astype(float) if len(table) else pd.Series(dtype=float)
    return table.rename(columns={"direction": "label"})


def learning(count: int = 5, epochs: int = 10) -> Table:
    rows = [
        (fold, epoch, 1.1 * np.exp(-epoch / 5) + 0.4, 1.0 - 0.02 * epoch + 0.01 * fold if fold >= 0 else np.nan)
        for fold in [*range(count), -1]
        for epoch in range(epochs)
    ]
    return Table(rows, columns=["fold", "epoch", "train_loss", "valid_loss"])


def importance(columns: int = 30) -> Table:
    """Shares of columns, the largest first."""
    share = np.linspace(2, 0, columns) / columns
    names = [f"f__c{n:02d}" for n in range(columns)]
    return pd.DataFrame({"column": names, "share": share, "least": share / 2, "most": share * 2})


def no_learning() -> Table:
    return Table({name: [] for name in ("fold", "epoch", "train_loss", "valid_loss")})


def equity(times: pd.Series, seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    steps = rng.normal(0.0002, 0.01, (2, len(times)))
    lines = np.exp(np.cumsum(steps, axis=1))
    return Table({"timestamp": times.to_numpy(), "strategy": lines[0], "buy_and_hold": lines[1]})


def scores(auc: float | None = 0.53) -> records.Classification:
    return records.Classification(
        rows=1234, accuracy=0.412, macro_f1=0.39, weighted_f1=0.4, auc=auc, precision=auc and 0.45,
        precision_rows=77, log_loss=1.09, brier=0.66,
    )  # fmt: skip


def trading(sharpe: float = 0.4) -> records.Trading:
    return records.Trading(
        bars=1234, bars_per_year=252.1, sharpe=sharpe, annual_return=0.05, total_return=0.3, max_drawdown=-0.31,
        win_rate=0.51, profit_factor=1.1, trades=42, turnover=3.5, ruined=False,
    )  # fmt: skip


def metrics(
    run: str, *, auc: float | None = 0.53, classes: int = 3, edge: float = 0.0, device: str = "cpu"
) -> records.RunMetrics:
    around = records.Interval(estimate=edge, low=edge - 0.02, high=edge + 0.02)
    return records.RunMetrics(
        run=run, model="logistic", target="direction_5", feature_set="boosting_optimal", seed=7, classes=classes,
        columns=35, device=device, folds={f"fold_{n}": scores(auc) for n in range(5)}, pooled=scores(auc),
        intervals={"accuracy": records.Interval(estimate=0.412, low=0.39, high=0.43)}, trading=trading(),
        trading_intervals={"sharpe": records.Interval(estimate=0.4, low=-0.2, high=1.0)},
        baselines={"majority_class": scores(None)}, baseline_trading={"buy_and_hold": trading(0.5)},
        versus={"majority_class": around, "last_direction": around, "buy_and_hold": around},
        versus_score={"majority_class": "accuracy", "last_direction": "accuracy", "buy_and_hold": "sharpe"},
        rows_dropped={"incomplete": 29},
    )  # fmt: skip


def leaderboard(runs: dict[str, records.RunMetrics]) -> records.Leaderboard:
    rows = [
        records.LeaderboardRow(
            run=one.run, model=one.model, target=one.target, feature_set=one.feature_set, rows=one.pooled.rows,
            accuracy=one.pooled.accuracy, macro_f1=one.pooled.macro_f1, auc=one.pooled.auc,
            log_loss=one.pooled.log_loss, brier=one.pooled.brier, sharpe=one.trading.sharpe,
            annual_return=one.trading.annual_return, max_drawdown=one.trading.max_drawdown, trades=one.trading.trades,
            versus=one.versus, eligible=all(v.low > 0 for v in one.versus.values()),
            verdict="beats none of its baselines with confidence",
        )
        for one in runs.values()
    ]  # fmt: skip
    return records.Leaderboard(ranked_by="macro F1 over the majority class", confidence=0.95, rows=rows)


def champion(runs: dict[str, records.RunMetrics], run: str | None = None) -> records.Champion:
    candidates = [
        records.Candidate(
            run=name,
            eligible=name == run,
            beats=[b for b, v in one.versus.items() if v.low > 0],
            fails=[b for b, v in one.versus.items() if v.low <= 0],
        )
        for name, one in runs.items()
    ]
    reason = f"{run} beats every baseline." if run else "No run beats every one of its baselines with 95 % confidence."
    return records.Champion(run=run, reason=reason, candidates=candidates)
