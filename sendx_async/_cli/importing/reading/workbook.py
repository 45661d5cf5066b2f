"""The records of one sheet of a workbook (.xlsx), cells as a person sees them."""

import re
import shlex
import warnings
import zipfile
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, time
from importlib import import_module
from io import BufferedIOBase
from itertools import islice, repeat
from typing import Any

import attrs

from sendx_async._cli.importing.reading.cell_texts import cell_text, csv_writer
from sendx_async._cli.importing.reading.header import find_header, has_address, no_header
from sendx_async._cli.importing.reading.number_formats import formatted
from sendx_async._cli.importing.reading.records import HeaderScore, Record, usable_names
from sendx_async._core.errors import ConfigurationError

_ROWS_LOOKED_AT = 200
_CHUNK = 1 << 20
_SMALL = 1 << 24  # bytes that do no harm, whatever they were packed to
_MOST_TIMES = 100  # XML of spreadsheets is packed to a tenth, or a thirtieth
_LONGEST_END = 64  # of the text below
# A formula without the value that it had last.
_WITHOUT_VALUE = re.compile(rb"(?:</(?:\w+:)?f>|<(?:\w+:)?f(?: [^<>]*)?/>)\s*(?:<v></v>|<v */>|</)")
_ESCAPED = re.compile("_x000([9AD])_", re.IGNORECASE)
_DAMAGES = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    LookupError,
    AttributeError,
    TypeError,
    ValueError,
    SyntaxError,  # of XML
)


class WorkbookTable:
    """One sheet of a workbook; it can be iterated again.

    Args:
        binary: The file, which can be read at any place.
        sheet: The sheet's name; None for the only one that has rows.
        names: The columns' names, if no row names them.
        skipped_lines: How many rows stand before the header; None to look for it.
        header_score: Tells how much a row looks like a header.

    Attributes:
        titles: The columns' names as they are written, or given.
        header: Those by which they are known.
        before: The rows in front of the header.
        header_line: The row of the header; None if the names were given.

    Raises:
        ConfigurationError: It can't be read, it isn't clear which sheet is meant, or there is no
            header; or openpyxl isn't installed.
    """

    dialect = None

    def __init__(
        self,
        binary: BufferedIOBase,
        *,
        sheet: str | None,
        names: tuple[str, ...] | None,
        skipped_lines: int | None,
        header_score: HeaderScore,
    ) -> None:
        self._opened = _opened(binary, sheet)
        self._number = 0
        first = [
            (number, cells)
            for number, cells, _ in islice(self._rows(), _ROWS_LOOKED_AT)
            if number > (skipped_lines or 0) or names is not None
        ]
        if not first:
            raise ConfigurationError("there are no rows behind those that --skip-lines passes over")
        place = self._place_of_header(first, names, skipped_lines, header_score)
        width = max(len(cells) for _, cells in first[place:])
        if names is not None:
            titles, self._last = names, 0
            self.header_line: int | None = None
            if width > len(names):
                raise ConfigurationError(
                    f"--columns names {len(names)} columns, but the sheet has {width}"
                )
        else:
            self._last, cells = first[place]
            self.header_line = self._last
            titles = tuple(cell.strip() for cell in [*cells, *repeat("", width - len(cells))])
        self.titles = titles
        self.header = usable_names(titles)
        self.before = tuple(" ".join(filter(None, cells)) for _, cells in first[:place])

    @staticmethod
    def _place_of_header(
        rows: list[tuple[int, list[str]]],
        names: tuple[str, ...] | None,
        skipped_lines: int | None,
        score: HeaderScore,
    ) -> int:
        if names is not None:
            return 0
        place = 0 if skipped_lines else find_header([cells for _, cells in rows], score)
        if has_address(rows[place][1]):
            raise no_header(rows[place][1])
        return place

    @property
    def share(self) -> float | None:
        """How much of the sheet was read, from 0 to 1; None if nobody knows."""
        size = self._opened.size
        return min(self._number / size, 1.0) if size else None

    def __iter__(self) -> Iterator[Record]:
        """Return the records, numbered as the sheet's rows are.

        Raises:
            ConfigurationError: The file is damaged.
        """
        line = csv_writer()
        for number, cells, unknown in self._rows():
            if number <= self._last:
                continue
            problem = None
            if unknown is not None:
                name = self.header[unknown] if unknown < len(self.header) else f"#{unknown + 1}"
                problem = (
                    f"{name!r} is a formula whose value isn't in the file: open it in a "
                    "spreadsheet, and save it"
                )
            yield Record(number, line(cells), self.header, cells, problem)

    def _rows(self) -> Iterator[tuple[int, list[str], int | None]]:
        """Return each row that isn't empty, and in which cell a formula has no value."""
        opened = self._opened
        formulas = None if opened.formulas is None else opened.formulas.iter_rows()
        with _damage_told():
            for number, row in enumerate(opened.sheet.iter_rows(), 1):
                self._number = number
                cells = [_text(cell) for cell in row]
                unknown = None if formulas is None else _without_value(row, next(formulas))
                while cells and not cells[-1]:
                    cells.pop()
                if cells or unknown is not None:
                    yield number, cells, unknown


@attrs.frozen
class _Opened:
    """A sheet.

    Attributes:
        sheet: It, with the values of its formulas.
        formulas: It again, with the formulas, if one has no value.
        size: How many rows it says it has.
    """

    sheet: Any
    formulas: Any
    size: int | None


def _opened(binary: BufferedIOBase, name: str | None) -> _Opened:
    try:
        openpyxl: Any = import_module("openpyxl")
    except ImportError:
        raise ConfigurationError(
            "a workbook (.xlsx) needs openpyxl: pip install 'sendx-async[files]'"
        ) from None
    # They are about what isn't read, such as the rules for what may be typed in.
    warnings.filterwarnings("ignore", module=r"openpyxl\.")
    with _damage_told():
        _check_sizes(binary)
        book = openpyxl.load_workbook(binary, read_only=True, data_only=True, keep_links=False)
        sizes = _sizes(book)
        sheet = _chosen(book, name)
        formulas = None
        if _lacks_values(binary):
            book = openpyxl.load_workbook(binary, read_only=True, keep_links=False)
            _sizes(book)
            formulas = book[sheet.title]
        return _Opened(sheet, formulas, sizes[sheet.title])


def _check_sizes(binary: BufferedIOBase) -> None:
    """Refuse what would fill the memory before its first row is known."""
    with zipfile.ZipFile(binary) as archive:
        for info in archive.infolist():
            if info.file_size > max(_SMALL, _MOST_TIMES * info.compress_size):
                raise ConfigurationError(
                    f"the workbook unpacks to more than {_MOST_TIMES} times its size, which would "
                    "fill the memory: save it as CSV"
                )


def _sizes(book: Any) -> dict[str, int | None]:
    """Return how many rows each sheet says it has, and make it forget them.

    They are often wrong; then cells would be left out without a word.
    """
    sizes: dict[str, int | None] = {}
    for sheet in book.worksheets:
        sizes[sheet.title] = sheet.max_row
        sheet.reset_dimensions()
    return sizes


def _chosen(book: Any, name: str | None) -> Any:
    sheets: list[Any] = book.worksheets
    if name is not None:
        for sheet in sheets:
            if sheet.title.casefold() == name.casefold():
                return sheet
        raise ConfigurationError(f"there is no sheet {name!r}: give {_options(sheets)}")
    filled = [sheet for sheet in sheets if sheet.sheet_state == "visible" and _has_rows(sheet)]
    if not filled:
        raise ConfigurationError("the workbook has no sheet with rows")
    if len(filled) > 1:
        raise ConfigurationError(
            f"the workbook has {len(filled)} sheets with rows: say which one, {_options(filled)}"
        )
    return filled[0]


def _options(sheets: list[Any]) -> str:
    return " or ".join(f"--sheet {shlex.quote(sheet.title)}" for sheet in sheets)


def _has_rows(sheet: Any) -> bool:
    return any(cell.value is not None for row in sheet.iter_rows() for cell in row)


def _lacks_values(binary: BufferedIOBase) -> bool:
    """Return whether there is a formula in a workbook without its value."""
    with zipfile.ZipFile(binary) as archive:
        for info in archive.infolist():
            if not info.filename.startswith("xl/worksheets/"):
                continue
            with archive.open(info) as sheet:
                end = b""
                while chunk := sheet.read(_CHUNK):
                    if _WITHOUT_VALUE.search(end + chunk):
                        return True
                    end = chunk[-_LONGEST_END:]
    return False


def _without_value(row: Sequence[Any], formulas: Sequence[Any]) -> int | None:
    """Return which cell has a formula and no value; an empty text is a value, too."""
    for index, (cell, formula) in enumerate(zip(row, formulas, strict=True)):
        if formula.data_type == "f" and cell.value is None and cell.data_type != "str":
            return index
    return None


def _text(cell: Any) -> str:
    value = cell.value
    if isinstance(value, str):
        return _ESCAPED.sub(_unescaped, value) if "_x000" in value else value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return formatted(value, cell.number_format)
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    return cell_text(value)


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match[1], 16))


@contextmanager
def _damage_told() -> Generator[None]:
    try:
        yield
    except ConfigurationError:
        raise
    except _DAMAGES:
        raise ConfigurationError(
            "the workbook can't be read: it is damaged, or not what a spreadsheet writes. Open it "
            "in a spreadsheet, and save it as .xlsx or CSV"
        ) from None
