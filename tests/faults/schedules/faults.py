"""What the server can do wrong, by name; an answer that is a fault names it in a header."""

from collections.abc import Callable, Mapping
from typing import Any

from sendx_async.testing import FakeSendX

FAULT = "x-fault"
"""The header that names the fault."""

Script = Callable[[FakeSendX, str, int], None]


def _answers(
    status: int, headers: Mapping[str, str] | None = None, *, for_ever: bool = False, **options: Any
) -> Script:
    def script(server: FakeSendX, name: str, times: int) -> None:
        server.respond(
            status,
            headers={**(headers or {}), FAULT: name},
            times=None if for_ever else times,
            **options,
        )

    return script


def _closes(*, applied: bool = False, reset: bool = False) -> Script:
    return lambda server, _, times: server.drop(applied=applied, reset=reset, times=times)


def _says_nothing(*, applied: bool = False) -> Script:
    return lambda server, _, times: server.black_hole(applied=applied, times=times)


_HTML = {"content-type": "text/html"}
_PAGE = "<html>Please come back later</html>"
_FAILED = {"status": "error", "message": "no"}
_BULK = "identify/bulk"

QUICK_FAULTS: Mapping[str, Script] = {
    "500": _answers(500),
    "500, applied": _answers(500, applied=True),
    "502 with a page": _answers(502, _HTML, body=_PAGE),
    "503": _answers(503),
    "503, applied": _answers(503, applied=True),
    "503 with Retry-After": _answers(503, retry_after=0),
    "429": _answers(429),
    "429 with Retry-After": _answers(429, retry_after=0),
    "408": _answers(408),
    "307": _answers(307, {"location": "https://login.example.com"}, body=b""),
    "422": _answers(422),
    "422 for a batch": _answers(422, path=_BULK),
    "404 for all batches": _answers(404, path=_BULK, for_ever=True),
    "405 for all batches": _answers(405, path=_BULK, for_ever=True),
    "200 with a page": _answers(200, _HTML, body=_PAGE, applied=False),
    "200 with a page, applied": _answers(200, _HTML, body=_PAGE),
    "200 that reports a failure": _answers(200, body=_FAILED, applied=False),
    "200 that reports a failure, applied": _answers(200, body=_FAILED),
    "207 for a batch": _answers(207, path=_BULK),
    "204": _answers(204),
    "closed": _closes(),
    "closed, applied": _closes(applied=True),
    "reset": _closes(reset=True),
    "reset, applied": _closes(reset=True, applied=True),
}

SLOW_FAULTS: Mapping[str, Script] = {
    "silence": _says_nothing(),
    "silence, applied": _says_nothing(applied=True),
}
"""Those that end only when the client gives up."""

KEY_REFUSED = "401"
FAULTS: Mapping[str, Script] = {
    **QUICK_FAULTS,
    **SLOW_FAULTS,
    KEY_REFUSED: _answers(401, for_ever=True),
}
