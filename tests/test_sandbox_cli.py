"""The command line: ``python -m sendx_async`` and its command ``sandbox``, as real processes."""

import contextlib
import importlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from sendx_async._cli import main
from sendx_async._version import __version__

COMMAND = [sys.executable, "-m", "sendx_async"]


class Sandbox:
    """A running sandbox: its output is read line by line, each with pytest's own time limit."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        self.process = process
        self.stdout = process.stdout
        self.start_text = ""
        while "Ctrl-C stops" not in self.start_text:
            line = self.stdout.readline()
            assert line, f"the sandbox ended early: {self.start_text}"
            self.start_text += line
        assert self.stdout.readline() == "\n"

    def value(self, label: str) -> str:
        (line,) = (line for line in self.start_text.splitlines() if line.strip().startswith(label))
        return line.strip().removeprefix(label).strip()

    def interrupt(self) -> tuple[int, str]:
        os.kill(self.process.pid, signal.SIGINT)
        rest, _ = self.process.communicate(timeout=30)
        return self.process.returncode, rest


@contextlib.contextmanager
def sandbox(*arguments: str) -> Iterator[Sandbox]:
    with subprocess.Popen(
        [*COMMAND, "sandbox", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A test runner in the background may have SIGINT ignored, which children inherit.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads
    ) as process:
        try:
            yield Sandbox(process)
        finally:
            process.kill()


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=50
    )


def test_without_a_command_it_shows_help() -> None:
    done = run()
    assert done.returncode == 0
    assert "usage: sendx" in done.stdout
    assert "sandbox" in done.stdout


def test_an_unknown_command_is_wrong_usage() -> None:
    done = run("sandbx")
    assert done.returncode == 2
    assert "invalid choice: 'sandbx'" in done.stderr


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["--version"])
    assert raised.value.code == 0
    assert capsys.readouterr().out == f"sendx-async {__version__}\n"


def test_the_sandbox_serves_shows_requests_and_ends_with_ctrl_c() -> None:
    with sandbox("--api-key", "k1") as running:
        url = running.value("base URL")
        assert running.value("API key") == "k1"
        assert f"curl -X POST {url}/contact/identify" in running.start_text
        headers = {"X-Team-ApiKey": "k1"}
        with httpx.Client(base_url=url, headers=headers) as client:
            for method, path, body in [
                ("POST", "/contact/identify", {"email": "jane@example.com"}),
                ("POST", "/contact/identify/bulk", [{"email": "a@b.co"}]),
                ("POST", "/contact/identify/bulk", [{"email": "a@b.co"}, {"email": "c@d.co"}]),
                ("POST", "/events/custom", {"identifier": "jane@example.com", "name": "n"}),
                ("POST", "/contact/track", {"email": 5}),
                ("POST", "/contact/track", {"email": "x@y\n200 ok"}),
                ("GET", "/contact/track", None),
            ]:
                client.request(method, path, json=body)
            client.post("/contact/track", content=b"{")
        shown = [running.stdout.readline().strip() for _ in range(8)]
        assert shown == [
            "POST /api/v1/rest/contact/identify 200 j***@example.com",
            "POST /api/v1/rest/contact/identify/bulk 200 1 contact",
            "POST /api/v1/rest/contact/identify/bulk 200 2 contacts",
            "POST /api/v1/rest/events/custom 200 j***@example.com",
            "POST /api/v1/rest/contact/track 422",
            "POST /api/v1/rest/contact/track 422 x***@y?200 ok",
            "GET /api/v1/rest/contact/track 405",
            "POST /api/v1/rest/contact/track 400",
        ]
        assert running.interrupt() == (0, "\nThe sandbox has stopped.\n")


def test_the_sandbox_stops_while_a_client_is_connected() -> None:
    with sandbox() as running:
        url = httpx.URL(running.value("base URL"))
        assert url.port is not None
        with socket.create_connection((url.host, url.port), timeout=5) as client:
            client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n{")
            status, rest = running.interrupt()
    assert status == 0
    assert "Traceback" not in rest


def test_a_port_that_is_taken_is_one_line_of_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("sandbox", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert done.stderr.startswith("The sandbox can't listen on 127.0.0.1:")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("port", ["70000", "-1", "x"])
def test_a_port_that_does_not_exist_is_wrong_usage(
    port: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["sandbox", f"--port={port}"])
    assert raised.value.code == 2
    assert f"--port: '{port}' is no port; give a number up to 65535" in capsys.readouterr().err


def test_importing_the_main_module_runs_nothing() -> None:
    assert importlib.import_module("sendx_async.__main__").main is main


def test_without_uvicorn_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "sendx_async.testing._serve", raising=False)
    monkeypatch.delattr("sendx_async.testing._serve", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn.config", None)
    assert main(["sandbox", "--port", "0"]) == 2
    error = capsys.readouterr().err
    assert "pip install 'sendx-async[sandbox]'" in error
    assert error.count("\n") == 1
