"""What happened in a run: what was put, what came to the server, who died, what the file says."""

from collections.abc import Mapping
from typing import Literal

import attrs


@attrs.frozen
class Stored:
    """A request that was put, or was being put when its producer died.

    Attributes:
        contact: Whom it is about.
        place: Its place in the order of its contact.
        is_safe: Whether it may be applied twice.
        delivery_id: What `put` gave; None if its producer died before it could say so, and then it
            may be in the outbox or not.
    """

    contact: str
    place: int
    is_safe: bool
    delivery_id: str | None


@attrs.frozen
class Arrival:
    """An HTTP request that came to the server.

    Attributes:
        tick: When, in the order of all that happens.
        drainer: The process that sent it, of all that ever were.
        marks: What it carried.
        status: What was answered; None if nothing was.
        applied: Whether it was carried out.
        fault: The fault that it met, if any.
    """

    tick: int
    drainer: str
    marks: tuple[str, ...]
    status: int | None = 200
    applied: bool = True
    fault: str = ""

    @property
    def is_clear(self) -> bool:
        """Whether the answer told what became of it."""
        return self.status is not None and (self.status < 500 or "Retry-After" in self.fault)

    @property
    def refuses_for_good(self) -> bool:
        """Whether the one message that it carried can never succeed."""
        return self.status == 400 and len(self.marks) == 1


@attrs.frozen
class Death:
    """A process that was killed."""

    tick: int
    process: str
    is_drainer: bool


@attrs.frozen
class Aside:
    """A delivery that the outbox has put aside."""

    mark: str
    delivery_id: str
    kind: Literal["dead", "uncertain"]


@attrs.frozen(kw_only=True)
class History:
    """All that is known of a run when it is over.

    Attributes:
        stored: What was put, by its mark.
        arrivals: What came to the server, in that order.
        deaths: Who was killed, in that order.
        stops: How many drainers were asked to end.
        aside: What the outbox has put aside.
        pending: How many requests still wait.
        integrity: What SQLite says of the file.
    """

    stored: Mapping[str, Stored]
    arrivals: tuple[Arrival, ...]
    deaths: tuple[Death, ...] = ()
    stops: int = 0
    aside: tuple[Aside, ...] = ()
    pending: int = 0
    integrity: str = "ok"
