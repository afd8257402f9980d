"""The topology stage on 790 days of 15-minute bars: from nothing, and one day later.

`python benchmarks/topology_stage.py [FILE.parquet]`: bars of the file's one symbol (`timestamp`, `symbol`, `open`,
`high`, `low`, `close`, `volume`), or a made-up walk of as many bars. Each run is a process of its own, as in the
pipeline, so that starting and peak memory count.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from betti import threads

threads.pin()

from benchmarks._figure import single, timed

BARS = 75_840
DAY = 96
KNOBS = {"window": 1344, "delay": 12, "stride": 4}


def build(bars_file: Path, cache: Path, count: int) -> None:
    """The parts of the first `count` bars, as `python -m betti features topology` makes them."""
    import pandas as pd

    from betti import parts
    from betti.history import History
    from betti.schemas import FEATURES
    from betti.stages.features import features, slices

    bars = pd.read_parquet(bars_file).iloc[:count].reset_index(drop=True)
    sliced = slices(family="topology", **KNOBS)
    recipe = parts.Recipe(
        compute=lambda rows: features(rows, None, family="topology", **KNOBS),
        back=sliced.back,
        ahead=sliced.ahead,
        knobs=KNOBS,
        modules=("betti.stages.features", *sliced.modules),
        schema=FEATURES,
        what="topology",
    )
    parts.build(History.of(bars), recipe, cache)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def in_a_process(bars_file: Path, cache: Path, count: int) -> tuple[float, float]:
    """Seconds, and peak memory in MB."""
    command = [sys.executable, __file__, "--build", str(bars_file), str(cache), str(count)]
    peaks: list[float] = []

    def work() -> None:
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        peaks.append(float(done.stdout.split()[-1]))

    return timed(work), peaks[0]


def made_up(file: Path) -> None:
    import numpy as np
    import pandas as pd

    steps = 0.002 * np.random.default_rng(0).standard_t(4, BARS)
    close = 100 * np.exp(np.cumsum(steps))
    times = pd.date_range("2024-01-01", periods=BARS, freq="15min", tz="UTC").as_unit("us")
    frame = pd.DataFrame({"timestamp": times, "symbol": "WALK", "open": close, "high": close, "low": close})
    frame.assign(close=close, volume=1.0).to_parquet(file)


def main(given: Path | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bars_file, cache = given or Path(folder, "bars.parquet"), Path(folder, "parts")
        if given is None:
            made_up(bars_file)
        in_a_process(bars_file, Path(folder, "warm"), 2000)  # compiled code goes to disk
        spent, peak = in_a_process(bars_file, cache, BARS - DAY)
        half = in_a_process(bars_file, Path(folder, "half"), BARS // 2)[1]
        later, _ = in_a_process(bars_file, cache, BARS)
    single("topology stage", f"{BARS - DAY:,} bars from nothing, 1344 / 4", [spent], "s", 45).show()
    single("topology stage", "one day later", [later], "s", 2).show()
    single("topology stage", "peak memory", [peak], "MB", 500).show()
    single("topology stage", "peak memory over that of half the bars", [peak / half], "times", 1.1).show()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--build"]:
        build(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
    else:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
