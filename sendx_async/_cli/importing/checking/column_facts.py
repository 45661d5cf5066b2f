"""What a look at a file finds out about one of its columns, in memory that stays flat."""

import json
from collections import Counter
from collections.abc import Mapping

import attrs

from sendx_async._cli.importing.cleaning.day_numbers import DayNumbers
from sendx_async._cli.importing.cleaning.decimal_codes import DecimalCodes
from sendx_async._cli.importing.cleaning.leading_zeros import LeadingZeros
from sendx_async._cli.importing.cleaning.notes import Note
from sendx_async._cli.importing.mapping.decisions import (
    LEFT_OUT,
    UNDECIDED,
    UNNAMED,
    Decision,
)

_SAMPLES = 3
_LONGEST_VALUE = 80
_VALUES_KEPT = 100
_NOTED_KEPT = 20  # different values for each kind of note
_NOT_SENT = frozenset({LEFT_OUT, UNDECIDED, UNNAMED})


@attrs.frozen(kw_only=True)
class ColumnFacts:
    """What is known of a column.

    Attributes:
        decision: What becomes of it.
        samples: Up to three of its values, different and not empty.
        filled: In how many rows it has a value.
        rows: How many rows were looked at.
        notes: How many cells there is something to say of, by what that is.
        noted: Some different values of these.
        values: Some of its different values, among them an empty one if there is one.
    """

    decision: Decision
    samples: tuple[str, ...]
    filled: int
    rows: int
    notes: Mapping[Note, int]
    noted: Mapping[Note, tuple[str, ...]]
    values: tuple[str, ...]

    @property
    def percent(self) -> int:
        """How full it is: 0 only if it is empty, 100 only if no cell is."""
        if self.filled in {0, self.rows}:
            return 100 if self.filled else 0
        return min(99, max(1, round(100 * self.filled / self.rows)))

    @property
    def is_sent(self) -> bool:
        """Whether its values go to SendX."""
        return self.decision.becomes not in _NOT_SENT


class ColumnLook:
    """Collects the facts about one column.

    Args:
        name: The column's name.
        nulls: Texts that mean that a cell is empty.
    """

    def __init__(self, name: str, nulls: frozenset[str]) -> None:
        self._nulls = nulls
        self._filled = 0
        self._values: dict[str, None] = {}
        self._has_empty = False
        self._notes = Counter[Note]()
        self._noted: dict[Note, dict[str, None]] = {}
        self._decimals = DecimalCodes(name)
        self._counted: dict[Note, LeadingZeros | DayNumbers | DecimalCodes] = {
            Note.LOST_ZERO: LeadingZeros(name),
            Note.DAY_NUMBER: DayNumbers(name),
            Note.DECIMAL_CODE: self._decimals,
        }

    def add(self, value: object) -> None:
        """Look at the value of one more row."""
        text = as_text(value)
        if not text or text in self._nulls or value != value:  # noqa: PLR0124 - as only NaN is
            self._has_empty = True
            return
        self._filled += 1
        if len(self._values) < _VALUES_KEPT:
            self._values[text[:_LONGEST_VALUE]] = None
        for each in self._counted.values():
            # A number is sent without .0 behind.
            if each is not self._decimals or isinstance(value, str):
                each.add(text)

    def note(self, note: Note, value: object) -> None:
        """Count what there is to say of one cell."""
        self._notes[note] += 1
        text = as_text(value)
        if note is Note.NULL and text not in self._nulls and value == value:  # noqa: PLR0124
            self._filled -= 1
        some = self._noted.setdefault(note, {})
        if len(some) < _NOTED_KEPT:
            some[text] = None

    def facts(self, decision: Decision, rows: int) -> ColumnFacts:
        """Return what was found.

        Args:
            decision: What becomes of the column.
            rows: How many rows were looked at.
        """
        notes = dict(self._notes)
        if decision.becomes not in _NOT_SENT:
            notes |= {note: each.count for note, each in self._counted.items() if each.count}
        return ColumnFacts(
            decision=decision,
            samples=tuple(self._values)[:_SAMPLES],
            filled=self._filled,
            rows=rows,
            notes=notes,
            noted={note: tuple(values) for note, values in self._noted.items()},
            values=(*self._values, *([""] if self._has_empty else ())),
        )


def as_text(value: object) -> str:
    """Return a cell as text without the blanks around it; JSON's values as JSON has them."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text.strip()
