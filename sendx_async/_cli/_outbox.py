"""The commands ``outbox ...``: drain an outbox, and look after what could not be delivered."""

import asyncio
import contextlib
import json as json_
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sendx_async._cli._exit_codes import (
    DONE,
    REFUSED,
    call_when_told_to_stop,
    code_of_signal,
    run_in_loop,
)
from sendx_async._cli._options import BaseUrl, Json, Timeout, make_client
from sendx_async._cli._output import errors_as_json, say, tell
from sendx_async._core.errors import ConfigurationError, OutboxError

if TYPE_CHECKING:
    from collections.abc import Generator

    from sendx_async._clients.async_client import AsyncTrackingClient
    from sendx_async.outbox import FailedDelivery, Outbox, OutboxStats

_FEW = 100
_GRACE = 5.0  # seconds that requests under way may take to end
_File = Annotated[str, typer.Argument(metavar="FILE", help="The outbox's file.")]


def make_app() -> typer.Typer:
    """Make the group of commands."""
    app = typer.Typer(
        rich_markup_mode=None,
        invoke_without_command=True,
        help="Drain an outbox, and look after what could not be delivered.",
    )
    app.callback()(_root)
    for command in (drain, status, dead, retry, purge):
        app.command()(command)
    return app


def _root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        say(context.get_help())


@contextlib.contextmanager
def _opened(file: str, *, json: bool = False) -> "Generator[Outbox]":
    """Open the outbox in a file that exists; errors are told to programs, too."""
    with errors_as_json(json):
        from sendx_async.outbox import Outbox  # noqa: PLC0415 - --help does without it

        if not Path(file).exists():
            raise ConfigurationError(f"{file} does not exist")
        outbox = Outbox(file)
        try:
            yield outbox
        finally:
            outbox.close()


def drain(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="The outbox's file. It is made if need be.")
    ],
    *,
    until_empty: Annotated[
        bool, typer.Option("--until-empty", help="End when nothing waits.")
    ] = False,
    concurrency: Annotated[
        int, typer.Option(metavar="N", min=1, help="Requests under way at once.")
    ] = 8,
    rate: Annotated[
        float | None,
        typer.Option(metavar="N", help="Requests a second. Default: no limit.", show_default=False),
    ] = None,
    base_url: BaseUrl = None,
    json: Annotated[
        bool, typer.Option("--json", help="Write what is left at the end as one JSON object.")
    ] = False,
    timeout: Timeout = None,
) -> int:
    """Send what an outbox holds, until stopped by Ctrl-C or SIGTERM."""
    with errors_as_json(json):
        from sendx_async.outbox import Outbox  # noqa: PLC0415 - --help does without it

        client = make_client(base_url=base_url, rate=rate, timeout=timeout)
        outbox = Outbox(file)
        try:
            silence = None
            with contextlib.suppress(OutboxError):  # on a full disk, too, draining waits
                silence = outbox.stats().silent_for
            if silence is not None:
                tell(
                    f"Another process drains {file}, {_last_sign(silence)}: this one waits for its "
                    "turn."
                )
            _log_to_stderr()
            stopped_by = None
            if until_empty:
                stopped_by = run_in_loop(lambda: _drain_until_empty(outbox, client, concurrency))
            else:  # being stopped is how it ends
                run_in_loop(lambda: _drain_until_stopped(outbox, client, concurrency))
            stats = outbox.stats()
        finally:
            outbox.close()
    say(_stats_as_json(stats) if json else _what_is_left(stats))
    return DONE if stopped_by is None else code_of_signal(stopped_by)


def _what_is_left(stats: "OutboxStats") -> str:
    return f"Stopped. {stats.pending} wait, {stats.dead} are dead, {stats.uncertain} uncertain."


def _last_sign(silence: float) -> str:
    return f"last sign of life {silence:.0f} s ago"


def _log_to_stderr() -> None:
    import logging  # noqa: PLC0415 - --help does without it

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("sendx_async").setLevel(logging.INFO)


async def _drain_until_stopped(
    outbox: "Outbox", client: "AsyncTrackingClient", concurrency: int
) -> None:
    stopped = asyncio.Event()
    call_when_told_to_stop(lambda _: stopped.set())
    async with client, outbox.draining(client, concurrency=concurrency, grace=_GRACE):
        await stopped.wait()


async def _drain_until_empty(
    outbox: "Outbox", client: "AsyncTrackingClient", concurrency: int
) -> signal.Signals | None:
    """Return the first signal that ended it early, or None."""
    signals: list[int] = []
    loop = outbox._drain_loop(client, concurrency, until_empty=True)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]

    def stop(number: int) -> None:
        signals.append(number)
        loop.stop(_GRACE)

    call_when_told_to_stop(stop)
    async with client:
        await loop.run()
    return signal.Signals(signals[0]) if signals else None


def status(file: _File, *, json: Json = False) -> int:
    """Show how an outbox is. Ends with 1 if it is in trouble."""
    with _opened(file, json=json) as outbox:
        stats = outbox.stats()
    say(_stats_as_json(stats) if json else _in_words(stats))
    return REFUSED if stats.trouble else DONE


def _stats_as_json(stats: "OutboxStats") -> str:
    import attrs  # noqa: PLC0415 - --help does without it

    return json_.dumps(attrs.asdict(stats))


def _in_words(stats: "OutboxStats") -> str:
    age = "-" if stats.oldest_age is None else f"{stats.oldest_age:.0f} s"
    silence = stats.silent_for
    draining = "no" if silence is None else f"yes, {_last_sign(silence)}"
    return (
        f"pending     {stats.pending}\n"
        f"dead        {stats.dead}\n"
        f"uncertain   {stats.uncertain}\n"
        f"oldest      {age}\n"
        f"draining    {draining}\n"
        f"trouble     {stats.trouble or 'none'}"
    )


def dead(
    file: _File,
    *,
    uncertain: Annotated[
        bool, typer.Option("--uncertain", help="Only those that may have been applied.")
    ] = False,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="How many at most.")] = _FEW,
    json: Annotated[
        bool,
        typer.Option("--json", help="One JSON object a line, whole requests included."),
    ] = False,
) -> int:
    """List the deliveries that were put aside."""
    with _opened(file, json=json) as outbox:
        found = outbox.failed("uncertain" if uncertain else None, limit=limit)
    for failed in found:
        say(json_.dumps(_as_json(failed)) if json else _as_line(failed))
    if not found and not json:
        say("Nothing was put aside.")
    return DONE


def _as_line(failed: "FailedDelivery") -> str:
    when = datetime.fromtimestamp(failed.failed_at, tz=UTC).isoformat(" ", "seconds")
    return f"{failed.delivery_id}  {failed.kind}  {when}  {failed.request}  {failed.error}"


def _as_json(failed: "FailedDelivery") -> dict[str, Any]:
    import attrs  # noqa: PLC0415 - --help does without it

    from sendx_async._core.protocol import operation_for  # noqa: PLC0415 - likewise

    operation = None if failed.request is None else operation_for(failed.request).name
    return attrs.asdict(failed) | {"operation": operation}


def retry(
    file: _File,
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID", help="Which ones. Default: all dead ones."),
    ] = None,
    *,
    uncertain: Annotated[
        bool,
        typer.Option(
            "--uncertain", help="Also those that may have been applied: SendX may do it twice."
        ),
    ] = False,
) -> int:
    """Send again what was put aside."""
    with _opened(file) as outbox:
        count = outbox.retry(ids or None, uncertain=uncertain)
    say(f"{count} put back, behind all that wait.")
    return DONE


def purge(
    file: _File,
    address: Annotated[
        str | None,
        typer.Argument(metavar="ADDRESS", help="Erase all requests about this contact."),
    ] = None,
    *,
    dead: Annotated[bool, typer.Option("--dead", help="All that can't succeed.")] = False,
    uncertain: Annotated[
        bool, typer.Option("--uncertain", help="With --dead: also all that may have been applied.")
    ] = False,
) -> int:
    """Throw away what is about a contact, or what was put aside."""
    if (address is None) is not dead or (uncertain and not dead):
        raise typer.BadParameter("purge takes either an ADDRESS or --dead")
    with _opened(file) as outbox:
        count = outbox.discard(uncertain=uncertain) if address is None else outbox.purge(address)
    say(f"{count} thrown away.")
    return DONE
