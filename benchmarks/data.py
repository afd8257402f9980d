"""What trusted bars cost: a large CSV, many symbols, one more day, and the suite alone.

`python benchmarks/data.py [csv] [symbols] [day] [suite]`: all of them by default (about ten minutes). Each ingest and
each validation is a process of its own, as in the pipeline, so that starting and peak memory count.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from betti import threads

threads.pin()

import numpy as np
import pandas as pd
import yaml

from benchmarks._figure import Figure, single, speedup, timed
from benchmarks._pandas_checks import bad_rows, flags, gaps
from betti import history, io, parts, schemas
from betti.history import History

ROOT = Path(__file__).resolve().parents[1]
CSV_ROWS = 10_000_000
CHUNK = 1_000_000
SYMBOLS, DAYS = 500, 5 * 252
FIVE, QUARTERS = 5, 2 * 365 * 96  # symbols, 15-minute bars of two years
REPORT = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"


def walk(rows: int, seed: int, first: float = 100.0, deviation: float = 0.001) -> pd.DataFrame:
    """Bars without times: a log random walk with plausible ranges and volumes."""
    rng = np.random.default_rng(seed)
    close = first * np.exp(np.cumsum(rng.normal(0, deviation, rows)))
    opened = np.concatenate([[first], close[:-1]])
    high = np.maximum(opened, close) * np.exp(np.abs(rng.normal(0, deviation, rows)))
    low = np.minimum(opened, close) * np.exp(-np.abs(rng.normal(0, deviation, rows)))
    volume = rng.lognormal(3, 1, rows)
    frame = pd.DataFrame({"open": opened, "high": high, "low": low, "close": close, "volume": volume})
    return frame.round(8)


def minutes(rows: int) -> Iterator[pd.DataFrame]:
    """One-minute bars of one symbol, a chunk at a time."""
    for number, start in enumerate(range(0, rows, CHUNK)):
        count = min(CHUNK, rows - start)
        first = pd.Timestamp("2005-01-01") + pd.Timedelta(minutes=start)
        bars = walk(count, number, deviation=0.0005)
        bars.insert(0, "timestamp", pd.date_range(first, periods=count, freq="1min").strftime("%Y-%m-%dT%H:%M:%SZ"))
        yield bars


def write_csv(file: Path, rows: int) -> None:
    with file.open("w") as out:
        for number, chunk in enumerate(minutes(rows)):
            chunk.to_csv(out, index=False, header=number == 0)


def repository(folder: Path, until: str, **ingest: object) -> None:
    """A repository that takes its bars from where `ingest` says."""
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    raw["ingest"] = {"source": "csv", "symbols": ["BIG"], "interval": "1m", "options": {}} | ingest
    raw["evaluate"]["trade_symbols"] = []
    (folder / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    (folder / "asof.yaml").write_text(f'until: "{until}"\naccepted: null\n')


def stage(root: Path, name: str) -> tuple[float, float]:
    """Run a stage in a process of its own: seconds, peak memory in MB."""
    code = f"import sys; from betti.__main__ import main; main(['{name}'])\n{REPORT}"
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], cwd=root, check=True, capture_output=True, text=True)
    return time.perf_counter() - started, float(done.stdout.split()[-1])


def in_pandas(file: Path) -> None:
    """What one would write without Betti: read it all, parse the times, check and flag alike, write it by month."""
    bars = pd.read_csv(file)
    bars["timestamp"] = pd.to_datetime(bars["timestamp"], utc=True)
    bars = bars.sort_values("timestamp", kind="stable").assign(symbol="BIG")
    good = bars[~bad_rows(bars)].reset_index(drop=True)
    del bars
    flags(good)
    gaps(good)
    with tempfile.TemporaryDirectory() as folder:
        for month, rows in good.groupby(good["timestamp"].dt.strftime("%Y-%m")):
            rows.to_parquet(f"{folder}/{month}.parquet", compression="zstd", index=False)


def apart(work: str, *arguments: str) -> tuple[float, float]:
    """A function of this file in a process of its own: seconds, peak memory in MB."""
    command = [sys.executable, "-c", f"import benchmarks.data as data; data.{work}\n{REPORT}", *arguments]
    started = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return time.perf_counter() - started, float(done.stdout.split()[-1])


def large_csv() -> Iterator[Figure]:
    """A gigabyte of one-minute bars, and half of it."""
    with tempfile.TemporaryDirectory() as folder:
        peaks = {}
        for rows in (CSV_ROWS // 2, CSV_ROWS):
            root = Path(folder, str(rows))
            root.mkdir()
            write_csv(root / "bars.csv", rows)
            repository(root, "2100-01-01T00:00:00+00:00", options={"path": "bars.csv"})
            taken = {name: stage(root, name) for name in ("ingest", "validate")}
            peaks[rows] = max(peak for _, peak in taken.values())
        seconds = sum(spent for spent, _ in taken.values())
        size = (root / "bars.csv").stat().st_size / 1e9
        said = f"csv of {size:.2f} GB, {rows:,} bars: ingest {taken['ingest'][0]:.0f} s, validate"
        yield single("data", said, [seconds], "s", 120.0)
        yield single("data", "its peak memory", [peaks[rows]], "MB", 1500.0)
        yield single("data", "its peak over that of half of it", [peaks[rows] / peaks[rows // 2]], "x", 1.2)
        reference, memory = apart(f"in_pandas(data.Path({str(root / 'bars.csv')!r}))")
        yield speedup("data", "csv beside pandas.read_csv and the same checks", [(seconds, reference)], 3.0)
        yield single("data", "peak memory of pandas there", [memory], "MB", float("inf"))


def many_symbols() -> Iterator[Figure]:
    """Five years of daily bars of many symbols, in one file."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        names = [f"S{number:03d}" for number in range(SYMBOLS)]
        times = pd.bdate_range("2019-01-01", periods=DAYS, tz="UTC").as_unit("us")
        tables = [
            walk(DAYS, number, deviation=0.01).assign(timestamp=times, symbol=s) for number, s in enumerate(names)
        ]
        pd.concat(tables, ignore_index=True).to_parquet(root / "bars.parquet", index=False)
        options = {"path": "bars.parquet"}
        repository(root, "2100-01-01T00:00:00+00:00", source="parquet", symbols=names, interval="1d", options=options)
        taken = {name: stage(root, name)[0] for name in ("ingest", "validate")}
        split = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in taken.items())
        said = f"{SYMBOLS} symbols, {DAYS} daily bars each: {split}"
        yield single("data", said, [sum(taken.values())], "s", 60.0)


@dataclass(frozen=True)
class _Item:
    """One item of features or labels."""

    stage: str
    name: str
    knobs: dict[str, object]

    def build(self, root: Path) -> None:
        """Its parts out of the bars under a folder, and its folder out of its parts."""
        module = importlib.import_module(f"betti.stages.{self.stage}")
        values = {"family": self.name, **self.knobs} if self.stage == "features" else self.knobs
        sliced = module.slices(**values)
        recipe = parts.Recipe(
            compute=lambda rows: getattr(module, self.stage)(rows, None, **values),
            back=sliced.back,
            ahead=sliced.ahead,
            knobs=values,
            modules=(f"betti.stages.{self.stage}", *sliced.modules),
            schema=schemas.FEATURES if self.stage == "features" else schemas.LABELS,
            what=self.name,
        )
        found = parts.build(History.at(root / "data" / "clean"), recipe, root / "cache")
        io.copy_parts(root / "data" / self.stage / self.name, found)


class _Nights:
    """Five symbols of 15-minute bars as they grow, and the items of the preset for such bars."""

    def __init__(self, root: Path) -> None:
        raw = yaml.safe_load((ROOT / "docs" / "presets" / "15m.yaml").read_text(encoding="utf-8"))
        items = [_Item("features", name, knobs or {}) for name, knobs in raw["features"].items()]
        items += [_Item("labels", name, knobs) for name, knobs in raw["targets"].items()]
        self.items, self._root = items, root
        times = pd.date_range("2024-01-01", periods=QUARTERS, freq="15min", tz="UTC").as_unit("us")
        tables = [walk(QUARTERS, k, deviation=0.002).assign(timestamp=times, symbol=f"S{k}") for k in range(FIVE)]
        self.last, self._bars = times[-1], pd.concat(tables, ignore_index=True)

    def cost(self, days_back: int) -> dict[str, float]:
        """Seconds of each item with the bars known so many days before the last, and the parts that the cache has."""
        until = self.last - pd.Timedelta(days=days_back)
        io.write_parts(self._root / "data" / "clean", self._bars[self._bars["timestamp"] <= until], schemas.BARS)
        history.forget()  # a night is a process of its own
        return {item.name: timed(partial(item.build, self._root)) for item in self.items}


def one_more_day() -> Iterator[Figure]:
    """Features and labels of five symbols when a day has come, on days of a month, beside all of it."""
    with tempfile.TemporaryDirectory() as folder:
        nights = _Nights(Path(folder))
        full, found = nights.cost(31), []
        for back in range(30, -1, -3):  # every third day of a month: its first parts are small, its last ones large
            nights.cost(back + 1)
            found.append(nights.cost(back))
    said = f"one more day of {FIVE} symbols, 15-minute bars of two years, {len(nights.items)} items"
    for without, targets in (((), (3.0, 6.0)), (("topology",), (float("inf"), float("inf")))):
        whole = sum(seconds for name, seconds in full.items() if name not in without)
        shares = [100 * sum(s for name, s in night.items() if name not in without) / whole for night in found]
        case = f"{said}{', without topology' if without else ''}: mean of 11 days of a month, share of a rebuild"
        yield single("data", f"{case} ({whole:.0f} s)", [float(np.mean(shares))], "%", targets[0])
        yield single("data", "the dearest of these days", [max(shares)], "%", targets[1])


def suite_alone() -> Iterator[Figure]:
    """The bars' suite on a million rows, in a process that has imported what it needs."""
    from betti.expectations import _engine as engine
    from betti.expectations.bars import prepared, suite

    (bars,) = minutes(CHUNK)
    bars = bars.assign(timestamp=pd.to_datetime(bars["timestamp"]).dt.as_unit("us"), symbol="BIG")
    expected = suite(until=pd.Timestamp("2100-01-01", tz="UTC"))
    engine.run(prepared(bars.iloc[:100]), expected)
    times = [timed(lambda: engine.run(prepared(bars), expected)) for _ in range(3)]
    yield single("data", "bar suite on 1M rows, after import", times, "s", 3.0)


PARTS: dict[str, Callable[[], Iterator[Figure]]] = {
    "csv": large_csv,
    "symbols": many_symbols,
    "day": one_more_day,
    "suite": suite_alone,
}


def main(names: list[str]) -> None:
    unknown = set(names) - set(PARTS)
    if unknown:
        sys.exit(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    for name in names or PARTS:
        for figure in PARTS[name]():
            figure.show()


if __name__ == "__main__":
    main(sys.argv[1:])
