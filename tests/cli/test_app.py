"""The command as a whole: help, version, completion, wrong usage, and what is missing."""

import errno
import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sendx_async._cli import _app, main
from sendx_async._version import __version__

from .processes import Said, run_command

Run = Callable[..., Said]
GROUPS = {
    (): ["identify", "track", "event", "revenue", "check", "import", "sandbox", "outbox"],
    ("outbox",): ["drain", "status", "dead", "retry", "purge"],
}


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_without_a_command_shows_help(run: Run, group: tuple[str, ...]) -> None:
    said = run(*group)
    assert (said.status, said.err) == (0, "")
    assert said == run(*group, "--help")
    assert said.out.startswith(f"Usage: {' '.join(['sendx', *group])} [OPTIONS] COMMAND")
    for command in GROUPS[group]:
        assert f"\n  {command} " in said.out


@pytest.mark.parametrize(
    "command", [[*group, name] for group, names in GROUPS.items() for name in names], ids=" ".join
)
@pytest.mark.parametrize("columns", ["1", "20", "200", "x"])
def test_each_command_has_help(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: list[str], columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    said = run(*command, "--help")
    assert (said.status, said.err) == (0, "")
    assert "Usage:" in said.out


def test_help_says_how_sure_check_is(run: Run) -> None:
    assert "no real SendX server was tried" in " ".join(run("check", "--help").out.split())


def test_help_says_what_to_do_with_dashes(run: Run) -> None:
    for command in ("identify", "track", "event", "revenue"):
        assert "write -- before the arguments" in run(command, "--help").out


def test_the_version(run: Run) -> None:
    assert run("--version") == Said(0, f"sendx-async {__version__}\n", "")


@pytest.mark.parametrize(
    "arguments, text",
    [
        (["sandbx"], "Error: No such command 'sandbx'."),
        (["outbox", "fill"], "Error: No such command 'fill'."),
        (["--verbose"], "Error: No such option: --verbose"),
        (["identify"], "Error: Missing argument 'EMAIL'."),
        (["track", "a@b.co", "--ad", "x"], "No such option: --ad"),
        (["track", "a@b.co", "\x1b[31mx"], "Error: Got unexpected extra argument"),
        (["outbox", "status", "a.db", "jane@b.co"], "Error: Got unexpected extra argument"),
        (["check", "--timeout", "soon"], "Error: Invalid value for '--timeout'"),
    ],
)
def test_wrong_usage(run: Run, arguments: list[str], text: str) -> None:
    said = run(*arguments)
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith("Usage: sendx ")
    assert text in said.err
    assert "\x1b" not in said.err
    assert "jane@" not in said.err


@pytest.mark.slow
def test_python_m_is_the_same() -> None:
    assert importlib.import_module("sendx_async.__main__").main is main
    assert run_command("--version") == Said(0, f"sendx-async {__version__}\n", "")
    assert run_command("sandbx").status == 2


@pytest.mark.slow
def test_help_loads_only_what_it_needs() -> None:
    script = (
        "import sys\n"
        "before = set(sys.modules)\n"  # whoever measures coverage has loaded some already
        "from sendx_async._cli import main\n"
        "main(['--help'])\n"
        "slow = {'httpx', 'anyio', 'attrs', 'cattrs', 'rich', 'sqlite3', 'uvicorn'}\n"
        "found = slow & (set(sys.modules) - before)\n"
        "sys.exit(str(found) if found else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=150, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


class TestCompletion:
    def test_words_are_completed(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("_SENDX_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", "sendx outbox dr")
        monkeypatch.setenv("COMP_CWORD", "2")
        assert run() == Said(0, "drain\n", "")

    @pytest.mark.slow
    def test_the_shells_script_names_the_command(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("_SENDX_COMPLETE", "source_bash")
        said = run_command()
        assert said.status == 0
        assert "_SENDX_COMPLETE=complete_bash" in said.out


class TestWhatIsMissing:
    @pytest.mark.parametrize("name", ["typer", "typer.main"])
    def test_typer(self, name: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(sys.modules, "sendx_async._cli._app")
        monkeypatch.delattr("sendx_async._cli._app")
        monkeypatch.setitem(sys.modules, name, None)
        assert run("--help") == Said(
            2, "", "Error: the command sendx needs typer: pip install 'sendx-async[cli]'\n"
        )

    def test_anything_else_is_a_mistake_of_ours(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(sys.modules, "sendx_async._cli._app")
        monkeypatch.delattr("sendx_async._cli._app")
        monkeypatch.setitem(sys.modules, "sendx_async._cli._check", None)
        monkeypatch.delattr("sendx_async._cli._check")
        with pytest.raises(ModuleNotFoundError):
            main(["--help"])


@pytest.mark.parametrize(
    "error, line",
    [
        (FileNotFoundError(errno.ENOENT, "No such file", "a\nb.csv"), "a b.csv: No such file"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (OSError("something else"), "something else"),
    ],
)
def test_a_file_that_cannot_be_used(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: OSError, line: str
) -> None:
    def fail(_: object) -> int:
        raise error

    monkeypatch.setattr(_app, "run", fail)
    assert run() == Said(2, "", f"Error: {line}\n")


def test_a_command_may_end_by_sys_exit(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sendx_async._cli._app._output.say", lambda _: sys.exit())
    assert run("--version").status == 0


def test_a_directory_is_no_outbox(run: Run, tmp_path: Path) -> None:
    said = run("outbox", "status", os.fspath(tmp_path))
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith("Error: ")
    assert said.err.count("\n") == 1
