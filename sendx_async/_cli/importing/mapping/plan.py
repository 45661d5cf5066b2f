"""Contacts made of the rows of a file: what becomes of each column, worked out once a header."""

import itertools
import re
from collections.abc import Sequence
from typing import Any, cast

import attrs

from sendx_async._cli.importing.cleaning.names import split_name
from sendx_async._cli.importing.cleaning.notes import CellError, Note
from sendx_async._cli.importing.mapping import steps
from sendx_async._cli.importing.mapping.columns import Columns
from sendx_async._cli.importing.mapping.conditions import RowRule
from sendx_async._cli.importing.mapping.decisions import (
    BY_CELLS,
    CUSTOM_FIELD,
    Decided,
    Decision,
)
from sendx_async._cli.importing.mapping.problems import Problem, Refusal, Skip
from sendx_async._core.errors import InvalidRequestError
from sendx_async._core.models import IdentifyRequest

NO_ADDRESS = Skip("no address")

_OF_FIELD = re.compile(r"([a-z_]+)(?:\[(.*?)\])?(?:\[.*?\])* (.*)", re.DOTALL)
_IN_OTHER_WORDS = {
    "has half of a surrogate pair, which UTF-8 can't carry: decode the text again": (
        "has a broken character: write it anew"
    ),
    "must not have white space or control characters: strip them": (
        "has white space in it: give the address alone, without blanks"
    ),
}


@attrs.frozen(kw_only=True)
class Plan:
    """What is done with the rows that have these columns.

    Attributes:
        columns: What the user has decided.
        decided: What becomes of each column.
        is_json: Whether values come from JSON.
        width: How many columns there are.
        rules: Which rows are left out.
        steps: The column, and what puts its value among the arguments of a contact.
        adds_more: Whether contacts get more than is in their columns, or it is divided anew.
        refusal: Why no row with these columns can be sent; None if they can.
    """

    columns: Columns
    decided: Decided
    is_json: bool
    width: int
    rules: tuple[RowRule, ...]
    steps: tuple[tuple[int, steps.Step], ...]
    adds_more: bool
    refusal: Refusal | None

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """What becomes of each column, in the file's order."""
        return self.decided.decisions

    @property
    def address(self) -> Decision | None:
        """The column that has the addresses, or the first one that may; None if there is none."""
        return next((each for each in self.decisions if each.becomes == "email"), None)

    @property
    def address_by_cells(self) -> str | None:
        """The column that has the addresses, if only its cells tell, and not its name."""
        address = self.address
        return None if address is None or address.why != BY_CELLS else address.name

    def contact(
        self, values: Sequence[Any], notes: list[tuple[int, Note]]
    ) -> IdentifyRequest | Skip | Refusal:
        """Make the contact of a row.

        Args:
            values: Its values; it may end early where its last cells are empty.
            notes: Gets what there is to say about its cells, each with the column's place.
        """
        if self.refusal is not None:
            return self.refusal
        if len(values) != self.width:
            if len(values) > self.width and any(values[self.width :]):
                return _too_wide(len(values), self.width)
            values = [*values[: self.width], *itertools.repeat(None, self.width - len(values))]
        if self.rules and (skip := self._left_out(values)):
            return skip
        given = self._given(values, notes)
        if isinstance(given, Refusal):
            return given
        if "email" not in given:
            return self._without_address()
        if self.adds_more:
            self._add_more(given)
        try:
            return IdentifyRequest(**given)
        except InvalidRequestError as error:
            return Refusal(tuple(self._problem(each, values) for each in error.problems))

    def _given(
        self, values: Sequence[Any], notes: list[tuple[int, Note]]
    ) -> dict[str, Any] | Refusal:
        """Return the arguments that the values of a row are for its contact."""
        given: dict[str, Any] = {}
        fields: dict[str, Any] = {}
        said: list[Note] = []
        index = 0
        try:
            for index, step in self.steps:
                value = values[index]
                if value or (value is not None and value != ""):
                    step(given, fields, value, said)
                    if said:
                        notes.extend((index, note) for note in said)
                        said.clear()
        except CellError as error:
            return Refusal((Problem(self._name(index), values[index], str(error)),))
        if fields:
            given["custom_fields"] = fields
        return given

    def _left_out(self, values: Sequence[Any]) -> Skip | None:
        for rule in self.rules:
            if not rule.allows(None if rule.index is None else values[rule.index]):
                return Skip(rule.reason)
        return None

    def _add_more(self, given: dict[str, Any]) -> None:
        """Add what isn't any column's alone."""
        if self.columns.splits_names:
            _split_name(given)
        for field, more in (("tags", self.columns.tags), ("lists", self.columns.lists)):
            if more:
                given[field] = tuple(dict.fromkeys((*given.get(field, ()), *more)))

    def _without_address(self) -> Skip | Refusal:
        if self.columns.skips_empty or self.decided.fit is not None:
            return NO_ADDRESS
        address = self.address
        return Refusal(
            (
                Problem(
                    None if address is None else address.name,
                    None,
                    "has no address: add it, or leave such rows out with --skip-empty"
                    if address is not None
                    else "there is no column of addresses: tell which it is with --column "
                    "NAME=email",
                ),
            )
        )

    def _name(self, index: int) -> str:
        return next(each.name for each in self.decisions if each.index == index)

    def _problem(self, text: str, values: Sequence[Any]) -> Problem:
        """Return what a contact's own check has found, in the words of the file."""
        field, title, reason = cast("re.Match[str]", _OF_FIELD.fullmatch(text)).groups()
        reason = _IN_OTHER_WORDS.get(reason, reason)
        for each in sorted(self.decisions, key=lambda each: each.rank):
            is_it = (
                repr(each.title) == title
                if field == "custom_fields" and each.becomes == CUSTOM_FIELD
                else each.becomes.replace(" ", "_") == field
            )
            if is_it and values[each.index]:
                return Problem(each.name, values[each.index], reason)
        return Problem(None, None, f"{field} {reason}")


def _split_name(given: dict[str, Any]) -> None:
    full = given.pop("full_name", None)
    if full is not None and "first_name" not in given and "last_name" not in given:
        first, last = split_name(full)
        given["first_name"] = first
        if last is not None:
            given["last_name"] = last


def _too_wide(cells: int, width: int) -> Refusal:
    reason = f"has {cells} cells, but the header has {width}: is one not quoted?"
    return Refusal((Problem(None, None, reason),))
