"""First and last names out of full ones."""

from typing import Final

_SUFFIXES: Final = frozenset({"jr", "sr", "ii", "iii", "iv", "phd", "md"})


def split_name(text: str) -> tuple[str, str | None]:
    """Return the first and the last name of a full one; of one word, no last name.

    The last word is the last name, together with lower-case words right before it and a suffix like
    "Jr." behind it: "Mary Jane | Watson", "Ludwig | van Beethoven", "Sammy | Davis Jr.". A name
    without any capital is split before its last word. With a comma the last name comes first:
    "Abel, Ada".

    Args:
        text: The name, as `CellReader` gives it.
    """
    before, comma, behind = (part.strip() for part in text.partition(","))
    if comma and before and behind and not _is_suffix(behind):
        return behind, before
    words = text.replace(",", " ").split()
    if not words:
        return text, None
    start = len(words) - 1
    while start > 1 and _is_suffix(words[start]):
        start -= 1
    while start > 1 and words[start - 1].islower() and not text.islower():
        start -= 1
    if start == 0:
        return words[0], None
    return " ".join(words[:start]), " ".join(words[start:])


def _is_suffix(word: str) -> bool:
    return word.rstrip(".").replace(".", "").casefold() in _SUFFIXES
