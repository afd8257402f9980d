"""Vietoris-Rips persistence of the default topology windows: our `giotto` backend beside giotto-tda's own class.

Today both compute with the same engine; the figure is the reference a native engine will be measured against.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from betti import threads

threads.pin()

import numpy as np

from benchmarks._figure import Figure, against, in_turn, timed

PAIRS = 5
WINDOW, DELAY, CLOUDS = 126, 5, 200


def clouds() -> np.ndarray:
    import pandas as pd

    from betti import sources
    from betti.topology.embedding import standardised, takens

    bars = sources.fetch(
        "sample", symbols=("NASDAQ",), interval="1d", until=pd.Timestamp("2018-12-31", tz="UTC"), options={}
    )
    closes = bars["close"].to_numpy()[: WINDOW + CLOUDS - 1]
    windows = np.lib.stride_tricks.sliding_window_view(closes, WINDOW)
    return takens(standardised(windows), dimension=2, delay=DELAY)


def main() -> None:
    from gtda.homology import VietorisRipsPersistence

    from betti.topology import persistence

    points = clouds()
    reference = VietorisRipsPersistence(homology_dimensions=(0, 1), n_jobs=1)

    def ours() -> float:
        return timed(lambda: [persistence(cloud) for cloud in points])

    def theirs() -> float:
        return timed(lambda: [reference.fit_transform(cloud[None]) for cloud in points])

    ours(), theirs()
    figure: Figure = against(
        "topology", f"{CLOUDS} windows of {WINDOW} daily closes", in_turn(ours, theirs, PAIRS), 1.0
    )
    figure.show()


if __name__ == "__main__":
    main()
