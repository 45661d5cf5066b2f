"""Where the API key comes from, and that it shows up nowhere."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

if sys.platform == "win32":
    pytest.skip("Windows has no such terminals", allow_module_level=True)

import pty
import termios

from sendx_async.testing import FakeSendX

from .processes import COMMAND, LIMIT, Said, run_one_after_another, started

pytestmark = pytest.mark.slow

Run = Callable[..., Said]
JANE = "jane@example.com"
# The new session has no terminal; the first one that is opened in it becomes its own.
IN_ITS_OWN_TERMINAL = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)  # a test runner in the background has it ignored
os.setsid()
os.close(os.open(sys.argv[1], os.O_RDWR))
os.execv(sys.argv[2], sys.argv[2:])
"""
COMMANDS = [
    [],
    ["identify"],
    ["track"],
    ["event"],
    ["revenue"],
    ["check"],
    ["import"],
    ["outbox"],
    *[["outbox", name] for name in ("drain", "status", "dead", "retry", "purge")],
]


@attrs.frozen
class Person:
    """Somebody at a terminal, in which a command runs."""

    process: "subprocess.Popen[bytes]"
    terminal: int

    def read_until(self, text: str) -> str:
        seen = ""
        while text not in seen:
            seen += self._read()
        return seen

    def read_to_the_end(self) -> str:
        seen = ""
        try:
            while True:
                seen += self._read()
        except OSError:  # how Linux tells that nobody writes to the terminal any more
            return seen

    def _read(self) -> str:
        got = os.read(self.terminal, 1000).decode()
        if not got:
            raise OSError
        return got

    def type(self, keys: str) -> None:
        os.write(self.terminal, keys.encode())

    def shows_what_is_typed(self) -> bool:
        return bool(termios.tcgetattr(self.terminal)[3] & termios.ECHO)


@pytest.fixture
def sit_down(fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Start a command in a terminal of its own."""
    monkeypatch.setenv("SENDX_BASE_URL", fake_sendx.url)
    people: list[Person] = []
    killers: list[threading.Timer] = []

    def sit_down(*arguments: str, stdin: int | None = None, stderr: int | None = None) -> Person:
        ours, theirs = pty.openpty()
        # Else Linux, having sent Ctrl-C's signal, throws away what was written since.
        settings = termios.tcgetattr(theirs)
        settings[3] |= termios.NOFLSH
        termios.tcsetattr(theirs, termios.TCSANOW, settings)
        process = subprocess.Popen(
            [
                sys.executable, "-c",
                IN_ITS_OWN_TERMINAL, os.ttyname(theirs), *COMMAND, *arguments,
            ],
            stdin=theirs if stdin is None else stdin,
            stdout=theirs,
            stderr=theirs if stderr is None else stderr,
        )  # fmt: skip
        os.close(theirs)
        killers.append(threading.Timer(LIMIT, process.kill))
        killers[-1].start()
        people.append(Person(process, ours))
        return people[-1]

    yield sit_down
    for person, killer in zip(people, killers, strict=True):
        person.process.kill()
        person.process.wait()
        os.close(person.terminal)
        killer.cancel()
        killer.join()


def test_the_key_is_asked_for_and_not_shown(sit_down: Any, fake_sendx: FakeSendX) -> None:
    person = sit_down("identify", JANE)
    person.read_until("SendX Team API key (hidden): ")
    assert not person.shows_what_is_typed()
    person.type(f" {fake_sendx.api_key} \n")
    seen = person.read_to_the_end()
    assert "Identified j***@example.com" in seen
    assert fake_sendx.api_key not in seen
    assert person.process.wait() == 0


def test_the_key_is_asked_for_while_data_comes_from_standard_input(
    sit_down: Any, fake_sendx: FakeSendX, tmp_path: Path
) -> None:
    (tmp_path / "data").write_text("not-the-key\n" * 3)
    with (tmp_path / "data").open() as data:
        person = sit_down("identify", JANE, stdin=data.fileno())
        person.read_until("(hidden): ")
        person.type(f"{fake_sendx.api_key}\n")
        assert "Identified" in person.read_to_the_end()
        assert data.read() == "not-the-key\n" * 3


@pytest.mark.parametrize(
    "keys, text, status",
    [
        ("\x03", "Interrupted.", 130),
        ("\x04", "Error: no API key was typed: set the environment variable SENDX_API_KEY", 2),
        ("\n", "Error: api_key is empty", 2),
        ("wrong-key\n", "Error: SendX answered with HTTP 401", 2),
    ],
)
def test_no_good_key_is_typed(
    sit_down: Any, fake_sendx: FakeSendX, keys: str, text: str, status: int
) -> None:
    person = sit_down("identify", JANE)
    person.read_until("(hidden): ")
    person.type(keys)
    seen = person.read_to_the_end()
    assert text in seen
    assert "Traceback" not in seen
    assert "wrong-key" not in seen
    assert person.process.wait() == status
    assert person.shows_what_is_typed()


def test_nobody_is_asked_for_the_key_who_does_not_see_what_is_said(
    sit_down: Any, tmp_path: Path
) -> None:
    with (tmp_path / "log").open("w") as log:
        person = sit_down("identify", JANE, stderr=log.fileno())
        assert "hidden" not in person.read_to_the_end()
        assert person.process.wait() == 2
    assert "set the environment variable SENDX_API_KEY" in (tmp_path / "log").read_text()


def test_other_settings_are_looked_at_before_the_key_is_asked_for(sit_down: Any) -> None:
    person = sit_down("identify", JANE, "--base-url", "http://example.com")
    seen = person.read_to_the_end()
    assert "Error: base_url must begin with https://" in seen
    assert "hidden" not in seen
    assert person.process.wait() == 2


def test_without_a_terminal_the_variable_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = run_one_after_another(f"identify {JANE}", "check", "outbox drain x.db")
    error = "Error: no API key: set the environment variable SENDX_API_KEY\n"
    assert said == ([2, 2, 2], "", error * 3)
    assert list(tmp_path.iterdir()) == []


def test_a_key_is_not_read_from_data_where_the_terminal_cannot_be_opened(
    fake_sendx: FakeSendX, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENDX_BASE_URL", fake_sendx.url)
    ours, theirs = pty.openpty()
    try:
        # stderr is a terminal, but not this session's own, so there is no /dev/tty.
        with started("identify", JANE, stdin=subprocess.PIPE, stderr=theirs) as process:
            out, _ = process.communicate("data\n", timeout=LIMIT)
        assert (process.returncode, out) == (2, "")
        assert b"no API key: set the environment variable" in os.read(ours, 1000)
        # Nor if there is no standard input at all.
        closed = f"{sys.executable} -m sendx_async identify {JANE} <&-"
        done = subprocess.run(
            ["sh", "-c", closed], stderr=theirs, timeout=LIMIT, check=False, start_new_session=True
        )
        assert done.returncode == 2
        assert b"no API key: set the environment variable" in os.read(ours, 1000)
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_terminal_on_standard_input_will_do(
    fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENDX_BASE_URL", fake_sendx.url)
    ours, theirs = pty.openpty()
    try:
        with started("identify", JANE, stdin=theirs, stderr=theirs) as process:
            seen = b""
            while b"(hidden): " not in seen:
                seen += os.read(ours, 1000)
            os.write(ours, f"{fake_sendx.api_key}\n".encode())
            out, _ = process.communicate(timeout=LIMIT)
        assert process.returncode == 0
        assert out.startswith("Identified j***@example.com")
        assert fake_sendx.api_key.encode() not in seen + os.read(ours, 1000)
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize("key", ["", " ", "wr\nong", "wrong\u20ac", "wrong "])
def test_a_key_that_cannot_be_is_refused_without_showing_it(
    run: Run, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("SENDX_API_KEY", key)
    said = run("identify", JANE)
    assert said.status == 2
    assert said.err.startswith("Error: SENDX_API_KEY ")
    assert "wr" not in said.err


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_option_takes_the_key(run: Run, command: list[str]) -> None:
    said = run(*command, "--help")
    assert said.status == 0
    assert not re.findall(r"-\S*(?:key|token|secret|password)", said.out.lower())


def test_the_list_of_processes_does_not_show_the_key(
    run: Run, fake_sendx: FakeSendX, children_unmeasured: None
) -> None:
    fake_sendx.black_hole(times=None)
    with started("identify", JANE) as process:
        fake_sendx.wait_for(lambda: fake_sendx.requests, 30)
        shown = subprocess.run(
            ["ps", "-o", "args=", "-p", str(process.pid)], capture_output=True, check=True
        ).stdout
        assert b"identify" in shown
        assert fake_sendx.api_key.encode() not in shown
        process.send_signal(signal.SIGINT)
        process.wait()
