"""Checks an object once it is made, where no frame holds what it is made of any more.

Crash reporters show the variables of each frame of a traceback. Those of an ``__init__`` that attrs
has written are the values of all fields, so no error may be raised through it.
"""

import functools
from typing import Any, Protocol, TypeVar

from sendx_async._core.errors import InvalidRequestError


class Checked(Protocol):
    """What knows what is wrong with it."""

    def _problems(self) -> list[str]: ...


CheckedT = TypeVar("CheckedT", bound=Checked)


def checked(kind: type[CheckedT]) -> type[CheckedT]:
    """Have the objects of an attrs class refuse to be made if they have problems.

    Args:
        kind: The class; what it then raises is an `InvalidRequestError` with all problems.
    """
    init: Any = kind.__init__

    @functools.wraps(init)
    def checked_init(self: CheckedT, *values: Any, **named: Any) -> None:
        try:
            init(self, *values, **named)
        except BaseException as error:
            # What an iterable of the caller's own raises keeps its frames, without that of init.
            here: Any = error.__traceback__
            if here.tb_next is not None:  # else there is no such parameter
                here.tb_next = here.tb_next.tb_next
            raise
        finally:
            del values, named
        if problems := self._problems():  # pyright: ignore[reportPrivateUsage] - it is what is given
            raise InvalidRequestError.of(type(self).__name__, problems)

    kind.__init__ = checked_init  # type: ignore[assignment]
    return kind
