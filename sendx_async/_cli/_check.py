"""The command ``check``: whether the key is accepted, and how long a call takes."""

import json as json_
import secrets
import statistics
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from sendx_async._cli._exit_codes import DONE, run_in_loop
from sendx_async._cli._options import BaseUrl, Deadline, Json, Timeout, make_client
from sendx_async._cli._output import errors_as_json, say
from sendx_async._core.errors import (
    AuthenticationError,
    ConfigurationError,
    NotFoundError,
    PermissionDeniedError,
)
from sendx_async._core.masking import mask_address

if TYPE_CHECKING:
    from sendx_async._clients.async_client import AsyncTrackingClient

HOW_SURE = """\
It writes nothing unless --contact is given: it tracks an address that can't exist, without tags.
SendX documents HTTP 404 for an unknown contact, and 401 for a key that isn't accepted. So a 404 in
SendX's form means that the key is accepted, provided that a made-up key, which is tried once, is
refused. No call is repeated. This follows the documentation: no real SendX server was tried."""
_MOST_CALLS = 100
_MADE_UP_KEY = "made-up-by-sendx-check"
_NOT_FOUND = 404


def check(
    *,
    calls: Annotated[
        int, typer.Option(metavar="N", min=1, max=_MOST_CALLS, help="How many calls to time.")
    ] = 5,
    contact: Annotated[
        str | None,
        typer.Option(
            metavar="EMAIL",
            help="Identify this contact instead, in each call. This writes.",
            show_default=False,
        ),
    ] = None,
    base_url: BaseUrl = None,
    json: Json = False,
    timeout: Timeout = None,
    deadline: Deadline = None,
) -> int:
    """Return whether the key is accepted, and how long a call takes."""
    with errors_as_json(json):
        from sendx_async._core.options import make_base_url  # noqa: PLC0415 - --help does without it

        url = make_base_url(base_url)
        client = make_client(base_url=url, timeout=timeout, deadline=deadline)
        status_code, seconds = run_in_loop(lambda: _try(client, contact, calls, url))
    first, *others = [each * 1000 for each in seconds]
    if json:
        say(
            json_.dumps(
                {
                    "accepted": True,
                    "status_code": status_code,
                    "base_url": url,
                    "calls": calls,
                    "first_ms": first,
                    "median_ms": statistics.median(others) if others else None,
                    "slowest_ms": max(others, default=None),
                }
            )
        )
        return DONE
    say(f"API key     accepted: {_reason(status_code, contact, calls)}")
    say(f"base URL    {url}")
    say(f"first call  {first:.0f} ms, with connecting")
    if others:
        median = statistics.median(others)
        say(f"next calls  median {median:.0f} ms, slowest {max(others):.0f} ms, of {len(others)}")
    return DONE


def _reason(status_code: int, contact: str | None, calls: int) -> str:
    if contact is not None:
        times = "once" if calls == 1 else f"{calls} times"
        return f"{mask_address(contact)} was identified {times} (HTTP {status_code})"
    if status_code == _NOT_FOUND:
        return "SendX looked for a contact that can't exist (HTTP 404)"
    return f"unexpectedly, SendX took a contact that can't exist (HTTP {status_code})"


async def _try(
    client: "AsyncTrackingClient", contact: str | None, calls: int, url: str
) -> tuple[int, list[float]]:
    """Make the calls, and give the status of the first and the seconds of each."""
    from sendx_async._core.options import RetryPolicy  # noqa: PLC0415 - --help does without it

    async with client:
        once = client.with_options(retry=RetryPolicy(0))
        status_code, first = await _call(once, contact, url)
        await _expect_a_refusal(once.with_options(api_key=_MADE_UP_KEY), status_code, url)
        return status_code, [
            first,
            *[(await _call(once, contact, url))[1] for _ in range(calls - 1)],
        ]


async def _call(client: "AsyncTrackingClient", contact: str | None, url: str) -> tuple[int, float]:
    if contact is not None:
        identified = await client.identify_contact_with_http_info({"email": contact})
        return identified.status_code, identified.elapsed
    # RFC 2606 keeps .invalid for names that will never be anybody's.
    nobody = {"email": f"{secrets.token_hex(8)}@sendx-check.invalid"}
    try:
        tracked = await client.track_contact_with_http_info(nobody)
    except NotFoundError as error:
        if not _is_of_sendx(error):
            raise ConfigurationError(
                f"{url} answers with HTTP 404, but not in SendX's form: does the base URL lead to "
                "SendX?"
            ) from None
        return error.status_code, error.elapsed
    return tracked.status_code, tracked.elapsed


def _is_of_sendx(error: NotFoundError) -> bool:
    """Return whether an answer is JSON in one of the forms that SendX has for errors."""
    if error.message is None:
        return False
    fields = cast("dict[str, Any]", json_.loads(error.body.decode("utf-8-sig")))
    return "status" in fields or "error" in fields


async def _expect_a_refusal(client: "AsyncTrackingClient", status_code: int, url: str) -> None:
    try:
        await _call(client, None, url)
    except (AuthenticationError, PermissionDeniedError):
        return
    raise ConfigurationError(
        f"{url} answers a made-up key like this one, with HTTP {status_code}, so whether it is "
        "accepted can't be told: does the base URL lead to SendX?"
    )
