"""What the tests of the recipes have in common: programs to watch, and a server for them."""

import contextlib
import importlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sendx_async.testing import FakeSendX

EXAMPLES = Path(__file__).parents[2] / "examples"
LIMIT = 120.0

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


class Program:
    """A program in a process group of its own, whose output, errors included, can be awaited."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8",
            env={
                **os.environ, "PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": "1",
                "PYTHONFAULTHANDLER": "1",
            },
            start_new_session=True,
        )  # fmt: skip
        self._output = ""
        self._is_over = False
        self._grown = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def output(self) -> str:
        with self._grown:
            return self._output

    def says(self, pattern: str, *, times: int = 1) -> list[str]:
        """Wait until the output has so many matches, and give what they hold."""
        with self._grown:
            self._grown.wait_for(
                lambda: len(re.findall(pattern, self._output)) >= times or self._is_over,
                timeout=LIMIT,
            )
            found: list[str] = re.findall(pattern, self._output)
            assert len(found) >= times, f"no {pattern!r} in: {self._output}"
            return found

    def ends(self, status: int = 0) -> str:
        """Wait until it has ended, give all its output."""
        try:
            self.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self._signal_all("SIGABRT")  # which has each process say where its threads are
            self._reader.join(LIMIT)
            pytest.fail(f"it didn't end: {self.output}")
        self._reader.join(LIMIT)
        assert self.process.returncode == status, self.output
        return self.output

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask it, and not its children, to end."""
        self.process.send_signal(number)

    def close(self) -> None:
        """End what is left of it: a worker may have outlived its parent."""
        self._signal_all("SIGKILL")
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _signal_all(self, name: str) -> None:
        """Signal the whole process group, or end the process on a system without groups."""
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.Signals[name])
        else:
            self.process.kill()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._grown:
                self._output += line
                self._grown.notify_all()
        with self._grown:
            self._is_over = True
            self._grown.notify_all()


Start = Callable[..., Program]
Load = Callable[[str], Any]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start Python with the arguments given, in a directory of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))  # some programs leave files there
    programs: list[Program] = []

    def start(*arguments: str) -> Program:
        programs.append(Program(*arguments))
        return programs[-1]

    yield start
    for program in programs:
        program.close()


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Import an example, as if for the first time."""
    monkeypatch.syspath_prepend(EXAMPLES)
    names: list[str] = []

    def load(name: str) -> Any:
        names.append(name)
        return importlib.import_module(name)

    yield load
    for name in names:
        del sys.modules[name]


@pytest.fixture
def settings(fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch) -> FakeSendX:
    """A server that clients find in the environment."""
    monkeypatch.setenv("SENDX_BASE_URL", fake_sendx.url)
    monkeypatch.setenv("SENDX_API_KEY", fake_sendx.api_key)
    return fake_sendx
