"""Files of Binance's archive: with and without a header, milliseconds and microseconds, months and days."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from betti import sources
from betti.errors import BadBars, BadParam, MissingFile, UnreadableFile
from tests.unit.sources.files import END, assert_bars, read

HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)


def klines(first: str, rows: int = 3, scale: int = 1000) -> str:
    """Minutes from that time on; times in 1/scale seconds."""
    start = int(pd.Timestamp(first, tz="UTC").timestamp())
    lines = []
    for i in range(rows):
        opened = (start + 60 * i) * scale
        lines.append(f"{opened},{i + 1},{i + 2},{i + 0.5},{i + 1.5},10.5,{opened + 60 * scale - 1},99.9,7,4.25,40.1,0")
    return "\n".join(lines) + "\n"


@pytest.fixture
def folder(tmp_path):
    """Write files of the archive, packed as their names say, and give the folder."""

    def write(**files: str) -> Path:
        for name, text in files.items():
            path = tmp_path / name.replace("_", "-").replace("--", ".")
            if path.suffix == ".zip":
                packed = io.BytesIO()
                with zipfile.ZipFile(packed, "w") as archive:
                    archive.writestr(path.stem + ".csv", text)
                path.write_bytes(packed.getvalue())
            else:
                path.write_text(text)
        return tmp_path

    return write


def archive(folder: Path, symbol: str = "BTCUSDT", pattern: str = "{symbol}-{interval}-*") -> pd.DataFrame:
    return read("binance_archive", folder / pattern, symbol, "1m")


@pytest.mark.parametrize("header", ["", HEADER + "\n"])
@pytest.mark.parametrize("scale", [1000, 10**6])
@pytest.mark.parametrize("ending", ["csv", "zip"])
def test_a_month_in_every_form_they_have_had(folder, header, scale, ending):
    here = folder(**{f"BTCUSDT_1m_2025_01--{ending}": header + klines("2025-01-01", scale=scale)})
    bars = archive(here)
    assert_bars(bars, "BTCUSDT", 3)
    assert list(bars.columns) == [
        "timestamp", "symbol", "open", "high", "low", "close", "volume", "buy_volume", "sell_volume", "trades",
    ]  # fmt: skip
    assert bars["timestamp"].tolist() == list(pd.date_range("2025-01-01", periods=3, freq="min", tz="UTC"))
    assert bars.iloc[1, 2:].tolist() == [2, 3, 1.5, 2.5, 10.5, 4.25, 6.25, 7]


def test_months_follow_each_other_whatever_their_unit(folder):
    here = folder(
        BTCUSDT_1m_2025_01__zip=klines("2025-01-01", scale=10**6),
        BTCUSDT_1m_2024_12__zip=klines("2024-12-01"),
        BTCUSDT_1m_2025_02_01__csv=HEADER + "\n" + klines("2025-02-01", scale=10**6),
    )
    pieces = list(sources.stream("binance_archive", ("BTCUSDT",), "1m", END, {"path": str(here / "*")}))
    assert [str(piece["timestamp"].iloc[0].date()) for piece in pieces] == ["2024-12-01", "2025-01-01", "2025-02-01"]


def test_a_day_is_left_out_where_its_month_is_there(folder):
    here = folder(
        BTCUSDT_1m_2024_12__zip=klines("2024-12-01"),
        BTCUSDT_1m_2024_12_01__zip=klines("2024-12-01"),
        BTCUSDT_1m_2025_01_01__zip=klines("2025-01-01"),
    )
    assert len(archive(here)) == 6


def test_a_zip_is_left_out_where_it_is_unpacked_and_so_are_checksums(folder):
    here = folder(BTCUSDT_1m_2024_12__zip=klines("2024-12-01"), BTCUSDT_1m_2024_12__csv=klines("2024-12-01"))
    (here / "BTCUSDT-1m-2024-12.zip.CHECKSUM").write_text("0123456789abcdef  BTCUSDT-1m-2024-12.zip")
    assert len(archive(here)) == 3


def test_each_symbol_has_its_own_files(folder):
    here = folder(BTCUSDT_1m_2024_12__zip=klines("2024-12-01"), ETHUSDT_1m_2024_12__zip=klines("2024-12-01", 5))
    both = sources.fetch(
        "binance_archive", ("ETHUSDT", "BTCUSDT"), "1m", END, {"path": str(here / "{symbol}-{interval}-*.zip")}
    )
    assert both.groupby("symbol").size().to_dict() == {"BTCUSDT": 3, "ETHUSDT": 5}
    with pytest.raises(BadParam, match="one file for 2 symbols"):
        sources.fetch("binance_archive", ("ETHUSDT", "BTCUSDT"), "1m", END, {"path": str(here / "*")})


def test_a_symbol_is_no_pattern(folder):
    here = folder(BTCUSDT_1m_2024_12__zip=klines("2024-12-01"))
    with pytest.raises(MissingFile, match=r"\[B\]TCUSDT|\[\[\]B\]"):
        archive(here, "[B]TCUSDT")


def test_a_fault_names_its_file_and_line(folder):
    here = folder(
        BTCUSDT_1m_2024_11__csv=klines("2024-11-01"),
        BTCUSDT_1m_2024_12__csv=klines("2024-12-01").replace(",3.5,", ",cheap,"),
    )
    with pytest.raises(BadBars, match=r"BTCUSDT-1m-2024-12\.csv: .*close is 'cheap' in line 3"):
        archive(here)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1577836800000,1,2,0.5,1.5,10\n", "6 columns, where a file of binance without a header has 12"),
        ("timestamp,open,high,low,close,volume\n1577836800000,1,2,0.5,1.5,10\n", "no column taker_buy_volume"),
        (HEADER + "\n", "a header and no rows"),
    ],
)
def test_other_files_are_refused_in_words(folder, text, said):
    with pytest.raises(BadBars, match=said):
        archive(folder(BTCUSDT_1m_2024_12__csv=text))


def test_a_folder_without_klines_is_refused(folder, tmp_path):
    with pytest.raises(MissingFile, match=r"ingest\.options\.path"):
        archive(tmp_path)
    here = folder(BTCUSDT_1m_notes__txt="x", BTCUSDT_1m_more__txt="y")
    with pytest.raises(MissingFile, match="SYMBOL-INTERVAL-YYYY-MM"):
        archive(here)


def test_a_broken_download_is_refused_by_name(folder):
    here = folder(BTCUSDT_1m_2024_12__zip=klines("2024-12-01", 500))
    path = here / "BTCUSDT-1m-2024-12.zip"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(UnreadableFile, match="cannot be unpacked"):
        archive(here)
