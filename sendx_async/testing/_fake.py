"""FakeSendX: the stand-in for the SendX server that tests and demos talk to."""

import contextlib
from collections.abc import Callable, Generator

import attrs

from sendx_async.testing._endpoints import Answer, handle
from sendx_async.testing._exchange import (
    Decision,
    Message,
    Receive,
    Send,
    perform,
    receive_request,
)
from sendx_async.testing._faults import Act, Fault
from sendx_async.testing._log import Entry, ReceivedRequest, RequestLog, T, listed
from sendx_async.testing._misbehaviour import Latency, Misbehaviour
from sendx_async.testing._serving import Connections, Serving
from sendx_async.testing._state import Contact, ReceivedEvent, State


class FakeSendX(Misbehaviour, Serving):
    """A stand-in for the SendX server: it keeps contacts, shows what came in, and can misbehave.

    It is an ASGI app. In process, give it to ``httpx.ASGITransport(app=fake)``; on a real port, let
    it serve itself::

        fake = FakeSendX()
        with fake.serving() as url:
            client = TrackingClient(fake.api_key, base_url=url)
            client.identify_contact({"email": "jane@example.com", "tags": ["vip"]})
            assert fake.contact("jane@example.com").tags == {"vip"}

    The paths of the API are served with and without ``/api/v1/rest`` in front. All methods may be
    called from any thread.

    Args:
        api_key: The key that requests must carry in ``X-Team-ApiKey``.
        api_key_prefix: A word that may stand before the key, as in ``Bearer KEY``; None for none.
        keep: How many of the latest requests are kept; None for all.
        on_request: Called with each request when it is over, in the server's thread.
    """

    __module__ = "sendx_async.testing"

    def __init__(
        self,
        *,
        api_key: str = "sandbox-key",
        api_key_prefix: str | None = None,
        keep: int | None = None,
        on_request: Callable[[ReceivedRequest], object] | None = None,
    ) -> None:
        self.api_key = api_key
        self._log = RequestLog(keep)
        Misbehaviour.__init__(self, self._log)
        Serving.__init__(self, self._log)
        self._state = State()
        self._accepted: tuple[str, ...] = (api_key,)
        if api_key_prefix is not None:
            self._accepted = (api_key, f"{api_key_prefix} {api_key}")
        self._on_request = on_request

    def __repr__(self) -> str:
        where = self.url if self._server is not None else "in process"
        return f"<FakeSendX {where}, {len(self.contacts)} contacts, {len(self.requests)} requests>"

    @property
    def requests(self) -> list[ReceivedRequest]:
        """The requests received so far, oldest first, unanswered ones included."""
        return self._log.requests()

    @property
    def contacts(self) -> dict[str, Contact]:
        """The contacts held now, by address as it first arrived."""
        return self._log.lock.run(self._state.contacts)

    @property
    def events(self) -> list[ReceivedEvent]:
        """The custom and revenue events taken in so far, oldest first."""
        return self._log.lock.run(lambda: list(self._state.events))

    def contact(self, email: str) -> Contact:
        """The contact with this address.

        Args:
            email: The address; case doesn't matter.

        Raises:
            LookupError: There is none; the error shows which there are and what was received.
        """
        return self._log.lock.run(lambda: self._contact(email))

    def _contact(self, email: str) -> Contact:
        contact = self._state.find(email)
        if contact is None:
            held = ", ".join(self.contacts) or "no contact"
            raise LookupError(
                f"The fake server holds no contact {email!r}. It holds {held}. "
                + self._log.describe()
            )
        return contact

    def describe(self) -> str:
        """What is held and what was received, the latest of each, one a line.

        With the fixture ``fake_sendx`` the report of a test that fails shows it.
        """
        return self._log.lock.run(self._describe)

    def _describe(self) -> str:
        return "\n".join(
            (
                listed("It holds", "contact", list(self.contacts.values())),
                listed("It has taken in", "event", self.events),
                self._log.describe(),
            )
        )

    def wait_for(self, predicate: Callable[[], T], timeout: float = 20.0) -> T:
        """Blocks until something is true of the fake server, without polling.

        The predicate is called at once and then after every change. A ``LookupError`` in it counts
        as "not yet", so this is fine: ``fake.wait_for(lambda: fake.contact("jane@example.com"))``.

        Args:
            predicate: A function without arguments that doesn't block.
            timeout: How many seconds to wait at most.

        Returns:
            What the predicate returned.

        Raises:
            TimeoutError: It didn't come true; the error shows what was received.
        """
        return self._log.wait_for(predicate, timeout)

    async def until(self, predicate: Callable[[], T], timeout: float = 20.0) -> T:
        """Waits like ``wait_for`` without blocking the event loop, on asyncio and trio.

        Args:
            predicate: A function without arguments that doesn't block; called in a worker thread.
            timeout: How many seconds to wait at most.

        Returns:
            What the predicate returned.

        Raises:
            TimeoutError: It didn't come true; the error shows what was received.
        """
        # Imported here so that importing the fake server stays cheap.
        from anyio import to_thread  # noqa: PLC0415 - see above

        return await to_thread.run_sync(self.wait_for, predicate, timeout, abandon_on_cancel=True)

    def reset(self) -> None:
        """Forgets everything: contacts, events, requests and all misbehaviour. It goes on serving.

        Requests under way end as was decided when they came.
        """
        self._log.change(self._reset)

    def _reset(self) -> None:
        self.recover()
        self._state = State()
        self._connections = Connections(open=self._connections.open)
        self._log.clear()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answers one HTTP request: the interface between a server and an ASGI app."""
        if scope["type"] != "http":
            raise NotImplementedError(f"FakeSendX speaks HTTP, not {scope['type']}")
        request = await receive_request(scope, receive)
        if request.disconnected:
            with self._reported(self._log.add(request)):
                return
        decision, entry = self._decide(request)
        with self._reported(entry):
            await perform(
                decision, entry=entry, log=self._log, scope=scope, receive=receive, send=send
            )

    @contextlib.contextmanager
    def _reported(self, entry: Entry) -> Generator[None]:
        try:
            yield
        finally:
            if self._on_request is not None:
                self._on_request(entry.request)

    def _decide(self, request: ReceivedRequest) -> tuple[Decision, Entry]:
        """Carries the request out if that is to be, and settles how it is answered."""
        fault, latency, usual, entry = self._log.lock.run(lambda: self._carry_out(request))
        seconds = latency() if callable(latency) else latency
        if fault is None:
            return Decision(act=Act.ANSWER, answer=usual, latency=seconds), entry
        return (
            Decision(
                act=fault.act,
                answer=fault.answer or usual,
                latency=seconds,
                interval=fault.interval,
                padding=fault.padding,
                reset=fault.reset,
            ),
            entry,
        )

    def _carry_out(self, request: ReceivedRequest) -> tuple[Fault | None, Latency, Answer, Entry]:
        fault, latency = self._take_fault(request.path), self._latency
        usual = self._handle(request) if fault is None or fault.applied else Answer(0)
        entry = self._log.add(attrs.evolve(request, applied=usual.applied))
        return fault, latency, usual, entry

    def _handle(self, request: ReceivedRequest) -> Answer:
        return handle(
            self._state,
            method=request.method,
            path=request.path,
            query=request.query,
            key=request.headers.get("x-team-apikey"),
            accepted=self._accepted,
            raw=request.raw,
        )
