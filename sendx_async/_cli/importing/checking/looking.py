"""Looking at the rows of a file, one after the other; what is remembered doesn't grow with them."""

from collections.abc import Mapping
from typing import cast

import attrs

from sendx_async._cli.importing.address_count import AddressCount
from sendx_async._cli.importing.checking.column_facts import ColumnLook
from sendx_async._cli.importing.checking.look import Counted, Look, TableFacts
from sendx_async._cli.importing.checking.rows import Row
from sendx_async._cli.importing.mapping.plans import Plans
from sendx_async._core.models import IdentifyRequest

_CONTACTS = 2
_MOST_TAGS = 100
_MOST_COLUMNS = 1_000  # JSON may have any number
_MOST_REASONS = 100
_FIRST_ROWS = 5
_OTHER_REASONS = "other reasons"


class Looking:
    """Collects what a look finds.

    Args:
        plans: What becomes of the columns.
        names: The file's columns; None if its rows needn't have the same.
        addresses: Where it is kept which were seen; nobody else uses it.

    Attributes:
        good: How many rows can be sent, of those seen so far.
        rejected: How many can't.
        skipped: How many are left out.
    """

    def __init__(
        self, plans: Plans, names: tuple[str, ...] | None, addresses: AddressCount
    ) -> None:
        self._plans = plans
        self._has_many_headers = names is None
        self._addresses = addresses
        self._columns = {name: ColumnLook(name, plans.nulls) for name in names or ()}
        self._rows = self._doubtful = 0
        self.good = self.rejected = self.skipped = 0
        self._contacts: list[IdentifyRequest] = []
        self._tags: dict[str, int] = {}
        self._fields: dict[str, int] = {}
        self._more_tags = False
        self._skipped: dict[str, Counted] = {}
        self._refused: dict[str, Counted] = {}

    def add(self, row: Row) -> None:
        """Look at one more row."""
        self._rows += 1
        self._add_cells(row)
        if row.skipped is not None:
            self.skipped += 1
            _count(self._skipped, row.skipped, row)
        elif row.reason is not None:
            self.rejected += 1
            _count(self._refused, row.reason, row)
        else:
            self.good += 1
            self._doubtful += any(note.is_doubt for _, note in row.notes)
            self._add_contact(cast("IdentifyRequest", row.contact))

    def _add_cells(self, row: Row) -> None:
        names, values = row.record.names, row.record.values
        for name, value in zip(names, values, strict=False):
            column = self._columns.get(name)
            if column is None:
                if len(self._columns) >= _MOST_COLUMNS:
                    continue
                column = self._columns[name] = ColumnLook(name, self._plans.nulls)
            column.add(value)
        for index, note in row.notes:
            if (column := self._columns.get(names[index])) is not None:
                column.note(note, values[index])

    def _add_contact(self, contact: IdentifyRequest) -> None:
        self._addresses.add(contact.email)
        if len(self._contacts) < _CONTACTS:
            self._contacts.append(contact)
        for tag in contact.tags or ():
            if tag in self._tags or len(self._tags) < _MOST_TAGS:
                self._tags[tag] = self._tags.get(tag, 0) + 1
            else:
                self._more_tags = True
        for field in contact.custom_fields or ():
            if field in self._fields or len(self._fields) < _MOST_COLUMNS:
                self._fields[field] = self._fields.get(field, 0) + 1

    def found(self, table: TableFacts, *, is_whole: bool) -> Look:
        """Return what was found.

        Args:
            table: How the file is written.
            is_whole: Whether these were all its rows.
        """
        names = tuple(self._columns)
        plan = self._plans.of(names)
        if self._has_many_headers:
            # Names that are the same field may stand in different rows; in one they are refused.
            plan = attrs.evolve(plan, decided=attrs.evolve(plan.decided, twice=()))
        return Look(
            table=table,
            is_whole=is_whole,
            rows=self._rows,
            good=self.good,
            people=len(self._addresses),
            columns=tuple(
                self._columns[decision.name].facts(decision, self._rows)
                for decision in plan.decisions
            ),
            contacts=tuple(self._contacts),
            tags=_most_first(self._tags),
            more_tags=self._more_tags,
            fields=self._fields,
            skipped=self._skipped,
            refused=self._refused,
            doubtful=self._doubtful,
            names=names,
            plan=plan,
        )


def _count(counted: dict[str, Counted], reason: str, row: Row) -> None:
    if reason not in counted and len(counted) >= _MOST_REASONS:
        reason = _OTHER_REASONS
    before = counted.get(reason, Counted(count=0, rows=()))
    rows = before.rows
    if len(rows) < _FIRST_ROWS:
        rows = (*rows, row.record.number)
    counted[reason] = Counted(count=before.count + 1, rows=rows)


def _most_first(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda each: -each[1]))
