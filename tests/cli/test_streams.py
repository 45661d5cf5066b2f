"""Output that is closed, cut off, full, narrow, or goes to something poor: never a traceback."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from sendx_async._cli._output import complain, is_terminal, say, tell

from .processes import Said, run_command, run_in_shell, run_one_after_another

JANE = "jane@example.com"


@pytest.fixture
def cut_off() -> Iterator[int]:
    """A pipe that nobody reads any more."""
    read, write = os.pipe()
    os.close(read)
    yield write
    os.close(write)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such shell")
@pytest.mark.usefixtures("settings")
class TestCommands:
    def test_nobody_reads_the_output(self, cut_off: int) -> None:
        commands = ["", "--help", "--version", f"identify {JANE}", "check"]
        assert run_one_after_another(*commands, stdout=cut_off) == ([141] * 5, "", "")
        assert run_command(stdout=cut_off) == Said(141, "", "")

    def test_nobody_reads_the_errors(self, cut_off: int) -> None:
        commands = ["x", "track a@b.co --add x"]
        assert run_one_after_another(*commands, stderr=cut_off) == ([2, 1], "", "")

    def test_output_after_nobody_reads_it_leads_nowhere(self, cut_off: int) -> None:
        script = (
            "from sendx_async._cli._output import say, tell\n"
            "try:\n"
            "    say('first')\n"
            "except SystemExit as end:\n"
            "    say('later')\n"
            "    tell(str(end.code))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script],
            stdout=cut_off, stderr=subprocess.PIPE, text=True, timeout=150, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "141\n")

    def test_only_the_first_lines_are_read(self) -> None:
        said = run_in_shell("sendx check --calls 2 | head -1")
        assert said.status in {0, 141}  # it depends on who is first
        assert said.out.startswith("API key     accepted")
        assert said.err == ""

    @pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
    def test_streams_that_are_closed(self, closed: str) -> None:
        commands = ["--help", f"identify {JANE}", "track a@b.co --add x", "x"]
        statuses, _, errors = run_one_after_another(*commands, redirected=closed)
        assert statuses == [0, 0, 1, 2]
        assert "Traceback" not in errors

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /dev/full")
    def test_a_full_disk(self) -> None:
        said = run_in_shell(f"sendx identify {JANE} >/dev/full")
        assert said == Said(2, "", "Error: No space left on device\n")

    @pytest.mark.parametrize("setting", ["NO_COLOR=1", "TERM=dumb", "COLUMNS=1", "FORCE_COLOR=1"])
    def test_a_poor_terminal(self, setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(*setting.split("="))
        statuses, output, errors = run_one_after_another(
            f"identify {JANE}", "x", env={"COLUMNS": "80", **os.environ}
        )
        assert statuses == [0, 2]
        assert output.startswith("Identified j***@example.com in ")
        assert "No such command" in errors
        assert "\x1b" not in output + errors

    def test_an_encoding_that_lacks_characters(self) -> None:
        statuses, output, _ = run_one_after_another(
            f"identify {JANE}",
            f"event {JANE} Grüße",
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
        )
        assert statuses == [0, 0]
        assert "\nRecorded the event Gr\\xfc\\xdfe of j***@example.com in " in output

    def test_text_that_is_no_utf8(self) -> None:
        said = run_in_shell(f"sendx identify {JANE} --company $'\\xff'")
        assert said == Said(
            2,
            "",
            "Error: IdentifyRequest: company has half of a surrogate pair, which UTF-8 can't "
            "carry: decode the text again\n",
        )


class TestStreams:
    def test_an_error_is_one_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        complain("a\nb\r\n\x1b[2Jc\u2028d \t e\x07")
        assert capsys.readouterr().err == "Error: a b [2Jc d e\n"

    def test_remarks_have_no_prefix(self, capsys: pytest.CaptureFixture[str]) -> None:
        tell("a")
        say("b")
        assert capsys.readouterr() == ("b\n", "a\n")

    def test_a_stream_without_an_encoding(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stream = io.StringIO()
        monkeypatch.setattr(sys, "stdout", stream)
        say("\udcff ü")
        assert stream.getvalue() == "\\udcff ü\n"

    def test_whether_somebody_looks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert not is_terminal()
        ours, theirs = os.openpty()
        with os.fdopen(theirs, "w") as terminal:
            monkeypatch.setattr(sys, "stderr", terminal)
            assert is_terminal()
        os.close(ours)
        assert not is_terminal()
        monkeypatch.setattr(sys, "stderr", None)
        assert not is_terminal()
