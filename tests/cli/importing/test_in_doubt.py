"""Rows that must not be sent twice, when nobody knows whether they were applied."""

from pathlib import Path

import pytest

from sendx_async.testing import FakeSendX
from tests.cli.conftest import Run
from tests.cli.processes import started

from .conftest import Import
from .stopped import LIMIT, resumed, sent, stop_at_once, stopped

pytestmark = pytest.mark.slow


@pytest.mark.usefixtures("settings")
class TestNotSafeToRepeat:
    def test_a_row_that_was_certainly_not_sent_is_sent_later(
        self, import_text: Import, run: Run, fake_sendx: FakeSendX
    ) -> None:
        stopped(
            import_text,
            fake_sendx,
            "email,Visits\na@b.co,++1\n",
            "--field",
            "Visits",
            "--increments",
        )
        assert resumed(run, "--field", "Visits", "--increments").counts == (1, 0)
        assert fake_sendx.contact("a@b.co").custom_fields == {"Visits": "1"}

    def test_a_row_under_way_at_ctrl_c_is_rejected_for_people_to_look_at(
        self, run: Run, fake_sendx: FakeSendX
    ) -> None:
        Path("c.csv").write_text("email,Visits\na@b.co,++1\n")
        fake_sendx.black_hole(applied=True)
        with started("import", "c.csv", "--field", "Visits", "--increments") as process:
            fake_sendx.wait_for(lambda: fake_sendx.contact("a@b.co"), LIMIT)
            stop_at_once(process)
        assert resumed(run, "--field", "Visits", "--increments").counts == (0, 1)
        assert "it may have been applied" in Path("c.rejects.csv").read_text()
        assert fake_sendx.contact("a@b.co").custom_fields == {"Visits": "1"}

    def test_a_row_under_way_at_a_kill_is_rejected_for_people_to_look_at(
        self, run: Run, fake_sendx: FakeSendX
    ) -> None:
        Path("c.csv").write_text("email,Visits\na@b.co,++1\nc@d.co,++1\n")
        fake_sendx.black_hole(applied=True)
        with started(
            "import", "c.csv", "--field", "Visits", "--increments", "--concurrency", "1"
        ) as process:
            fake_sendx.wait_for(lambda: fake_sendx.contact("a@b.co"), LIMIT)
            process.kill()
        done = resumed(run, "--field", "Visits", "--increments")
        assert done.said.status == 1
        assert done.counts[0] + done.counts[1] == 2
        assert "2,may have been applied: the import ended" in (
            Path("c.rejects.csv").read_text().replace('"', "")
        )
        for address, contact in fake_sendx.contacts.items():
            assert contact.custom_fields == {"Visits": "1"}, address


def test_rows_in_doubt_are_known_by_their_file_too(
    settings: None, run: Run, fake_sendx: FakeSendX
) -> None:
    rows = "".join(f"a{n}@b.co,++1\n" for n in range(3))
    Path("c.csv").write_text("email,Visits\n" + rows)
    fake_sendx.black_hole(applied=True, times=None)
    with started("import", "c.csv", "--field", "Visits", "--increments") as process:
        fake_sendx.wait_for(lambda: len(sent(fake_sendx)) == 3, LIMIT)
        process.kill()
    fake_sendx.recover()
    Path("c.csv").write_text("email,Visits\nnew@b.co,x\n" + rows)
    said = run("import", "c.csv", "--resume", "--field", "Visits", "--increments")
    assert said.status == 2
    assert "this is not the file whose import was stopped" in said.err
    Path("c.csv").write_text("email,Visits\n" + rows)
    assert resumed(run, "--field", "Visits", "--increments").counts == (0, 3)
    assert len(sent(fake_sendx)) == 3
