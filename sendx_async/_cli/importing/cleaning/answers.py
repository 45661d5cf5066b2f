"""Whether a cell says yes or no, to tell who may be mailed."""

import re
from collections.abc import Set as AbstractSet
from typing import Final

# "No" and "false" as people, programs and spreadsheets in seven languages write them. "Never" is
# what a column of a last bounce, or of the day of an unsubscription, says.
_WORDS: Final = "no non nein nee não nao n false falsch faux falso onwaar f off never none"
_NO: Final = frozenset(_WORDS.split())
_NOTHING: Final = re.compile(r"[0\-+.,:/ t]*")  # 0, 0.00, 0,00, or a day 0000-00-00 00:00:00


def says_no(text: str, also: AbstractSet[str] = frozenset()) -> bool:
    """Return whether a cell says that nothing speaks against mailing somebody.

    It is a cell of a column of unsubscription, bounce, complaint, suppression or refund. An empty
    one says no, and so do "no", "false", "never" and the like in any case, and zero in any form. A
    date, a reason or anything else doesn't: whoever has that must not be mailed.

    Args:
        text: The cell; the empty string if it has no value.
        also: What says no in this column besides; case doesn't matter.
    """
    if not text:
        return True
    said = _folded(text)
    if said in _NO or any(said == _folded(each) for each in also):
        return True
    return _NOTHING.fullmatch(said) is not None and ("0" in said or not said)


def says_yes(text: str, values: AbstractSet[str]) -> bool:
    """Return whether a cell of a column of consent says that somebody may be mailed.

    Args:
        text: The cell; the empty string if it has no value.
        values: What says yes in this column, and nothing else does; case doesn't matter.
    """
    said = _folded(text)
    return any(said == _folded(each) for each in values)


def _folded(text: str) -> str:
    return text.strip().casefold()
