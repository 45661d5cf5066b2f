"""Contacts that a plan makes of rows, without files."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sendx_async._cli.importing.mapping.columns import Columns
from sendx_async._cli.importing.mapping.mapping_file import columns_of
from sendx_async._cli.importing.mapping.plan import Plan
from sendx_async._cli.importing.mapping.plans import Plans
from sendx_async._cli.importing.mapping.problems import Skip
from sendx_async._core.models import IdentifyRequest

if TYPE_CHECKING:
    from sendx_async._cli.importing.cleaning.notes import Note

EMAIL = "jane@example.com"


def columns(**options: Any) -> Columns:
    """Make columns as the command's options do: `ignore_rest` is --ignore-rest."""
    return columns_of({name.rstrip("_").replace("_", "-"): each for name, each in options.items()})


def plan(names: Sequence[str], *, is_json: bool = False, **options: Any) -> Plan:
    return Plans(columns(**options), is_json=is_json).of(tuple(names))


def made(row: Mapping[str, Any], *, is_json: bool = False, **options: Any) -> IdentifyRequest:
    """Give the contact of a row that can be sent, and about whose cells there is nothing to say."""
    notes: list[tuple[int, Note]] = []
    contact = plan(tuple(row), is_json=is_json, **options).contact(tuple(row.values()), notes)
    assert isinstance(contact, IdentifyRequest), contact
    assert not notes
    return contact


def noted(row: Mapping[str, Any], *, is_json: bool = False, **options: Any) -> list[Any]:
    """Give what there is to say about the cells of a row, by the names of its columns."""
    notes: list[tuple[int, Note]] = []
    plan(tuple(row), is_json=is_json, **options).contact(tuple(row.values()), notes)
    return [(tuple(row)[index], note) for index, note in notes]


def unsent(row: Mapping[str, Any], *, is_json: bool = False, **options: Any) -> str:
    """Give why a row is not sent."""
    found = plan(tuple(row), is_json=is_json, **options).contact(tuple(row.values()), [])
    assert not isinstance(found, IdentifyRequest)
    return found.reason if isinstance(found, Skip) else found.text(shows_values=False)
