"""The processes of a run, each started again when it was killed, for as long as that is wanted."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from pathlib import Path
from typing import Any

BACKENDS = ("asyncio", "trio")
_FAULTS = Path(__file__).parent.parent


class Child:
    """A process, and those that come after it.

    Args:
        number: Its number among its kind.
        module: What it runs.
        make_job: Gives what the next process is told; called when the one before is gone.
        heard: Called with each line that it writes.
        started: Called each time that it was started.

    Attributes:
        was_killed: Whether the process that runs now, or ran last, was killed.
        is_wanted: Whether it is started again.
        did_something: Whether the process that runs now has done anything yet.
    """

    def __init__(
        self,
        number: int,
        module: str,
        make_job: Callable[["Child"], dict[str, Any]],
        heard: Callable[["Child", str], object],
        started: Callable[[], object],
    ) -> None:
        self.number = number
        self._module = module
        self._make_job = make_job
        self._heard = heard
        self._started = started
        self._generation = -1
        self._process: Process | None = None
        self._was_stopped = False
        self.was_killed = False
        self.is_wanted = True
        self.did_something = False

    @property
    def name(self) -> str:
        """The name of the process that runs now, or ran last."""
        return f"{self._module[0]}{self.number}.{self._generation}"

    @property
    def backend(self) -> str:
        """The event loop of the process that runs now: each kind in turn."""
        return BACKENDS[(self.number + self._generation) % len(BACKENDS)]

    @property
    def is_running(self) -> bool:
        """Whether it runs, and was neither killed nor asked to end."""
        return self._process is not None and not self.was_killed and not self._was_stopped

    def kill(self) -> None:
        """Kill it, and whatever it has forked, this instant."""
        self.was_killed = True
        self._signal()

    def stop(self) -> None:
        """Ask it to end."""
        self._was_stopped = True
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    def allow(self, puts: int) -> None:
        """Let it put so many requests more."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(b"." * puts)

    async def run(self) -> None:
        """Start it again and again; fail if it ends by itself."""
        while self.is_wanted:
            self._generation += 1
            job = {**self._make_job(self), "name": self.name, "backend": self.backend}
            self.was_killed = self._was_stopped = self.did_something = False
            command = (sys.executable, "-m", f"crashes.{self._module}", json.dumps(job))
            self._process = process = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, env=_environment(), start_new_session=True
            )
            try:
                await self._listen(process)
                status = await process.wait()
            finally:
                self._signal()
                self._process = None
                await process.wait()
            if status and not self.was_killed:
                raise AssertionError(f"{self.name} ended with status {status}")

    async def _listen(self, process: Process) -> None:
        assert process.stdout is not None
        if not self.is_wanted:
            self.stop()
        self._started()
        # The end comes when all are gone that it has forked, and have said what they had to say.
        async for line in process.stdout:
            self.did_something = True
            self._heard(self, line.decode().strip())

    def _signal(self) -> None:
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _environment() -> dict[str, str]:
    found = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, (found, str(_FAULTS)))),
        "PYTHONWARNINGS": "error",
    }
