"""Codes that a data frame has taken for numbers, and so written with a decimal."""

import re
from typing import Final

from sendx_async._cli.importing.cleaning.column_kinds import has_codes, has_phones

_WHOLE: Final = re.compile(r"[0-9]+\.0")


class DecimalCodes:
    """Counts the values of one column that should be codes, and are numbers like ``10115.0``.

    Data frames write whole numbers so where a column has blanks. It must be a column of postal
    codes, barcodes or phone numbers, by its name; elsewhere 31.0 may be meant.

    Args:
        name: The column's name.
    """

    def __init__(self, name: str) -> None:
        self._is_looked_at = has_codes(name) or has_phones(name)
        self._count = 0

    def add(self, text: str) -> None:
        """Look at one more value, as `CellReader` gives it."""
        if self._is_looked_at and _WHOLE.fullmatch(text):
            self._count += 1

    @property
    def count(self) -> int:
        """How many values are such numbers, of those seen so far."""
        return self._count
