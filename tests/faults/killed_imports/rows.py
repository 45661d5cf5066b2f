"""A file of contacts in which each row can be told from all others, also at the server."""

import csv
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, Literal

import attrs

Kind = Literal["plain", "increment", "bad", "refused"]

COUNTER = "Visits"
OPTIONS = ("--field", COUNTER)
_MARK = "row-"
_INCREMENT = "++1"
_REPEATED_CONTACTS = 12
_ROWS_EACH = 8
_REFUSED = 4


@attrs.frozen
class SourceRow:
    """One row of the file.

    Attributes:
        number: As a spreadsheet counts; the header is row 1. Its place, from 0, is two less.
        email: The contact.
        counter: What stands in the column `COUNTER`; an increment is not safe to repeat.
        kind: ``bad`` can't be sent, ``refused`` is by the server, whenever it comes.
    """

    number: int
    email: str
    counter: str
    kind: Kind

    @property
    def cells(self) -> list[str]:
        surplus = ["surplus"] if self.kind == "bad" and self.number % 2 else []
        return [self.email, f"{_MARK}{self.number}", self.counter, *surplus]


def number_in(contact: Any) -> int:
    """Give the row that a contact on the wire was made of."""
    return int(contact["firstName"].removeprefix(_MARK))


def make_rows(random: Random, count: int) -> list[SourceRow]:
    """Draw a file: one row in fifty is bad, and one in twenty-five an increment.

    Some contacts have several rows, close together and far apart, with increments among them. A few
    have a counter that can't be incremented, and are to be incremented.
    """
    addresses = [f"c{place}@example.com" for place in range(count)]
    chosen = iter(random.sample(range(count), count))
    for each in range(_REPEATED_CONTACTS):
        first = next(chosen)
        near = range(max(0, first - 3), min(count, first + 4))
        places = [*near, *(next(chosen) for _ in range(_ROWS_EACH - len(near)))]
        for place in places:
            addresses[place] = f"again{each}@example.com"
    kinds: list[Kind] = ["plain"] * count
    counters = [""] * count
    for place in random.sample(range(count), count // 25):
        kinds[place], counters[place] = "increment", _INCREMENT
    for place in random.sample(range(count), count // 50):
        kinds[place], counters[place] = "bad", ""
        addresses[place] = addresses[place] if place % 2 else f"no address {place}"
    for each in range(_REFUSED):
        first, second = sorted(next(chosen) for _ in range(2))
        addresses[first] = addresses[second] = f"words{each}@example.com"
        kinds[first], counters[first] = "plain", "many"
        kinds[second], counters[second] = "refused", _INCREMENT
    return [
        SourceRow(place + 2, addresses[place], counters[place], kinds[place])
        for place in range(count)
    ]


def write(rows: Sequence[SourceRow], path: Path) -> None:
    """Write the file."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["email", "first_name", COUNTER])
        writer.writerows(row.cells for row in rows)
