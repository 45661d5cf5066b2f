"""The text of a cell as it was meant: without what spreadsheets and programs have added."""

import re
from typing import Final

from sendx_async._cli.importing.cleaning.mojibake import is_mojibake
from sendx_async._cli.importing.cleaning.notes import CellError, Note
from sendx_async._cli.importing.cleaning.null_marks import MAYBE_NULLS, SPREADSHEET_ERRORS

# Control characters that are no line breaks, and what Unicode shows nothing of. Not the variation
# selectors: they tell one emoji, or one form of a Japanese name, from another.
_INVISIBLE: Final = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]+"
)
_LINE_BREAK: Final = re.compile("[\t\n\v\f\r\x85\u2028\u2029]")
_GUARDS: Final = ("'", "=")
_FORMULA: Final = re.compile(r'="((?:[^"]|"")*)"')
_APOSTROPHE: Final = re.compile(r"'(?=[=+\-@0-9])(?!.*'$)")
_SHORT_NUMBER: Final = re.compile(r"[+-]?[0-9](?:[.,][0-9]+)?E\+[0-9]{2,3}")


class CellReader:
    """Reads the cells of a column, or of a file.

    White space around a text is taken off, and so are control and invisible characters anywhere.
    A line break or tab, with the blanks around it, becomes one blank. What guards against formulas
    is taken off: ``="01067"`` is 01067, and so is ``'01067``. An apostrophe is a guard in front of
    ``=``, ``+``, ``-``, ``@`` or a digit, unless there is another one at the end; ``'t Hart`` is a
    name.

    Args:
        nulls: Texts that mean that a cell is empty, exactly as written. The errors of spreadsheets,
            such as ``#N/A``, mean it everywhere.
        asks_about_nulls: Whether other texts that may mean it are noted as `Note.MAYBE_NULL`.
        texts: Those of them that are a text here.
    """

    __slots__ = ("_maybe", "_nulls", "_special")

    def __init__(
        self,
        *,
        nulls: frozenset[str],
        asks_about_nulls: bool,
        texts: frozenset[str] = frozenset(),
    ) -> None:
        self._nulls = nulls | SPREADSHEET_ERRORS
        self._maybe = MAYBE_NULLS - texts if asks_about_nulls else frozenset[str]()
        self._special = self._nulls | self._maybe

    def __call__(self, text: str, notes: list[Note]) -> str | None:
        """Return what a cell says, or None if that is nothing.

        Args:
            text: The cell as it stands in the file.
            notes: Gets what there is to say about it.
        """
        if not text:
            return None
        if (
            # As nearly always; each of these is quicker than a regular expression.
            text.isascii()
            and text.isprintable()
            and text[0] not in " '="
            and text[-1] != " "
            and text not in self._special
            and "E+" not in text
        ):
            return text
        return self._read_closely(text, notes)

    def _read_closely(self, text: str, notes: list[Note]) -> str | None:
        if is_mojibake(text):
            notes.append(Note.MOJIBAKE)
        if "\ufffd" in text:
            notes.append(Note.LOST_LETTER)
        written = _visible(text, notes)
        # A null mark may look like a guard.
        value = written if written in self._nulls else _unguarded(written)
        if value != written:
            notes.append(Note.GUARD)
        if value in self._nulls:
            notes.append(Note.NULL)
            return None
        if value in self._maybe:
            notes.append(Note.MAYBE_NULL)
        elif "E+" in value and _SHORT_NUMBER.fullmatch(value):
            notes.append(Note.SHORT_NUMBER)
        return value or None


def in_one_line(name: str) -> str:
    """Return the name of a custom field without line breaks and what can't be seen in it."""
    return _visible(name, [])


def _visible(text: str, notes: list[Note]) -> str:
    """Return a text in one line, without white space around it and what can't be seen in it."""
    text = text.strip()
    if _INVISIBLE.search(text):
        notes.append(Note.INVISIBLE)
        text = _INVISIBLE.sub("", text).strip()
    if _LINE_BREAK.search(text):
        notes.append(Note.LINE_BREAK)
        text = " ".join(part for each in _LINE_BREAK.split(text) if (part := each.strip()))
    return text


def _unguarded(text: str) -> str:
    """Return what stands behind guards against formulas; the text itself if there are none."""
    while text[:1] in _GUARDS:
        if formula := _FORMULA.fullmatch(text):
            text = formula[1].replace('""', '"').strip()
        elif _APOSTROPHE.match(text):
            text = text[1:].strip()
        else:
            break
    return text


def check_quotes(text: str) -> None:
    """Notice a quote that was closed far too late, and has made rows a part of a cell.

    Args:
        text: The cell as it stands in the file, of a column that has one line.

    Raises:
        CellError: It goes on over a line with an address.
    """
    if "\n" in text and "@" in text.partition("\n")[2]:
        raise CellError("goes on over a line with an address: is a quote not closed?")
