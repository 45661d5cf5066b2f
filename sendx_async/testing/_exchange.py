"""One HTTP exchange over ASGI: read the request, decide, wait, and answer well or badly."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from email.utils import formatdate
from typing import Any, TypeAlias

import attrs

from sendx_async._runtime.real_time import monotonic
from sendx_async.testing._body import parse_json
from sendx_async.testing._endpoints import Answer
from sendx_async.testing._faults import Act
from sendx_async.testing._log import Entry, ReceivedRequest, RequestLog

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

ABORT = "sendx_async.abort"
"""The ASGI extension through which a real server lets the app cut its connection."""

_BODILESS = frozenset({204, 304})


@attrs.frozen(kw_only=True)
class Decision:
    """What is to happen with one request."""

    act: Act
    answer: Answer
    latency: float
    interval: float = 0.0
    padding: int = 0
    reset: bool = False


async def receive_request(scope: Mapping[str, Any], receive: Receive) -> ReceivedRequest:
    """Reads a request to its end, or as far as the client got before it went away."""
    raw = b""
    more = True
    disconnected = False
    while more:
        message = await receive()
        disconnected = message["type"] == "http.disconnect"
        raw += message.get("body", b"")
        more = message.get("more_body", False)
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    try:
        json = parse_json(raw)
    except ValueError:
        json = None
    return ReceivedRequest(
        method=scope["method"],
        path=scope["path"],
        query=scope.get("query_string", b"").decode("latin-1"),
        headers=headers,
        raw=raw,
        json=json,
        disconnected=disconnected,
        at=monotonic(),
    )


async def perform(
    decision: Decision,
    *,
    entry: Entry,
    log: RequestLog,
    scope: Mapping[str, Any],
    receive: Receive,
    send: Send,
) -> None:
    """Carries out a decision, noting in the log what came of it."""
    abort: Callable[[bool], None] | None = scope.get("extensions", {}).get(ABORT)
    try:
        if decision.latency and await _client_leaves(receive, decision.latency):
            log.update(entry, disconnected=True)
        elif decision.act is Act.SILENCE:
            await _client_leaves(receive, None)
            log.update(entry, disconnected=True)
        elif decision.act is not Act.DROP:
            await _answer(decision, entry=entry, log=log, receive=receive, send=send)
        elif abort is not None:
            abort(decision.reset)
            # Returning sooner would make the server answer on a connection that is gone.
            await _client_leaves(receive, None)
    except BaseException:
        # In process, a client goes away by cancelling.
        log.update(entry, disconnected=True)
        raise
    if decision.act is Act.DROP and abort is None:
        raise ConnectionResetError("the fake server closed the connection without an answer")


async def _client_leaves(receive: Receive, seconds: float | None) -> bool:
    # Imported here so that importing the fake server stays cheap.
    import anyio  # noqa: PLC0415 - see above

    with anyio.move_on_after(seconds):
        await receive()  # After the whole request, only http.disconnect can come.
        return True
    return False


async def _answer(
    decision: Decision, *, entry: Entry, log: RequestLog, receive: Receive, send: Send
) -> None:
    answer = decision.answer
    headers = [*answer.headers, ("date", formatdate(usegmt=True))]
    if decision.act is Act.ANSWER and answer.status not in _BODILESS:
        headers.append(("content-length", str(len(answer.body))))
    # Noted before it is sent: a client that has the answer must find it in the log.
    log.update(entry, status=answer.status)
    await send(
        {
            "type": "http.response.start",
            "status": answer.status,
            "headers": [
                (name.encode("latin-1"), value.encode("latin-1")) for name, value in headers
            ],
        }
    )
    if decision.act is Act.DRIP:
        body = b" " * decision.padding + answer.body
        for index in range(len(body)):
            await send(
                {"type": "http.response.body", "body": body[index : index + 1], "more_body": True}
            )
            if await _client_leaves(receive, decision.interval):
                log.update(entry, disconnected=True)
                return
        await send({"type": "http.response.body", "body": b""})
    else:
        await send({"type": "http.response.body", "body": answer.body})
