"""Going on where an import was stopped, with the same file and in the same way."""

import json
import os
import shutil
import signal
import subprocess
import sys
import zlib
from pathlib import Path

import attrs
import pytest

from sendx_async._cli.importing.recognising import presets
from sendx_async.testing import FakeSendX
from tests.cli.conftest import Run
from tests.cli.processes import Said, run_command

from .conftest import Import
from .stopped import change_document, resumed, stopped

REJECTS_WITHOUT_A_ROW = {"path": "c.rejects.csv", "is_owned": True, "written": [0, 0]}


class TestOutage:
    TEXT = "email,first_name\nbad,x\na@b.co,Ann\nc@d.co,Cid\n"

    def test_an_import_goes_on_after_an_outage(
        self, import_text: Import, run: Run, fake_sendx: FakeSendX
    ) -> None:
        done = stopped(import_text, fake_sendx, self.TEXT)
        assert done.counts == (0, 1)
        assert done.report["stopped_at_row"] == 3
        again = resumed(run)
        assert (again.said.status, again.counts) == (1, (2, 1))
        assert len(Path("c.rejects.csv").read_text().splitlines()) == 2

    def test_what_was_agreed_to_holds_even_if_no_row_was_finished(
        self, import_text: Import, run: Run, fake_sendx: FakeSendX
    ) -> None:
        text = "email,Plan\na@b.co,n/a\n"
        done = stopped(import_text, fake_sendx, text, "--all-fields", "--yes")
        assert done.report["stopped_at_row"] == 2
        assert resumed(run, "--all-fields").counts == (1, 0)
        assert fake_sendx.contact("a@b.co").custom_fields == {"Plan": "n/a"}

    def test_a_wrong_key_ends_an_import_at_once(
        self, run: Run, fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Path("c.csv").write_text(self.TEXT)
        with monkeypatch.context() as wrong:
            wrong.setenv("SENDX_API_KEY", "wrong")
            said = run("import", "c.csv", "--json")
        assert said.status == 2
        assert json.loads(said.out)["stopped_by"] == "AuthenticationError"
        assert "HTTP 401" in said.err
        assert resumed(run).counts == (2, 1)

    def test_an_import_without_a_key_leaves_no_checkpoint(
        self, run: Run, fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Path("c.csv").write_text(self.TEXT)
        monkeypatch.delenv("SENDX_API_KEY")
        said = run("import", "c.csv")
        assert said.status == 2
        assert "SENDX_API_KEY" in said.err
        assert [path.name for path in Path().iterdir()] == ["c.csv"]

    def test_rows_may_be_added_before_it_goes_on(
        self, import_text: Import, run: Run, fake_sendx: FakeSendX
    ) -> None:
        stopped(import_text, fake_sendx, self.TEXT)
        with Path("c.csv").open("a") as file:
            file.write("e@f.co,Eve\n")
        assert resumed(run).counts == (3, 1)

    @pytest.mark.parametrize(
        "now, says",
        [
            ("email,first_name\nworse,x\na@b.co,Ann\nc@d.co,Cid\n", "its rows differ"),
            ("email,first_name\n", "it has only 0 rows, and 1 were imported"),
            ("email\nbad\n", "the import was begun with another header"),
        ],
    )
    def test_another_file_is_noticed_before_anything_is_sent(
        self, import_text: Import, run: Run, fake_sendx: FakeSendX, now: str, says: str
    ) -> None:
        stopped(import_text, fake_sendx, self.TEXT)
        before = len(fake_sendx.requests)
        Path("c.csv").write_text(now)
        done = resumed(run)
        assert done.said.status == 2
        assert says in done.said.err
        assert "Go on with" not in done.said.out
        assert len(fake_sendx.requests) == before
        Path("c.csv").write_text(self.TEXT)
        assert resumed(run).counts == (2, 1)

    @pytest.mark.parametrize(
        "options, says",
        [
            (
                ["--tag", "x"],
                "begun with another set of options for columns, tags or lists: resume",
            ),
            (["--encoding", "latin-1"], "begun with another encoding: resume it"),
            (["--rejects", "other.csv"], "begun with --rejects c.rejects.csv"),
        ],
    )
    def test_other_options_are_noticed(
        self, import_text: Import, run: Run, fake_sendx: FakeSendX, options: list[str], says: str
    ) -> None:
        stopped(import_text, fake_sendx, self.TEXT)
        said = run("import", "c.csv", "--resume", *options)
        assert said.status == 2
        assert says in said.err
        assert resumed(run, "--rejects", "c.rejects.csv", "--patience", "9").counts == (2, 1)

    def test_rejects_that_were_mended_meanwhile_are_left_alone(
        self, import_text: Import, run: Run, fake_sendx: FakeSendX
    ) -> None:
        stopped(import_text, fake_sendx, self.TEXT)
        rejects = Path("c.rejects.csv")
        for text in (rejects.read_text().replace("bad", "b@b.co"), "short"):
            rejects.write_text(text)
            said = run("import", "c.csv", "--resume")
            assert said.status == 2
            assert "c.rejects.csv was changed since the import was stopped: rename it" in said.err
        rejects.rename("mended.csv")
        assert resumed(run).counts == (2, 1)
        assert not rejects.exists()

    def test_rejects_that_are_not_certain_are_written_again(
        self, import_text: Import, run: Run, fake_sendx: FakeSendX
    ) -> None:
        stopped(import_text, fake_sendx, self.TEXT + "worse,x\n")
        before = Path("c.rejects.csv").read_text()
        with Path("c.rejects.csv").open("a") as file:
            file.write("5,half a li")  # as if it had been killed while it wrote
        assert resumed(run).counts == (2, 2)
        after = Path("c.rejects.csv").read_text()
        assert after.startswith(before)
        assert len(after.splitlines()) == 3

    def test_rejects_of_which_nothing_is_certain_are_written_again_or_left_alone(
        self, import_text: Import, run: Run, fake_sendx: FakeSendX
    ) -> None:
        def refuse_the_others() -> float:
            fake_sendx.respond(429, retry_after=3600, times=None)
            return 0

        fake_sendx.latency = refuse_the_others
        options = ("--field", "Visits", "--increments", "--concurrency", "1")  # ++1 travels alone
        done = import_text("email,Visits\na@b.co,++1\nc@d.co,++1\nbad,x\n", *options)
        assert (done.said.status, done.report["delivered"]) == (3, 1)
        fake_sendx.latency = 0
        fake_sendx.recover()
        rejects = Path("c.rejects.csv")
        # As if it had been killed before it rejected that row.
        change_document(
            finished=[[0, 1]],
            end=1,
            checksum=zlib.crc32(b"a@b.co,++1"),
            rejected=0,
            rejects_file=REJECTS_WITHOUT_A_ROW,
        )
        rejects.write_text("precious")
        assert "c.rejects.csv was changed" in run("import", "c.csv", "--resume", *options).err
        assert rejects.read_text() == "precious"
        rejects.write_text("sendx_row,sendx_rea")
        assert resumed(run, *options).counts == (2, 1)
        assert [line[:9] for line in rejects.read_text().splitlines()] == ["sendx_row", '4,"email ']

    @pytest.mark.slow
    def test_standard_input_goes_on_with_a_progress_file(
        self, fake_sendx: FakeSendX, run: Run, settings: None
    ) -> None:
        def imported(*options: str) -> Said:
            with Path("c.csv").open("rb") as file:
                return run_command(
                    "import", "-", "--progress-file", "p", "--json", *options,
                    stdin=file,
                )  # fmt: skip

        Path("c.csv").write_text(self.TEXT)
        fake_sendx.respond(429, retry_after=3600, times=None)
        assert imported().status == 3
        fake_sendx.recover()
        report = json.loads(imported("--resume").out)
        assert (report["delivered"], report["rejected"]) == (2, 1)
        assert Path("stdin.rejects.csv").exists()
        assert not Path("p").exists()


def test_an_import_that_was_killed_before_it_sent_anything_is_nobodys(
    import_text: Import, fake_sendx: FakeSendX
) -> None:
    done = import_text("email\nbad\n", "--tag", "x")
    assert done.counts == (0, 1)
    Path("c.rejects.csv").unlink()
    fake_sendx.respond(429, retry_after=3600, times=None)
    first = import_text("email\nbad\na@b.co\n")
    assert first.said.status == 3
    fake_sendx.recover()
    # As if it had been killed when it had begun to write its first rejected row.
    change_document(
        finished=[], end=0, checksum=0, rejected=0, stopped_at=1, rejects_file=REJECTS_WITHOUT_A_ROW
    )
    Path("c.rejects.csv").write_text("sendx_row,sendx_reas")
    again = import_text("email\nbad\na@b.co\n", "--tag", "y")
    assert again.counts == (1, 1)
    assert len(Path("c.rejects.csv").read_text().splitlines()) == 2


def test_another_base_url_is_noticed(import_text: Import, run: Run, fake_sendx: FakeSendX) -> None:
    stopped(import_text, fake_sendx, "email\nbad\na@b.co\n")
    elsewhere = fake_sendx.url.replace("127.0.0.1", "localhost")
    said = run("import", "c.csv", "--resume", "--base-url", elsewhere)
    assert said.status == 2
    assert "begun with another base URL" in said.err


@pytest.mark.slow
def test_rejects_of_another_import_are_left_alone(
    settings: None, run: Run, fake_sendx: FakeSendX
) -> None:
    """One that has stopped without any has given the name of the file away."""

    def imported(name: str, *options: str) -> Said:
        with Path(name).open("rb") as file:
            return run_command("import", "-", *options, stdin=file)

    Path("a.csv").write_text("email\n" + "".join(f"a{n}@b.co\n" for n in range(100)))
    Path("b.csv").write_text("email\nbad\nworse\n")
    fake_sendx.respond(429, retry_after=3600, times=None)
    assert imported("a.csv", "--progress-file", "p").status == 3
    fake_sendx.recover()
    assert imported("b.csv").status == 1
    rejects = Path("stdin.rejects.csv").read_text()
    said = imported("a.csv", "--progress-file", "p", "--resume")
    assert said.status == 2
    assert "stdin.rejects.csv exists, and may hold rows that nobody has mended" in said.err
    assert Path("stdin.rejects.csv").read_text() == rejects
    Path("stdin.rejects.csv").unlink()
    assert imported("a.csv", "--progress-file", "p", "--resume").status == 0


def test_the_files_can_be_moved_together(
    import_text: Import, run: Run, fake_sendx: FakeSendX
) -> None:
    Path("d").mkdir()
    stopped(import_text, fake_sendx, "email\nbad\na@b.co\nworse\n", name="d/c.csv")
    Path("d").rename("e")
    said = run("import", "e/c.csv", "--resume", "--json")
    report = json.loads(said.out)
    assert (report["delivered"], report["rejected"]) == (1, 2)
    assert report["rejects"] == "e/c.rejects.csv"
    assert len(Path("e/c.rejects.csv").read_text().splitlines()) == 3


def test_the_last_row_may_have_had_no_end(
    import_text: Import, run: Run, fake_sendx: FakeSendX
) -> None:
    stopped(import_text, fake_sendx, "email\na@b.co\nbad")
    with Path("c.csv").open("a") as file:
        file.write("\nc@d.co\n")
    assert resumed(run).counts == (2, 1)


DIES = """
import os
import sys
from sendx_async._cli import main
from sendx_async._cli.importing import delivering

def die(**_):
    os.kill(os.getpid(), 9)

delivering.make_client = die
main(sys.argv[1:])
"""


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--resume"]])
@pytest.mark.parametrize("is_begun", [False, True])
def test_a_death_before_anything_is_sent_locks_nobody_out(
    import_text: Import, run: Run, fake_sendx: FakeSendX, is_begun: bool, options: list[str]
) -> None:
    text = "email\na@b.co\nbad\n"
    Path("c.csv").write_text(text)
    if is_begun:
        stopped(import_text, fake_sendx, text)
        options = ["--resume"]
    again = ["import", "c.csv", *(["--resume"] if is_begun else [])]
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", DIES, *again], check=False, timeout=150)
        assert done.returncode == -signal.SIGKILL
    said = run("import", "c.csv", *options, "--json")
    report = json.loads(said.out)
    assert (report["delivered"], report["rejected"]) == (1, 1)


@pytest.mark.slow
def test_another_process_goes_on_with_a_service(run: Run, fake_sendx: FakeSendX) -> None:
    shutil.copy(Path(__file__).parent / "exports" / "hubspot.csv", "c.csv")
    options = ("import", "c.csv", "--from", "hubspot")
    assert run(*options, "--limit", "1").status == 0
    for seed in ("1", "2"):  # sets have another order
        environment = os.environ | {"PYTHONHASHSEED": seed}
        said = run_command(*options, "--resume", "--limit", "1", env=environment)
        assert (said.status, said.err) == (0, "")


def test_an_import_that_goes_on_says_what_it_did_now(
    import_text: Import, run: Run, fake_sendx: FakeSendX
) -> None:
    stopped(import_text, fake_sendx, "email\nbad\na@b.co\n")
    said = run("import", "c.csv", "--resume")
    assert said.out.startswith("Imported c.csv: 1 row delivered, 1 rejected (1 row of them now, ")


def test_a_preset_that_is_known_otherwise_meanwhile_is_noticed(
    import_text: Import, run: Run, fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "Email Address,First Name,Position,Connected On\na@b.co,Ann,Boss,x\nc@d.co,Cid,Boss,x\n"
    options = ("--from", "linkedin", "--limit", "1")
    assert import_text(text, *options).counts == (1, 0)
    preset = presets.load("linkedin")
    with monkeypatch.context() as later:
        later.setattr(presets, "load", lambda _: attrs.evolve(preset, keep=()))
        said = run("import", "c.csv", "--resume", *options)
    assert said.status == 2
    assert "begun with another version of this command, which knew that service" in said.err
    assert resumed(run, "--from", "linkedin").counts == (2, 0)
