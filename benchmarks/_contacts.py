"""The contacts that the benchmarks send: each has an address of its own, and is otherwise alike."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from sendx_async import IdentifyRequest

T = TypeVar("T")


def model(number: int) -> IdentifyRequest:
    return IdentifyRequest(
        f"jane.smith{number}@company.com",
        first_name="Jane",
        last_name="Smith",
        custom_fields={"Role": "Engineering", "Plan": "Premium"},
        tags=["new_user", "vip"],
    )


def mapping(number: int) -> dict[str, Any]:
    """The same contact as `model`, as it stands on the wire."""
    return {
        "email": f"jane.smith{number}@company.com",
        "firstName": "Jane",
        "lastName": "Smith",
        "customFields": {"Role": "Engineering", "Plan": "Premium"},
        "tags": ["new_user", "vip"],
    }


def each(make: Callable[[int], T], count: int) -> Iterator[T]:
    """Make that many contacts, one when it is asked for."""
    return map(make, range(count))
