"""What is put into the outbox and by whom: all of it follows from a seed and a place."""

from collections.abc import Mapping
from random import Random
from typing import Any, Literal

import attrs

from sendx_async import CustomEventRequest, IdentifyRequest, RevenueEventRequest, TrackRequest
from sendx_async.outbox._schema import Synchronous

Form = Literal["threads", "tasks", "fork", "own ids"]
"""How a producer puts: from threads, from tasks, from threads and a fork of it, or from threads
with delivery ids of its own, which lets it repeat what was under way when it died, and more."""

_PLACES_BETWEEN_RENAMES = 16
_KINDS = (
    *("identify",) * 10, *("track",) * 3, *("custom",) * 3, "revenue", "increment",
)  # fmt: skip
_ONE_IN_SO_MANY_IS_BAD = 40
_UNSAFE = frozenset({"custom", "revenue", "increment", "rename"})
BAD_FIELD: Mapping[str, str] = {"birthday": "today"}
"""What the server refuses with 400, and the library doesn't look at."""


@attrs.frozen
class Producer:
    """A process that puts, and is started again when it was killed."""

    form: Form
    synchronous: Synchronous
    workers: int
    contacts_each: int

    def contacts(self, number: int) -> list[list[str]]:
        """The contacts of each worker, which belong to nobody else; `number` is the producer's."""
        return [
            [f"p{number}w{worker}c{contact}" for contact in range(self.contacts_each)]
            for worker in range(self.workers)
        ]


@attrs.frozen(kw_only=True)
class Plan:
    """Everything about a run that is settled beforehand.

    Attributes:
        puts: How many puts have to be accepted.
        kills: How many processes are killed.
        stops: How many drainers are asked to end, and replaced, in between.
        producers: The processes that put.
        drainers: How many processes offer to drain.
        window: How far the producers may be ahead of the server.
        faults: The part of the requests that meet a fault.
        limit: Seconds after which the run counts as stuck.
        concurrency: How many requests a drainer may have under way.
        batch_size: How many contacts may share a request.
    """

    puts: int
    kills: int
    stops: int
    producers: tuple[Producer, ...]
    drainers: int
    window: int
    faults: float
    limit: float
    concurrency: int = 8
    batch_size: int = 25


def make_producers(contacts_each: int) -> tuple[Producer, ...]:
    """One of each form, `put` with both kinds of commits; so many contacts for each worker.

    More contacts share more requests, and fewer have more that has to be kept in order.
    """
    return (
        Producer("tasks", "NORMAL", 12, contacts_each),
        Producer("tasks", "FULL", 12, contacts_each),
        Producer("threads", "FULL", 4, contacts_each),
        Producer("fork", "NORMAL", 4, contacts_each),
        Producer("own ids", "FULL", 4, contacts_each),
    )


@attrs.frozen
class Put:
    """One request: a place in the order of its contact."""

    contact: str
    place: int

    @property
    def mark(self) -> str:
        """The text by which the request is known everywhere."""
        return f"{self.contact}#{self.place}"

    @classmethod
    def of_mark(cls, mark: str) -> "Put":
        contact, _, place = mark.partition("#")
        return cls(contact, int(place))


def kind_of(seed: int, put: Put) -> str:
    """What kind of request this is."""
    if put.place % _PLACES_BETWEEN_RENAMES == _PLACES_BETWEEN_RENAMES - 1:
        return "rename"
    random = Random(f"{seed} {put.mark}")
    if random.randrange(_ONE_IN_SO_MANY_IS_BAD) == 0:
        return "bad"
    return random.choice(_KINDS)


def is_safe(seed: int, put: Put) -> bool:
    """Whether this may be applied twice."""
    return kind_of(seed, put) not in _UNSAFE


def request_of(seed: int, put: Put) -> Any:
    """The request itself; the same for the same place, however often it is made."""
    # A contact has another address after each rename, and stays the same one.
    name = put.place // _PLACES_BETWEEN_RENAMES
    email = f"{put.contact}n{name}@x.co"
    match kind_of(seed, put):
        case "track":
            return TrackRequest(email, add_tags=[put.mark])
        case "custom":
            return CustomEventRequest(email, "Clicked", data={"mark": put.mark})
        case "revenue":
            return RevenueEventRequest(email, 1, source=put.mark)
        case "increment":
            return IdentifyRequest(email, company=put.mark, custom_fields={"Seats": "++1"})
        case "rename":
            new = f"{put.contact}n{name + 1}@x.co"
            return IdentifyRequest(email, company=put.mark, new_email=new)
        case "bad":
            return IdentifyRequest(email, company=put.mark, extra=BAD_FIELD)
        case _:
            return IdentifyRequest(email, company=put.mark)


def mark_in(body: Mapping[str, Any]) -> str:
    """The mark of a request that the server got."""
    data, tags = body.get("data"), body.get("addTags")
    mark = data["mark"] if data else tags[0] if tags else body.get("company") or body["source"]
    return str(mark)
