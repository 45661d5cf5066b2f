"""The one mechanism behind every misbehaviour: scripted faults in a queue, and a rate limit."""

import enum
import math

import attrs

from sendx_async.testing._endpoints import ENDPOINTS, Answer, endpoint_of, error_answer


class Act(enum.Enum):
    """What happens on the wire."""

    ANSWER = "answer"
    DRIP = "drip"
    SILENCE = "silence"
    DROP = "drop"


def _check_times(_: object, __: object, times: int | None) -> None:
    if times is not None and times < 1:
        raise ValueError(f"times must be at least 1, or None for always, not {times}")


def _check_path(_: object, __: object, path: str | None) -> None:
    if path is not None and not any(_path_matches(path, endpoint) for endpoint in ENDPOINTS):
        known = ", ".join(endpoint.removeprefix("/") for endpoint in ENDPOINTS)
        raise ValueError(f"path={path!r} is the end of no path of the API; there are {known}")


def _check_seconds(_: object, attribute: "attrs.Attribute[float]", seconds: float) -> None:
    if not 0 <= seconds < math.inf:
        raise ValueError(f"{attribute.name} must be a number of seconds from 0 up, not {seconds}")


def _path_matches(wanted: str, path: str) -> bool:
    return endpoint_of(path).endswith("/" + wanted.strip("/"))


@attrs.frozen(kw_only=True)
class Fault:
    """One scripted misbehaviour.

    Attributes:
        act: What happens on the wire.
        applied: Whether the request is carried out all the same.
        times: For how many requests, or None for all until a reset.
        path: The end of the paths concerned, such as ``track``, or None for all.
        answer: The answer given; None for the answer that the request would get anyway.
        interval: Seconds between the bytes of a dripping answer.
        padding: How many spaces a dripping answer begins with.
        reset: Whether a dropped connection is reset (RST) instead of closed (FIN).
    """

    act: Act
    applied: bool
    times: int | None = attrs.field(validator=_check_times)
    path: str | None = attrs.field(validator=_check_path)
    answer: Answer | None = None
    interval: float = attrs.field(default=0.0, validator=_check_seconds)
    padding: int = 0
    reset: bool = False

    def concerns(self, path: str) -> bool:
        """Return whether a request to this path is meant."""
        return self.path is None or _path_matches(self.path, path)


class FaultQueue:
    """Scripted faults in the order given. Not thread-safe: its owner holds a lock."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Queues a fault behind the others."""
        self._waiting.append(fault)

    def take(self, path: str) -> Fault | None:
        """The first fault that concerns the path, used up once; None if there is none."""
        for index, fault in enumerate(self._waiting):
            if fault.concerns(path):
                if fault.times == 1:
                    del self._waiting[index]
                elif fault.times is not None:
                    self._waiting[index] = attrs.evolve(fault, times=fault.times - 1)
                return fault
        return None

    def clear(self) -> None:
        """Forgets all faults."""
        self._waiting.clear()


class RateLimit:
    """A token bucket that answers 429 when it is empty. Not thread-safe."""

    def __init__(self, per_second: float, *, burst: int, retry_after: bool | float | str) -> None:
        if not 0 < per_second < math.inf:
            raise ValueError(f"per_second must be a number above 0, not {per_second}")
        if burst < 1:
            raise ValueError(f"burst must be at least 1, not {burst}")
        self._per_second = per_second
        self._burst = burst
        self._retry_after = retry_after
        self._tokens = float(burst)
        self._filled_at: float | None = None

    def refuse(self, now: float) -> Answer | None:
        """Return None and use up a token, or return the 429 of an empty bucket.

        Args:
            now: A monotonic clock, in seconds.
        """
        since = 0.0 if self._filled_at is None else now - self._filled_at
        self._tokens = min(self._burst, self._tokens + since * self._per_second)
        self._filled_at = now
        if self._tokens >= 1:
            self._tokens -= 1
            return None
        headers: tuple[tuple[str, str], ...] = ()
        if self._retry_after is True:
            # HTTP knows whole seconds only, and "0" would invite the client back too early.
            headers = (("retry-after", str(math.ceil((1 - self._tokens) / self._per_second))),)
        elif self._retry_after is not False:
            headers = (("retry-after", str(self._retry_after)),)
        return error_answer(429, headers=headers)
