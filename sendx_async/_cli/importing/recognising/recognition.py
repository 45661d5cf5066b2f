"""Whose export a table is, which row is its header, and which of its columns holds addresses."""

import re
from collections.abc import Iterable, Sequence

from sendx_async._cli.importing.recognising.column_names import field_of, fits, folded
from sendx_async._cli.importing.recognising.consent import consent_of
from sendx_async._cli.importing.recognising.preset import Preset

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_SHARE = 0.5  # of a column's filled cells that must look like addresses


def recognise(names: Sequence[str], presets: Iterable[Preset]) -> Preset | None:
    """Return the service that a table with these columns was exported from; None if none is known.

    It is the one whose signature is there in full; of several, the signature with most names.

    Args:
        names: The columns' names; of JSON, those of all records that were looked at.
        presets: The services that are known.
    """
    known = {folded(name) for name in names}
    found = [
        (len(signature), preset)
        for preset in presets
        for signature in preset.signatures
        if all(_is_there(each, names, known) for each in signature)
    ]
    return max(found, key=lambda each: each[0])[1] if found else None


def looks_like_header(cells: Sequence[str], presets: Iterable[Preset] = ()) -> int:
    """Return how many cells of a row are names of columns that are known.

    Args:
        cells: The row.
        presets: The services whose columns are known besides those of everyone.
    """
    signed = {folded(each) for preset in presets for names in preset.signatures for each in names}
    return sum(
        1
        for cell in cells
        if cell and (folded(cell) in signed or field_of(cell) or consent_of(cell, ()))
    )


def address_column(names: Sequence[str], rows: Iterable[Sequence[object]]) -> int | None:
    """Return the place of the column whose cells are addresses, for a table whose names don't tell.

    Args:
        names: The columns' names.
        rows: The cells of the first rows; a row may end early.

    Returns:
        The column where at least half of the filled cells have an ``@`` in an address's place; of
        several, the one with the most different addresses. None if there is none.
    """
    seen: list[set[str]] = [set() for _ in names]
    filled = [0] * len(names)
    matched = [0] * len(names)
    for row in rows:
        for index, cell in enumerate(row[: len(names)]):
            text = "" if cell is None else str(cell).strip()
            if text:
                filled[index] += 1
                if _ADDRESS.search(text):
                    matched[index] += 1
                    seen[index].add(text.casefold())
    good = [
        index for index, count in enumerate(matched) if count and count >= _SHARE * filled[index]
    ]
    return max(good, key=lambda index: len(seen[index])) if good else None


def _is_there(name: str, names: Sequence[str], known: set[str]) -> bool:
    return any(fits(name, each) for each in names) if "*" in name else folded(name) in known
