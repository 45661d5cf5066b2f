"""Which row of a table names its columns."""

import re
import shlex
from collections.abc import Sequence

from sendx_async._cli.importing.reading.records import HeaderScore
from sendx_async._core.errors import ConfigurationError

_ADDRESS = re.compile(r"\s*[\"'<]?[^@\s\"'<>]+@[^@\s\"'<>]+\.[^@\s\"'<>]+[\"'>]?\s*")
_MOST_BEFORE = 30


def find_header(rows: Sequence[Sequence[str]], score: HeaderScore) -> int:
    """Return the index of the row that names the columns; what stands before it is a title.

    A title fills at most half as many cells as the header, and there is no address above the
    header. Of the rows that are left it is the one that looks most like a header. If none looks
    like one at all, it is the first that fills as many cells as the table is wide, or row 0.

    Args:
        rows: The first rows that aren't empty, some 200.
        score: How much a row looks like a header, from 0.
    """
    width = max(map(len, rows), key=[len(row) for row in rows].count, default=0)
    best, best_score, full, widest = 0, 0.0, 0, 0
    for index, row in enumerate(rows[:_MOST_BEFORE]):
        if has_address(row):
            break
        cells = [cell.strip() for cell in row]
        filled = sum(map(bool, cells))
        if filled < 2 * widest:
            continue
        if (its := score(cells)) > best_score:
            best, best_score = index, its
        if widest < width <= filled:
            full = index
        widest = max(widest, filled)
    return best if best_score else full


def has_address(row: Sequence[str]) -> bool:
    """Return whether a cell is an address, as in no header."""
    return any("@" in cell and _ADDRESS.fullmatch(cell) for cell in row)


def no_header(row: Sequence[str]) -> ConfigurationError:
    """Return the error of a table that begins with addresses, with the option to paste."""
    names: list[str] = []
    for position, cell in enumerate(row, 1):
        is_address = _ADDRESS.fullmatch(cell) and "email" not in names
        names.append("email" if is_address else f"column_{position}")
    return ConfigurationError(
        "the file has no header: its first row has an address. Say what its columns are called, "
        f"for example --columns {shlex.quote(','.join(names))}"
    )
