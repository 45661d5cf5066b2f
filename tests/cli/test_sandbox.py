"""``sendx sandbox``, as a real process."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import httpx
import pytest

from sendx_async._cli import main

from .processes import COMMAND, Said

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


def test_sigterm_stops_it_too() -> None:
    with sandbox() as running:
        assert running.stop(signal.SIGTERM) == (0, "\nThe sandbox has stopped.\n")


def test_it_serves_on_when_nobody_reads_its_output() -> None:
    with sandbox() as running:
        url = running.value("base URL")
        running.stdout.close()
        with httpx.Client(base_url=url) as client:
            for _ in range(3):
                assert client.get("/x").status_code == 404
        os.kill(running.process.pid, signal.SIGINT)
        assert running.process.wait(30) == 0


def test_a_port_that_is_taken_is_one_line_of_error(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = run("sandbox", "--port", str(taken.getsockname()[1]))
    assert (said.status, said.out) == (1, "")
    assert said.err.startswith("Error: the sandbox can't listen on 127.0.0.1:")
    assert said.err.endswith("; --port 0 takes one that is free\n")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("port", ["70000", "-1", "x"])
def test_a_port_that_does_not_exist_is_wrong_usage(run: Run, port: str) -> None:
    said = run("sandbox", f"--port={port}")
    assert said.status == 2
    assert "Invalid value for '--port'" in said.err


def test_without_uvicorn_the_extra_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "sendx_async.testing._uvicorn", raising=False)
    monkeypatch.delattr("sendx_async.testing._uvicorn", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn.config", None)
    said = run("sandbox", "--port", "0")
    assert said.status == 2
    assert "pip install 'sendx-async[sandbox]'" in said.err
    assert said.err.count("\n") == 1


def test_in_the_same_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # No key has to be there, and SIGTERM does afterwards what it did before.
    monkeypatch.setattr("time.sleep", lambda _: signal.raise_signal(signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    assert main(["sandbox", "--port", "0"]) == 0
    assert signal.getsignal(signal.SIGTERM) == before
    assert capsys.readouterr().out.endswith("The sandbox has stopped.\n")
