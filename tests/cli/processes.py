"""The command line in processes of its own, for signals, terminals and closed streams."""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from typing import Any

import attrs

COMMAND = [sys.executable, "-W", "error", "-m", "sendx_async"]
LIMIT = 120.0

# The command, where a thread takes the Ctrl-C that a byte in the pipe asks for: nothing that the
# main thread waits in is disturbed then, as if the signal had come just before it began to wait.
UNDISTURBED = [
    sys.executable, "-W", "error", "-c", """
import os, signal, sys, threading
from sendx_async._cli import main

def interrupt(pipe):
    os.read(pipe, 1)
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)

threading.Thread(target=interrupt, args=[int(sys.argv.pop(1))], daemon=True).start()
sys.exit(main())
""",
]  # fmt: skip

# Runs commands in a process each, forked from a Python that has imported them: that is most of what
# they take. They have the streams that this Python was started with, and end as any process does.
# As with a shell, Ctrl-C at a terminal ends the command only.
ONE_AFTER_ANOTHER = [
    sys.executable, "-W", "error", "-c", """
import gc, os, signal, sys
import anyio._backends._asyncio, httpx, sendx_async._cli._app, sendx_async._clients.sync_client
from sendx_async._cli import main

gc.freeze()  # or each child would look through all of it
signal.signal(signal.SIGINT, signal.SIG_IGN)
for command in sys.argv[2:]:
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.exit(main(command.split()))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.write(int(sys.argv[1]), f"{status} ".encode())
""",
]  # fmt: skip


@attrs.frozen
class Said:
    """How a command ended, and what it wrote."""

    status: int
    out: str
    err: str


def run_command(*arguments: str, **options: Any) -> Said:
    """Run a command without a terminal, with the streams given or else with pipes."""
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    done = subprocess.run(
        [*COMMAND, *arguments], text=True, check=False, timeout=LIMIT, start_new_session=True,
        **(streams | options),
    )  # fmt: skip
    return Said(done.returncode, done.stdout or "", done.stderr or "")


@contextlib.contextmanager
def started(
    *arguments: str, command: Sequence[str] = COMMAND, **options: Any
) -> Generator["subprocess.Popen[str]"]:
    """Start a command that Ctrl-C can reach, and end it in any case."""
    # The environment as it is now: whatever runs between the fork and the command, as the tool that
    # measures coverage does, may change its own.
    usual: dict[str, Any] = {
        "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
        "env": {**os.environ},
    }  # fmt: skip
    with subprocess.Popen(
        [*command, *arguments], text=True, start_new_session=True,
        # A test runner in the background may have SIGINT ignored, which children inherit.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads
        **(usual | options),
    ) as process:  # fmt: skip
        killer = threading.Timer(LIMIT, process.kill)
        killer.start()
        try:
            yield process
        finally:
            process.kill()
            killer.cancel()
            killer.join()


def end_of(process: "subprocess.Popen[str]") -> Said:
    """Wait for its end."""
    out, err = process.communicate(timeout=LIMIT)
    return Said(process.returncode, out or "", err or "")


def run_in_shell(script: str) -> Said:
    """Run a line of shell in which ``sendx`` is the command."""
    words = " ".join(f"'{word}'" for word in COMMAND)
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f'sendx() {{ {words} "$@"; }}; {script}'],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=LIMIT,
        start_new_session=True, env={**os.environ, "COLUMNS": "80"},
    )  # fmt: skip
    return Said(done.returncode, done.stdout, done.stderr)


def run_one_after_another(
    *commands: str, redirected: str = "", **options: Any
) -> tuple[list[int], str, str]:
    """Run commands with the same streams, and return their statuses and what all of them wrote."""
    read, write = os.pipe()
    words = shlex.join([*ONE_AFTER_ANOTHER, str(write), *commands])
    usual: dict[str, Any] = {
        "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
    }  # fmt: skip
    with os.fdopen(read, encoding="ascii") as statuses:
        try:
            done = subprocess.run(
                ["bash", "-c", f"exec {words} {redirected}"], text=True, check=False, timeout=LIMIT,
                start_new_session=True, pass_fds=[write], **(usual | options),
            )  # fmt: skip
        finally:
            os.close(write)
        return [int(word) for word in statuses.read().split()], done.stdout or "", done.stderr or ""
