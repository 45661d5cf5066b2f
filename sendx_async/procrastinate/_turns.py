"""Whose turn it is among the deliveries of a worker, which wait here for all of SendX."""

import asyncio
import math
from collections.abc import Callable

import attrs

from sendx_async._policy.admission import Admission
from sendx_async._runtime.real_time import monotonic


class StoppingError(Exception):
    """The worker stops, and SendX is in trouble: nothing can be sent any more."""


@attrs.define(eq=False)
class Turn:
    """A delivery in the worker's hands.

    Attributes:
        replay_safe: Whether it may be sent twice.
        begun: When its latest turn has begun.
    """

    replay_safe: bool
    begun: float = -math.inf
    _changed: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)

    def wake(self) -> None:
        """Let it look again whether it is its turn."""
        self._changed.set()

    async def sleep(self, seconds: float) -> None:
        """Wait until it is woken, but no longer than so many seconds."""
        self._changed.clear()
        try:
            async with asyncio.timeout(None if seconds == math.inf else seconds):
                await self._changed.wait()
        except TimeoutError:
            pass  # its time has come, perhaps


class Turns:
    """Lets deliveries be sent, one after the other or side by side, as SendX can take them.

    No delivery that must not be sent twice is a probe while the worker has one that may be,
    wherever that is: it may be back at any moment.

    Args:
        admission: Decides when the next one may begin.
        clock: Returns the time in seconds.
    """

    def __init__(self, admission: Admission, *, clock: Callable[[], float] = monotonic) -> None:
        self._admission = admission
        self._clock = clock
        self._in_hand: set[Turn] = set()
        self._waiting: list[Turn] = []
        self._under_way = 0
        self._events_at = -math.inf
        self._is_stopping = False

    def hold(self, *, replay_safe: bool) -> Turn:
        """Note that the worker has a delivery; `release` has to follow when it is settled."""
        turn = Turn(replay_safe)
        self._in_hand.add(turn)
        return turn

    def release(self, turn: Turn) -> None:
        """Note that the worker has a delivery no more."""
        self._in_hand.remove(turn)
        self._wake()

    async def begin(self, turn: Turn) -> None:
        """Wait until a delivery may be sent; `end` has to follow.

        Raises:
            StoppingError: The worker stops, and there is an outage to be waited out.
        """
        self._waiting.append(turn)
        try:
            while True:
                turn.begun = self._clock()
                if self._is_stopping and self._has_to_wait(turn):
                    raise StoppingError
                wait = math.inf
                first = self._next()
                if first is turn:
                    wait = self._wait(turn)
                elif first is not None:
                    first.wake()  # whose turn it is may have changed with the time alone
                if wait <= 0:
                    self._under_way += 1
                    return
                await turn.sleep(wait)
        finally:
            self._waiting.remove(turn)
            self._wake()

    def may_be_sent(self, turn: Turn) -> bool:
        """Return whether what has begun may be sent, after something else was waited for."""
        if turn.replay_safe:
            return True
        return self._admission.may_go_on(begun=turn.begun) and not self._must_be_replay_safe()

    def end(self) -> None:
        """Note that a request has ended."""
        self._under_way -= 1
        self._wake()

    def put_off_events(self, seconds: float) -> None:
        """Let nothing that must not be sent twice be a probe for so many seconds."""
        self._events_at = self._clock() + seconds

    def stop(self) -> None:
        """Let nobody wait for the end of an outage any more."""
        self._is_stopping = True
        self._wake()

    def _wait(self, turn: Turn) -> float:
        wait = self._admission.wait(turn.begun, under_way=self._under_way)
        return max(wait, self._events_at - turn.begun) if self._is_put_off(turn) else wait

    def _is_put_off(self, turn: Turn) -> bool:
        is_probe = self._admission.needs_probe and not turn.replay_safe
        return is_probe and turn.begun < self._events_at

    def _has_to_wait(self, turn: Turn) -> bool:
        """Return whether it takes more than the end of what is under way until it may begin."""
        return self._admission.is_in_outage or self._is_put_off(turn)

    def _next(self) -> Turn | None:
        if self._must_be_replay_safe():
            return next((turn for turn in self._waiting if turn.replay_safe), None)
        return self._waiting[0]

    def _must_be_replay_safe(self) -> bool:
        return (
            self._admission.needs_probe
            and any(turn.replay_safe for turn in self._in_hand)
            and not self._admission.prefers_event(self._clock())
        )

    def _wake(self) -> None:
        for turn in self._waiting:
            turn.wake()
