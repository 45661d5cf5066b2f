"""The rows of one file on their way to SendX: client, signals, bar, and what came of it."""

import contextlib
import signal
from typing import TYPE_CHECKING

from sendx_async._cli._exit_codes import run_in_loop
from sendx_async._cli._options import make_client
from sendx_async._cli.importing.checking.rows import OtherFileError
from sendx_async._cli.importing.options import EarlyEnd, ImportOptions
from sendx_async._cli.importing.reading.opening import Source
from sendx_async._cli.importing.reporting.bar import progress_bar
from sendx_async._cli.importing.reporting.summary import ImportReport
from sendx_async._cli.importing.sending.import_log import ImportLog
from sendx_async._cli.importing.sending.opening import Rows, opened
from sendx_async._core.errors import SendXError
from sendx_async._runtime.real_time import monotonic

if TYPE_CHECKING:
    from sendx_async._cli.importing.reporting.progress_bar import ProgressBar
    from sendx_async._cli.importing.sending.sender import Sender
    from sendx_async._clients.async_client import AsyncTrackingClient


def deliver(options: ImportOptions, source: Source) -> ImportReport:
    """Send the rows of an opened file, and tell what came of it.

    Args:
        options: What was asked for.
        source: The file.

    Raises:
        ConfigurationError: It can't be begun, or gone on with.
        OSError: A file can't be read or written.
    """
    with contextlib.ExitStack() as later:
        rows, log = later.enter_context(opened(options, source))
        before, began = log.finished, monotonic()
        # The key is asked for when the file is found to be in order.
        client = make_client(base_url=options.base_url, rate=options.rate)
        bar = later.enter_context(progress_bar(options, source, "delivered", before=before))
        sender, error = run_in_loop(lambda: _send(options, client, rows, log, bar))
        if isinstance(error, OtherFileError):
            raise error  # nothing was done that there is to report
        return ImportReport(
            good=log.delivered,
            rejected=log.rejected,
            rejects=log.rejects,
            skipped=log.skipped,
            skips=log.skips,
            log=None if options.log is None else str(options.log),
            rows=log.finished - before,
            people=log.people_now,
            sent=log.given_now,
            seconds=monotonic() - began,
            stopped_at=None if log.is_complete else log.stopped_at,
            stopped_by=_what_stopped(sender, error),
            can_resume=not log.is_complete and log.is_kept,
        )


def _what_stopped(
    sender: "Sender", error: Exception | None
) -> signal.Signals | Exception | EarlyEnd | None:
    if sender.stopped_by is not None:
        return signal.Signals(sender.stopped_by)
    return sender.ended_early if error is None else error


async def _send(
    options: ImportOptions,
    client: "AsyncTrackingClient",
    rows: Rows,
    log: ImportLog,
    bar: "ProgressBar | None",
) -> tuple["Sender", Exception | None]:
    from sendx_async._cli.importing.sending.sender import Sender  # noqa: PLC0415 - --dry-run does without

    def show(sender: "Sender") -> None:
        if bar is not None:
            bar.show(
                position=sender.position,
                good=log.delivered,
                rejected=log.rejected,
                skipped=sum(log.skipped.values()),
            )
            if sender.stopped_by is not None:
                bar.say("Stopping: Ctrl-C again to stop at once")
            elif sender.waits_for is not None:
                bar.say(f"Waiting for SendX ({sender.waits_for})")
            else:
                bar.say(None)

    async with client:
        sender = Sender(
            client,
            rows,
            log,
            concurrency=options.concurrency,
            patience=options.patience,
            most_rejects=options.most_rejects,
            on_progress=show,
        )
        try:
            await sender.run()
        except (SendXError, OSError) as error:
            return sender, error
    return sender, None
