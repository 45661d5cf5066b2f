"""Ctrl-C at any moment: one short line, and status 130."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from sendx_async import AsyncTrackingClient
from sendx_async._cli import main
from sendx_async.testing import FakeSendX

from .processes import UNDISTURBED, Said, end_of, started

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows can't send a SIGINT"),
]
Run = Callable[..., Said]
JANE = "jane@example.com"


@pytest.mark.usefixtures("settings", "children_unmeasured")
@pytest.mark.parametrize(
    "command, line",
    [
        (["identify", JANE], "Interrupted. SendX may have applied the request.\n"),
        (["event", JANE, "x", "--json"], "Interrupted. SendX may have applied the request.\n"),
        (["check"], "Interrupted.\n"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_ctrl_c_during_a_call_is_one_line(
    fake_sendx: FakeSendX, command: list[str], line: str
) -> None:
    fake_sendx.black_hole(times=None)
    limits = ("--timeout", "40", "--deadline", "40")
    with started(*command, *limits) as process:
        fake_sendx.wait_for(lambda: fake_sendx.requests, 30)
        process.send_signal(signal.SIGINT)
        assert end_of(process) == Said(130, "", line)


def test_a_ctrl_c_just_before_the_loop_falls_asleep_is_noticed(
    settings: None, fake_sendx: FakeSendX
) -> None:
    fake_sendx.black_hole(times=None)
    read, write = os.pipe()
    call = ("identify", JANE, "--timeout", "1000", "--deadline", "1000")
    with started(*call, command=[*UNDISTURBED, str(read)], pass_fds=[read]) as process:
        fake_sendx.wait_for(lambda: fake_sendx.requests, 30)
        os.write(write, b"!")
        assert end_of(process) == Said(
            130, "", "Interrupted. SendX may have applied the request.\n"
        )
    os.close(read)
    os.close(write)


@pytest.mark.parametrize(
    "module",
    [
        "sendx_async._cli._output",
        "typer",
        "sendx_async._clients.async_client",
        "httpx",
        "sendx_async._core.models",
    ],
)
def test_ctrl_c_while_a_module_is_imported_is_one_line(module: str, settings: None) -> None:
    script = (
        "import builtins, os, signal, sys\n"
        "real = builtins.__import__\n"
        "def interrupted(name, *rest, **named):\n"
        f"    if name == {module!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "    return real(name, *rest, **named)\n"
        "builtins.__import__ = interrupted\n"
        "from sendx_async._cli import main\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.exit(main(['identify', 'jane@example.com']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=150, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Interrupted.\n")


def test_ctrl_c_before_a_call_is_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sendx_async._cli._calls.make_client", interrupt)
    assert main(["identify", JANE]) == 130
    assert capsys.readouterr().err == "Interrupted.\n"


def test_ctrl_c_during_a_call_says_that_it_may_have_been_applied(
    run: Run, monkeypatch: pytest.MonkeyPatch, fake_sendx: FakeSendX
) -> None:
    async def interrupt(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)
        await asyncio.Event().wait()

    monkeypatch.setattr(
        AsyncTrackingClient,
        "identify_contact_with_http_info",
        interrupt,
    )
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        said = run("identify", JANE)
    finally:
        signal.signal(signal.SIGINT, before)
    assert said == Said(130, "", "Interrupted. SendX may have applied the request.\n")
