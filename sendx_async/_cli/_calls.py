"""The commands ``identify``, ``track``, ``event`` and ``revenue``: one call each."""

import json as json_
import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sendx_async._cli._exit_codes import DONE, INTERRUPTED, run_in_loop
from sendx_async._cli._options import (
    BaseUrl,
    Deadline,
    Json,
    Timeout,
    make_client,
    read_amount,
    read_moment,
    read_pairs,
)
from sendx_async._cli._output import errors_as_json, printable, say, tell
from sendx_async._core.errors import InvalidRequestError
from sendx_async._core.masking import mask_address

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sendx_async._clients.async_client import AsyncTrackingClient
    from sendx_async._core.models import ApiResponse

_DASHES = "If an argument begins with a dash, write -- before the arguments."
_Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The contact's address.")]
_Contact = Annotated[
    str, typer.Argument(metavar="CONTACT", help="The contact's address or id. It must exist.")
]
_Time = Annotated[
    str | None,
    typer.Option(
        "--time",
        metavar="WHEN",
        help="When it happened: Unix seconds, or ISO 8601 with an offset. Default: now.",
        show_default=False,
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command(epilog=_DASHES)(identify)
    app.command(epilog=_DASHES)(track)
    app.command(epilog=_DASHES)(event)
    # So that a negative amount isn't taken for an option.
    app.command(epilog=_DASHES, context_settings={"ignore_unknown_options": True})(revenue)


def _option(name: str, metavar: str, help_: str) -> Any:
    return typer.Option(name, metavar=metavar, help=help_, show_default=False)


def identify(
    email: _Email,
    *,
    first_name: Annotated[str | None, _option("--first-name", "NAME", "First name.")] = None,
    last_name: Annotated[str | None, _option("--last-name", "NAME", "Last name.")] = None,
    company: Annotated[str | None, _option("--company", "NAME", "Company.")] = None,
    tags: Annotated[
        list[str] | None, _option("--tag", "TAG", "A tag to add. May be repeated.")
    ] = None,
    lists: Annotated[
        list[str] | None,
        _option("--list", "ID", "A list (list_...) to put the contact on. May be repeated."),
    ] = None,
    fields: Annotated[
        list[str] | None,
        _option("--field", "NAME=VALUE", "A custom field, by its human name. May be repeated."),
    ] = None,
    new_email: Annotated[
        str | None, _option("--new-email", "EMAIL", "Rename the contact to this address.")
    ] = None,
    base_url: BaseUrl = None,
    json: Json = False,
    timeout: Timeout = None,
    deadline: Deadline = None,
) -> int:
    """Create a contact, or update the one that has this address."""
    custom_fields = read_pairs("--field", fields)
    with errors_as_json(json):
        from sendx_async._core.models import IdentifyRequest  # noqa: PLC0415 - --help does without it

        request = IdentifyRequest(
            email,
            first_name=first_name,
            last_name=last_name,
            company=company,
            tags=tags or None,
            custom_fields=custom_fields,
            lists=lists or None,
            new_email=new_email,
        )
        return _call_once(
            lambda client: client.identify_contact_with_http_info(request),
            operation="identify_contact",
            done=f"Identified {mask_address(email)}",
            base_url=base_url,
            json=json,
            timeout=timeout,
            deadline=deadline,
        )


def track(
    email: _Email,
    *,
    add: Annotated[
        list[str] | None, _option("--add", "TAG", "A tag to add. May be repeated.")
    ] = None,
    remove: Annotated[
        list[str] | None, _option("--remove", "TAG", "A tag to remove. May be repeated.")
    ] = None,
    base_url: BaseUrl = None,
    json: Json = False,
    timeout: Timeout = None,
    deadline: Deadline = None,
) -> int:
    """Add tags to a contact that exists, and remove others."""
    with errors_as_json(json):
        from sendx_async._core.models import TrackRequest  # noqa: PLC0415 - --help does without it

        if not (add or remove):
            raise InvalidRequestError.of("track", ["needs a tag: give --add TAG or --remove TAG"])
        request = TrackRequest(email, add_tags=add or None, remove_tags=remove or None)
        return _call_once(
            lambda client: client.track_contact_with_http_info(request),
            operation="track_contact",
            done=f"Tracked {mask_address(email)}",
            base_url=base_url,
            json=json,
            timeout=timeout,
            deadline=deadline,
        )


def event(
    contact: _Contact,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The event's name.")],
    *,
    data: Annotated[
        list[str] | None,
        _option("--data", "KEY=VALUE", "What else is known of the event. May be repeated."),
    ] = None,
    time: _Time = None,
    base_url: BaseUrl = None,
    json: Json = False,
    timeout: Timeout = None,
    deadline: Deadline = None,
) -> int:
    """Record an event of a contact. Sent twice, it counts twice."""
    pairs, moment = read_pairs("--data", data), read_moment("--time", time)
    with errors_as_json(json):
        from sendx_async._core.models import CustomEventRequest  # noqa: PLC0415 - as above

        request = CustomEventRequest(contact, name, data=pairs, time=moment)
        return _call_once(
            lambda client: client.track_custom_event_with_http_info(request),
            operation="track_custom_event",
            done=f"Recorded the event {printable(name)} of {mask_address(contact)}",
            base_url=base_url,
            json=json,
            timeout=timeout,
            deadline=deadline,
        )


def revenue(
    contact: Annotated[
        str, typer.Argument(metavar="CONTACT", help="The contact's address. It must exist.")
    ],
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="How much, such as 19.90 or -5.")],
    *,
    source: Annotated[
        str | None, _option("--source", "NAME", "Where the revenue comes from.")
    ] = None,
    time: _Time = None,
    base_url: BaseUrl = None,
    json: Json = False,
    timeout: Timeout = None,
    deadline: Deadline = None,
) -> int:
    """Record revenue from a contact. Sent twice, it counts twice."""
    if contact.startswith("-"):  # typer leaves those alone here, for the sake of negative amounts
        raise typer.BadParameter(f"no such option, and no contact: {contact}", param_hint="CONTACT")
    number, moment = read_amount("AMOUNT", amount), read_moment("--time", time)
    with errors_as_json(json):
        from sendx_async._core.models import RevenueEventRequest  # noqa: PLC0415 - as above

        request = RevenueEventRequest(contact, number, source=source, time=moment)
        return _call_once(
            lambda client: client.track_revenue_event_with_http_info(request),
            operation="track_revenue_event",
            done=f"Recorded revenue of {number} from {mask_address(contact)}",
            base_url=base_url,
            json=json,
            timeout=timeout,
            deadline=deadline,
        )


def _call_once(
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
        The exit code: DONE, or INTERRUPTED after Ctrl-C.

    Raises:
        SendXError: The call failed.
    """
    client = make_client(base_url=base_url, timeout=timeout, deadline=deadline)

    async def run() -> "ApiResponse[Any]":
        async with client:
            return await call(client)

    try:
        answer = run_in_loop(run)
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
