"""A file of contacts in which each row can be told from all others, also at the server."""

import csv
import gzip
import json
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any, Literal

import attrs

Kind = Literal["plain", "increment", "bad", "refused", "skipped"]

COUNTER = "Visits"
SKIPPED = "skipped"
LOG = "log"
_MARK = "row-"
_INCREMENT = "++1"
_REPEATED_CONTACTS = 12
_ROWS_EACH = 8
_REFUSED = 4


@attrs.frozen(kw_only=True)
class Way:
    """A kind of file, and how it is imported.

    Attributes:
        file: Its name, which says what it is.
        options: Those of the command, besides what all have.
        columns: The names of those for address, name and counter, and of one that says whether a
            row is to be skipped, if there is one.
        rejects: The name of the file of rejected rows.
        first: The number of the first row.
        takes_last: Whether only the last row of an address is sent.
    """

    file: str = "contacts.csv"
    options: Sequence[str] = ()
    columns: Sequence[str] = ("email", "first_name", COUNTER)
    rejects: str = "contacts.rejects.csv"
    first: int = 2
    takes_last: bool = False

    @property
    def is_json(self) -> bool:
        return self.file.endswith(".json")

    @property
    def skips(self) -> bool:
        """Whether a column says that a row is to be skipped."""
        return len(self.columns) > 3


WAYS: Mapping[str, Way] = {
    "CSV": Way(options=("--increments", "--field", COUNTER)),
    "gzip": Way(file="contacts.csv.gz", options=("--increments", "--field", COUNTER, "--log", LOG)),
    "array": Way(
        file="contacts.json",
        options=("--increments", "--field", COUNTER, "--skip", "State=left", "--ignore", "State",
                 "--skipped", SKIPPED),
        columns=("email", "first_name", COUNTER, "State"),
        rejects="contacts.rejects.ndjson",
        first=1,
    ),
    "duplicates": Way(
        options=("--increments", "--field", COUNTER, "--duplicates", "last", "--skipped", SKIPPED),
        takes_last=True,
    ),
    "preset": Way(
        options=("--from", "kit", "--increments", "--log", LOG, "--skipped", SKIPPED),
        columns=("email_address", "first_name", COUNTER, "state"),
    ),
}  # fmt: skip


@attrs.frozen
class SourceRow:
    """One row of the file.

    Attributes:
        number: As a spreadsheet counts; the header is row 1.
        email: The contact.
        counter: What stands in the column `COUNTER`; an increment is not safe to repeat.
        kind: ``bad`` can't be sent, ``refused`` is by the server, whenever it comes, ``skipped`` is
            left out.
    """

    number: int
    email: str
    counter: str
    kind: Kind

    def cells(self, way: Way) -> list[str]:
        cells = [self.email, f"{_MARK}{self.number}", self.counter]
        if way.skips:
            cells.append("left" if self.kind == "skipped" else "active")
        if self.kind != "bad":
            return cells
        if way.is_json or self.number % 2 == 0:
            return [f"no address {self.number}", *cells[1:]]
        return [*cells, "surplus"]


def number_in(contact: Any) -> int:
    """Give the row that a contact on the wire was made of."""
    return int(contact["firstName"].removeprefix(_MARK))


def make_rows(random: Random, count: int, way: Way) -> list[SourceRow]:
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
    for each in range(_REFUSED):
        first, second = sorted(next(chosen) for _ in range(2))
        addresses[first] = addresses[second] = f"words{each}@example.com"
        kinds[first], counters[first] = "plain", "many"
        kinds[second], counters[second] = "refused", _INCREMENT
    _skip(random, way, addresses, kinds)
    return [
        SourceRow(place + way.first, addresses[place], counters[place], kinds[place])
        for place in range(count)
    ]


def _skip(random: Random, way: Way, addresses: list[str], kinds: list[Kind]) -> None:
    count = len(kinds)
    if way.skips:
        # But for those that make SendX refuse another one.
        may_be = [place for place in range(count) if not addresses[place].startswith("words")]
        for place in random.sample(may_be, count // 10):
            kinds[place] = "skipped"
    if way.takes_last:
        last = {addresses[place]: place for place in range(count) if kinds[place] != "bad"}
        for place in range(count):
            if kinds[place] != "bad" and last[addresses[place]] != place:
                kinds[place] = "skipped"
            elif kinds[place] == "refused":  # what would make SendX refuse it is skipped
                kinds[place] = "increment"


def write(rows: Sequence[SourceRow], way: Way, directory: Path) -> Path:
    """Write the file."""
    path = directory / way.file
    if way.is_json:
        objects = [dict(zip(way.columns, row.cells(way), strict=True)) for row in rows]
        path.write_text(json.dumps(objects))
        return path
    text = StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(way.columns)
    writer.writerows(row.cells(way) for row in rows)
    data = text.getvalue().encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path
