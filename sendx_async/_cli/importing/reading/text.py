"""The text of a file of contacts: which encoding it has, and its lines."""

import codecs
import io
from collections.abc import Iterator
from typing import BinaryIO, Literal

import attrs

from sendx_async._core.errors import ConfigurationError

_BAD_BYTES = range(0xDC80, 0xDD00)  # what bytes become that mean nothing in an encoding
_LONGEST_LINE = 1_000_000

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # it begins like that of UTF-16, so it is looked for first
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

Known = Literal["given", "marked", "plain", "guessed"]


@attrs.frozen
class Encoding:
    """How a file's text is written.

    Attributes:
        name: Python's name of the encoding.
        bom: Whether the file begins with a byte order mark.
        is_wide: Whether one byte alone means nothing, as in UTF-16.
        known: How it is known: by an option, by the mark in front, since the file is plain UTF-8,
            or by a guess.
    """

    name: str
    bom: bool
    is_wide: bool
    known: Known = "plain"

    @property
    def errors(self) -> str:
        """What is done with bytes that mean nothing: they are kept, if that is possible."""
        return "strict" if self.is_wide else "surrogateescape"

    @property
    def is_guessed(self) -> bool:
        """Whether it may be another one."""
        return self.known == "guessed"


def check_encoding(name: str) -> None:
    """Check that Python knows an encoding of text by this name.

    Raises:
        ConfigurationError: It doesn't.
    """
    try:
        "a".encode(name)
        b"a".decode(name, "replace")
    except (LookupError, UnicodeError):
        raise ConfigurationError(
            f"--encoding {name!r} is no encoding of text that Python knows: try utf-8, cp1252, "
            "latin-1 or utf-16"
        ) from None


def encoding_of(head: bytes, given: str | None) -> Encoding:
    """Return how a text is written.

    Args:
        head: Its first bytes.
        given: Python's name of its encoding, if somebody knows.
    """
    known = None if given is None else codecs.lookup(given).name.removesuffix("-sig")
    for bom, name in _BOMS:
        if head.startswith(bom) and known in {None, name}:
            return Encoding(name, bom=True, is_wide=name != "utf-8", known="marked")
    name = known or "utf-8"
    is_wide = len("a".encode(name)) > 1
    return Encoding(name, bom=False, is_wide=is_wide, known="plain" if given is None else "given")


def lines_of(binary: BinaryIO, encoding: Encoding) -> Iterator[str]:
    """Return the lines of a text, with their ends.

    Raises:
        ConfigurationError: It can't be read in its encoding, or a line is far too long.
        OSError: It can't be read.
    """
    text = io.TextIOWrapper(
        binary,
        "utf-8-sig" if encoding.name == "utf-8" else encoding.name,
        errors=encoding.errors,
        newline="",
    )
    read = text.readline
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
            f"the file can't be read as {encoding.name}: {error}; give its encoding, for "
            "example --encoding cp1252"
        ) from None


def whole_lines(head: bytes, encoding: Encoding, *, is_all: bool) -> Iterator[str]:
    """Return the lines of a text's first bytes, with their ends; none that may be cut off."""
    name = "utf-8-sig" if encoding.name == "utf-8" else encoding.name
    decoder = codecs.getincrementaldecoder(name)(encoding.errors)
    try:
        text = decoder.decode(head, final=is_all)
    except UnicodeError:
        text = ""  # whoever reads the file itself tells why
    if not is_all:
        text = text[: max(text.rfind("\n"), text.rfind("\r")) + 1]
    return iter(io.StringIO(text, newline=""))


def has_bad_bytes(text: str) -> bool:
    """Return whether a text was made of bytes that mean nothing in its encoding."""
    return not text.isascii() and any(ord(character) in _BAD_BYTES for character in text)
