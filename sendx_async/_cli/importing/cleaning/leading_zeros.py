"""Codes that a spreadsheet has taken for numbers, and so taken their leading zeros off."""

from typing import Final

from sendx_async._cli.importing.cleaning.column_kinds import has_codes, has_phones

_LONGEST: Final = 20


class LeadingZeros:
    """Counts the values of one column that seem to have lost a leading zero.

    Only columns are looked at whose name says what they have, and no zero is lost where a value of
    digits alone begins with one. Of postal codes and barcodes most must have one length: those that
    are shorter by one or two digits have lost zeros. Of phone numbers some must be written with
    blanks or the like and a zero in front, which spreadsheets leave alone: those of digits alone
    that are shorter by one have lost theirs.

    Args:
        name: The column's name.
    """

    def __init__(self, name: str) -> None:
        self._has_codes = has_codes(name)
        self._has_phones = has_phones(name)
        self._plain = [0] * (_LONGEST + 1)  # how many of digits alone have this length
        self._with_zero = [False] * (_LONGEST + 1)  # whether any with more than digits has it
        self._keeps_zeros = False

    def add(self, text: str) -> None:
        """Look at one more value, as `CellReader` gives it."""
        if self._keeps_zeros or not (self._has_codes or self._has_phones):
            return
        digits = sum(map(str.isdecimal, text))
        if digits > _LONGEST:
            return
        is_plain, begins_with_zero = digits == len(text), text[:1] == "0"
        if is_plain:
            self._plain[digits] += 1
            self._keeps_zeros = begins_with_zero
        elif begins_with_zero:
            self._with_zero[digits] = True

    @property
    def count(self) -> int:
        """How many values seem to have lost a leading zero, of those seen so far."""
        if self._keeps_zeros:
            return 0
        if self._has_phones:
            return sum(
                plain
                for plain, has_zero in zip(self._plain, self._with_zero[1:], strict=False)
                if has_zero
            )
        most = max(self._plain)
        length = self._plain.index(most)
        is_usual = 2 * most > sum(self._plain)
        return sum(self._plain[max(0, length - 2) : length]) if is_usual else 0
