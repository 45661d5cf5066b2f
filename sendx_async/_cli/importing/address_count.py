"""How many different addresses there were, however many: in memory that stays flat."""

import tempfile
from array import array
from typing import TYPE_CHECKING, BinaryIO, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

_IN_MEMORY = 100_000
_COUNTED_AT_ONCE = 100_000


class AddressCount:
    """Counts addresses, told apart as SendX's contacts are: case doesn't matter.

    Of each only a number of 64 bits is kept: two of a million addresses are taken for the same with
    a chance of one in 30 million.

    A temporary file takes what memory can't hold. It goes when this is closed, or the process ends.
    """

    def __init__(self) -> None:
        self._numbers = array("q")
        self._file: BinaryIO | None = None
        self._written = 0

    def add(self, address: str) -> None:
        """Count an address."""
        self._numbers.append(hash(address.casefold()))
        if len(self._numbers) >= _IN_MEMORY:
            self._write()

    def __len__(self) -> int:
        """Return how many different ones there are."""
        if self._file is None:
            return len(set(self._numbers))
        self._write()
        # A part of the numbers at a time, so that memory needn't hold all of them.
        parts = 1 + self._written // _COUNTED_AT_ONCE
        return sum(self._count(part, parts) for part in range(parts))

    def close(self) -> None:
        """Forget all, and remove the file."""
        if self._file is not None:
            self._file.close()

    def _count(self, part: int, parts: int) -> int:
        found = set[int]()
        for numbers in self._chunks():
            found.update(number for number in numbers if number % parts == part)
        return len(found)

    def _chunks(self) -> "Iterator[array[int]]":
        file = cast("BinaryIO", self._file)
        file.seek(0)
        while data := file.read(_IN_MEMORY * self._numbers.itemsize):
            yield array("q", data)

    def _write(self) -> None:
        if self._file is None:
            self._file = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 - close does it
        self._file.seek(0, 2)
        self._file.write(self._numbers)
        self._written += len(self._numbers)
        del self._numbers[:]
