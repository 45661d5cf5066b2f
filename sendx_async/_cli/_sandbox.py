"""The command ``sandbox``: the fake SendX server in the foreground, for people at a shell."""

import contextlib
import signal
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Annotated, cast

import typer

from sendx_async._cli._exit_codes import DONE, REFUSED, USAGE
from sendx_async._cli._output import complain, printable, say
from sendx_async._core.masking import mask_address

if TYPE_CHECKING:
    from sendx_async.testing import ReceivedRequest

_DEFAULT_PORT = 8025
_KEPT_REQUESTS = 1000
_HIGHEST_PORT = 65535
_SECONDS_ASLEEP = 1.0
_START_TEXT = """\
SendX sandbox: a stand-in for the SendX server. It keeps everything in memory until you stop it.

  base URL   {url}
  API key    {key}

Try it:

  curl -X POST {url}/contact/identify \\
    -H 'X-Team-ApiKey: {key}' -H 'Content-Type: application/json' \\
    -d '{{"email": "jane@example.com", "tags": ["vip"]}}'

Requests appear below. Ctrl-C stops.
"""


def sandbox(
    *,
    host: Annotated[
        str, typer.Option(metavar="HOST", help="The address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(metavar="PORT", min=0, max=_HIGHEST_PORT, help="0 for one that is free."),
    ] = _DEFAULT_PORT,
    api_key: Annotated[
        str, typer.Option(metavar="KEY", help="The pretend key that requests must carry.")
    ] = "sandbox-key",
) -> int:
    """Run a fake SendX server on this machine, until Ctrl-C."""
    from sendx_async.testing import FakeSendX  # noqa: PLC0415 - only this command needs it

    fake = FakeSendX(api_key=api_key, keep=_KEPT_REQUESTS, on_request=_report)
    try:
        with _stopped_by_sigterm(), fake.serving(host=host, port=port) as url:
            say(_START_TEXT.format(url=url, key=fake.api_key))
            # Unlike waiting for an event, sleeping can be interrupted on Windows too. A signal that
            # comes just before it sleeps, though, is noticed only when it wakes.
            while True:
                time.sleep(_SECONDS_ASLEEP)
    except ModuleNotFoundError as error:
        complain(str(error))
        return USAGE
    except KeyboardInterrupt:
        say("\nThe sandbox has stopped.")
        return DONE
    except OSError as error:
        complain(
            f"the sandbox can't listen on {host}:{port}: {error}; --port 0 takes one that is free"
        )
        return REFUSED


@contextlib.contextmanager
def _stopped_by_sigterm() -> Generator[None]:
    """Let SIGTERM do what Ctrl-C does; in a container it would do nothing by itself."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _report(request: "ReceivedRequest") -> None:
    outcome = "no answer" if request.status is None else str(request.status)
    parts = request.path.split("/")
    path = "/".join(mask_address(part) if "@" in part else part for part in parts)
    line = f"{request.method} {path} {outcome} {_subject(request.json)}"
    # This is the server's thread: if nobody reads the lines any more it still serves.
    with contextlib.suppress(SystemExit, OSError):
        # The line is the client's to fill: nothing in it may steer the terminal or fake another.
        say(printable(line.rstrip()))


def _subject(body: object) -> str:
    """Whom a request is about, without telling the address."""
    if isinstance(body, list):
        count = len(cast("list[object]", body))
        return f"{count} contact{'' if count == 1 else 's'}"
    if isinstance(body, dict):
        fields = cast("dict[str, object]", body)
        address = fields.get("email", fields.get("identifier"))
        if isinstance(address, str):
            return mask_address(address)
    return ""
