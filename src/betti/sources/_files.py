"""Where files lie, and what is in them: path patterns, and text in blocks of whole lines.

A block is a few megabytes, so that a file need not fit into memory; gz and zip are unpacked on the way. What does not
belong here: what the lines mean.
"""

from __future__ import annotations

import codecs
import gzip
import io
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from glob import escape, has_magic
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from betti.errors import BadParam, MissingFile, UnreadableFile

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BLOCK", "Block", "Place", "blocks", "file_for", "files_for", "one_file_each"]

# The shortest row has 14 characters (a date and five empty cells), so a block holds fewer than a million rows.
BLOCK = 8 * 2**20
LONGEST_LINE = 2**20


@dataclass(frozen=True)
class Place:
    """A file and the market wanted of it: how an error names a table."""

    path: Path
    symbol: str

    def __str__(self) -> str:
        return f"{self.symbol} in {self.path}"


def file_for(path: str, symbol: str, interval: str) -> Path:
    """The file of one symbol: `{symbol}` and `{interval}` in the pattern are filled in.

    Raises:
        BadParam: the pattern has another placeholder.
        MissingFile: the file is not there.
    """
    file = Path(_filled(path, symbol, interval)).expanduser()
    if not file.is_file():
        raise _missing(file, symbol)
    return file


def files_for(path: str, symbol: str, interval: str) -> tuple[Path, ...]:
    """The files of one symbol, sorted by name: as `file_for`, where `*`, `?` and `[...]` stand for parts of names.

    Raises:
        BadParam: the pattern has another placeholder.
        MissingFile: no file has such a name.
    """
    if not has_magic(path):
        return (file_for(path, symbol, interval),)
    pattern = Path(_filled(path, escape(symbol), interval)).expanduser()
    anchor = Path(pattern.anchor)  # empty for a relative pattern
    found = sorted(file for file in anchor.glob(str(pattern.relative_to(anchor))) if file.is_file())
    if not found:
        raise _missing(pattern, symbol)
    return tuple(found)


def _missing(file: Path, symbol: str) -> MissingFile:
    return MissingFile(file, f"It should hold {symbol}: check ingest.options.path and ingest.symbols in params.yaml")


def _filled(path: str, symbol: str, interval: str) -> str:
    try:
        return path.format(symbol=symbol, interval=interval)
    except (KeyError, IndexError, ValueError, AttributeError) as cause:
        raise BadParam("ingest.options.path", path, "only {symbol} and {interval} can be filled in") from cause


def one_file_each(path: str, symbols: tuple[str, ...]) -> None:
    """Refuse to read one market's file as several markets."""
    if len(symbols) > 1 and "{symbol}" not in path:
        raise BadParam(
            "ingest.options.path", path, f"it names one file for {len(symbols)} symbols: put {{symbol}} in it"
        )


@dataclass(frozen=True)
class Block:
    r"""Whole lines of a text file, ended by \n, and the number of the first (the file's first line is 1)."""

    text: str
    line: int


def blocks(where: Place, first_line: int = 1, encoding: str | None = None) -> Iterator[Block]:
    """A text file from this line on, in order, in blocks of whole lines.

    In UTF-8, in UTF-16 or UTF-32 with a byte order mark, or in the encoding given; plain, gz, or a zip with one file in
    it; any of the three line ends.

    Raises:
        BadParam: no such encoding.
        UnreadableFile: it is not text, cannot be unpacked, or a line has more than a million characters.
    """
    line = 1
    for text in _whole_lines(where, encoding):
        rest = text
        while rest and line < first_line:
            rest = rest.partition("\n")[2]
            line += 1
        if rest:
            yield Block(rest, line)
        line += rest.count("\n")


def _whole_lines(where: Place, encoding: str | None) -> Iterator[str]:
    rest = ""
    for text in _decoded(where, encoding):
        whole, end, after = text.rpartition("\n")
        if end:
            yield rest + whole + end
            rest = after
        else:
            rest += text
        if len(rest) > LONGEST_LINE:
            raise _no_table(where, "a line has more than a million characters")
    if rest:
        yield rest


def _decoded(where: Place, encoding: str | None) -> Iterator[str]:
    """The file's text, a block at a time, every line end a single newline, without a byte order mark."""
    line = 1
    said = None if encoding is None else _decoder(encoding)
    try:
        with _opened(where) as stream:
            start = stream.read(BLOCK)
            own = said or codecs.getincrementaldecoder(_encoding(start))()
            decoder = io.IncrementalNewlineDecoder(own, translate=True)
            for number, chunk in enumerate(chain([start], iter(lambda: stream.read(BLOCK), b""))):
                text = decoder.decode(chunk)
                text = text.removeprefix("\ufeff") if said and not number else text
                if "\0" in text:
                    raise _no_table(where, f"a zero byte in line {line + text[: text.index(chr(0))].count(chr(10))}")
                line += text.count("\n")
                yield text
            yield decoder.decode(b"", final=True)
    except UnicodeError as cause:
        found = f"{cause.reason} for {cause.encoding}" if isinstance(cause, UnicodeDecodeError) else str(cause)
        raise _no_table(where, f"{found}, after line {line}") from cause
    except (EOFError, OSError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError) as cause:
        raise UnreadableFile(where, f"cannot be unpacked ({cause})", "Write or copy it again") from cause


def _encoding(start: bytes) -> str:
    """What a byte order mark says."""
    if start[:4] in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE):
        return "utf-32"
    return "utf-16" if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def _decoder(encoding: str) -> codecs.IncrementalDecoder:
    """What decodes an encoding that the options name; those of bytes, as base64, are none of text."""
    try:
        "".encode(encoding)
        return codecs.getincrementaldecoder(encoding)()
    except (LookupError, UnicodeError, ValueError) as cause:
        problem = "it takes an encoding of text by Python's name, such as cp1252, latin-1, utf-16-le"
        raise BadParam("ingest.options.encoding", encoding, problem) from cause


@contextmanager
def _opened(where: Place) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked; what it is stands in its first bytes, not in its name."""
    with where.path.open("rb") as plain:
        magic = plain.read(4)
        plain.seek(0)
        if magic[:2] == b"\x1f\x8b":
            with gzip.open(plain, "rb") as unpacked:
                yield cast("IO[bytes]", unpacked)
        elif magic in (b"PK\x03\x04", b"PK\x05\x06"):
            with zipfile.ZipFile(plain) as archive, archive.open(_only_member(where, archive)) as member:
                yield member
        else:
            yield plain


def _only_member(where: Place, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [m for m in archive.infolist() if not m.is_dir() and not m.filename.startswith("__MACOSX/")]
    if len(members) != 1:
        names = ", ".join(member.filename for member in members[:10]) or "nothing"
        raise UnreadableFile(where, f"a zip of {len(members)} files ({names})", "Keep the one that holds the bars")
    return members[0]


def _no_table(where: Place, found: str) -> UnreadableFile:
    remedy = "Check its type and encoding; source csv takes ingest.options.encoding, e.g. cp1252 or utf-16-le"
    return UnreadableFile(where, f"is not a table of text columns ({found})", remedy)
