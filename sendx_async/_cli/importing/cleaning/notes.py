"""What can be said of a cell besides its value: what was put right in it, and what is in doubt."""

from enum import StrEnum


class CellError(Exception):
    """A cell can't be sent; its text says why and what to do, without column and value."""


class Note(StrEnum):
    """A remark about one cell; its value is the text that people read, behind a count of cells."""

    GUARD = 'had an apostrophe or ="..." against formulas in front, which was taken off'
    INVISIBLE = "had invisible or control characters, which were taken out"
    LINE_BREAK = "had line breaks or tabs, which became blanks"
    WRAPPED_ADDRESS = (
        "had something around the address, such as mailto: or a name, which was taken off"
    )
    FIRST_ADDRESS = "had several addresses, of which the first is taken"
    NULL = "held a null mark, which was left out"
    SEVERAL = "held a list or an object, which is no custom field, and was left out"
    MAYBE_NULL = "may hold a null mark: leave it out with --null TEXT"
    MAYBE_LIST = "may hold several tags: say what stands between them with --separator"
    MOJIBAKE = (
        "may hold text that was read in a wrong encoding before it came here: export the file again"
    )
    LOST_LETTER = "had a letter that was lost (U+FFFD): export the file again, as UTF-8"
    SHORT_NUMBER = (
        "had a number that a spreadsheet has shortened (1.23457E+12): export the column as text"
    )
    LOST_ZERO = "may have lost a leading zero in a spreadsheet: export the column as text"
    DECIMAL_CODE = (
        "may hold a code with .0 behind, as data frames write it: export the column as text"
    )
    DAY_NUMBER = "may hold a spreadsheet's number for a day (45352): export the column as dates"

    @property
    def is_doubt(self) -> bool:
        """Whether it may be wrong to send the value as it is."""
        return self in _DOUBTS

    def of_cells(self, count: int) -> str:
        """Return the remark about so many cells: "1 cell held a null mark ..."."""
        return f"1 cell {self}" if count == 1 else f"{count:,} cells {self}"


_DOUBTS = frozenset(
    {
        Note.MAYBE_NULL,
        Note.MAYBE_LIST,
        Note.MOJIBAKE,
        Note.LOST_LETTER,
        Note.SHORT_NUMBER,
        Note.LOST_ZERO,
        Note.DECIMAL_CODE,
        Note.DAY_NUMBER,
    }
)
