"""Which encoding a text is written in: as it was said, as its mark says, UTF-8, or guessed."""

import codecs
from typing import Literal

import attrs

from sendx_async._cli.importing.reading.alphabets import share_of_usual_letters
from sendx_async._core.errors import ConfigurationError

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # it begins like that of UTF-16, so it is looked for first
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

# What programs write tables in, likeliest first. cp1252 holds for ISO 8859-1 and -15 too, cp932 for
# Shift JIS, cp949 for EUC-KR.
_GUESSES = (
    "cp1252", "cp1250", "cp1251", "cp1254", "cp1253", "mac_roman", "cp932", "gb18030", "big5",
    "cp949", "euc_jp", "iso8859_2", "iso8859_5", "iso8859_7", "koi8_r", "cp1255", "cp1256",
    "cp1257", "cp850",
)  # fmt: skip
_GUESSED_FROM = 1 << 18  # bytes, of those lines that aren't plain ASCII
_WIDE_BY = 4096  # bytes
_LIKELY_WIDE = 0.3  # of the bytes are zero

Known = Literal["given", "marked", "plain", "guessed"]


@attrs.frozen
class Encoding:
    """How a file's text is written.

    Attributes:
        name: Python's name of the encoding.
        bom: Whether the file begins with a byte order mark.
        is_wide: Whether one byte alone means nothing, as in UTF-16.
        known: How it is known: by an option, by the mark in front, since the bytes can be nothing
            else, or by a guess.
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


UTF_8 = Encoding("utf-8", bom=False, is_wide=False)


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
            f"--encoding {name!r} is no encoding that is known: try utf-8, cp1252, latin-1 or "
            "utf-16"
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
    if known is not None:
        return Encoding(known, bom=False, is_wide=len("a".encode(known)) > 1, known="given")
    if wide := _wide(head):
        return Encoding(wide, bom=False, is_wide=True)
    guessed = None if _is_utf_8(head) else _guessed(head)
    if guessed is None:
        return UTF_8
    return Encoding(guessed, bom=False, is_wide=False, known="guessed")


def _wide(head: bytes) -> str | None:
    """Return which UTF-16 a text is that has no mark: of every letter of English a byte is zero."""
    head = head[:_WIDE_BY]
    size = len(head) // 2 or 1
    low, high = (head[start::2].count(0) / size for start in (0, 1))
    if high > _LIKELY_WIDE > low:
        return "utf-16-le"
    return "utf-16-be" if low > _LIKELY_WIDE > high else None


def _is_utf_8(head: bytes) -> bool:
    """Return whether a text is UTF-8, a few damaged bytes aside."""
    if head.isascii():
        return True
    text = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode(head)
    if text.isascii():
        return True
    bad = sum("\udc80" <= character <= "\udcff" for character in text)
    return not bad or bad < (len(text.encode("utf-8", "surrogateescape")) - len(text)) / 2


def _guessed(head: bytes) -> str | None:
    from charset_normalizer import from_bytes  # noqa: PLC0415 - hardly any file needs it

    sample = b"\n".join(line for line in head.splitlines() if not line.isascii())[:_GUESSED_FROM]
    # It often can't tell those apart which differ in few letters: then the letters do.
    marks = {_GUESSES[0]: (0.0, 0.0)} if _can_be(sample, _GUESSES[0]) else {}
    for match in from_bytes(sample, cp_isolation=list(_GUESSES)):
        marks |= dict.fromkeys(match.could_be_from_charset, (match.chaos, match.coherence))

    def rank(name: str) -> tuple[float, float]:
        chaos, coherence = marks[name]
        share = share_of_usual_letters(sample.decode(name, "replace"), name)
        return round(share - chaos, 1), round(coherence, 1)

    return max((name for name in _GUESSES if name in marks), key=rank, default=None)


def _can_be(sample: bytes, name: str) -> bool:
    try:
        sample.decode(name)
    except UnicodeError:
        return False
    return True
