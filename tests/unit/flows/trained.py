"""A small workspace in which runs were trained and evaluated, recorded in dvc.lock as DVC would write it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from betti import binding, catalog, io, params, schemas
from tests.conftest import random_bars

PARAMS = """\
# Kept: a note on top.
ingest: {source: sample, symbols: [AAA, BBB], interval: 1d, options: {}}
validate: {max_quarantined_share: 0.01, stale_open_share: 0.2, jump: 0.25}
features: {technical: {}}
sets: {made: {columns: []}}
targets:
  up: {kind: direction, horizon: 3, width: 1.0, measure: atr}
split: {scheme: walk_forward, folds: 3, valid_share: 0.2, embargo: 2D}
runs:                       # kept: a note beside
  up-logistic:
    {model: logistic, set: made, target: up, seed: 7, config: {}}  # kept: why
  up-lightgbm:
    {model: lightgbm, set: made, target: up, seed: 7, prune: 0.9, config: {rounds: 20, early_stopping_rounds: 5}}
evaluate: {cost_bps: 1, slippage_bps: 1, decision_threshold: 0.4, trade_symbols: [], repetitions: 100,
           confidence: 0.95, seed: 7}
compare: {confidence: 0.95}
report: {title: T, max_points: 200}
flow: {workers: 1, lock_wait_seconds: 1, parts_cache_gb: 1, cron: "0 0 * * *", report_port: 4201, commit: false}
tracking: {backend: tensorboard}
"""
ROWS = 500
READ = {"train": ("feature_set", "labels", "folds"), "evaluate": ("models", "feature_set", "labels", "folds", "clean")}
MADE = {
    "train": ("models", "learning", "importance"),
    "evaluate": ("predictions", "metrics", "scores", "confusion", "equity"),
    "select": ("feature_set",),
    "labels": ("labels",),
    "split": ("folds",),
}


def lay_out(root: Path) -> Path:
    """Bars, a made-up feature set, labels and folds; nothing is trained yet."""
    (root / "params.yaml").write_text(PARAMS)
    (root / "asof.yaml").write_text('until: "2099-01-01T00:00:00+00:00"\naccepted: null\n')
    (root / "dvc.yaml").write_text("stages: {}\n")
    bars = pd.concat([random_bars(ROWS, 1, "AAA"), random_bars(ROWS, 2, "BBB")], ignore_index=True)
    io.write_parts(catalog.artifact("clean").at(root), bars, schemas.BARS)
    rng = np.random.default_rng(5)
    ahead = np.log(bars.groupby("symbol")["close"].shift(-3) / bars["close"]).fillna(0)
    made = bars[["timestamp", "symbol"]].assign(
        made__signal=(ahead + rng.normal(0, 0.01, len(bars))).astype("float32"),
        made__noise=rng.normal(size=len(bars)).astype("float32"),
        made__other=rng.normal(size=len(bars)).astype("float32"),
    )
    io.write_parts(catalog.artifact("feature_set").at(root, "made"), made, schemas.FEATURES)
    for stage in ("labels", "split"):
        binding.run(root, stage, "up")
    record(root)
    return root


def train(root: Path, run: str) -> None:
    binding.run(root, "train", run)
    record(root)


def evaluate(root: Path, run: str) -> None:
    binding.run(root, "evaluate", run)
    record(root)


def md5(path: Path) -> str:
    """A hash of a file, or of all files of a folder."""
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    whole = hashlib.md5(usedforsecurity=False)
    for file in files:
        whole.update(str(file.relative_to(path)).encode() + file.read_bytes())
    return whole.hexdigest() + (".dir" if path.is_dir() else "")


def record(root: Path) -> None:
    """Write dvc.lock for whatever is there now. An evaluation keeps the models it was made of, once it is recorded."""
    before = yaml.safe_load((root / "dvc.lock").read_text())["stages"] if (root / "dvc.lock").exists() else {}
    known = params.load(root)
    stages = {"select@made": "made", "labels@up": "up", "split@up": "up"}
    stages |= {f"{stage}@{run}": run for stage in ("train", "evaluate") for run in known.runs}
    entries = {}
    for name, item in stages.items():
        stage = name.partition("@")[0]
        outs = _hashed(root, MADE[stage], item, known)
        if outs:
            deps = _hashed(root, READ.get(stage, ()), item, known)
            old = before.get(name)
            same = old is not None and old["outs"] == outs
            entries[name] = old if same else {"cmd": f"python -m betti {stage} {item}", "deps": deps, "outs": outs}
    (root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": entries}, sort_keys=False))


def _hashed(root: Path, artifacts: tuple[str, ...], item: str, known: params.Params) -> list[dict]:
    found = []
    for name in artifacts:
        artifact = catalog.artifact(name)
        own = item
        if item in known.runs and artifact.item in ("set", "target"):
            own = getattr(known.runs[item], artifact.item)
        path = artifact.at(root, own)
        if path.exists():
            found.append({"path": path.relative_to(root).as_posix(), "hash": "md5", "md5": md5(path)})
    return found
