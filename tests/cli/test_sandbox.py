"""``sendx sandbox``, as a real process."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from sendx_async._cli import main

from .processes import LIMIT, UNDISTURBED, Said, started

pytestmark = pytest.mark.slow

Run = Callable[..., Said]


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
        return self.stop(signal.SIGINT)

    def stop(self, number: signal.Signals) -> tuple[int, str]:
        os.kill(self.process.pid, number)
        rest, _ = self.process.communicate(timeout=LIMIT)
        return self.process.returncode, rest


@contextlib.contextmanager
def sandbox(*arguments: str, **options: Any) -> Iterator[Sandbox]:
    options = {"stderr": subprocess.STDOUT, **options}
    with started("sandbox", "--port", "0", *arguments, **options) as process:
        yield Sandbox(process)


def test_the_sandbox_serves_shows_requests_and_ends_with_ctrl_c() -> None:
    with sandbox("--api-key", "k1") as running:
        url = running.value("base URL")
        assert running.value("API key") == "k1"
        assert f"curl -X POST {url}/contact/identify" in running.start_text
        headers = {"X-Team-ApiKey": "k1"}
        with httpx.Client(base_url=url, headers=headers, timeout=LIMIT) as client:
            for method, path, body in [
                ("POST", "/contact/identify", {"email": "jane@example.com"}),
                ("POST", "/contact/identify/bulk", [{"email": "a@b.co"}]),
                ("POST", "/contact/identify/bulk", [{"email": "a@b.co"}, {"email": "c@d.co"}]),
                ("POST", "/events/custom", {"identifier": "jane@example.com", "name": "n"}),
                ("POST", "/contact/track", {"email": 5}),
                ("POST", "/contact/track", {"email": "x@y\n200 ok"}),
                ("GET", "/contact/track", None),
                ("GET", "/contact/jane@example.com", None),
            ]:
                client.request(method, path, json=body)
            client.post("/contact/track", content=b"{")
        shown = [running.stdout.readline().strip() for _ in range(9)]
        assert shown == [
            "POST /api/v1/rest/contact/identify 200 j***@example.com",
            "POST /api/v1/rest/contact/identify/bulk 200 1 contact",
            "POST /api/v1/rest/contact/identify/bulk 200 2 contacts",
            "POST /api/v1/rest/events/custom 200 j***@example.com",
            "POST /api/v1/rest/contact/track 422",
            "POST /api/v1/rest/contact/track 422 x***@y?200 ok",
            "GET /api/v1/rest/contact/track 405",
            "GET /api/v1/rest/contact/j***@example.com 200",
            "POST /api/v1/rest/contact/track 400",
        ]
        assert running.interrupt() == (0, "\nThe sandbox has stopped.\n")


def test_the_sandbox_stops_while_a_client_is_connected() -> None:
    with sandbox() as running:
        url = httpx.URL(running.value("base URL"))
        assert url.port is not None
        with socket.create_connection((url.host, url.port), timeout=LIMIT) as client:
            client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n{")
            status, rest = running.interrupt()
    assert status == 0
    assert "Traceback" not in rest


def test_sigterm_stops_the_sandbox() -> None:
    with sandbox() as running:
        assert running.stop(signal.SIGTERM) == (0, "\nThe sandbox has stopped.\n")


def test_a_ctrl_c_just_before_the_sandbox_falls_asleep_stops_it() -> None:
    read, write = os.pipe()
    with sandbox(command=[*UNDISTURBED, str(read)], pass_fds=[read]) as running:
        os.write(write, b"!")
        rest, _ = running.process.communicate(timeout=LIMIT)
        assert (running.process.returncode, rest) == (0, "\nThe sandbox has stopped.\n")
    os.close(read)
    os.close(write)


def test_the_sandbox_serves_on_when_nobody_reads_its_output() -> None:
    with sandbox() as running:
        url = running.value("base URL")
        running.stdout.close()
        with httpx.Client(base_url=url, timeout=LIMIT) as client:
            for _ in range(3):
                assert client.get("/x").status_code == 404
        os.kill(running.process.pid, signal.SIGINT)
        assert running.process.wait(LIMIT) == 0


def test_a_sandbox_on_a_port_that_is_taken_ends_with_one_line_of_error(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = run("sandbox", "--port", str(taken.getsockname()[1]))
    assert (said.status, said.out) == (1, "")
    assert said.err.startswith("Error: the sandbox can't listen on 127.0.0.1:")
    assert said.err.endswith("; --port 0 takes one that is free\n")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("port", ["70000", "-1", "x"])
def test_a_sandbox_on_a_port_that_does_not_exist_is_wrong_usage(run: Run, port: str) -> None:
    said = run("sandbox", f"--port={port}")
    assert said.status == 2
    assert "Invalid value for '--port'" in said.err


def test_a_sandbox_without_uvicorn_names_the_extra(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "sendx_async.testing._uvicorn", raising=False)
    monkeypatch.delattr("sendx_async.testing._uvicorn", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn.config", None)
    said = run("sandbox", "--port", "0")
    assert said.status == 2
    assert "pip install 'sendx-async[sandbox]'" in said.err
    assert said.err.count("\n") == 1


def test_the_sandbox_leaves_sigterm_as_it_was(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # No key has to be there, and SIGTERM does afterwards what it did before.
    monkeypatch.setattr("time.sleep", lambda _: signal.raise_signal(signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    assert main(["sandbox", "--port", "0"]) == 0
    assert signal.getsignal(signal.SIGTERM) == before
    assert capsys.readouterr().out.endswith("The sandbox has stopped.\n")
