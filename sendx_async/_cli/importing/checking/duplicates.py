"""Which row of an address is sent, where several have the same."""

import attrs

from sendx_async._cli.importing.options import Duplicates
from sendx_async._cli.importing.seen_addresses import SeenAddresses


@attrs.frozen
class Duplicate:
    """What is said of a row whose address another row has as well.

    Attributes:
        row: The other row, as a spreadsheet counts.
        is_refused: Whether it is rejected, and not only left out.
        reason: Why, without the other row.
    """

    row: int
    is_refused: bool
    reason: str


class DuplicateRows:
    """Tells which rows are not sent, since another one of the same address is.

    Args:
        rule: Which one is sent: ``first``, ``last``, or ``reject`` for the first one, where the
            others are to be mended.

    Attributes:
        is_last: Whether all rows must be noted before the first question.
    """

    def __init__(self, rule: Duplicates) -> None:
        self.is_last = rule == "last"
        self._is_refused = rule == "reject"
        self._seen = SeenAddresses()

    def note(self, address: str, row: int) -> None:
        """Note that a row that can be sent has this address."""
        self._seen.add(address, row)

    def of(self, address: str, row: int) -> Duplicate | None:
        """Return why a row is not sent; None if it is.

        Args:
            address: Its address.
            row: Its row, as a spreadsheet counts; of ``first`` and ``reject`` each may be asked
                for only once, and in order.
        """
        other = self._seen.last(address) if self.is_last else self._seen.first(address, row)
        if other is None or other == row:
            return None
        which = "a later" if self.is_last else "an earlier"
        return Duplicate(other, self._is_refused, f"has the same address as {which} row")

    def close(self) -> None:
        """Forget all."""
        self._seen.close()
