"""Whether a cell of a column that says no of mailing (unsubscribed, bounced ...) says it."""

import re
from typing import Final

# "No" as people, programs and spreadsheets in seven languages write it. "Never" is what a column of
# a last bounce, or of the day of an unsubscription, says.
_WORDS: Final = "no non nein nee não nao n false falsch faux falso onwaar f off never none null"
_NO: Final = frozenset(_WORDS.split())
_DASHES: Final = r"[\s\-\u2013\u2014]*"
# 0, 0.00, $0,00, or no day: 0000-00-00 00:00:00
_ZERO: Final = r"[\s$€£¥+-]*0[0\s$€£¥.,:/-]*(?:t0[0:.]*z?)?"
_NOTHING: Final = re.compile(f"{_DASHES}|{_ZERO}")


def lets_mail(text: str) -> bool:
    """Return whether a cell doesn't speak against mailing somebody.

    It is a cell of a column of unsubscription, bounce, complaint, suppression or refund. An empty
    one doesn't, nor do "no", "false", "never" and the like in any case, dashes, and zero in any
    form. A date, a reason, a check mark or anything else does: whoever has that must not be mailed.

    Args:
        text: The cell; the empty string if it has no value.
    """
    said = text.strip().casefold()
    return said in _NO or _NOTHING.fullmatch(said) is not None
