"""Which rows are finished, in memory that doesn't grow with them."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence


class RowRanges:
    """A set of places of rows, kept as the ranges that they form: few numbers for many rows.

    Args:
        ranges: First place and the place behind the last one, of each range, in order.
    """

    def __init__(self, ranges: Iterable[Sequence[int]] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in ranges:
            self._starts.append(start)
            self._ends.append(end)

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """The ranges, as the constructor takes them."""
        return list(zip(self._starts, self._ends, strict=True))

    def copy(self) -> "RowRanges":
        """Return the same places, in a set of their own."""
        return RowRanges(self.ranges)

    def __contains__(self, place: int) -> bool:
        index = bisect_right(self._starts, place) - 1
        return index >= 0 and place < self._ends[index]

    def add(self, place: int) -> None:
        """Add a place that isn't there."""
        index = bisect_right(self._starts, place)
        joins_left = index > 0 and self._ends[index - 1] == place
        joins_right = index < len(self._starts) and self._starts[index] == place + 1
        if joins_left and joins_right:
            self._ends[index - 1] = self._ends.pop(index)
            del self._starts[index]
        elif joins_left:
            self._ends[index - 1] = place + 1
        elif joins_right:
            self._starts[index] = place
        else:
            self._starts.insert(index, place)
            self._ends.insert(index, place + 1)
