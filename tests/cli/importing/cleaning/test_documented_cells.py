"""The tables of the page about cells say what is so."""

import re
from pathlib import Path

import pytest

from sendx_async._cli.importing.cleaning.addresses import read_address
from sendx_async._cli.importing.cleaning.lists import split_list
from sendx_async._cli.importing.cleaning.names import split_name
from sendx_async._cli.importing.cleaning.notes import CellError, Note
from sendx_async._cli.importing.cleaning.texts import CellReader
from sendx_async._cli.importing.recognising.refusals import lets_mail
from sendx_async._core.increments import is_increment

_PAGE = Path(__file__).parents[4] / "docs" / "howto" / "cells.md"
_reader = CellReader(nulls=frozenset(), asks_about_nulls=True)


def _rows(title: str) -> list[list[list[str]]]:
    """Return the codes in each cell of a section's table; its words where it has none."""
    section = (
        _PAGE.read_text(encoding="utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    )
    rows = [
        line[1:].strip().removesuffix("|").split("|")
        for line in section.splitlines()
        if line[:1] == "|"
    ]
    return [[re.findall(r"`([^`]+)`", cell) or [cell.strip()] for cell in row] for row in rows[2:]]


def _read(text: str) -> tuple[str | None, list[Note]]:
    notes: list[Note] = []
    return _reader(text, notes), notes


@pytest.mark.parametrize("row", _rows("Any cell"), ids=lambda row: row[0][0])
def test_any_cell(row: list[list[str]]) -> None:
    (text,), expected, _ = row
    value, notes = _read(text)
    if any(note.is_doubt for note in notes):
        assert expected == ["in doubt"]
    elif value is None:
        assert expected == ["nothing"]
    else:
        assert expected == ["refused" if is_increment(value) else value]


@pytest.mark.parametrize("row", _rows("Addresses"), ids=lambda row: row[0][0])
def test_addresses(row: list[list[str]]) -> None:
    ((text,), (expected,)) = row
    value, notes = _read(text)
    assert value
    if expected == "refused":
        with pytest.raises(CellError):
            read_address(value, notes)
    else:
        assert read_address(value, notes) == expected


@pytest.mark.parametrize("row", _rows("Tags and lists"), ids=lambda row: row[0][0])
def test_tags(row: list[list[str]]) -> None:
    (text,), expected = row
    value, notes = _read(text)
    assert value
    if expected == ["refused"]:
        with pytest.raises(CellError):
            split_list(value, notes, separator=",", is_given=False)
        return
    items = split_list(value, notes, separator=",", is_given=False)
    assert expected == (["in doubt"] if Note.MAYBE_LIST in notes else items)


@pytest.mark.parametrize("row", _rows("Full names"), ids=lambda row: row[0][0])
def test_full_names(row: list[list[str]]) -> None:
    ((text,), (first,), (last,)) = row
    assert split_name(text) == (first, last or None)


@pytest.mark.parametrize("row", _rows("Who must not be mailed"), ids=lambda row: row[0][0])
def test_who_must_not_be_mailed(row: list[list[str]]) -> None:
    ((no,), (yes,)) = row
    assert lets_mail(no.removeprefix("an empty cell"))
    assert not lets_mail(yes)
