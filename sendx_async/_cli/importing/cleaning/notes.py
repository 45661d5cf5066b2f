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
    NULL = "are a null mark, and left out"
    MAYBE_NULL = "look like a null mark: leave them out with --null TEXT"
    MAYBE_LIST = "may be several tags: say what stands between them with --separator"
    MOJIBAKE = "look like text read in a wrong encoding: give the right one with --encoding"
    LOST_LETTER = (
        "have the mark of a letter that was lost (U+FFFD): export the file again, as UTF-8"
    )
    SHORT_NUMBER = (
        "are numbers that a spreadsheet has shortened (1.23457E+12): export the column as text"
    )
    LOST_ZERO = "seem to have lost a leading zero in a spreadsheet: export the column as text"
    DECIMAL_CODE = "are codes with .0 behind, as data frames write them: export the column as text"
    DAY_NUMBER = "seem to be a spreadsheet's numbers for days (45352): export the column as dates"

    @property
    def is_doubt(self) -> bool:
        """Whether it may be wrong to send the value as it is."""
        return self in _DOUBTS


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
