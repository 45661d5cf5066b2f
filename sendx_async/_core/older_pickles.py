"""Lets a class read pickles of earlier versions, which knew fewer fields."""

from typing import Any, TypeVar

import attrs

KindT = TypeVar("KindT", bound=type[attrs.AttrsInstance])


def reads_older_pickles(kind: KindT) -> KindT:
    """Have the objects of an attrs class take the default of each field that a pickle lacks.

    Args:
        kind: The class; what it got after its first release must have a default, and no factory.
    """

    def __setstate__(self: object, state: dict[str, Any]) -> None:  # noqa: N807 - it is put there
        for field in attrs.fields(kind):
            object.__setattr__(self, field.name, state.get(field.name, field.default))

    kind.__setstate__ = __setstate__  # type: ignore[attr-defined]
    return kind
