"""What mappings in a model are compared and hashed by, since a dict can't be hashed."""

from collections.abc import Mapping
from typing import Any, cast


def by_contents(value: object) -> object:
    """Return what stands for a JSON value: equal if the values are, and hashable."""
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value).items()
        return frozenset((key, by_contents(each)) for key, each in items)
    if isinstance(value, (list, tuple)):
        return tuple(map(by_contents, cast("list[Any]", value)))
    return value
