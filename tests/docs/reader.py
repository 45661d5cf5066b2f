"""A reader who does what a page says: types its commands, saves its files, runs its code."""

import ast
import asyncio
import contextlib
import doctest
import inspect
import io
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import types
from pathlib import Path
from typing import Any

from sybil.evaluators.python import pad

from sendx_async.testing import FakeSendX

from .exceptions_to_the_rule import LONG_RUNNING, is_not_run
from .pages import Block

LIMIT = 120.0
SANDBOX_PORT = "8025"  # the one in the pages; what is run has a free one
# pytest-asyncio warns of a setting that nobody has made; the plugins are ours and no reader's, and
# take a second to load; and what has been imported already can't be rewritten.
_PYTEST_OPTIONS = (
    "--assert=plain -p no:cacheprovider -o asyncio_default_fixture_loop_scope=function "
    "-p no:celery -p no:xdist -p no:randomly -p no:pytest_cov -p no:hypothesispytest -p no:respx"
    " -p no:recording -p no:socket -p no:pytest_httpx"
)


class Reader:
    """Works through one page, block by block, in a directory of its own.

    What a block defines is known to those that follow it; blocks that await something run in one
    event loop, as in a notebook. Commands run in a shell that keeps its variables. A block ``text``
    holds what the block before it printed; ``...`` in it stands for anything.

    Args:
        directory: Where files go and commands run.
        environment: The variables of the shell, the key and address of the server among them.
        bin_directory: Programs for commands that end by themselves, to be preferred.
        fake: That server.
    """

    def __init__(
        self, directory: Path, environment: dict[str, str], bin_directory: Path, fake: FakeSendX
    ) -> None:
        self.directory = directory
        self.environment = environment
        self._bin_directory = bin_directory
        self._fake = fake
        self._saved: set[str] = set()
        self._tests: list[str] = []
        self.module = types.ModuleType("page")
        self.names: dict[str, Any] = self.module.__dict__
        self.given: dict[str, Any] = {}  # set anew before each block
        self.loop = asyncio.Runner()
        self.printed = ""
        self._unused: dict[str, Block] = {}
        self._background: list[LongRunning] = []
        self._port = _free_port()

    def follow(self, block: Block) -> None:
        """Do what one block says."""
        self._note_what_is_used(block.source)
        if is_not_run(block):
            return
        match block.language:
            case "python":
                self._follow_python(block)
            case "sh":
                self._follow_shell(block)
            case "text":
                self._compare(block)
            case "sql":
                self.printed = self.given["run_sql"](block.source)
            case "csv" | "json" | "toml" if block.title is not None:
                self._save(block)
            case _:
                raise AssertionError(
                    f"{block.place}: nobody knows how to run {block.language!r}; teach Reader, or "
                    "say why it can't be run in exceptions_to_the_rule.py"
                )

    def finish(self) -> None:
        """Run the tests that were written, and end what still runs."""
        if self._tests:
            done = self._run(["python", "-m", "pytest", "-q", "--rootdir=.", *self._tests])
            assert done.returncode == 0, done.stdout
        while self._background:
            self._background.pop().stop()

    def run_python(self, code: str) -> str:
        """Run code in a process of its own, where the saved files can be imported."""
        self._note_what_is_used(code)
        done = self._run(["python", "-c", code])
        assert done.returncode == 0, done.stdout
        return done.stdout

    def see_that_files_were_used(self) -> None:
        """Find files that the reader saves for nothing."""
        for block in self._unused.values():
            raise AssertionError(f"{block.place}: {block.title} is saved, and nothing runs it")

    def close(self) -> None:
        """Leave nothing behind, whatever happened."""
        for process in self._background:
            process.kill()
        self.loop.close()
        for name in self._saved:
            sys.modules.pop(name, None)

    def _note_what_is_used(self, source: str) -> None:
        for name in [name for name in self._unused if Path(name).stem in source]:
            del self._unused[name]

    def _follow_python(self, block: Block) -> None:
        tree = ast.parse(block.source)
        has_tests = any(
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.name.startswith("test_")
            for node in tree.body
        )
        if has_tests:
            # They are run together, since it takes pytest seconds to start.
            self._tests.append(block.title or f"test_line_{block.line}.py")
            self._write(self._tests[-1], block)
            self._unused.pop("conftest.py", None)
        elif block.title is not None:
            self._save(block)
        else:
            self._execute(block)

    def _execute(self, block: Block) -> None:
        output = io.StringIO()
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        source = pad(self._adapted(block.source), block.line - 1)
        code = compile(source, str(block.page), "exec", flags=flags, dont_inherit=True)
        self.names.update(self.given)
        with contextlib.redirect_stdout(output):
            if code.co_flags & inspect.CO_COROUTINE:
                self.loop.run(asyncio.wait_for(eval(code, self.names), LIMIT))
            else:
                exec(code, self.names)
        self.printed = output.getvalue()

    def _follow_shell(self, block: Block) -> None:
        if (awaited := LONG_RUNNING.get(" ".join(block.commands))) is not None:
            self._background.append(
                LongRunning(self._adapted(block.source), self.directory, self.environment)
            )
            if callable(awaited):
                try:
                    self._fake.wait_for(lambda: awaited(self._fake), LIMIT)
                except TimeoutError as error:
                    self._background[-1].kill()
                    raise AssertionError(self._background[-1].rest()) from error
            else:
                self.printed = self._background[-1].read_until(awaited)
            return
        state = self.directory / ".variables"
        script = f"set -euo pipefail\n{self._adapted(block.source)}\nexport -p > {state}\n"
        done = self._run(["bash", "-c", script])
        assert done.returncode == 0, f"{block.place} ended with {done.returncode}: {done.stdout}"
        self.environment |= _exported(state.read_text(encoding="utf-8"))
        self.printed = done.stdout

    def _compare(self, block: Block) -> None:
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        same = doctest.OutputChecker().check_output(
            self._adapted(block.source), self.printed, flags
        )
        assert same, f"{block.place} says\n{block.source}\nand what was printed is\n{self.printed}"

    def _save(self, block: Block) -> None:
        assert block.title is not None
        self._write(block.title, block)
        self._unused[block.title] = block

    def _write(self, name: str, block: Block) -> Path:
        self._saved.add(Path(name).stem)
        file = self.directory / name
        file.write_text(self._adapted(block.source), encoding="utf-8")
        return file

    def _run(self, command: list[str]) -> "subprocess.CompletedProcess[str]":
        path = f"{self._bin_directory}{os.pathsep}{self.environment['PATH']}"
        return subprocess.run(
            command, cwd=self.directory, env=self.environment | {"PATH": path}, text=True,
            encoding="utf-8",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=LIMIT, check=False,
        )  # fmt: skip

    def _adapted(self, source: str) -> str:
        return source.replace(SANDBOX_PORT, self._port)


class LongRunning:
    """A command that ends only when it is asked to; what it prints is read as it comes."""

    def __init__(self, script: str, directory: Path, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash", "-c", f"exec {script}"], cwd=directory, env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, encoding="utf-8",
        )  # fmt: skip
        self._lines: queue.Queue[str] = queue.Queue()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def read_until(self, awaited: str) -> str:
        """Wait for a line with these words; give all that was printed until then."""
        printed = ""
        while awaited not in printed:
            line = self._lines.get(timeout=LIMIT)
            assert line, f"it ended early: {printed}"
            printed += line
        return printed

    def rest(self) -> str:
        """What it printed that nobody has read."""
        return "".join(iter(self._lines.get, ""))

    def stop(self) -> None:
        """Ask it to end, and see that it does so in good order."""
        self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(LIMIT)
        finally:
            self.kill()
        assert status in {0, 143, -signal.SIGTERM}, f"it ended with {status}"

    def kill(self) -> None:
        """End it, and what reads from it."""
        self._process.kill()
        self._process.wait()
        self._thread.join(LIMIT)
        if self._process.stdout is not None:
            self._process.stdout.close()


def _exported(text: str) -> dict[str, str]:
    found = re.findall(r'^declare -x (SENDX_\w+)="(.*)"$', text, re.MULTILINE)
    return dict(found)


def _free_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


def shell_environment(directory: Path, **variables: str) -> dict[str, str]:
    """The variables of a reader's shell: our programs first, plain output, warnings as errors."""
    return os.environ | variables | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(directory),
        "PYTHONWARNINGS": "error",
        "PYTEST_ADDOPTS": _PYTEST_OPTIONS,
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8",
        "NO_COLOR": "1",
        "TERM": "dumb",
        "COLUMNS": "100",
    }  # fmt: skip
