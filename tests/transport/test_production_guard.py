"""Test runs don't reach SendX's own server; a proxy of the environment shows what would."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import respx

from sendx_async import (
    AsyncTrackingClient,
    ConfigurationError,
    ConnectError,
    RetryPolicy,
    TrackingClient,
)
from sendx_async.outbox import Outbox

JANE = {"email": "jane@example.com"}
PRODUCTION = "https://api.sendx.io/api/v1/rest"
REFUSED = "this is a test run, so nothing was sent .* fake_sendx .* SENDX_ALLOW_PRODUCTION=1"
NO_RETRY = RetryPolicy(max_retries=0)

ServeRaw = Callable[..., int]


@pytest.fixture
def asked(serve_raw: ServeRaw, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The hosts that a proxy of the environment was asked for; it leads to none of them."""
    asked: list[bytes] = []

    def refuse(_bodies: Iterator[bytes], client: socket.socket) -> None:
        head = bytearray()
        while not head.endswith(b"\r\n\r\n") and (byte := client.recv(1)):
            head += byte
        asked.append(bytes(head).split(b"\r\n")[0])
        client.sendall(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")

    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{serve_raw(refuse)}")
    return asked


def call(**options: Any) -> None:
    with TrackingClient("team-key", retry=NO_RETRY, **options) as client:
        client.identify_contact(JANE)


def call_in(backend: str, **options: Any) -> None:
    async def identify() -> None:
        async with AsyncTrackingClient("team-key", retry=NO_RETRY, **options) as client:
            await client.identify_contact(JANE)

    anyio.run(identify, backend=backend)


@pytest.mark.parametrize(
    "base_url",
    [None, PRODUCTION, "https://API.SendX.io./api/v1/rest", "https://api.sendx.io:444/elsewhere"],
)
def test_a_test_run_doesnt_reach_production(base_url: str | None, asked: list[bytes]) -> None:
    with pytest.raises(ConfigurationError, match=REFUSED) as caught:
        call(base_url=base_url)
    assert not caught.value.maybe_delivered
    assert caught.value.attempts == 1
    assert asked == []


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_nor_does_it_without_a_proxy(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_look_up(*_args: object, **_options: object) -> None:
        raise AssertionError("it wants to know where production is")

    monkeypatch.setattr(socket, "getaddrinfo", no_look_up)
    with pytest.raises(ConfigurationError, match=REFUSED):
        call_in(backend)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("options", [{}, {"trust_env": False}], ids=["proxy", "direct"])
def test_nor_does_a_borrowed_client(
    options: dict[str, Any], backend: str, asked: list[bytes]
) -> None:
    async def identify() -> None:
        async with (
            httpx.AsyncClient(**options) as http_client,
            AsyncTrackingClient("team-key", http_client=http_client, retry=NO_RETRY) as client,
        ):
            await client.track_custom_event({"identifier": "jane@example.com", "name": "seen"})

    with pytest.raises(ConfigurationError, match=REFUSED) as caught:
        anyio.run(identify, backend=backend)
    assert not caught.value.maybe_delivered
    assert asked == []


def test_a_mock_answers_at_productions_address(asked: list[bytes]) -> None:
    with respx.mock() as router:
        router.post(PRODUCTION + "/contact/identify").respond(json={"status": "200"})
        call()
    assert asked == []


@pytest.mark.asyncio
async def test_a_stream_ends_at_once_and_tells_what_wasnt_sent(asked: list[bytes]) -> None:
    read: list[int] = []

    def contacts() -> Iterator[dict[str, object]]:
        for number in range(100):
            read.append(number)
            yield {"email": f"{number}@example.com"}

    async with AsyncTrackingClient("team-key") as client:
        stream = client.send_many(contacts())
        with pytest.raises(ConfigurationError, match=REFUSED):
            async with stream as outcomes:
                await anext(outcomes)
    assert len(stream.unsent) == len(read) > 0
    assert asked == []


def test_an_outbox_keeps_everything_and_says_why(tmp_path: Path, asked: list[bytes]) -> None:
    async def drain() -> None:
        async with AsyncTrackingClient("team-key") as client:
            await outbox.drain(client)

    with Outbox(tmp_path / "outbox.db") as outbox:
        outbox.put_sync(JANE)
        outbox.put_sync({"identifier": "jane@example.com", "amount": 20})
        with pytest.raises(ConfigurationError, match=REFUSED):
            anyio.run(drain)
        stats = outbox.stats()
    assert (stats.pending, stats.dead, stats.uncertain) == (2, 0, 0)
    assert "this is a test run" in str(stats.trouble)
    assert asked == []


class TestVariable:
    def test_1_allows_it(self, asked: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SENDX_ALLOW_PRODUCTION", "1")
        with pytest.raises(ConnectError):
            call()
        assert asked == [b"CONNECT api.sendx.io:443 HTTP/1.1"]

    def test_1_allows_it_to_a_borrowed_client(
        self, asked: list[bytes], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def identify() -> None:
            async with (
                httpx.AsyncClient() as http_client,
                AsyncTrackingClient("team-key", http_client=http_client, retry=NO_RETRY) as client,
            ):
                await client.identify_contact(JANE)

        monkeypatch.setenv("SENDX_ALLOW_PRODUCTION", "1")
        with pytest.raises(ConnectError):
            anyio.run(identify)
        assert asked == [b"CONNECT api.sendx.io:443 HTTP/1.1"]

    def test_any_other_value_is_an_error(
        self, asked: list[bytes], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SENDX_ALLOW_PRODUCTION", "yes")
        with pytest.raises(ConfigurationError, match="SENDX_ALLOW_PRODUCTION must be 0 or 1"):
            call()
        assert asked == []


def test_staging_is_nobodys_production(asked: list[bytes]) -> None:
    with pytest.raises(ConnectError):
        call(base_url="https://stag1.sendx.io/api/v1/rest")
    assert asked == [b"CONNECT stag1.sendx.io:443 HTTP/1.1"]


PROGRAM = """
import sendx_async

def call():
    once = sendx_async.RetryPolicy(max_retries=0)
    try:
        with sendx_async.TrackingClient("team-key", retry=once) as client:
            client.identify_contact({"email": "jane@example.com"})
    except sendx_async.SendXError as error:
        print(type(error).__name__, str(error).partition(":")[0])
"""
UNITTEST = """
import unittest

class Test(unittest.TestCase):
    def test(self):
        call()

if __name__ == "__main__":
    unittest.main()
"""
DJANGO = """
import django
from django.conf import settings
from django.test.runner import DiscoverRunner

settings.configure()
django.setup()
call()
runner = DiscoverRunner(verbosity=0)
runner.setup_test_environment()
call()
runner.teardown_test_environment()
call()
"""


@pytest.mark.slow
class TestProcesses:
    """What a process of its own takes for a test run."""

    def said(
        self, directory: Path, code: str, *options: str, under_pytest: bool = False, **more: str
    ) -> list[str]:
        (directory / "program.py").write_text(PROGRAM + code)
        inherited = {
            name: value
            for name, value in os.environ.items()
            if under_pytest or not name.startswith("PYTEST_")
        }
        # unittest has to find the program in its directory.
        environment = {**inherited, "PYTHONPATH": str(directory), **more}
        done = subprocess.run(
            [sys.executable, *(options or ("program.py",))],
            cwd=directory,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=150,
        )
        return done.stdout.splitlines()

    def test_a_child_of_a_test_is_one(self, tmp_path: Path, asked: list[bytes]) -> None:
        [said] = self.said(tmp_path, "call()", under_pytest=True)
        assert said.startswith("ConfigurationError this is a test run")
        assert asked == []

    def test_any_other_program_is_none(self, tmp_path: Path, asked: list[bytes]) -> None:
        [said] = self.said(tmp_path, "call()")
        assert said.startswith("ConnectError")
        assert asked == [b"CONNECT api.sendx.io:443 HTTP/1.1"]

    def test_0_refuses_it_to_any_program(self, tmp_path: Path, asked: list[bytes]) -> None:
        [said] = self.said(tmp_path, "call()", SENDX_ALLOW_PRODUCTION="0")
        assert said.startswith("ConfigurationError SENDX_ALLOW_PRODUCTION is 0")
        assert asked == []

    @pytest.mark.parametrize("options", [("-m", "unittest", "program.py"), ("program.py",)])
    def test_unittest_runs_tests(
        self, options: tuple[str, ...], tmp_path: Path, asked: list[bytes]
    ) -> None:
        [said] = self.said(tmp_path, UNITTEST, *options)
        assert said.startswith("ConfigurationError this is a test run")
        assert asked == []

    def test_django_runs_tests_between_setup_and_teardown(
        self, tmp_path: Path, asked: list[bytes]
    ) -> None:
        before, during, after = self.said(tmp_path, DJANGO)
        assert during.startswith("ConfigurationError this is a test run")
        assert before.startswith("ConnectError")
        assert after.startswith("ConnectError")
        assert len(asked) == 2

    def test_the_command_says_it_in_one_line(self, tmp_path: Path, asked: list[bytes]) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "sendx_async", "identify", "jane@example.com"],
            env={**os.environ, "SENDX_API_KEY": "team-key"},
            capture_output=True,
            text=True,
            check=False,
            timeout=150,
        )
        assert done.returncode == 2
        [line] = done.stderr.splitlines()
        assert "this is a test run" in line
        assert asked == []
