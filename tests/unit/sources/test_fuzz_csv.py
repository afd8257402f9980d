"""A short run of the CSV fuzzer: `python -m tests.fuzz_csv MINUTES` is the long one."""

from __future__ import annotations

import pytest

from tests import fuzz_csv


def test_a_damaged_file_gives_its_own_values_or_an_error():
    seen: dict[str, int] = {}
    fuzz_csv.law(150, seen)()
    assert seen["bars"] > 3, "too few files are read for the law to say anything"
    assert {"BadBars", "UnreadableFile"} <= set(seen)


def test_the_judge_sees_a_wrong_value(monkeypatch):
    """What the law rests on: a reader that shifts a price, drops a row or mistakes a time is caught."""
    content = b"timestamp,open,high,low,close,volume\n" + b"".join(
        b"2020-01-0%d 00:00:00,1,2,0.5,1.5,10\n" % day for day in (1, 2, 3)
    )
    honest = fuzz_csv.source.fetch

    def lying(change):
        def fetch(*args, **options):
            return [change(piece) for piece in honest(*args, **options)]

        return fetch

    for change in (
        lambda bars: bars.assign(close=bars["close"] + 1e-12),
        lambda bars: bars.iloc[1:],
        lambda bars: bars.assign(timestamp=bars["timestamp"] + bars["timestamp"].diff().max()),
        lambda bars: bars.assign(high=float("nan")),
    ):
        monkeypatch.setattr(fuzz_csv.source, "fetch", lying(change))
        try:
            fuzz_csv.check(content, 2**20, {"timezone": "UTC"})
        except AssertionError:
            continue
        raise AssertionError("the judge saw nothing")
    monkeypatch.setattr(fuzz_csv.source, "fetch", honest)
    assert fuzz_csv.check(content, 2**20, {"timezone": "UTC"}) == "bars"


COMMAS = b"timestamp;open;high;low;close;volume\n" + b"".join(
    b"2020-01-0%d 00:00:00;1,234;2,345;0,%s;1,234;10\n" % (day, b"5" if day == 1 else b"125") for day in (1, 2, 3)
)


@pytest.mark.parametrize(("sign", "value"), [("decimal", "1.234"), ("thousands", "1234.0")])
def test_the_judge_sees_a_number_of_two_readings(monkeypatch, sign, value):
    """A reader that takes 1,234 for one and a bit, or for a thousand, where it may be either, is caught."""
    honest, utc = fuzz_csv.source.fetch, {"timezone": "UTC"}
    assert fuzz_csv.check(COMMAS, 2**20, utc) == "bars"
    ambiguous = COMMAS.replace(b"0,5", b"1,111").replace(b"0,125", b"1,111")
    assert fuzz_csv.check(ambiguous, 2**20, utc) == "BadBars"
    assert fuzz_csv.check(ambiguous, 2**20, utc | {sign: ","}) == "bars"
    monkeypatch.setattr(fuzz_csv.source, "fetch", lambda *args, **options: honest(*args, **options | {sign: ","}))
    with pytest.raises(AssertionError, match=f"open {value}"):
        fuzz_csv.check(ambiguous, 2**20, utc)
