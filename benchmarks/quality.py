"""What the twelve models are worth, out of sample and after costs: on the sample, or on markets of your own.

`python benchmarks/quality.py` runs `docs/presets/models.yaml` on the built-in sample. With a folder of Parquet files,
one per symbol and interval (`timestamp`, `open`, `high`, `low`, `close`, `volume`), it runs each market below instead;
`--work PLACE` keeps the workspaces, and the same command goes on where it was stopped. Every model trains through the
pipeline: purged walk-forward folds, costs and slippage at every fill. Networks are small and epochs few, so that two
cores need minutes for a model, not hours.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks._figure import single, timed
from betti import io
from betti.records import Interval, Leaderboard, RunMetrics
from tests.sandbox import Sandbox, environment, workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

MINUTES = 6  # for the twelve on the sample
PRESET = ROOT / "docs" / "presets" / "models.yaml"
HEADINGS = (
    *("model", "macro F1", "AUC", "AUC, long against short", "log loss under the majority's"),
    *("Sharpe after costs", "trades", "return per bar over holding"),
)
SIGNAL = 0.4  # probability of three classes at which a signal is acted on; at one half hardly any is
SMALL = {
    "lstm": {"epochs": 3, "hidden": 32, "layers": 1},
    "gru": {"epochs": 3, "hidden": 32, "layers": 1},
    "tcn": {"epochs": 2, "channels": 16, "length": 60},
}


@dataclass(frozen=True)
class Market:
    """What one table is made of.

    Attributes:
        name: the table's heading.
        files: names of the files in the folder, without their ending: SYMBOL_INTERVAL.
        since: bars before this day are left out.
        costs: commission and slippage per side, basis points.
        embargo: between training and test rows.
        topology: bars of one cloud, and its delay.
    """

    name: str
    files: tuple[str, ...]
    costs: tuple[float, float]
    embargo: str
    since: str = "2000-01-01"
    topology: dict[str, int] = field(default_factory=lambda: {"window": 960, "delay": 12, "stride": 4})

    @property
    def interval(self) -> str:
        return self.files[0].rpartition("_")[2]


STOCKS = (
    *("AAPL", "MSFT", "NVDA", "AMZN", "JPM", "BAC", "WFC", "XOM", "CVX", "KO", "PEP", "PG", "WMT", "HD", "MCD"),
    *("DIS", "INTC", "CSCO", "ORCL", "IBM", "PFE", "JNJ", "UNH", "CAT", "BA", "GE", "MMM", "HON", "TXN", "QCOM"),
)
MARKETS = (
    Market("SPX", ("SPX_5m",), (1.0, 1.0), "1D"),
    Market("EURUSD", ("EURUSD_15m",), (0.5, 0.5), "1D", "2019-01-01"),
    Market("BTC", ("BTCUSDT-PERP_15m",), (5.0, 2.0), "1D", "2025-07-01"),
    Market(
        "stocks",
        tuple(f"{symbol}_1d" for symbol in STOCKS),
        (1.0, 2.0),
        "10D",
        "2021-01-01",
        {"window": 126, "delay": 5, "stride": 1},
    ),
)


def laid_out(place: Path, blocks: dict[str, Any]) -> Sandbox:
    """A workspace with these blocks in its params.yaml; the one that an earlier run left, where there is one."""
    base = environment(place.parent / "prefect")
    if place.is_dir():
        return Sandbox(place, {**base, "PYTHONPATH": f"{place / 'src'}{os.pathsep}{place}"})
    sandbox = workspace(place, ROOT, base, until="2030-01-01T00:00:00+00:00")
    kept = sandbox.params()
    sandbox.set_params(**{**blocks, "flow": kept["flow"], "tracking": kept["tracking"]})
    return sandbox


def on_market(market: Market, folder: Path, feed: Path) -> dict[str, Any]:
    """The preset's blocks for a market; its bars are laid into `feed`, without the years that are left out."""
    import pandas as pd

    blocks: dict[str, Any] = yaml.safe_load(PRESET.read_text())
    feed.mkdir(parents=True, exist_ok=True)
    for name in market.files:
        bars = pd.read_parquet(folder / f"{name}.parquet")
        bars[bars["timestamp"] >= market.since].to_parquet(feed / f"{name}.parquet")
    runs = blocks["runs"]
    for run in runs.values():
        run["config"] = SMALL.get(run["model"], run["config"])
    commission, slippage = market.costs
    return {
        **blocks,
        "ingest": {
            **blocks["ingest"],
            "source": "parquet",
            "symbols": [name.rpartition("_")[0] for name in market.files],
            "interval": market.interval,
            "options": {"path": str(feed / "{symbol}_{interval}.parquet")},
        },
        "validate": {**blocks["validate"], "stale_open_share": 1.0},
        "features": {**blocks["features"], "topology": {**blocks["features"]["topology"], **market.topology}},
        "targets": {"direction_20": {"kind": "direction", "horizon": 20, "width": 1.0, "measure": "sigma"}},
        "split": {"scheme": "walk_forward", "folds": 3, "valid_share": 0.15, "embargo": market.embargo},
        "evaluate": {
            **blocks["evaluate"],
            "cost_bps": commission,
            "slippage_bps": slippage,
            "trade_symbols": [],
            "decision_threshold": SIGNAL,
        },
    }


def run(sandbox: Sandbox) -> None:
    """All stages; what an earlier run finished is not done again."""
    process = sandbox.start(sys.executable, "-m", "flows.cli", "run")
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", file=sys.stderr, flush=True)
    if process.wait() != 0:
        raise SystemExit(f"the run in {sandbox.root} failed; what it says is above")


def table(name: str, sandbox: Sandbox) -> str:
    """Markdown: the runs as the leaderboard ranks them, and what needs no model."""
    reports = sandbox.root / "data/9_reports"
    board = io.read_json(reports / "leaderboard.json", Leaderboard)
    found = [io.read_json(reports / f"evaluation/{row.run}.json", RunMetrics) for row in board.rows]
    sides = [side(sandbox.root / f"data/8_predictions/{run.run}/table.parquet") for run in found]
    majority, held = found[0].baselines["majority_class"], found[0].baseline_trading["buy_and_hold"]
    without = f"majority class: log loss {majority.log_loss:.4f}; buy and hold: Sharpe {held.sharpe:.2f}"
    lines = [
        f"**{name}**, {found[0].pooled.rows:,} test rows ({without})",
        "",
        f"| {' | '.join(HEADINGS)} |",
        f"|{'---|' * len(HEADINGS)}",
    ]
    return "\n".join([*lines, *map(_line, found, sides)])


def side(predictions: Path) -> float:
    """Area under the curve of long against short, on rows that turned out either: neutral rows are easily told."""
    import pandas as pd
    from sklearn.metrics import roc_auc_score

    rows = pd.read_parquet(predictions)
    either = rows[rows["label"] != 1]
    return float(roc_auc_score(either["label"] == 2, either["p_2"] / (either["p_0"] + either["p_2"])))


def _line(run: RunMetrics, side: float) -> str:
    f1, sharpe = run.intervals["macro_f1"], run.trading_intervals["sharpe"]
    cells = (
        run.model,
        _between(f1, 3),
        "-" if run.pooled.auc is None else f"{run.pooled.auc:.3f}",
        f"{side:.3f}",
        _between(run.versus["majority_class"], 4),
        _between(sharpe, 2),
        f"{run.trading.trades:,}",
        _between(run.versus["buy_and_hold"], 2, 1e4) + " bps",
    )
    return f"| {' | '.join(cells)} |"


def _between(found: Interval, digits: int, scale: float = 1.0) -> str:
    middle, low, high = (scale * value for value in (found.estimate, found.low, found.high))
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def on_sample(work: Path) -> None:
    sandbox = laid_out(work / "sample", yaml.safe_load(PRESET.read_text()))
    seconds = timed(lambda: run(sandbox))
    print(table("The sample", sandbox))
    single("quality", "twelve models on the sample, whole run", [seconds / 60], "min", MINUTES).show()


def main(given: Sequence[str]) -> None:
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("folder", nargs="?", type=Path, help="Parquet files, SYMBOL_INTERVAL.parquet")
    asked.add_argument("--market", action="append", choices=[market.name for market in MARKETS], help="only these")
    asked.add_argument("--work", type=Path, help="where workspaces are kept; a temporary folder otherwise")
    wanted = asked.parse_args(given)
    with tempfile.TemporaryDirectory() as temporary:
        work = (wanted.work or Path(temporary)).resolve()
        if wanted.folder is None:
            on_sample(work)
            return
        for market in MARKETS:
            if wanted.market and market.name not in wanted.market:
                continue
            sandbox = laid_out(work / market.name, on_market(market, wanted.folder, work / "feed"))
            run(sandbox)
            print(table(market.name, sandbox), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
