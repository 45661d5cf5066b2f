"""Makes one call of SendX, and says how it went."""

import asyncio
import json as json_
import math
from typing import TYPE_CHECKING, Any

from sendx_async._cli._exit_codes import DONE, INTERRUPTED
from sendx_async._cli._options import make_client
from sendx_async._cli._output import say, tell

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sendx_async._clients.async_client import AsyncTrackingClient
    from sendx_async._core.models import ApiResponse


def call_once(
    call: "Callable[[AsyncTrackingClient], Awaitable[ApiResponse[Any]]]",
    *,
    operation: str,
    done: str,
    base_url: str | None,
    json: bool,
    timeout: float | None,
    deadline: float | None,
) -> int:
    """Make the call, and tell what SendX answered.

    Args:
        call: Makes it, with the client given.
        operation: The client's method, for programs.
        done: What is done then, for people; no personal data may be in it.
        base_url: As for `make_client`.
        json: Whether a program reads the output.
        timeout: As for `make_client`.
        deadline: As for `make_client`.

    Returns:
        The exit status: DONE, or INTERRUPTED after Ctrl-C.

    Raises:
        SendXError: The call failed.
    """
    client = make_client(base_url=base_url, timeout=timeout, deadline=deadline)

    async def run() -> "ApiResponse[Any]":
        async with client:
            return await call(client)

    try:
        answer = asyncio.run(run())
    except KeyboardInterrupt:
        tell("Interrupted. SendX may have applied the request.")
        return INTERRUPTED
    if json:
        say(json_.dumps(_as_json(operation, answer)))
    else:
        tries = f", at attempt {answer.attempts}" if answer.attempts > 1 else ""
        say(f"{done} in {answer.elapsed:.2f} s{tries}.")
    return DONE


def _as_json(operation: str, answer: "ApiResponse[Any]") -> dict[str, Any]:
    return {
        "operation": operation,
        "status_code": answer.status_code,
        "response": _said(answer.raw_data),
        "call_id": answer.call_id,
        "attempts": answer.attempts,
        "elapsed": answer.elapsed,
    }


def _said(body: bytes) -> Any:
    """Return what the server said; an empty body is None."""
    text = body.decode("utf-8-sig").strip()
    # JSON knows neither NaN nor infinity, though Python reads and writes them.
    return json_.loads(text, parse_constant=lambda _: None, parse_float=_finite) if text else None


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None
