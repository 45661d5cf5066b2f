"""The command ``outbox drain``: sends what an outbox holds, until told to stop."""

import asyncio
import json as json_
import signal
from typing import TYPE_CHECKING, Annotated

import typer

from sendx_async._cli._exit_codes import DONE, INTERRUPTED, TERMINATED
from sendx_async._cli._options import BaseUrl, Timeout, make_client
from sendx_async._cli._output import say, tell
from sendx_async._cli._report import errors_as_json
from sendx_async._cli._signals import call_when_told_to_stop

if TYPE_CHECKING:
    from sendx_async._clients.async_client import AsyncTrackingClient
    from sendx_async.outbox import Outbox, OutboxStats

_CUT_SHORT = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}


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
            if outbox.stats().is_draining:
                tell(f"Another process drains {file}: this one waits for its turn.")
            _log_to_stderr()
            if until_empty:
                stopped_by = asyncio.run(_drain_until_empty(outbox, client, concurrency))
            else:
                asyncio.run(_drain_until_stopped(outbox, client, concurrency))
                stopped_by = None  # being stopped is how it ends
            stats = outbox.stats()
        finally:
            outbox.close()
    say(_as_json(stats) if json else _in_words(stats))
    return DONE if stopped_by is None else _CUT_SHORT[stopped_by]


def _as_json(stats: "OutboxStats") -> str:
    import attrs  # noqa: PLC0415 - --help does without it

    return json_.dumps(attrs.asdict(stats))


def _in_words(stats: "OutboxStats") -> str:
    return f"Stopped. {stats.pending} wait, {stats.dead} are dead, {stats.uncertain} uncertain."


def _log_to_stderr() -> None:
    import logging  # noqa: PLC0415 - --help does without it

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("sendx_async").setLevel(logging.INFO)


async def _drain_until_stopped(
    outbox: "Outbox", client: "AsyncTrackingClient", concurrency: int
) -> None:
    stopped = asyncio.Event()
    call_when_told_to_stop(lambda _: stopped.set())
    async with client, outbox.draining(client, concurrency=concurrency):
        await stopped.wait()


async def _drain_until_empty(
    outbox: "Outbox", client: "AsyncTrackingClient", concurrency: int
) -> signal.Signals | None:
    """Return the first signal that ended it early, or None."""
    signals: list[int] = []
    async with client:
        task = asyncio.create_task(outbox.drain(client, concurrency=concurrency))

        def stop(number: int) -> None:
            signals.append(number)
            task.cancel()

        call_when_told_to_stop(stop)
        await asyncio.wait([task])
        if task.cancelled():
            return signal.Signals(signals[0])
        task.result()
        return None
