"""How a table lies in its text: what stands before the header, the header, and the dialect."""

import re
from collections.abc import Sequence

import attrs

from sendx_async._cli.importing.reading.dialect import DELIMITERS, Dialect
from sendx_async._cli.importing.reading.header import find_header, has_address, no_header
from sendx_async._cli.importing.reading.records import REJECT_COLUMNS, HeaderScore
from sendx_async._cli.importing.reading.sniffing import SniffedRow, first_rows, sniffed
from sendx_async._core.errors import ConfigurationError

_EXCEL = re.compile("sep=(.)", re.IGNORECASE)  # the first line of files that Excel is to open


@attrs.frozen(kw_only=True)
class Layout:
    """Where the rows of a table begin, and what they are made of.

    Attributes:
        dialect: How cells are told apart.
        titles: The columns' names as they are written, or given.
        before: The lines in front of the header that aren't empty.
        lines: How many lines stand before the first record, with the header.
        rows: How many rows, as a spreadsheet counts them.
    """

    dialect: Dialect
    titles: tuple[str, ...]
    before: tuple[str, ...]
    lines: int
    rows: int


def layout_of(
    lines: Sequence[str],
    *,
    delimiter: str | None,
    escape: str | None,
    skipped_lines: int | None,
    names: tuple[str, ...] | None,
    score: HeaderScore,
) -> Layout:
    """Return how a table lies in a text.

    A file of rejected rows has its header, whatever it was that its own file had.

    Args:
        lines: The lines that it begins with, with their ends.
        delimiter: What stands between cells; None for what makes the most regular table.
        escape: What stands before a quote within quotes; None for likewise.
        skipped_lines: How many lines stand before the header; None to look for it.
        names: The columns' names, if there is no header.
        score: How much a row looks like a header, from 0.

    Raises:
        ConfigurationError: There is no header, or it can't be read.
    """
    start = next((place for place, line in enumerate(lines) if line.strip()), len(lines))
    if start < len(lines) and (told := _EXCEL.fullmatch(lines[start].strip())):
        delimiter = told[1] if delimiter is None else delimiter
        start += 1
    if _are_rejects(lines[start:]):
        skipped_lines, names = None, None
    elif skipped_lines is not None:
        start = max(start, skipped_lines) if skipped_lines else start
    dialect = sniffed(lines[start:], delimiter=delimiter, escape=escape)
    rows = first_rows(lines[start:], dialect)
    filled = [index for index, row in enumerate(rows) if not row.is_empty]
    if not filled:
        raise ConfigurationError("the file is empty: it needs a header, such as email,first_name")
    if names is not None:
        _check_names(names, [rows[index] for index in filled])
        return Layout(
            dialect=attrs.evolve(dialect, skipped=start, has_header=False),
            titles=names,
            before=_texts(lines[:start]),
            lines=start,
            rows=start,
        )
    place = filled[_header_among([rows[index] for index in filled], skipped_lines, score)]
    row = rows[place]
    if row.error is not None:
        raise ConfigurationError(f"the header can't be read as CSV: {row.error}")
    if has_address(row.cells):
        raise no_header(row.cells)
    skipped = start + sum(each.lines for each in rows[:place])
    return Layout(
        dialect=attrs.evolve(dialect, skipped=skipped),
        titles=tuple(cell.strip() for cell in row.cells),
        before=_texts(lines[:skipped]),
        lines=skipped + row.lines,
        rows=start + place + 1,
    )


def _are_rejects(lines: Sequence[str]) -> bool:
    return bool(lines) and any(
        lines[0].startswith(f"{quote}{REJECT_COLUMNS[0]}{quote}") for quote in ("", '"')
    )


def _header_among(rows: list[SniffedRow], skipped_lines: int | None, score: HeaderScore) -> int:
    if skipped_lines is not None:
        return 0
    readable = next((index for index, row in enumerate(rows) if row.error), len(rows))
    return find_header([row.cells for row in rows[:readable]], score)


def _check_names(names: tuple[str, ...], rows: list[SniffedRow]) -> None:
    widths = [len(row.cells) for row in rows if row.error is None]
    usual = max(widths, key=widths.count, default=len(names))
    if usual != len(names):
        raise ConfigurationError(f"--columns names {len(names)} columns, but the rows have {usual}")


def _texts(lines: Sequence[str]) -> tuple[str, ...]:
    return tuple(text for line in lines if (text := line.strip().strip("".join(DELIMITERS))))
