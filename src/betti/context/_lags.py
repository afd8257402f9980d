"""How long after the period that it is about a macro value is published, for files that do not say when it was.

A lag counts days from the observation's date as FRED writes it (the day, or the FIRST day of the week, month or
quarter) to the end of the day by which it is out. Each is longer than the publishers' calendars need (Bureau of Labor
Statistics, Bureau of Economic Analysis, Census Bureau, Federal Reserve G.17, H.4.1, H.6, H.15, Labor Department,
University of Michigan, FRED's own update times): holidays and a late calendar are in it. When the government of the
United States did not work, its statistics came later still: those periods have days on top.

A series that is not named here gets the longest lag. What does not belong here: reading files.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

__all__ = ["LAGS", "LONGEST", "Lag", "released_days"]


@dataclass(frozen=True)
class Lag:
    """Days from an observation's date until it is out, and why so many.

    Attributes:
        days: calendar days, whole.
        source: who publishes it, and when.
        agency: its publisher stops when the government of the United States does.
    """

    days: int
    source: str
    agency: bool = False


_NEXT_WORKING_DAY = 5  # a Friday before a long weekend, and a day for FRED to take it over

_PRICES = Lag(60, "Consumer price index, about the 10th to the 15th of the next month", agency=True)
_JOBS = Lag(45, "Employment situation, first Friday of the next month, at times the second", agency=True)
_OUTPUT = Lag(55, "Federal Reserve G.17, about the 15th to the 18th of the next month", agency=True)
_SALES = Lag(55, "Census Bureau, about the 15th to the 17th of the next month", agency=True)
_INCOME = Lag(70, "Bureau of Economic Analysis, end of the next month", agency=True)
_PRODUCT = Lag(130, "Bureau of Economic Analysis, first estimate a month after the quarter", agency=True)
_YIELD = Lag(_NEXT_WORKING_DAY, "Federal Reserve H.15, next working day")
_MONTHLY_YIELD = Lag(40, "Federal Reserve H.15, monthly mean on the first working days of the next month")
_SPREAD = Lag(_NEXT_WORKING_DAY, "ICE Data Indices through FRED, next working day")
_OIL = Lag(12, "Energy Information Administration, once a week")

LAGS: dict[str, Lag] = {
    "CPIAUCSL": _PRICES,
    "CPIAUCNS": _PRICES,
    "CPILFESL": _PRICES,
    "CPI_US_BLS": _PRICES,
    "PPIACO": _PRICES,
    "UNRATE": _JOBS,
    "PAYEMS": _JOBS,
    "INDPRO": _OUTPUT,
    "IPMAN": _OUTPUT,
    "RSAFS": _SALES,
    "HOUST": _SALES,
    "PCEPI": _INCOME,
    "PCEPILFE": _INCOME,
    "GDP": _PRODUCT,
    "GDPC1": _PRODUCT,
    "ICSA": Lag(8, "Labor Department, Thursday after the week's last day (a Saturday)", agency=True),
    "UMCSENT": Lag(65, "University of Michigan, end of the month; FRED may show it a month later"),
    "M2SL": Lag(65, "Federal Reserve H.6, fourth Tuesday of the next month"),
    "WALCL": Lag(3, "Federal Reserve H.4.1, Thursday after the Wednesday"),
    "NFCI": Lag(8, "Federal Reserve Bank of Chicago, Wednesday after the Friday"),
    "DFEDTARU": Lag(1, "Federal Open Market Committee, announced the day before it takes effect"),
    "DFEDTARL": Lag(1, "Federal Open Market Committee, announced the day before it takes effect"),
    "DFF": _YIELD,
    "EFFR": _YIELD,
    "SOFR": _YIELD,
    "FEDFUNDS": _MONTHLY_YIELD,
    "DTB3": _YIELD,
    "DGS3MO": _YIELD,
    "TB3MS": _MONTHLY_YIELD,
    "DGS2": _YIELD,
    "DGS10": _YIELD,
    "DFII10": _YIELD,
    "GS10": _MONTHLY_YIELD,
    "T10Y2Y": _YIELD,
    "T10Y3M": _YIELD,
    "BAMLC0A0CM": _SPREAD,
    "BAMLH0A0HYM2": _SPREAD,
    "BAA10Y": _SPREAD,
    "VIXCLS": Lag(1, "Cboe, after the close; FRED the next morning"),
    "DCOILWTICO": _OIL,
    "DCOILBRENTEU": _OIL,
}
LONGEST = max(lag.days for lag in LAGS.values())

# First and last day of observations whose publication a closed government put off, and by how many days at most.
_CLOSED = (
    (date(1995, 10, 1), date(1996, 1, 31), 35),
    (date(2013, 7, 1), date(2013, 10, 31), 25),
    (date(2018, 10, 1), date(2019, 1, 31), 40),
    (date(2025, 7, 1), date(2026, 1, 31), 65),
)


def released_days(series: pd.Series[str], observed: pd.Series, lags: dict[str, int]) -> pd.Series:
    """The day at whose end each value was out.

    Args:
        series: names, one per row.
        observed: dates of the observations, midnight UTC.
        lags: series -> days, in place of those here.
    """
    known = LAGS | {name: Lag(days, "the options") for name, days in lags.items()}
    unknown = Lag(LONGEST, "the longest there is", agency=True)
    of_series = {name: known.get(name, unknown) for name in series.unique()}
    wait = series.map({name: lag.days for name, lag in of_series.items()}).to_numpy(dtype="int64")
    agency = series.map({name: lag.agency for name, lag in of_series.items()}).to_numpy(dtype="bool")
    days = observed.dt.tz_localize(None)
    for first, last, more in _CLOSED:
        held_up = agency & ((days >= pd.Timestamp(first)) & (days <= pd.Timestamp(last))).to_numpy()
        wait = wait + np.where(held_up, more, 0)
    found: pd.Series = days + pd.to_timedelta(wait, unit="D").as_unit("us")
    return found
