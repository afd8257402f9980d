"""Feature families on a million one-minute bars of one symbol, one thread, compiled code warm; `technical` beside `ta`.

`python benchmarks/features.py`. The peak of memory is a fresh process's, its imports and its bars included. `ta` is
timed on fewer bars, because it calls Python once per bar, and on the columns that it has; our side makes all of them.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from betti import threads

threads.pin()

import numpy as np
import pandas as pd

from benchmarks._figure import in_turn, single, speedup, timed

BARS = 1_000_000
SHARED_BARS = 100_000
ALL_BARS = 75_840  # 790 days of 15 minutes
INDICATORS = ("technical", "candle", "calendar")
SECONDS, MEGABYTES, FASTER, ALL_SECONDS = 12, 2000, 10, 6
FAMILIES = {"wavelet": 10, "microstructure": 15, "complexity": 30}
RUNS = 3


def walk(rows: int) -> pd.DataFrame:
    """Made-up bars of one symbol: a random walk in cents, one minute a bar."""
    rng = np.random.default_rng(0)
    close = np.round(400 * np.exp(np.cumsum(rng.normal(0, 3e-4, rows))), 2)
    open_ = np.concatenate([close[:1], close[:-1]])
    wick = np.round(np.abs(rng.normal(0, 0.05, (2, rows))), 2)
    return pd.DataFrame(
        {
            "timestamp": pd.date_range("2022-01-01", periods=rows, freq="1min", tz="UTC").as_unit("us"),
            "symbol": "WALK",
            "open": open_,
            "high": np.maximum(open_, close) + wick[0],
            "low": np.minimum(open_, close) - wick[1],
            "close": close,
            "volume": np.round(rng.lognormal(5, 1, rows)),
        }
    )


def computed(names: tuple[str, ...], bars: pd.DataFrame) -> Callable[[], object]:
    """Several families as the pipeline computes them, their compiled code loaded before."""
    from betti import features

    for name in names:
        features.compute(name, bars.iloc[:2000])
    return lambda: [features.compute(name, bars) for name in names]


def shared(bars: pd.DataFrame) -> None:
    """Every column of `technical` that `ta` has, made by `ta`, each indicator once."""
    from ta import momentum, others, trend, volatility, volume

    high, low, close, traded = (bars[name] for name in ("high", "low", "close", "volume"))
    others.DailyLogReturnIndicator(close).daily_log_return()
    for window in (1, 2, 3, 5, 10, 20, 30, 60, 120):
        momentum.ROCIndicator(close, window).roc()
    for window in (7, 14):
        momentum.RSIIndicator(close, window).rsi()
    stochastic = momentum.StochasticOscillator(high, low, close)
    stochastic.stoch(), stochastic.stoch_signal()
    momentum.WilliamsRIndicator(high, low, close, 14).williams_r()
    trend.CCIIndicator(high, low, close, 20).cci()
    macd, adx, aroon = trend.MACD(close), trend.ADXIndicator(high, low, close, 10), trend.AroonIndicator(high, low, 25)
    macd.macd(), macd.macd_signal(), macd.macd_diff()
    adx.adx(), adx.adx_pos(), adx.adx_neg()
    aroon.aroon_up(), aroon.aroon_down(), aroon.aroon_indicator()
    for window in (5, 10, 20, 50, 100, 200):
        trend.SMAIndicator(close, window).sma_indicator()
    for window in (8, 13, 21, 34):
        trend.EMAIndicator(close, window).ema_indicator()
    for window in (20, 50):
        bands = volatility.BollingerBands(close, window)
        bands.bollinger_wband(), bands.bollinger_pband()
    volatility.KeltnerChannel(high, low, close, 20, 10, original_version=False).keltner_channel_pband()
    for window in (20, 55):
        volatility.DonchianChannel(high, low, close, window).donchian_channel_pband()
    for window in (5, 14):
        volatility.AverageTrueRange(high, low, close, window).average_true_range()
    for window in (20, 60):
        volume.VolumeWeightedAveragePrice(high, low, close, traded, window).volume_weighted_average_price()
    volume.OnBalanceVolumeIndicator(close, traded).on_balance_volume()
    volume.MFIIndicator(high, low, close, traded, 14).money_flow_index()
    volume.ChaikinMoneyFlowIndicator(high, low, close, traded, 20).chaikin_money_flow()


def peak() -> float:
    """Megabytes that a process which does nothing else holds at most."""
    program = (
        "import resource; from benchmarks import features; "
        "features.computed(features.INDICATORS, features.walk(features.BARS))(); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


def against_ta() -> None:
    bars = walk(SHARED_BARS)
    ours = computed(("technical",), bars)
    pairs = in_turn(lambda: timed(ours), lambda: timed(lambda: shared(bars)), RUNS)
    speedup("features", f"technical beside ta, {SHARED_BARS} bars", pairs, FASTER).show()


def everything() -> None:
    """Every registered family but topology, each at its default knobs."""
    from betti import features

    work = computed(tuple(name for name in features.families() if name != "topology"), walk(ALL_BARS))
    times = [timed(work) for _ in range(RUNS)]
    single("features", f"all families but topology, {ALL_BARS} bars", times, "s", ALL_SECONDS).show()


def main() -> None:
    bars, together = walk(BARS), " + ".join(INDICATORS)
    work = computed(INDICATORS, bars)
    single("features", f"{together}, {BARS} bars", [timed(work) for _ in range(RUNS)], "s", SECONDS).show()
    single("features", f"{together}, {BARS} bars, peak memory", [peak()], "MB", MEGABYTES).show()
    against_ta()
    for name, most in FAMILIES.items():
        single("features", f"{name}, {BARS} bars", [timed(computed((name,), bars))], "s", most).show()
    everything()


if __name__ == "__main__":
    main()
