"""Sources of requests that the tests of streams give to them."""

from typing import Any

from sendx_async import IdentifyRequest


def contacts(count: int, **fields: Any) -> list[IdentifyRequest]:
    """Give contacts that differ by their addresses."""
    return [IdentifyRequest(f"c{number}@example.com", **fields) for number in range(count)]


class Counting:
    """A source that says how much of it was read."""

    def __init__(self, count: int, **fields: Any) -> None:
        self.read = 0
        self._contacts = iter(contacts(count, **fields))

    def __iter__(self) -> "Counting":
        return self

    def __next__(self) -> IdentifyRequest:
        contact = next(self._contacts)
        self.read += 1
        return contact
