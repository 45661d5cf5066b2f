"""The text of a file of contacts: which encoding it has, and how far it was read."""

import codecs
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import attrs

from sendx_async._core.errors import ConfigurationError

STANDARD_INPUT = "-"

_BAD_BYTES = range(0xDC80, 0xDD00)  # what bytes become that mean nothing in an encoding
_PEEKED = 4096
_LONGEST_LINE = 1_000_000

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # it begins like that of UTF-16, so it is looked for first
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@attrs.frozen
class Encoding:
    """How a file's text is written.

    Attributes:
        name: Python's name of the encoding.
        bom: Whether the file begins with a byte order mark.
        is_wide: Whether one byte alone means nothing, as in UTF-16.
    """

    name: str
    bom: bool
    is_wide: bool

    @property
    def errors(self) -> str:
        """What is done with bytes that mean nothing: they are kept, if that is possible."""
        return "strict" if self.is_wide else "surrogateescape"


class SourceText:
    """The opened file, as text; a context manager that closes it.

    Args:
        file: Its path, or ``-`` for standard input.
        encoding: Python's name of its encoding; None for UTF-8, or what its first bytes tell.

    Attributes:
        size: Its size in bytes, or None if it has none, as a pipe.
        encoding: How its text is written.

    Raises:
        ConfigurationError: There is no such encoding.
        OSError: The file can't be read.
    """

    def __init__(self, file: str, encoding: str | None) -> None:
        if encoding is not None:
            _look_up(encoding)
        path = Path(file)
        self._descriptor: int | None = None
        if file == STANDARD_INPUT:
            # Not sys.stdin: a thread that waits for its next byte would break Python's exit.
            self._binary = _opened(0)
            self.size = None
        elif path.is_fifo() or path.is_char_device():
            self._descriptor = os.open(file, os.O_RDONLY)
            self._binary = _opened(self._descriptor)
            self.size = None
        else:
            self._binary = path.open("rb")
            self.size = path.stat().st_size
        first = self._binary.peek(4)
        if first.startswith(b"PK\x03\x04"):
            self.close()
            raise ConfigurationError(
                "the file is a workbook or an archive: save it as CSV, or unpack it"
            )
        self.encoding = _detected(first, encoding)
        self._text = io.TextIOWrapper(
            self._binary,
            "utf-8-sig" if self.encoding.name == "utf-8" else self.encoding.name,
            errors=self.encoding.errors,
            newline="",
        )

    def __iter__(self) -> Iterator[str]:
        """Return its lines, with their ends.

        Raises:
            ConfigurationError: It can't be read in its encoding, or a line is far too long.
            OSError: It can't be read.
        """
        read = self._text.readline
        number = 0
        try:
            while line := read(_LONGEST_LINE):
                number += 1
                if len(line) == _LONGEST_LINE:
                    raise ConfigurationError(
                        f"line {number} has more than {_LONGEST_LINE:,} characters: is this a file "
                        "of contacts?"
                    )
                yield line
        except UnicodeError as error:
            raise ConfigurationError(
                f"the file can't be read as {self.encoding.name}: {error}; give its encoding, for "
                "example --encoding cp1252"
            ) from None

    @property
    def position(self) -> int:
        """How many bytes were read; 0 for a pipe."""
        return 0 if self.size is None else self._binary.raw.tell()

    def begins_with_brace(self) -> bool:
        """Return whether the first thing in it is a brace, as in a JSON object."""
        first = self._binary.peek(_PEEKED).decode(self.encoding.name, "ignore")
        return first.lstrip("\ufeff \t\r\n").startswith("{")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; standard input stays open."""
        if self.size is not None:
            self._binary.close()
        elif self._descriptor is not None:
            # Not the file around it: a thread that waits for the next byte holds its lock.
            os.close(self._descriptor)


def _opened(descriptor: int) -> io.BufferedReader:
    try:
        return open(descriptor, "rb", closefd=False)
    except OSError as error:
        raise ConfigurationError(f"standard input can't be read: {error.strerror}") from None


def has_bad_bytes(text: str) -> bool:
    """Return whether a text was made of bytes that mean nothing in its encoding."""
    return not text.isascii() and any(ord(character) in _BAD_BYTES for character in text)


def _look_up(encoding: str) -> None:
    try:
        "a".encode(encoding)
        b"a".decode(encoding, "replace")
    except (LookupError, UnicodeError):
        raise ConfigurationError(
            f"--encoding {encoding!r} is no encoding of text that Python knows: try utf-8, cp1252, "
            "latin-1 or utf-16"
        ) from None


def _detected(first: bytes, given: str | None) -> Encoding:
    known = None if given is None else codecs.lookup(given).name.removesuffix("-sig")
    for bom, name in _BOMS:
        if first.startswith(bom) and known in {None, name}:
            return Encoding(name, bom=True, is_wide=name != "utf-8")
    name = known or "utf-8"
    return Encoding(name, bom=False, is_wide=len("a".encode(name)) > 1)
