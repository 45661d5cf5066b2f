"""What a person at a terminal is shown before an import, and asked."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sendx_async.testing import FakeSendX

from .test_progress_bar import Watched, watched

if sys.platform == "win32":
    pytest.skip("Windows has no such terminals", allow_module_level=True)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("settings")]

QUESTION = "Send this? [y/N] "


@contextlib.contextmanager
def asked(*arguments: str) -> Iterator[tuple[Watched, int]]:
    """Import at a terminal; what is written to the descriptor is typed there."""
    ours, theirs = os.openpty()
    try:
        with watched("import", *arguments, stdin=theirs) as import_:
            os.close(theirs)
            yield import_, ours
    finally:
        os.close(ours)


@pytest.mark.parametrize("answer", ["y\n", " YES \n"])
def test_a_file_is_shown_and_sent_if_the_answer_is_yes(fake_sendx: FakeSendX, answer: str) -> None:
    Path("c.csv").write_text("email,Plan,Role\na@b.co,n/a,-\n")
    with asked("c.csv", "--all-fields") as (import_, keyboard):
        import_.read_until(QUESTION)
        assert not fake_sendx.requests
        os.write(keyboard, answer.encode())
        status, out = import_.end()
    assert status == 0
    assert "1 row delivered" in out
    assert "Plan -> custom field (--all-fields), 100 % full" in import_.seen
    assert "in the column 'Plan' 1 cell may hold a null mark" in import_.seen
    assert "in the column 'Role' 1 cell may hold a null mark" in import_.seen
    # What is in doubt was agreed to.
    assert fake_sendx.contact("a@b.co").custom_fields == {"Plan": "n/a", "Role": "-"}


@pytest.mark.parametrize("answer", ["\n", "n\n", "yesterday\n", "\x04"])
def test_nothing_is_sent_without_a_yes(fake_sendx: FakeSendX, answer: str) -> None:
    Path("c.csv").write_text("email\na@b.co\n")
    with asked("c.csv") as (import_, keyboard):
        import_.read_until(QUESTION)
        os.write(keyboard, answer.encode())
        assert import_.end() == (2, "")
    assert "Error: nothing was sent" in import_.seen
    assert not fake_sendx.requests
    assert [path.name for path in Path().iterdir()] == ["c.csv"]


def test_ctrl_c_is_no_yes(fake_sendx: FakeSendX) -> None:
    Path("c.csv").write_text("email\na@b.co\n")
    with asked("c.csv") as (import_, _):
        import_.read_until(QUESTION)
        import_.process.send_signal(signal.SIGINT)
        assert import_.end()[0] == 2
    assert "Error: nothing was sent" in import_.seen
    assert not fake_sendx.requests


@pytest.mark.parametrize("options", [["--yes"], ["--json"], ["--dry-run"]])
def test_nobody_is_asked_who_has_said_it(fake_sendx: FakeSendX, options: list[str]) -> None:
    Path("c.csv").write_text("email\na@b.co\n")
    with asked("c.csv", *options) as (import_, _):
        status, _ = import_.end()
    assert status == 0
    assert QUESTION not in import_.seen


def test_what_yes_does_not_decide_is_not_asked(fake_sendx: FakeSendX) -> None:
    Path("c.csv").write_text("email,Plan\na@b.co,Pro\n")
    with asked("c.csv") as (import_, _):
        status, _ = import_.end()
    assert status == 2
    assert "Plan -> undecided" in import_.seen
    assert "'Plan' is no field" in import_.seen
    assert QUESTION not in import_.seen


def test_all_rows_are_shown(fake_sendx: FakeSendX) -> None:
    rows = "".join(f"a{n}@b.co\n" for n in range(1_500))
    Path("c.csv").write_text("email\n" + rows + "bad\n")
    with asked("c.csv") as (import_, keyboard):
        import_.read_until(QUESTION)
        os.write(keyboard, b"n\n")
        import_.end()
    assert "1,500 of 1,501 rows can be sent, to 1,500 people" in import_.seen


def test_several_files_are_one_question(fake_sendx: FakeSendX) -> None:
    Path("c.csv").write_text("email\na@b.co\n")
    Path("d.csv").write_text("email\nc@d.co\n")
    with asked("c.csv", "d.csv") as (import_, keyboard):
        import_.read_until(QUESTION)
        os.write(keyboard, b"y\n")
        status, out = import_.end()
    assert (status, out.count("1 row delivered")) == (0, 2)
    assert import_.seen.count(QUESTION) == 1
    assert import_.seen.index("d.csv: csv") < import_.seen.index(QUESTION)


def test_a_person_is_asked_again_about_files_that_were_not_begun(fake_sendx: FakeSendX) -> None:
    for name in ("c", "d"):
        rows = "".join(f"{name}{number}@b.co,n/a\n" for number in range(3))
        Path(f"{name}.csv").write_text(f"email,Plan\n{rows}")
    with asked("c.csv", "d.csv", "--all-fields", "--limit", "1") as (import_, keyboard):
        import_.read_until(QUESTION)
        os.write(keyboard, b"y\n")
        assert import_.end()[0] == 0
    with asked("c.csv", "d.csv", "--all-fields", "--resume") as (import_, keyboard):
        import_.read_until(QUESTION)
        assert len(fake_sendx.contacts) == 1
        os.write(keyboard, b"y\n")
        assert import_.end()[0] == 0
    assert "c.csv: csv" not in import_.seen  # what was agreed to is not shown again
    assert len(fake_sendx.contacts) == 6
    assert fake_sendx.contact("c2@b.co").custom_fields == {"Plan": "n/a"}


def test_a_limit_is_no_ctrl_c(fake_sendx: FakeSendX) -> None:
    Path("c.csv").write_text("email\n" + "".join(f"a{number}@b.co\n" for number in range(100)))
    with watched("import", "c.csv", "--limit", "60", stdin=subprocess.DEVNULL) as import_:
        assert import_.end()[0] == 0
    assert "Ctrl-C" not in import_.seen


@pytest.mark.parametrize("answer", [b"y\n"])
def test_a_pipe_that_has_a_name_is_shown_as_far_as_it_has_come(
    fake_sendx: FakeSendX, answer: bytes
) -> None:
    os.mkfifo("pipe")
    with asked("pipe", "--format", "csv") as (import_, keyboard):
        with Path("pipe").open("wb") as pipe:
            pipe.write(b"email\na@b.co\n")
            pipe.flush()
            import_.read_until(QUESTION)
            pipe.write(b"c@d.co\n")
        os.write(keyboard, answer)
        status, out = import_.end()
    assert status == 0
    assert "of the rows looked at, 1 of 1 rows can be sent" in import_.seen
    assert "2 rows delivered" in out


def test_without_a_terminal_to_type_at_nobody_is_asked(fake_sendx: FakeSendX) -> None:
    Path("c.csv").write_text("email\na@b.co\n")
    with watched("import", "c.csv", stdin=subprocess.DEVNULL) as import_:
        status, _ = import_.end()
    assert status == 0
    assert QUESTION not in import_.seen
