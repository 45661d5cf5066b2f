"""Dates that a spreadsheet has written as the numbers that it keeps them as."""

import re
from typing import Final

from sendx_async._cli.importing.cleaning.column_kinds import has_dates

# From 1954 to 2119, with the time of day behind a dot or comma.
_DAY_NUMBER: Final = re.compile(r"[2-7][0-9]{4}(?:[.,][0-9]+)?")
_DATE: Final = re.compile(r"[0-9]{1,4}([-./])[0-9]{1,2}\1[0-9]{1,4}(?:[ T].*)?")


class DayNumbers:
    """Counts the values of one column that are a spreadsheet's numbers for days.

    45352 is the first of March 2024. It is taken for that in a column of dates: by its name, or as
    others of its values are dates.

    Args:
        name: The column's name.
    """

    def __init__(self, name: str) -> None:
        self._has_dates = has_dates(name)
        self._numbers = 0

    def add(self, text: str) -> None:
        """Look at one more value, as `CellReader` gives it."""
        if _DAY_NUMBER.fullmatch(text):
            self._numbers += 1
        elif not self._has_dates and _DATE.fullmatch(text):
            self._has_dates = True

    @property
    def count(self) -> int:
        """How many values are numbers for days, of those seen so far."""
        return self._numbers if self._has_dates else 0
