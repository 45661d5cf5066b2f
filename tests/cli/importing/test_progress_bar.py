"""What a person at a terminal sees while an import runs."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.progress import Progress

from sendx_async._cli.importing.reporting.progress_bar import _RateColumn
from sendx_async.testing import FakeSendX
from tests.cli.processes import started

if sys.platform == "win32":
    pytest.skip("Windows has no such terminals", allow_module_level=True)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("settings")]

CODES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
LIMIT = 120.0


class Watched:
    """A command whose stderr is a terminal, and what was seen there."""

    def __init__(self, process: "subprocess.Popen[str]", terminal: int) -> None:
        self.process = process
        self._terminal = terminal
        self.seen = ""

    def read_until(self, text: str) -> None:
        while text not in self.seen:
            got = os.read(self._terminal, 10_000)
            assert got, f"{text!r} was not seen in {self.seen}"
            self.seen += CODES.sub("", got.decode())

    def end(self) -> tuple[int, str]:
        """Give its status and what it wrote to stdout."""
        assert self.process.stdout is not None
        # The terminal's buffer is small: a command that nobody watches would wait for ever.
        with contextlib.suppress(OSError):  # how Linux tells that the last writer has gone
            while got := os.read(self._terminal, 10_000):
                self.seen += CODES.sub("", got.decode())
        out = self.process.stdout.read()
        return self.process.wait(LIMIT), out


@contextlib.contextmanager
def watched(*arguments: str, stdin: int = subprocess.DEVNULL) -> Iterator[Watched]:
    ours, theirs = os.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "150"}
    try:
        with started(*arguments, stdin=stdin, stderr=theirs, env=environment) as process:
            os.close(theirs)
            yield Watched(process, ours)
    finally:
        os.close(ours)


def write_contacts(count: int) -> None:
    Path("c.csv").write_text("email\nbad\n" + "".join(f"a{n}@b.co\n" for n in range(count)))


def test_a_bar_shows_rows_errors_rate_and_the_time_that_is_left(fake_sendx: FakeSendX) -> None:
    write_contacts(2000)
    fake_sendx.latency = 0.1
    with watched("import", "c.csv") as import_:
        import_.read_until("0:00:0")
        status, out = import_.end()
    assert status == 1
    assert re.search(r"c\.csv ━+ [\d,]+ delivered, 1 rejected [\d,]+ rows/s", import_.seen)
    assert " left" in import_.seen
    assert re.match(
        r"Imported c\.csv: 2,000 rows delivered, 1 rejected \(\d+\.\d s, [\d,]+ rows/s\)\.", out
    )


def test_an_import_says_when_sendx_is_waited_for(fake_sendx: FakeSendX) -> None:
    write_contacts(100)
    fake_sendx.respond(429, retry_after=1, times=None)
    with watched("import", "c.csv") as import_:
        import_.read_until("Waiting for SendX (RateLimitError)")
        fake_sendx.recover()
        status, out = import_.end()
    assert status == 1
    assert "100 rows delivered" in out
    assert "c.csv" in import_.seen.rpartition("Waiting")[2]


def test_an_import_that_was_told_to_stop_says_that_it_does(fake_sendx: FakeSendX) -> None:
    write_contacts(20_000)
    fake_sendx.latency = 0.3
    with watched("import", "c.csv") as import_:
        import_.read_until("delivered")
        fake_sendx.wait_for(lambda: any(r.applied for r in fake_sendx.requests), LIMIT)
        import_.process.send_signal(signal.SIGINT)
        status, out = import_.end()
    assert status == 130
    assert "Stopping: Ctrl-C again to stop at once" in import_.seen
    assert out.startswith("Stopped at row ")


def test_no_time_is_left_where_standard_input_has_no_known_end(fake_sendx: FakeSendX) -> None:
    read, write = os.pipe()
    with os.fdopen(write, "wb") as pipe:
        pipe.write(b"email\na@b.co\n")
        pipe.flush()
        with watched("import", "-", stdin=read) as import_:
            os.close(read)
            import_.read_until("1 delivered, 0 rejected")
            pipe.write(b"c@d.co\n")
            pipe.close()
            status, _ = import_.end()
    assert status == 0
    assert "standard input" in import_.seen
    assert "━" not in import_.seen
    assert " left" not in import_.seen


def test_looking_at_a_file_shows_a_bar_too() -> None:
    write_contacts(20)
    with watched("import", "c.csv", "--dry-run") as import_:
        status, out = import_.end()
    assert status == 1
    assert "good," in import_.seen
    assert "row 2: email must be" in import_.seen
    assert "20 rows can be sent, 1 can't" in out


def test_no_bar_is_shown_with_json(fake_sendx: FakeSendX) -> None:
    write_contacts(20)
    with watched("import", "c.csv", "--json") as import_:
        import_.end()
    assert import_.seen == ""


def test_the_rate_is_that_of_rows_although_all_of_the_file_is_read() -> None:
    """A small file is read to its end before the first answer comes."""
    moments = [0.0]
    progress = Progress(get_time=lambda: moments[-1])
    task = progress.add_task("c.csv", total=10)
    moments.append(0.1)
    progress.update(task, completed=10, rows=100)
    moments.append(50.0)
    assert _RateColumn().render(progress.tasks[0]).plain == "2 rows/s"
