"""Which addresses were seen in which row, however many: on disk, in memory that stays flat."""

import sqlite3
from typing import cast

_KILOBYTES_IN_MEMORY = 4_096
_WRITTEN_AT_ONCE = 10_000


class SeenAddresses:
    """Addresses, told apart as SendX's contacts are: case doesn't matter.

    Of each only a number of 64 bits is kept: two of a million addresses are taken for the same with
    a chance of one in 30 million.

    A temporary file takes what memory can't hold. It goes when this is closed, or the process ends.
    """

    def __init__(self) -> None:
        # Any thread may read a file's rows; one at a time does.
        self._file = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        run = self._file.execute
        run(f"PRAGMA cache_size = -{_KILOBYTES_IN_MEMORY}")
        run("PRAGMA journal_mode = OFF")
        run("PRAGMA synchronous = OFF")
        run("BEGIN")  # and never an end: nothing of it is to be kept
        run("CREATE TABLE seen (address INTEGER PRIMARY KEY, place INTEGER NOT NULL)")
        self._last: dict[int, int] = {}  # not yet in the file

    def add(self, address: str, place: int) -> None:
        """Note that an address stands in this row, and no more in an earlier one."""
        self._last[_number(address)] = place
        if len(self._last) >= _WRITTEN_AT_ONCE:
            self._write()

    def first(self, address: str, place: int) -> int:
        """Return where an address was seen first, which is this place if it wasn't."""
        self._write()
        number = _number(address)
        found = self._file.execute(
            "INSERT INTO seen VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING place", (number, place)
        ).fetchone()
        return place if found is not None else cast("int", self._place(number))

    def last(self, address: str) -> int | None:
        """Return where an address was seen last, or None if it was not added."""
        self._write()
        return self._place(_number(address))

    def close(self) -> None:
        """Forget all, and remove the file."""
        self._file.close()

    def _place(self, number: int) -> int | None:
        found = self._file.execute("SELECT place FROM seen WHERE address = ?", (number,)).fetchone()
        return None if found is None else int(found[0])

    def _write(self) -> None:
        if self._last:
            # In order, so that neighbours in the file are written together.
            self._file.executemany(
                "INSERT OR REPLACE INTO seen VALUES (?, ?)", sorted(self._last.items())
            )
            self._last.clear()


def _number(address: str) -> int:
    return hash(address.casefold())  # another one in each process, which keeps them to itself
