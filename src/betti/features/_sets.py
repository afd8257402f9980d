"""Feature sets: named choices of columns, and the inputs of each network, as full column names in order.

A set in params.yaml without `columns` of its own takes the declaration here. The order counts: of two columns that say
the same, pruning drops the later (`betti.training.pruning`), so plain columns stand before refined ones.

A network of several inputs names a set for each, and has beside them one that puts these together: a run takes that.

No family has a raw price. Where a model is said to take the close (`nbeats_raw`, `chronos_raw`), its set holds log
returns to the close before: a level of one market or year cannot be compared with that of another, so that a model
trained on levels meets prices it has never seen. The running sum of a window of returns is the log close less the one
before the window: a forecaster that scales its context sees the same as it would of the log price.

What does not belong here: computing columns (the families), choosing among them by their values (pruning).
"""

from __future__ import annotations

from dataclasses import dataclass

from betti.errors import UnknownName

__all__ = ["SETS", "FeatureSet", "declared"]


@dataclass(frozen=True)
class FeatureSet:
    """Columns in order, and what they are meant for.

    Attributes:
        name: as in params.yaml.
        columns: full column names; a shell pattern where a family's knobs say how many there are.
        description: the models or the network that take it.
    """

    name: str
    columns: tuple[str, ...]
    description: str

    @property
    def families(self) -> tuple[str, ...]:
        """The families that have its columns, in order of their first.

        >>> declared("ensemble_base").families[:3]
        ('technical', 'complexity', 'topology')
        """
        return tuple(dict.fromkeys(column.partition("__")[0] for column in self.columns))


def _of(family: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{family}__{name}" for name in names)


# Shared stretches of the sets below.

_BARS = _of(
    "bars",
    *("open", "high", "low", "close"),
    *("volume", "buy_volume", "sell_volume", "delta", "cumulative_delta"),
    *("rsi_14", "macd_12_26", "bollinger_b_20", "atr_ratio_14", "momentum_10"),
)
_SIX = _of(
    "complexity",
    *("ma_separation", "bollinger_width", "price_efficiency"),
    *("support_reaction", "directional_result", "volume_price_alignment"),
)
_WAVELETS = _of(
    "wavelet",
    *("close_approx", "close_d1", "close_d2", "close_d3"),
    *("close_energy_approx", "close_energy_d1", "close_energy_d2", "close_energy_d3", "close_trend_strength"),
)
_WEEK = _of("calendar", "hour_sin", "hour_cos", "dayofweek_sin", "dayofweek_cos")
_YEAR = _of("calendar", "dayofmonth_sin", "dayofmonth_cos", "month_sin", "month_cos")
_SPREADS = _of("microstructure", "roll_spread", "corwin_schultz_spread", "abdi_ranaldo_spread")
# Without Amihud's illiquidity: it is per money, another number in every market and decade.
_MICROSTRUCTURE = (
    *_of("microstructure", "two_scale_volatility", "bipower_volatility", "jump_share"),
    *_SPREADS,
    *_of("microstructure", "kyle_lambda"),
)
_TOPOLOGY_SUMMARIES = _of(
    "topology", "entropy_h0", "entropy_h1", "total_h0", "total_h1", "landscape_h0_1", "landscape_h1_1"
)

BOOSTING_OPTIMAL = (
    # Returns; those in shares and in per cent say the same as the logarithms to a tree, and pruning takes them out.
    *_of("technical", *(f"log_return_{bars}" for bars in (1, 2, 3, 5, 10, 20, 30, 60, 120))),
    *_of("technical", *(f"return_{bars}" for bars in (1, 2, 3, 5, 20, 60, 120)), "roc_10", "roc_30"),
    # Oscillators.
    *_of("technical", "rsi_14", "rsi_7", "stochastic_k_14", "stochastic_d_14", "williams_r_14", "cci_20", "mfi_14"),
    *_of("technical", "macd_12_26", "macd_signal_9", "macd_histogram"),
    # Trend.
    *_of("technical", "adx_10", "plus_di_10", "minus_di_10", "aroon_up_25", "aroon_down_25", "aroon_oscillator_25"),
    *_of("technical", "supertrend_direction_10", "supertrend_distance_10"),
    *_of("technical", *(f"sma_distance_{bars}" for bars in (5, 10, 20, 50, 100, 200))),
    *_of("technical", *(f"ema_distance_{bars}" for bars in (8, 13, 21, 34))),
    # Volatility.
    *_of("technical", *(f"volatility_{bars}" for bars in (10, 20, 60, 120))),
    *_of("technical", "atr_ratio_14", "atr_ratio_5_14", "true_range_14", "bollinger_width_20", "bollinger_width_50"),
    *_of("technical", "bollinger_b_20", "bollinger_b_50", "keltner_position_20"),
    *_of("technical", "donchian_position_20", "donchian_position_55"),
    *_of("technical", "parkinson_20", "parkinson_60", "garman_klass_20", "garman_klass_60"),
    *_of("technical", "rogers_satchell_20", "rogers_satchell_60", "yang_zhang_20", "yang_zhang_60"),
    # Volume.
    *_of("technical", "volume_z_20", "volume_z_60", "volume_ratio_5_20", "obv_20", "obv_60", "cmf_20"),
    *_of("technical", "vwap_distance_20", "vwap_distance_60", "buy_volume_20", "sell_volume_20", "delta_20"),
    *_of("technical", "cumulative_delta_20", "cumulative_delta_60"),
    # Time, microstructure, wavelets; then how complex the market is, and its shape.
    *(*_WEEK, *_YEAR),
    *_MICROSTRUCTURE,
    *_WAVELETS,
    *_SIX,
    *_TOPOLOGY_SUMMARIES,
)

NEURAL_OPTIMAL = (
    *_of("technical", *(f"log_return_{bars}" for bars in (1, 2, 3, 5, 10, 20, 60))),
    *_of("technical", "rsi_14", "rsi_7", "stochastic_k_14", "stochastic_d_14", "mfi_14", "cci_20"),
    *_of("technical", "macd_histogram", "adx_10", "aroon_up_25", "aroon_down_25", "supertrend_direction_10"),
    *_of("technical", "sma_distance_20", "sma_distance_50", "bollinger_b_20", "donchian_position_55"),
    *_of("technical", "volatility_20", "volatility_60", "atr_ratio_14", "atr_ratio_5_14", "yang_zhang_20"),
    *_of("technical", "volume_z_20", "volume_ratio_5_20", "obv_20", "cmf_20", "cumulative_delta_20"),
    *_of("candle", "body", "close_in_range", "swing_high_distance", "swing_low_distance"),
    *_of("candle", "expansion_proxy", "consolidation_proxy"),
    *_WAVELETS,
    *_WEEK,
    *_SIX,
)

TRANSFORMER_RAW = (
    *_of("technical", *(f"log_return_{bars}" for bars in (1, 2, 3, 5, 10, 20, 60))),
    *_of("technical", "volume_ratio_5_20"),
    *_WEEK,
)

# One or two columns for each way of looking: members of an ensemble shall err differently.
ENSEMBLE_BASE = (
    *_of("technical", *(f"log_return_{bars}" for bars in (1, 2, 5, 10, 20, 60, 120))),
    *_of("technical", "rsi_14", "stochastic_d_14", "cci_20", "mfi_14", "macd_12_26", "macd_histogram"),
    *_of("technical", "adx_10", "plus_di_10", "minus_di_10", "aroon_oscillator_25", "supertrend_distance_10"),
    *_of("technical", "sma_distance_20", "sma_distance_50", "sma_distance_200", "donchian_position_55"),
    *_of("technical", "volatility_20", "volatility_120", "atr_ratio_5_14", "true_range_14", "bollinger_width_20"),
    *_of("technical", "volume_z_20", "volume_ratio_5_20", "obv_60", "cmf_20", "vwap_distance_60", "delta_20"),
    *_of("technical", "cumulative_delta_60"),
    *_SIX,
    *_of("complexity", "permutation_entropy", "hurst_exponent", "higuchi_dimension"),
    *_TOPOLOGY_SUMMARIES,
    *_MICROSTRUCTURE,
    *_of("wavelet", "close_d1", "close_d2", "close_d3", "close_energy_approx", "close_trend_strength"),
    *(*_WEEK, *_YEAR),
)

ITRANSFORMER_OPTIMAL = (
    # Every column is a token: prices and flows first, then what several scales say.
    *_BARS,
    *_of("technical", *(f"log_return_{bars}" for bars in (5, 20, 60))),
    *_of("technical", "stochastic_k_14", "mfi_14", "cci_20", "adx_10", "aroon_oscillator_25", "sma_distance_50"),
    *_of("technical", "volatility_20", "volatility_60", "parkinson_20", "volume_ratio_5_20", "obv_20", "cmf_20"),
    *_of("wavelet", "close_d1", "close_d2", "close_d3", "close_trend_strength"),
    *_SIX,
)

# The stock's own side of the dual tower: 62 numbers.
STOCK = (
    *_of("technical", *(f"log_return_{bars}" for bars in (1, 2, 3, 5, 10, 20, 30, 60, 120))),
    *_of("technical", "rsi_14", "rsi_7", "stochastic_k_14", "stochastic_d_14", "cci_20", "mfi_14"),
    *_of("technical", "macd_12_26", "macd_signal_9", "macd_histogram"),
    *_of("technical", "adx_10", "plus_di_10", "minus_di_10", "aroon_up_25", "aroon_down_25"),
    *_of("technical", "supertrend_direction_10", "supertrend_distance_10"),
    *_of("technical", *(f"sma_distance_{bars}" for bars in (5, 10, 20, 50, 100, 200))),
    *_of("technical", "ema_distance_13", "ema_distance_34", "bollinger_b_20", "bollinger_b_50"),
    *_of("technical", "keltner_position_20", "donchian_position_20", "donchian_position_55"),
    *_of("technical", *(f"volatility_{bars}" for bars in (10, 20, 60, 120))),
    *_of("technical", "atr_ratio_14", "atr_ratio_5_14", "true_range_14", "bollinger_width_20", "bollinger_width_50"),
    *_of("technical", "parkinson_20", "garman_klass_20", "rogers_satchell_20", "yang_zhang_20"),
    *_of("technical", "volume_z_20", "volume_z_60", "volume_ratio_5_20", "obv_20", "obv_60", "cmf_20"),
    *_of("technical", "vwap_distance_20", "vwap_distance_60", "delta_20", "cumulative_delta_20", "cumulative_delta_60"),
)

CONTEXT = _of(
    "context",
    *("news_sentiment", "news_sentiment_deviation", "news_negative_share", "news_sentiment_change"),
    *("news_volume", "news_volume_surprise", "news_diversity", "news_freshness"),
    *("policy_stance", "policy_urgency", "policy_impact", "policy_freshness", "policy_imminence"),
    *("macro_inflation", "macro_inflation_change", "macro_inflation_surprise", "macro_short_rate"),
    *("macro_short_rate_change", "macro_long_rate_change", "macro_term_spread", "macro_growth"),
    *("macro_unemployment_change", "macro_credit_spread", "macro_volatility", "macro_oil_change"),
)

# Named one by one: the network was made for this grid, and other knobs of the family shall be refused.
FILM_TOPOLOGY = _of(
    "topology",
    *(f"betti{dimension}_{step:03d}" for dimension in (0, 1) for step in range(100)),
    *("entropy_h0", "entropy_h1", "total_h0", "total_h1"),
    *(f"landscape_h{dimension}_{layer}" for dimension in (0, 1) for layer in range(1, 6)),
)

EXPANSION = _of(
    "candle",
    *("open_in_range", "close_in_range", "body", "upper_wick", "lower_wick", "range_z"),
    *("swing_high_distance", "swing_low_distance", "swing_high_age", "swing_low_age"),
    *("expansion_proxy", "consolidation_proxy"),
)

REGIME = (
    *_of("microstructure", "two_scale_volatility", "bipower_volatility", "amihud_illiquidity"),
    *_of("microstructure", "state_normal", "state_short_sale_restricted", "state_price_limit", "state_both"),
    *_of("microstructure", *(f"volume_decile_{tenth:02d}" for tenth in range(1, 11))),
    *_SPREADS,
)

# How the last bars look, as one point among others: every way of looking that a market with a volume has numbers for,
# each once (no simple returns beside the logarithms, no Williams' %R beside the stochastic), and nothing per money.
# Whoever measures distances between such points scales the columns first.
PATTERN_FEATURES = (
    *_BARS[:9],
    *EXPANSION,
    *_of("technical", *(f"log_return_{bars}" for bars in (2, 3, 5, 10, 20, 30, 60, 120))),
    *_of("technical", "rsi_7", "rsi_14", "stochastic_k_14", "stochastic_d_14", "cci_20", "mfi_14"),
    *_of("technical", "macd_12_26", "macd_signal_9", "macd_histogram", "adx_10", "plus_di_10", "minus_di_10"),
    *_of("technical", "aroon_up_25", "aroon_down_25", "aroon_oscillator_25"),
    *_of("technical", "supertrend_direction_10", "supertrend_distance_10"),
    *_of("technical", *(f"sma_distance_{bars}" for bars in (5, 10, 20, 50, 100, 200))),
    *_of("technical", *(f"ema_distance_{bars}" for bars in (8, 13, 21, 34))),
    *_of("technical", "bollinger_width_20", "bollinger_width_50", "bollinger_b_20", "bollinger_b_50"),
    *_of("technical", "keltner_position_20", "donchian_position_20", "donchian_position_55"),
    *_of("technical", "atr_ratio_14", "atr_ratio_5_14", "true_range_14"),
    *_of("technical", *(f"volatility_{bars}" for bars in (10, 20, 60, 120))),
    *_of("technical", "parkinson_20", "parkinson_60", "garman_klass_20", "garman_klass_60"),
    *_of("technical", "rogers_satchell_20", "rogers_satchell_60", "yang_zhang_20", "yang_zhang_60"),
    *_of("technical", "obv_20", "obv_60", "cmf_20", "vwap_distance_20", "vwap_distance_60"),
    *_of("technical", "volume_z_20", "volume_z_60", "volume_ratio_5_20", "buy_volume_20", "sell_volume_20"),
    *_of("technical", "delta_20", "cumulative_delta_20", "cumulative_delta_60"),
    *_MICROSTRUCTURE,
    *_of("microstructure", *(f"volume_decile_{tenth:02d}" for tenth in range(1, 11))),
    *_WAVELETS,
    *_of("complexity", "ma_separation", "price_efficiency", "support_reaction", "directional_result"),
    *_of("complexity", "volume_price_alignment", "permutation_entropy", "sample_entropy", "spectral_entropy"),
    *_of("complexity", "hurst_exponent", "detrended_fluctuation", "higuchi_dimension"),
)


def _together(*parts: tuple[str, ...]) -> tuple[str, ...]:
    """Every column of these once, in order."""
    return tuple(dict.fromkeys(column for part in parts for column in part))


SETS = {
    one.name: one
    for one in (
        FeatureSet(
            "boosting_optimal", BOOSTING_OPTIMAL, "tree ensembles and classical models: all that is known of a bar"
        ),
        FeatureSet("neural_optimal", NEURAL_OPTIMAL, "recurrent, convolutional, state-space: bounded or normalised"),
        FeatureSet("transformer_raw", TRANSFORMER_RAW, "transformers: returns, a volume ratio, the clock as a circle"),
        FeatureSet("itransformer_optimal", ITRANSFORMER_OPTIMAL, "transformer over columns: each column is a token"),
        FeatureSet("ensemble_base", ENSEMBLE_BASE, "voting, stacking, blending: one column for each way of looking"),
        FeatureSet(
            "nbeats_raw",
            _of("bars", "close"),
            "N-BEATS: log returns of the close, not its level: levels of two markets or years cannot be compared",
        ),
        FeatureSet(
            "linear_raw",
            _BARS[:5],
            "linear forecasters: open, high, low, close as log returns to the close before, and volume",
        ),
        FeatureSet(
            "chronos_raw",
            _of("bars", "close"),
            "foundation models: log returns of the close, not its level (see nbeats_raw); their running sum is the log "
            "close less that before the window",
        ),
        FeatureSet("film_bars", _BARS, "FiLM network: its windows of bars, 14 channels"),
        FeatureSet("film_topology", FILM_TOPOLOGY, "FiLM network: the 214 topological numbers"),
        FeatureSet("film_complexity", _SIX, "FiLM network: the six indicators that condition it"),
        FeatureSet("film", _together(_BARS, FILM_TOPOLOGY, _SIX), "FiLM network: all of its three inputs"),
        FeatureSet("expansion", EXPANSION, "expansion network: the twelve inputs of a bar"),
        FeatureSet("stock", STOCK, "dual tower: the 62 numbers of the stock"),
        FeatureSet("context", CONTEXT, "dual tower: the 25 numbers of what surrounds the market"),
        FeatureSet("dual_tower", _together(CONTEXT, STOCK), "dual tower: both of its inputs"),
        FeatureSet("regime", REGIME, "conditioning system: the 20 numbers that tell market regimes"),
        FeatureSet(
            "pattern_features", PATTERN_FEATURES, "conditioning system: the 128 numbers that patterns are told by"
        ),
        FeatureSet(
            "hrm",
            _together(NEURAL_OPTIMAL, REGIME, PATTERN_FEATURES),
            "hierarchical reasoning model: its tokens, which are neural_optimal, regimes and patterns",
        ),
        FeatureSet("topology_only", ("topology__*",), "every topological number alone, to see what they carry"),
    )
}


def declared(name: str) -> FeatureSet:
    """One declared feature set, or `UnknownName`."""
    if name not in SETS:
        raise UnknownName("feature set", name, SETS)
    return SETS[name]
