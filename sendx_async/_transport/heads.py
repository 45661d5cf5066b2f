"""Heads of answers, read more strictly than h11 does.

What two programs can read in two ways lets one of them take a part of a body for the next answer
("response smuggling"). So line feeds without a carriage return, folded lines, and a length beside
chunks are refused. So is what has no end: it would keep the event loop busy.
"""

from typing import Any

import h11
import httpcore
import httpx

BYTES_PER_READ = 16 * 1024
NO_HTTP = "what has answered doesn't speak HTTP/1.1"
NO_TRUST = "the answer can't be trusted"

_MOST_INTERIM_ANSWERS = 16
_MOST_BYTES = 100 * 1024  # as many as httpcore takes; all interim answers included
_MOST_LINES = 1000
_BLANK_LINE = b"\r\n\r\n"
_BEGINNING = b"HTTP/"
_TLS_RECORDS = (b"\x15\x03", b"\x16\x03")  # an alert, and what a handshake begins with


class AnswerFault(httpx.RemoteProtocolError):
    """What came back is no answer that can be trusted; the text quotes nothing of it."""


async def read_head(
    http: h11.Connection, stream: httpcore.AsyncNetworkStream, timeout: float | None
) -> tuple[h11.Response, bytes, bytes]:
    """Read an answer's head, and the interim answers (1xx) before it.

    Args:
        http: What has sent the request; it is given the heads.
        stream: Where the answer comes from.
        timeout: How long to wait for each piece, in seconds; None for no limit.

    Returns:
        The head as h11 understands it, its bytes in lower case, and what came behind it.

    Raises:
        AnswerFault: It isn't HTTP, is ambiguous, or is too long.
        h11.RemoteProtocolError: It isn't HTTP in another way; the text quotes it.
        httpcore.NetworkError: The connection broke, or was closed before the end of the head.
        httpcore.ReadTimeout: Nothing came in time.
    """
    received = bytearray()
    data = head = text = b""
    event: Any = None
    begin = 0
    try:
        for _ in range(1 + _MOST_INTERIM_ANSWERS):
            searched = begin
            while (end := received.find(_BLANK_LINE, searched)) < 0:
                if received:
                    _refuse(_fault_of(received))
                    searched = max(begin, len(received) - len(_BLANK_LINE) + 1)
                data = await stream.read(BYTES_PER_READ, timeout=timeout)
                if not data:
                    raise httpcore.ReadError("the server closed before its answer was complete")  # noqa: TRY301 - that clears them, too
                received += data
            end += len(_BLANK_LINE)
            head = bytes(received[begin:end])
            _refuse(_fault_of(received[:end] if begin else head))
            http.receive_data(head)
            event = http.next_event()
            if isinstance(event, h11.Response):
                text = head.lower()
                if b"\ntransfer-encoding:" in text and b"\ncontent-length:" in text:
                    _refuse(f"{NO_TRUST}: it gives a length and chunks, so its end is not certain")
                return event, text, bytes(received[end:])
            begin = end
        raise AnswerFault(f"{NO_TRUST}: over {_MOST_INTERIM_ANSWERS} interim answers (1xx)")  # noqa: TRY301 - as above
    except BaseException:
        del received, data, head, text, event  # tracebacks show the variables of a frame
        raise


def _fault_of(head: bytes | bytearray) -> str | None:
    """Return why no server may send such a head, or such a beginning of one; None if it may."""
    if not head.startswith(_BEGINNING[: len(head)]):
        if head.startswith(_TLS_RECORDS):
            return f"{NO_HTTP} but TLS: perhaps the address has to begin with https://"
        return f"{NO_HTTP}, so it can't be SendX: check base_url, and what is in between"
    lines = head.count(b"\n")
    if lines != head.count(b"\r\n"):
        return f"{NO_TRUST}: a line of its head ends without a carriage return"
    if b"\n " in head or b"\n\t" in head:
        return f"{NO_TRUST}: a line of its head is folded"
    if len(head) > _MOST_BYTES or lines > _MOST_LINES:
        return f"{NO_TRUST}: its head has over {_MOST_BYTES:,} bytes or {_MOST_LINES:,} lines"
    return None


def _refuse(fault: str | None) -> None:
    if fault is not None:
        raise AnswerFault(fault)
