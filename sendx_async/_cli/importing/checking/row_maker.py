"""A record of a file becomes a row: what is to be sent, or why it isn't."""

from collections.abc import Sequence

from sendx_async._cli.importing.checking.duplicates import DuplicateRows
from sendx_async._cli.importing.checking.rows import Row
from sendx_async._cli.importing.cleaning.notes import Note
from sendx_async._cli.importing.mapping.plan import Plan
from sendx_async._cli.importing.mapping.plans import Plans
from sendx_async._cli.importing.mapping.problems import Problem, Refusal, Skip
from sendx_async._cli.importing.options import ImportOptions
from sendx_async._cli.importing.reading.opening import Source
from sendx_async._cli.importing.reading.records import Record
from sendx_async._cli.importing.reading.text import has_bad_bytes

_ROWS_A_POSITION = 32  # the system is asked for it, and only a bar wants to know


class RowMaker:
    """Makes the rows of an opened file, in its order.

    Args:
        source: The file.
        options: What was asked for.
        sends_doubtful: Whether cells are sent that may not be meant as they are.
        is_look: Whether nothing is sent, so that undecided columns are no hindrance.
        duplicates: What is done with rows of the same address; None if each is sent.

    Attributes:
        plans: What becomes of the columns.
    """

    def __init__(
        self,
        source: Source,
        options: ImportOptions,
        *,
        sends_doubtful: bool,
        is_look: bool,
        duplicates: DuplicateRows | None,
    ) -> None:
        dialect = source.table.dialect
        self.plans = Plans(
            options.source.columns,
            is_json=source.format in {"json", "ndjson"},
            nulls=frozenset() if dialect is None else dialect.nulls,
            sample=source.first_records().records,
            is_look=is_look,
            files=source.names,
        )
        self._source = source
        self._shows_values = options.shows_values
        self._sends_doubtful = sends_doubtful
        self._duplicates = duplicates
        self._position = 0
        self._notes: list[tuple[int, Note]] = []

    def plan_of(self, record: Record) -> Plan:
        """Return what becomes of the columns of a record."""
        return self.plans.of(self._source.table.header or record.names)

    def __call__(self, place: int, record: Record, checksum: int = 0) -> Row:
        """Return the row.

        Args:
            place: How many records stand before it.
            record: It as it stands in the file.
            checksum: Of the file up to its end.
        """
        if not place % _ROWS_A_POSITION:
            self._position = self._source.position
        position = self._position
        if record.problem is not None or has_bad_bytes(record.text):
            problem = record.problem or (
                f"has bytes that mean nothing in {self._source.encoding.name}: give the file's "
                "encoding, for example --encoding cp1252"
            )
            return Row(place, record, checksum, position, problem=problem, reason=problem)
        self._notes.clear()
        plan = self.plan_of(record)
        made = plan.contact(record.values, self._notes)
        if self._notes and not self._sends_doubtful and not isinstance(made, (Skip, Refusal)):
            made = _doubtful(record, self._notes) or made
        if isinstance(made, Skip):
            return Row(place, record, checksum, position, skipped=made.reason)
        if isinstance(made, Refusal):
            problem = made.text(shows_values=self._shows_values)
            reason = _reason(made.problems)
            return Row(place, record, checksum, position, problem=problem, reason=reason)
        # What is said of the cells of a row that can't be sent is nobody's doubt. What is said of a
        # duplicate's is: the first look doesn't know which rows are duplicates.
        notes = tuple(self._notes)
        if self._duplicates is not None:
            duplicate = self._duplicates.of(made.email, record.number)
            if duplicate is not None and duplicate.is_refused:
                problem = (
                    f"has the same address as row {duplicate.row}: keep one of them, or leave out "
                    "all but one with --duplicates last or first"
                )
                return Row(
                    place,
                    record,
                    checksum,
                    position,
                    problem=problem,
                    reason=duplicate.reason,
                    notes=notes,
                )
            if duplicate is not None:
                skipped = duplicate.reason
                return Row(place, record, checksum, position, skipped=skipped, notes=notes)
        return Row(place, record, checksum, position, made, notes=notes)


def _doubtful(record: Record, notes: Sequence[tuple[int, Note]]) -> Refusal | None:
    problems = tuple(
        Problem(
            record.names[index],
            record.values[index],
            f"{note}; --yes sends it as it is",
        )
        for index, note in notes
        if note.is_doubt
    )
    return Refusal(problems) if problems else None


def _reason(problems: Sequence[Problem]) -> str:
    """Return why a row is refused, without what stands in it, so that rows can be counted by it."""
    return "; ".join(
        each.reason if each.column is None else f"{each.column!r}: {each.reason}"
        for each in problems
    )
