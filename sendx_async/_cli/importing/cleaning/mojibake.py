"""Text whose bytes were UTF-8, and were read as if each were a letter."""

import re
from typing import Final

# What the first and the second byte of a letter in UTF-8 become in Windows' encoding or Latin-1.
_FIRST = "\u00c2-\u00f4"
_SECOND = re.escape("".join(bytes([each]).decode("cp1252", "ignore") for each in range(128, 192)))
_TWO_BYTES: Final = re.compile(f"[{_FIRST}][{_SECOND}\x80-\x9f]")

# Letters of phonetics, and of scripts like Syriac and N'Ko: real words give them by chance, as
# "CAFÉ-BAR" with a long dash does. Control characters mean nothing at all.
_BY_CHANCE: Final = re.compile("[\x80-\x9f\u0240-\u02ff\u0700-\u08ff]")


def is_mojibake(text: str) -> bool:
    """Return whether a text seems to be UTF-8 read as Windows' encoding or Latin-1.

    It is if all its letters are bytes there, and these bytes are another text in UTF-8, as those of
    ``Ã©`` are ``é``.

    Args:
        text: The text as it was read, before white space or anything else is taken off.
    """
    if _TWO_BYTES.search(text) is None:
        return False  # as nearly always
    try:
        meant = b"".join(map(_byte, text)).decode()
    except UnicodeError:
        return False
    return _BY_CHANCE.search(meant) is None


def _byte(letter: str) -> bytes:
    # Five bytes mean nothing in Windows' encoding; browsers, and Latin-1, make controls of them.
    return letter.encode("latin-1" if "\x80" <= letter < "\xa0" else "cp1252")
