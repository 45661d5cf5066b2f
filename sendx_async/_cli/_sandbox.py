"""The command ``sandbox``: the fake SendX server in the foreground, for people at a shell."""

import argparse
import sys
import time
from typing import TYPE_CHECKING, cast

from sendx_async._masking import mask_address

if TYPE_CHECKING:
    from sendx_async.testing import ReceivedRequest

_DEFAULT_PORT = 8025
_KEPT_REQUESTS = 1000
_HIGHEST_PORT = 65535
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


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options to its parser."""
    parser.add_argument(
        "--port", type=_port, default=_DEFAULT_PORT, help="0 for one that is free (default: 8025)"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: this machine only)"
    )
    parser.add_argument("--api-key", default="sandbox-key", help="the key that requests must carry")
    parser.set_defaults(run=run)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > _HIGHEST_PORT:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no port; give a number up to {_HIGHEST_PORT}"
        )
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Serves until Ctrl-C.

    Args:
        options: host, port and api_key.

    Returns:
        0 after Ctrl-C, 1 if the port can't be had, 2 if uvicorn isn't installed.
    """
    from sendx_async.testing import FakeSendX  # noqa: PLC0415 - only this command needs it

    fake = FakeSendX(api_key=options.api_key, keep=_KEPT_REQUESTS, on_request=_report)
    try:
        with fake.serving(host=options.host, port=options.port) as url:
            _say(_START_TEXT.format(url=url, key=fake.api_key))
            # Unlike waiting for an event, sleeping can be interrupted on Windows too.
            while True:
                time.sleep(3600)
    except ModuleNotFoundError as error:
        _complain(str(error))
        return 2
    except KeyboardInterrupt:
        _say("\nThe sandbox has stopped.")
        return 0
    except OSError as error:
        _complain(
            f"The sandbox can't listen on {options.host}:{options.port}: {error}; "
            "--port 0 takes one that is free"
        )
        return 1


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a command's output


def _complain(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201 - a command's output


def _report(request: "ReceivedRequest") -> None:
    outcome = "no answer" if request.status is None else str(request.status)
    line = f"{request.method} {request.path} {outcome} {_subject(request.json)}"
    # The line is the client's to fill: nothing in it may steer the terminal or fake a second line.
    _say("".join(character if character.isprintable() else "?" for character in line.rstrip()))


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
