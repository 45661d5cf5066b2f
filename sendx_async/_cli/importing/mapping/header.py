"""The columns of a file, found by what an option calls them."""

import re
from collections.abc import Sequence

from sendx_async._cli.importing.reading.records import REJECT_COLUMNS

_REPEATED = re.compile(r"(.*) \([1-9][0-9]*\)", re.DOTALL)
_NUMBER = re.compile("#([1-9][0-9]{0,5})")


class Header:
    """The names of a file's own columns: those that an earlier import has put in front don't count.

    Args:
        names: The names of all columns, each only once.
        has_numbers: Whether a column's place means something, as it doesn't in JSON.

    Attributes:
        columns: Index and name of each of them, in the file's order.
        names: Their names.
    """

    def __init__(self, names: Sequence[str], *, has_numbers: bool) -> None:
        self.columns = [(i, name) for i, name in enumerate(names) if name not in REJECT_COLUMNS]
        self.names = [name for _, name in self.columns]
        self._has_numbers = has_numbers
        self._index = {name: index for index, name in self.columns}
        self._folded: dict[str, list[str]] = {}
        for name in self.names:
            self._folded.setdefault(_as_shown(name), []).append(name)

    def find(self, name: str) -> str | None:
        """Return the column that an option names, or None if there is none.

        Args:
            name: Its name, where case doesn't matter unless it tells two columns apart, and a line
                break may be a blank, as errors show it; or ``#3`` for the third one.
        """
        if name in self._index:
            return name
        alike = self._folded.get(_as_shown(name), ())
        if len(alike) == 1:
            return alike[0]
        number = _NUMBER.fullmatch(name)
        if number and self._has_numbers and int(number[1]) <= len(self.names):
            return self.names[int(number[1]) - 1]
        return None

    def index(self, name: str) -> int:
        """Return the place of a column among all, by its own name."""
        return self._index[name]

    def title(self, name: str) -> str:
        """Return what the file calls a column: Phone, of the second one, ``Phone (2)``."""
        repeated = _REPEATED.fullmatch(name)
        return repeated[1] if repeated and repeated[1] in self._index else name

    def is_unnamed(self, name: str) -> bool:
        """Return whether a column has no name in the file, and is called by its number instead."""
        number = _NUMBER.fullmatch(name)
        return (
            number is not None
            and self._has_numbers
            and self.names[int(number[1]) - 1 : int(number[1])] == [name]
        )


def _as_shown(name: str) -> str:
    """Return a name as errors show it, which is what people paste: in one line, case aside."""
    shown = "".join(each if each.isprintable() else " " for each in name)
    return " ".join(shown.split()).casefold()
