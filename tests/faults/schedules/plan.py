"""A schedule: what a stream is given, what goes wrong meanwhile, and how it ends."""

import re
from collections.abc import Mapping
from random import Random
from typing import Any, Literal

import attrs

from sendx_async import CustomEventRequest, IdentifyRequest, RevenueEventRequest, TrackRequest

from .faults import KEY_REFUSED, QUICK_FAULTS, SLOW_FAULTS

Kind = Literal["identify", "increment", "rename", "track", "custom", "revenue", "bad", "junk"]
"""``bad`` is what only the server refuses, ``junk`` what the library refuses itself."""

Ending = Literal["all sent", "source raises", "left", "key refused", "given up"]
SourceKind = Literal["list", "generator", "async generator"]

UNSAFE: frozenset[Kind] = frozenset({"increment", "rename", "custom", "revenue"})
"""What must not be sent again once it may have been applied."""

_MODELS: Mapping[Kind, type[Any]] = {
    "track": TrackRequest,
    "custom": CustomEventRequest,
    "revenue": RevenueEventRequest,
}
_MARK = re.compile(r"request (\d+)")


def mark_of(index: int) -> str:
    """The text by which a request is known at the server."""
    return f"request {index}"


def index_of(body: Mapping[str, Any]) -> int:
    """The place in the source of a request that the server got."""
    added = body.get("addTags")
    text = added[0] if added else body.get("company") or body.get("name") or body.get("source")
    match = _MARK.fullmatch(str(text))
    if match is None:
        raise ValueError(f"this is none of the schedule's requests: {body}")
    return int(match[1])


def contacts_in(body: Mapping[str, Any]) -> frozenset[str]:
    """Whom a request is about that the server got."""
    names = (body.get("email"), body.get("newEmail"), body.get("identifier"))
    return frozenset(name.casefold() for name in names if name)


@attrs.frozen
class Planned:
    """One request of a schedule."""

    kind: Kind
    email: str
    new_email: str | None = None
    is_mapping: bool = False

    @property
    def contacts(self) -> frozenset[str]:
        names = (self.email, self.new_email)
        return frozenset(name.casefold() for name in names if name and self.kind != "junk")

    def model(self, index: int) -> Any:
        """The request that is to be sent; for junk, what the source gives."""
        fields = self._fields(mark_of(index))
        return fields if self.kind == "junk" else _MODELS.get(self.kind, IdentifyRequest)(**fields)

    def given(self, index: int) -> Any:
        """What the source gives."""
        return self._fields(mark_of(index)) if self.is_mapping else self.model(index)

    def _fields(self, mark: str) -> dict[str, Any]:
        match self.kind:
            case "identify":
                return {"email": self.email, "company": mark, "tags": ["vip"]}
            case "increment":
                return {"email": self.email, "company": mark, "custom_fields": {"Seats": "++1"}}
            case "rename":
                return {"email": self.email, "company": mark, "new_email": self.new_email}
            case "bad":
                return {"email": self.email, "company": mark, "extra": {"birthday": "today"}}
            case "track":
                return {"email": self.email, "add_tags": [mark]}
            case "custom":
                return {"identifier": self.email, "name": mark}
            case "revenue":
                return {"identifier": self.email, "amount": 1, "source": mark}
            case "junk":
                return {"email": "no address", "company": mark}


@attrs.frozen
class Trouble:
    """A fault that some requests meet, from the one on that comes `at` this place."""

    fault: str
    at: int
    times: int = 1


@attrs.frozen
class Absence:
    """The server is stopped when `after` outcomes were taken, for so many seconds or for good."""

    after: int
    seconds: float | None


@attrs.frozen(kw_only=True)
class Schedule:
    """Everything about one stream that chance decides beforehand.

    Its ``repr`` is Python that makes it again.
    """

    requests: tuple[Planned, ...]
    troubles: tuple[Trouble, ...] = ()
    absence: Absence | None = None
    latencies: tuple[float, ...] = (0.0,)  # seconds, of one request after the other
    concurrency: int = 4
    batch_size: int = 25
    max_retries: int = 3
    timeout: float = 30.0
    patience: float = 30.0
    source: SourceKind = "generator"
    ending: Ending = "all sent"
    ends_after: int = 0  # requests that the source gives, or outcomes that are taken

    def __str__(self) -> str:
        """The schedule with a line for each request."""
        rest = {name: value for name, value in _values(self).items() if name != "requests"}
        lines = [f"{name} = {value!r}" for name, value in rest.items()]
        for index, planned in enumerate(self.requests):
            renamed = f" -> {planned.new_email}" if planned.new_email else ""
            form = " (mapping)" if planned.is_mapping else ""
            lines.append(f"{mark_of(index)}: {planned.kind} {planned.email}{renamed}{form}")
        return "\n".join(lines)


def _values(schedule: Schedule) -> dict[str, Any]:
    return attrs.asdict(schedule, recurse=False)


_KINDS: tuple[Kind, ...] = (
    "identify", "identify", "identify", "identify", "identify", "identify", "identify", "increment",
    "increment", "rename", "rename", "track", "track", "track", "custom", "custom", "revenue",
    "bad", "junk",
)  # fmt: skip
# One of them gets longer when it is written in capitals.
_ADDRESSES = ("ann@x.co", "straße@x.de", *(f"c{n}@x.co" for n in range(38)))
_MOST_REQUESTS = 80
_HASTY = 0.1  # seconds that an attempt may take where the server may be silent
_IMPATIENT = 0.03
_PATIENT = 30.0


def make_schedule(random: Random, *, fewest: int = 20) -> Schedule:
    """Draw a schedule; anything will do for ``random`` that has the methods of `Random`.

    Args:
        random: Where chance comes from.
        fewest: How many requests there are at least.
    """
    addresses = _ADDRESSES[: random.choice((1, 2, 3, 4, 6, 10, 40))]
    count = random.randint(fewest, _MOST_REQUESTS)
    # What is about a contact that the server doesn't know is mostly refused.
    first = [Planned("identify", each) for each in addresses if random.choice((True, False))]
    requests = (*first, *(_make_request(random, addresses) for _ in range(count)))[:count]
    may_be_silent = random.randint(1, 7) == 1
    faults = [*QUICK_FAULTS, *(SLOW_FAULTS if may_be_silent else ())]
    troubles = [
        Trouble(
            random.choice(faults), at=random.randint(1, count), times=random.choice((1, 1, 1, 2, 6))
        )
        for _ in range(random.choice((0, 1, 2, 4, 8)))
    ]
    absence = None
    if random.randint(1, 6) == 1:
        absence = Absence(random.randint(0, count // 2), random.choice((0.0, 0.003, 0.02)))
    ending: Ending = random.choice(
        ("all sent",) * 6 + ("source raises", "left", "key refused", "given up")
    )
    ends_after = random.randint(0, count)
    if ending == "key refused":
        troubles.append(Trouble(KEY_REFUSED, at=random.randint(1, max(1, count // 2))))
    elif ending == "given up":
        absence = Absence(ends_after // 2, None)
    sources: tuple[SourceKind, ...] = ("list", "generator", "async generator")
    return Schedule(
        requests=requests,
        troubles=tuple(troubles),
        absence=absence,
        latencies=tuple(
            random.choice((0.0, 0.0, 0.001, 0.002, 0.005)) for _ in range(random.randint(1, 6))
        ),
        concurrency=random.randint(1, 8),
        batch_size=random.choice((1, 2, 3, 5, 10, 25)),
        max_retries=random.randint(0, 3),
        timeout=_HASTY if may_be_silent else _PATIENT,
        patience=_IMPATIENT if ending == "given up" else _PATIENT,
        # Of a list nobody knows how much of it was read.
        source=random.choice(sources if ending == "all sent" else sources[1:]),
        ending=ending,
        ends_after=ends_after,
    )


def _make_request(random: Random, addresses: tuple[str, ...]) -> Planned:
    kind = random.choice(_KINDS)
    new_email = _written(random, addresses) if kind == "rename" else None
    is_mapping = random.choice((False, True))
    return Planned(kind, _written(random, addresses), new_email, is_mapping)


def _written(random: Random, addresses: tuple[str, ...]) -> str:
    address = random.choice(addresses)
    return random.choice((address, address.upper(), address.title()))
