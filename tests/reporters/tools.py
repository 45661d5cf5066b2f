"""The tools: what each of them collects of an error by itself, or prints of a value."""

import io
import json
import pprint
import sys
import traceback
from collections.abc import Callable
from typing import Any

import loguru
import rich.console
import rich.pretty
import rich.traceback
import sentry_sdk
import sentry_sdk.transport
import structlog
import typer
from IPython.core import ultratb
from IPython.lib import pretty
from sentry_sdk.envelope import Envelope
from sentry_sdk.integrations.pure_eval import PureEvalIntegration

from .held import shown_in

WIDTH = 1_000  # so that no line is broken

loguru.logger.remove()  # what writes to stderr


def _traceback(error: BaseException) -> str:
    summary = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(summary.format())


def _sentry(error: BaseException, *integrations: Any) -> str:
    sent: list[str] = []

    class Transport(sentry_sdk.transport.Transport):
        def capture_envelope(self, envelope: Envelope) -> None:
            sent.append(envelope.serialize().decode(errors="replace"))

    client = sentry_sdk.Client(
        dsn="http://public@127.0.0.1:9/1",
        transport=Transport,
        include_local_variables=True,
        max_value_length=100_000,
        default_integrations=False,
        integrations=integrations,
        auto_session_tracking=False,
    )
    with sentry_sdk.isolation_scope() as scope:
        scope.set_client(client)
        sentry_sdk.capture_exception(error)
        client.close()
    assert '"vars"' in sent[0]
    return "".join(sent)


def _sentry_with_pure_eval(error: BaseException) -> str:
    return _sentry(error, PureEvalIntegration())


def _structlog(error: BaseException) -> str:
    written = io.StringIO()
    log = structlog.wrap_logger(
        structlog.WriteLogger(written),
        processors=[structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()],
    )
    log.error("failed", exc_info=error)
    (found,) = json.loads(written.getvalue())["exception"][:1]
    assert any(frame["locals"] for frame in found["frames"])
    return written.getvalue()


def _rich(error: BaseException) -> str:
    console = rich.console.Console(file=io.StringIO(), width=WIDTH)
    trace = rich.traceback.Traceback.from_exception(
        type(error), error, error.__traceback__, show_locals=True, locals_max_length=WIDTH,
        locals_max_string=WIDTH, width=WIDTH, code_width=WIDTH, max_frames=0,
    )  # fmt: skip
    console.print(trace)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def _typer(error: BaseException) -> str:
    app = typer.Typer(pretty_exceptions_show_locals=True)

    @app.command()
    def fail() -> None:
        raise error

    hook, trace = sys.excepthook, error.__traceback__
    stderr, sys.stderr = sys.stderr, io.StringIO()
    try:
        try:
            app([], standalone_mode=False)
        except BaseException as raised:  # noqa: BLE001 - as the interpreter does
            sys.excepthook(type(raised), raised, raised.__traceback__)
        written = sys.stderr.getvalue()
    finally:
        sys.excepthook, sys.stderr = hook, stderr
        error.__traceback__ = trace
    assert "locals" in written
    return written


def _loguru(error: BaseException) -> str:
    written = io.StringIO()
    sink = loguru.logger.add(
        lambda line: print(line, file=written), diagnose=True, backtrace=True, colorize=False
    )
    try:
        loguru.logger.opt(exception=error).error("failed")
    finally:
        loguru.logger.remove(sink)
    assert "└" in written.getvalue()
    return written.getvalue()


def _ipython(error: BaseException) -> str:
    text: str = ultratb.VerboseTB(theme_name="nocolor").text(
        type(error), error, error.__traceback__
    )
    return text


# rich reads and colours every file along a traceback, so what uses it takes a second.
QUICK: list[Callable[[BaseException], str]] = [_traceback, _sentry, _structlog, _loguru]
COLLECTORS = [*QUICK, _sentry_with_pure_eval, _rich, _typer, _ipython]


def _rich_print(value: object) -> str:
    console = rich.console.Console(file=io.StringIO(), width=WIDTH)
    console.print(value)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def _structlog_value(value: object) -> str:
    return str(structlog.processors.JSONRenderer()(None, "info", {"value": value}))


PRINTERS: list[Callable[[object], str]] = [
    repr, str, pprint.pformat, rich.pretty.pretty_repr, _rich_print, pretty.pretty,
    _structlog_value,
]  # fmt: skip


def assert_masked(error: BaseException, *, thoroughly: bool = False) -> None:
    """Look through what tools collect of an error that was raised and caught.

    Args:
        error: The error.
        thoroughly: Whether to ask all tools, and not only the quick ones.
    """
    assert error.__traceback__ is not None
    for collect in COLLECTORS if thoroughly else QUICK:
        text = collect(error)
        assert type(error).__name__ in text, collect.__name__
        assert shown_in(text) == [], f"{collect.__name__}: {text}"


def assert_prints_masked(value: object) -> None:
    """Look through what all tools print of a value, and of it inside of others."""
    for show in PRINTERS:
        for each in (value, [value], {"it": (value,)}):
            assert shown_in(show(each)) == [], f"{show.__name__}: {show(each)}"
