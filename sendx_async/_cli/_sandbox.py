"""The command ``sandbox``: the fake SendX server in the foreground, for people at a shell."""

import sys
import threading
from typing import TYPE_CHECKING, cast

from sendx_async._masking import mask_address

if TYPE_CHECKING:
    import argparse

    from sendx_async.testing import ReceivedRequest

_DEFAULT_PORT = 8025
_KEPT_REQUESTS = 1000
_TICK_SECONDS = 1.0
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


def add_options(parser: "argparse.ArgumentParser") -> None:
    """Adds the command's options to its parser."""
    parser.add_argument(
        "--port", type=int, default=_DEFAULT_PORT, help="0 for one that is free (default: 8025)"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: this machine only)"
    )
    parser.add_argument("--api-key", default="sandbox-key", help="the key that requests must carry")
    parser.set_defaults(run=run)


def run(options: "argparse.Namespace") -> int:
    """Serves until Ctrl-C.

    Args:
        options: host, port and api_key.

    Returns:
        0 after Ctrl-C, 1 if the port can't be had, 2 if uvicorn isn't installed.
    """
    from sendx_async.testing import FakeSendX  # noqa: PLC0415 - keeps the other commands fast

    fake = FakeSendX(api_key=options.api_key, keep=_KEPT_REQUESTS, on_request=_report)
    try:
        with fake.serving(host=options.host, port=options.port) as url:
            print(_START_TEXT.format(url=url, key=fake.api_key), flush=True)  # noqa: T201
            _wait_for_ctrl_c()
    except ModuleNotFoundError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    except (OSError, OverflowError) as error:
        where = f"{options.host}:{options.port}"
        print(f"The sandbox can't listen on {where}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _wait_for_ctrl_c() -> None:
    never = threading.Event()
    try:
        # In steps, since on Windows a wait without a limit can't be interrupted.
        while not never.wait(_TICK_SECONDS):
            pass
    except KeyboardInterrupt:
        print("\nThe sandbox has stopped.", flush=True)  # noqa: T201


def _report(request: "ReceivedRequest") -> None:
    outcome = "no answer" if request.status is None else str(request.status)
    line = f"{request.method} {request.path} {outcome} {_subject(request.json)}"
    # The line is the client's to fill: nothing in it may steer the terminal or fake a second line.
    shown = "".join(character if character.isprintable() else "?" for character in line.rstrip())
    print(shown, flush=True)  # noqa: T201


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
