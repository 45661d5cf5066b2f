"""A request as a job holds it: what is stored when it is put, and what a worker gets to see."""

import enum
import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, cast

import attrs
from procrastinate.jobs import Job

from sendx_async._core.errors import InvalidRequestError
from sendx_async._core.masking import mask_addresses
from sendx_async._core.operations import contacts_of
from sendx_async._core.protocol import make_request, operation_for
from sendx_async._core.stored import stamped, to_stored
from sendx_async._core.validation import check_name
from sendx_async.procrastinate._moment import Moment

FailureKind = Literal["rejected", "exhausted", "uncertain"]

UNCERTAIN = (
    "the worker ended while this was being sent: SendX may have applied it, and it must not be "
    "sent twice; look at SendX, then retry it or delete it"
)

_LONGEST_LOCK = 300  # characters; PostgreSQL's indexes take no more than 2,700 bytes
_LARGEST = 2.0**1023  # jsonb gives a larger double back as an integer that fits no double
_NUL = "has the character U+0000, which PostgreSQL can't store: remove it"


@attrs.frozen
class Stored:
    """What a job is made of.

    Attributes:
        args: Its arguments, as JSON.
        lock: What keeps it in order with others.
    """

    # A tool that shows locals would print them.
    args: dict[str, Any] = attrs.field(repr=False)
    lock: str = attrs.field(repr=False)


def task_name(queue: str) -> str:
    """Return the name of the task that delivers what waits in a queue."""
    return f"{queue}:deliver"


def store(given: object, *, queue: str, key: str | None) -> Stored:
    """Make what is stored of what a caller gave: a model, or a mapping like one.

    Args:
        given: The request.
        queue: The name of the queue; its locks begin with it.
        key: What keeps it in order with others, if not its contact.

    Raises:
        InvalidRequestError: It can't be sent, can't be stored, or can't be kept in order.
    """
    operation = operation_for(given)
    request = make_request(operation, given)
    problems = [
        problem
        for name in attrs.fields_dict(operation.takes)
        for problem in _problems(getattr(request, name), name)
    ]
    if key is not None and (problem := check_name(key) or ("\0" in key and _NUL)):
        problems.append(f"key {problem}")
    contact, *others = contacts_of(request)
    if key is None and others:
        problems.append(
            "new_email makes this a rename, which has to keep its place among the requests about "
            "two addresses, and a job can do so among those of one only: give key=..., the same "
            "for all that you put about this person, such as your own id of the user"
        )
    if problems:
        raise InvalidRequestError.of(operation.takes.__name__, problems)
    lock = f"{queue}:{key or contact}"
    if len(lock) > _LONGEST_LOCK:
        lock = f"{queue}:{hashlib.sha256(lock.encode()).hexdigest()}"
    return Stored(to_stored(stamped(request, now=time.time())), lock)


def _problems(value: object, place: str) -> Iterator[str]:
    """Find what JSON can carry and PostgreSQL's jsonb can't."""
    if isinstance(value, str):
        if "\0" in value:
            yield f"{place} {_NUL}"
    elif isinstance(value, float):
        if abs(value) >= _LARGEST:
            yield f"{place} is too large a number for PostgreSQL to give it back"
    elif isinstance(value, Mapping):
        for name, item in cast("Mapping[str, object]", value).items():
            if "\0" in name:
                yield f"{place} has a name that {_NUL}"
            else:
                yield from _problems(item, f"{place}[{mask_addresses(name)!r}]")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(cast("Sequence[object]", value)):
            yield from _problems(item, f"{place}[{index}]")


class DeliveryState(enum.Enum):
    """What has become of a delivery since a worker has fetched it."""

    HELD = "it is not being sent, or that does no harm; if it fails, this try counts"
    UNDER_WAY = "it is being sent, and must not be sent twice"
    EXCUSED = "it goes back, and this try doesn't count"
    FAILED = "it has failed for good"
    LOST = "it is another worker's now, to whom all else is left"


class DeliveryLostError(Exception):
    """A delivery is no longer the worker's own, so it isn't sent here."""


class DeliveryJob(str):
    """A delivery that a worker has fetched; shows the operation only, wherever it is written.

    It is a string because Procrastinate logs the arguments of each job, and passes them on to
    whatever writes its log, as JSON perhaps.

    Attributes:
        job_id: The job's id.
        worker_id: Which worker has it.
        attempts: How often it has failed by its own fault, as far as is known.
        stored_request: What is stored of the request.
        state: What has become of it; changed by the methods alone.
        note: What is kept with the job, as JSON: why it has failed for good.
        owned_at: When the worker gave the sign of life that keeps others from taking it over.
        owned_for: For how many seconds from then on nobody has to be asked whose it is.
    """

    __slots__ = (
        "attempts", "job_id", "note", "owned_at", "owned_for", "state", "stored_request",
        "worker_id",
    )  # fmt: skip

    job_id: int
    worker_id: int
    attempts: int
    stored_request: dict[str, Any]
    state: DeliveryState
    note: dict[str, Any]
    owned_at: Moment
    owned_for: float

    @classmethod
    def of(cls, job: Job, *, owned_at: Moment, owned_for: float) -> "DeliveryJob":
        """Make one of a job as it is stored."""
        delivery = cls(job.task_kwargs.get("operation", "unknown"))
        delivery.job_id = cast("int", job.id)
        delivery.worker_id = cast("int", job.worker_id)
        delivery.attempts = job.attempts
        delivery.stored_request = job.task_kwargs
        delivery.state = DeliveryState.HELD
        delivery.note = {}
        delivery.owned_at = owned_at
        delivery.owned_for = owned_for
        return delivery

    @property
    def is_surely_own(self) -> bool:
        """Whether no other worker can have taken it over yet."""
        return self.owned_at.elapsed() < self.owned_for

    def hide_in(self, job: Job) -> Job:
        """Return the job without personal data: with this delivery for its arguments."""
        return job.evolve(task_kwargs={"delivery": self}, lock="***")

    @staticmethod
    def hidden_in(job: Job) -> "DeliveryJob | None":
        """Return the delivery of a job that holds one."""
        held = job.task_kwargs.get("delivery")
        return held if isinstance(held, DeliveryJob) else None

    def begin(self) -> None:
        """Note that it is being sent, and must not be sent twice."""
        self.state = DeliveryState.UNDER_WAY

    def end(self) -> None:
        """Note that it is no longer being sent, and what became of it is known."""
        self.state = DeliveryState.HELD

    def excuse(self) -> None:
        """Note that it goes back through no fault of its own."""
        self.state = DeliveryState.EXCUSED

    def lose(self) -> DeliveryLostError:
        """Note that it is another worker's now; return the error that says so."""
        self.state = DeliveryState.LOST
        return DeliveryLostError("another worker has taken it over, so it isn't sent here")

    def fail(self, kind: FailureKind, text: str) -> None:
        """Note why it has failed for good."""
        self.state = DeliveryState.FAILED
        self.note = failure_note(kind, text)


def failure_note(kind: FailureKind, text: str) -> dict[str, Any]:
    """Return what is kept with a job that has failed for good."""
    return {"failure": {"kind": kind, "error": mask_addresses(text.replace("\0", ""))}}
