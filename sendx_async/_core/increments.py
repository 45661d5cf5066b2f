"""What SendX takes for arithmetic: one rule, for what may be repeated and for what is imported."""

import re

_INCREMENT = re.compile(r"\s*(?:\+\+|--)\s*[.,]?\d")


def is_increment(text: str) -> bool:
    """Return whether SendX may add or subtract a custom field's value instead of storing it.

    That is ``++`` or ``--`` with a number behind, such as ``++5`` or ``-- 2.5``. Blanks may stand
    around the signs, and anything behind the first digit. ``--``, ``-- none --`` and ``++ plus``
    are text.

    Args:
        text: The value.
    """
    return _INCREMENT.match(text) is not None
