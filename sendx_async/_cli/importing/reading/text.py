"""The lines of a file of contacts."""

import codecs
import io
from collections.abc import Iterator
from typing import BinaryIO

from sendx_async._cli.importing.reading.encoding import Encoding
from sendx_async._core.errors import ConfigurationError

_BAD_BYTES = range(0xDC80, 0xDD00)  # what bytes become that mean nothing in an encoding
_LONGEST_LINE = 1_000_000
_PIECE = 1 << 16


def lines_of(binary: BinaryIO, encoding: Encoding) -> Iterator[str]:
    """Return the lines of a text, with their ends; none of many NULs alone.

    Raises:
        ConfigurationError: It can't be read in its encoding, or a line is far too long.
        OSError: It can't be read.
    """
    text = io.TextIOWrapper(binary, _codec(encoding), errors=encoding.errors, newline="")
    read = text.readline
    number = 0
    try:
        while line := read(_LONGEST_LINE):
            number += 1
            if len(line) == _LONGEST_LINE:
                if not line.strip("\0"):
                    continue
                raise ConfigurationError(
                    f"line {number} has more than {_LONGEST_LINE:,} characters: is this a file "
                    "of contacts?"
                )
            yield line
    except UnicodeError:
        raise _unreadable(encoding) from None


def pieces_of(
    binary: io.BufferedIOBase, encoding: Encoding, *, is_cut: bool = False
) -> Iterator[str]:
    """Return a text in pieces of any length, as they arrive.

    Args:
        binary: Its bytes.
        encoding: How it is written.
        is_cut: Whether they end somewhere in the file, maybe in a character, which isn't given.

    Raises:
        ConfigurationError: It can't be read in its encoding.
        OSError: It can't be read.
    """
    decoder = codecs.getincrementaldecoder(_codec(encoding))(encoding.errors)
    try:
        while data := binary.read1(_PIECE):
            yield decoder.decode(data)
        yield decoder.decode(b"", final=not is_cut)
    except UnicodeError:
        raise _unreadable(encoding) from None


def whole_lines(head: bytes, encoding: Encoding, *, is_all: bool) -> Iterator[str]:
    """Return the lines of a text's first bytes, with their ends; none that may be cut off.

    Raises:
        ConfigurationError: They can't be read in the encoding.
    """
    # Not all at once: it may be millions of characters, of which the first thousands are asked for.
    rest, is_first = "", True
    for piece in pieces_of(io.BytesIO(head), encoding, is_cut=not is_all):
        lines = list(io.StringIO(rest + piece, newline=""))
        rest = lines.pop() if lines else ""  # its end may stand in the next piece
        is_first = is_first and not lines
        yield from lines
    if rest and (is_all or is_first or rest[-1] in "\r\n"):
        yield rest


def has_bad_bytes(text: str) -> bool:
    """Return whether a text was made of bytes that mean nothing in its encoding."""
    return not text.isascii() and any(ord(character) in _BAD_BYTES for character in text)


def _codec(encoding: Encoding) -> str:
    return "utf-8-sig" if encoding.name == "utf-8" else encoding.name


def _unreadable(encoding: Encoding) -> ConfigurationError:
    return ConfigurationError(
        f"the file can't be read as {encoding.name}: some of its bytes mean nothing there; give "
        "its encoding, for example --encoding cp1252"
    )
