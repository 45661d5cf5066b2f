"""The commands ``outbox ...``: drain an outbox, and look after what could not be delivered."""

import argparse
import asyncio
import contextlib
import json
import logging
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from sendx_async import _options
from sendx_async._errors import ConfigurationError, SendXError
from sendx_async._protocol import operation_for

if TYPE_CHECKING:
    from sendx_async.outbox import FailedDelivery, Outbox, OutboxStats

_IN_TROUBLE, _FAILED = 1, 2
_FEW = 100


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the commands to the parser of ``outbox``."""
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    drain = _command(commands, "drain", _drain, "send what it holds, until stopped")
    drain.add_argument("--until-empty", action="store_true", help="end when nothing waits")
    drain.add_argument(
        "--concurrency", type=int, default=8, help="requests under way at once (default: 8)"
    )
    drain.add_argument("--rate", type=float, help="requests a second (default: no limit)")
    status = _command(commands, "status", _status, "tell how it is; ends with 1 if in trouble")
    _add_json(status)
    dead = _command(commands, "dead", _dead, "list deliveries that were put aside")
    _add_uncertain(dead, "only those that may have been applied")
    dead.add_argument("--limit", type=int, default=_FEW, help=f"how many at most (default: {_FEW})")
    _add_json(dead)
    retry = _command(commands, "retry", _retry, "send what was put aside again")
    retry.add_argument(
        "ids", nargs="*", default=[], metavar="ID", help="which ones (default: all dead ones)"
    )
    _add_uncertain(retry, "also those that may have been applied: SendX may do it twice")
    purge = _command(commands, "purge", _purge, "throw away what is about a contact, or the dead")
    purge.add_argument(
        "ids", nargs="*", default=[], metavar="ADDRESS", help="whose requests to erase"
    )
    purge.add_argument("--dead", action="store_true", help="all that can't succeed")
    _add_uncertain(purge, "all that may have been applied, with --dead")


def _command(
    commands: Any,
    name: str,
    do: Callable[["Outbox", argparse.Namespace], int],
    does: str,
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=does, description=f"{does.capitalize()}."
    )
    parser.add_argument("file", metavar="FILE", help="the outbox's file")
    parser.set_defaults(run=run, do=do)
    return parser


def _add_uncertain(parser: argparse.ArgumentParser, does: str) -> None:
    parser.add_argument("--uncertain", action="store_true", help=does)


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for programs, requests included")


def run(options: argparse.Namespace) -> int:
    """Does what a command says.

    Args:
        options: The command's, with ``file`` and with ``do``, which does it.

    Returns:
        0; 1 if the outbox is in trouble, for ``status``; 2 if it could not be done.
    """
    from sendx_async.outbox import Outbox  # noqa: PLC0415 - only these commands need it

    # Draining may be started before anything was put; anything else means a file that exists.
    if options.do is not _drain and not Path(options.file).exists():
        _complain(f"{options.file} does not exist")
        return _FAILED
    try:
        outbox = Outbox(options.file)
        try:
            return int(options.do(outbox, options))
        finally:
            outbox.close()
    except SendXError as error:
        _complain(f"{error}")
        return _FAILED


def _drain(outbox: "Outbox", options: argparse.Namespace) -> int:
    from sendx_async import AsyncTrackingClient  # noqa: PLC0415 - only this command needs it

    rate = None if options.rate is None else _options.Rate(options.rate)
    client = AsyncTrackingClient(rate=rate)
    if outbox.stats().is_draining:
        _say(f"Another process drains {options.file}: this one waits for its turn.")
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("sendx_async").setLevel(logging.INFO)

    async def drain_until_stopped() -> None:
        stopped = asyncio.Event()
        _call_when_told_to_stop(stopped.set)
        async with client, outbox.draining(client, concurrency=options.concurrency):
            await stopped.wait()

    async def drain_until_empty() -> None:
        async with client:
            drain = outbox.drain(client, concurrency=options.concurrency)
            task = asyncio.create_task(drain)
            _call_when_told_to_stop(task.cancel)
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()

    asyncio.run(drain_until_empty() if options.until_empty else drain_until_stopped())
    stats = outbox.stats()
    _say(f"Stopped. {stats.pending} wait, {stats.dead} are dead, {stats.uncertain} uncertain.")
    return 0


def _call_when_told_to_stop(function: Callable[[], object]) -> None:
    """Have this called in the loop at each SIGTERM and Ctrl-C from now on."""
    loop = asyncio.get_running_loop()

    def stop(*_: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            loop.call_soon_threadsafe(function)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def _status(outbox: "Outbox", options: argparse.Namespace) -> int:
    stats = outbox.stats()
    _say(json.dumps(attrs.asdict(stats)) if options.json else _in_words(stats))
    return _IN_TROUBLE if stats.trouble else 0


def _in_words(stats: "OutboxStats") -> str:
    age = "-" if stats.oldest_age is None else f"{stats.oldest_age:.0f} s"
    return (
        f"pending     {stats.pending}\n"
        f"dead        {stats.dead}\n"
        f"uncertain   {stats.uncertain}\n"
        f"oldest      {age}\n"
        f"draining    {'yes' if stats.is_draining else 'no'}\n"
        f"trouble     {stats.trouble or 'none'}"
    )


def _dead(outbox: "Outbox", options: argparse.Namespace) -> int:
    limit = _options.make_count("--limit", options.limit)
    found = outbox.failed("uncertain" if options.uncertain else None, limit=limit)
    for failed in found:
        _say(json.dumps(_as_json(failed)) if options.json else _as_line(failed))
    if not found and not options.json:
        _say("Nothing was put aside.")
    return 0


def _as_line(failed: "FailedDelivery") -> str:
    when = datetime.fromtimestamp(failed.failed_at, tz=UTC).isoformat(" ", "seconds")
    return f"{failed.delivery_id}  {failed.kind}  {when}  {failed.request}  {failed.error}"


def _as_json(failed: "FailedDelivery") -> dict[str, Any]:
    operation = None if failed.request is None else operation_for(failed.request).name
    return attrs.asdict(failed) | {"operation": operation}


def _retry(outbox: "Outbox", options: argparse.Namespace) -> int:
    count = outbox.retry(options.ids or None, uncertain=options.uncertain)
    _say(f"{count} put back, behind all that wait.")
    return 0


def _purge(outbox: "Outbox", options: argparse.Namespace) -> int:
    if len(options.ids) != (0 if options.dead else 1):
        raise ConfigurationError("purge takes either an ADDRESS or --dead")
    if options.dead:
        _say(f"{outbox.discard(uncertain=options.uncertain)} thrown away.")
    else:
        _say(f"{outbox.purge(options.ids[0])} thrown away.")
    return 0


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a command's output


def _complain(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201 - a command's output
