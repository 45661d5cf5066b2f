"""Rows that can't be sent, or that SendX refuses: kept with the reason, mended, imported again."""

import csv
import json
import os
import stat
from pathlib import Path

import pytest

from sendx_async.testing import FakeSendX
from tests.cli.conftest import Run
from tests.cli.processes import end_of, run_in_shell, started

from .conftest import Import


def test_rejected_rows_can_be_mended_and_imported_again(
    import_text: Import, run: Run, fake_sendx: FakeSendX
) -> None:
    done = import_text(
        "email,first_name,tags\r\n"
        'a@b.co,Ann,"x,y"\r\n'
        "bad,Bob,z\r\n"
        '"c@d.co","Cid ""the\nquick""","x, and"\r\n'
        "e@f.co,Eve,t,surplus\r\n"
    )
    assert (done.said.status, done.counts) == (1, (2, 2))
    assert done.report["rejects"] == "c.rejects.csv"
    assert stat.S_IMODE(Path("c.rejects.csv").stat().st_mode) == 0o600
    assert "email" in done.said.err or not done.said.err
    with Path("c.rejects.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["sendx_row", "sendx_reason", "email", "first_name", "tags"]
    assert rows[1][0] == "3"
    assert "email must be one e-mail address" in rows[1][1]
    assert rows[1][2:] == ["bad", "Bob", "z"]
    assert rows[2][0] == "5"
    assert "has 4 cells, but the header has 3" in rows[2][1]
    assert rows[2][2:] == ["e@f.co", "Eve", "t", "surplus"]

    again = import_text(Path("c.rejects.csv").read_text(), name="d.csv")
    assert again.counts == (0, 2)
    with Path("d.rejects.csv").open(newline="") as file:
        second = list(csv.reader(file))
    assert [row[2:] for row in second] == [row[2:] for row in rows]
    assert [row[0] for row in second] == ["sendx_row", "2", "3"]

    mended = Path("c.rejects.csv").read_text().replace("bad,", "b@c.co,").replace(",surplus", "")
    assert import_text(mended, name="c.rejects.csv").counts == (2, 0)
    assert set(fake_sendx.contacts) == {"a@b.co", "c@d.co", "b@c.co", "e@f.co"}


def test_rejected_json_can_be_mended_and_imported_again(
    import_text: Import, fake_sendx: FakeSendX
) -> None:
    lines = [
        {"email": "Zoë", "tags": ["x"], "sendx_row": 3, "sendx_reason": "before"},
        {"email": "a@b.co"},
    ]
    text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines) + "\n{oops\n"
    done = import_text(text, name="c.ndjson")
    assert done.counts == (1, 2)
    first, second = map(json.loads, Path("c.rejects.ndjson").read_text().splitlines())
    assert (first["sendx_row"], first["email"], first["tags"]) == (1, "Zoë", ["x"])
    assert second["sendx_row"] == 3
    assert second["sendx_line"] == "{oops"

    mended = json.dumps(first | {"email": "zoe@b.co"})
    assert import_text(mended, name="c.rejects.ndjson").counts == (1, 0)
    assert fake_sendx.contact("zoe@b.co").tags == {"x"}


def test_a_row_that_is_no_csv_is_kept_as_it_was(import_text: Import) -> None:
    done = import_text('email,first_name\n"a@b.co"x,Ann\nc@d.co,Cid\n"e@f.co,Eve\nlast')
    assert done.counts == (1, 3)
    with Path("c.rejects.csv").open(newline="") as file:
        _, first, second, third = csv.reader(file)
    assert first[0] == "2"
    assert "can't be read as CSV" in first[1]
    assert first[2:] == ['"a@b.co"x,Ann']
    assert second[2:] == ['"e@f.co,Eve']
    assert third[2:] == ["last"]


def test_a_quote_that_is_never_closed_costs_one_row(import_text: Import) -> None:
    rows = [f"a{number}@b.co,x" for number in range(3000)]
    rows[100] = 'bad@b.co,"x'
    done = import_text("email,first_name\n" + "\n".join(rows))
    assert done.counts == (2999, 1)
    assert "102," in Path("c.rejects.csv").read_text()
    # Nor is it mistaken for a row, where it stands in a file that ends in it.
    assert import_text("email\n" + '"' + "x" * 10, "--rejects", "r.csv").counts == (0, 1)


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", ["c.csv", "c.ndjson"])
def test_bytes_of_another_encoding_are_kept_and_can_be_imported_as_that(
    import_text: Import, run: Run, fake_sendx: FakeSendX, bom: bytes, name: str
) -> None:
    rows = "email,first_name\na@b.co,Ann\nz@b.co,Zoë\n"
    if name.endswith("json"):
        rows = '{"email": "a@b.co", "first_name": "Ann"}\n{"email": "z@b.co", "first_name": "Zoë"}'
    done = import_text(bom + rows.encode("cp1252"), "--encoding", "utf-8", name=name)
    assert done.counts == (1, 1)
    rejects = Path(name.replace(".", ".rejects."))
    data = rejects.read_bytes()
    assert data.startswith(bom)
    assert b"--encoding cp1252" in data
    rejects.write_bytes(data.removeprefix(bom))
    assert run("import", rejects.name, "--encoding", "cp1252").status == 0
    assert fake_sendx.contact("z@b.co").first_name == "Zoë"


def test_rejects_of_a_wide_encoding_are_utf_8(import_text: Import, fake_sendx: FakeSendX) -> None:
    done = import_text("email,first_name\na@b.co,Ann\nbad,Zoë\n".encode("utf-16"))
    assert done.counts == (1, 1)
    data = Path("c.rejects.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    mended = data.replace(b"bad", b"z@b.co")
    assert import_text(mended, name="c.rejects.csv").counts == (1, 0)
    assert fake_sendx.contact("z@b.co").first_name == "Zoë"


def test_a_reason_that_the_files_encoding_can_not_write(
    import_text: Import, fake_sendx: FakeSendX
) -> None:
    fake_sendx.respond(422, message="nein ☹ nein", times=None)
    done = import_text("email,first_name\na@b.co,Zoë\n".encode("cp1252"), "--encoding", "cp1252")
    assert done.counts == (0, 1)
    text = Path("c.rejects.csv").read_text(encoding="cp1252")
    assert "nein ? nein" in text
    assert "Zoë" in text


def test_rejected_json_stands_there_as_it_was(import_text: Import) -> None:
    line = '{ "email": "bad", "custom_fields": {"Big": 1e999, "Long": 0.12345678901234567890} }'
    assert import_text(line, name="c.ndjson").counts == (0, 1)
    rejected = Path("c.rejects.ndjson").read_text()
    assert rejected.endswith(", " + line.removeprefix("{ ") + "\n")
    again = import_text(rejected, name="d.ndjson")
    assert again.counts == (0, 1)
    assert Path("d.rejects.ndjson").read_text().endswith(", " + line.removeprefix("{ ") + "\n")


def test_digits_of_json_are_kept(import_text: Import, fake_sendx: FakeSendX) -> None:
    line = '{"email": "a@b.co", "custom_fields": {"Price": 1.10, "Long": 0.12345678901234567890}}'
    assert import_text(line, name="c.ndjson").counts == (1, 0)
    fields = fake_sendx.contact("a@b.co").custom_fields
    assert fields == {"Price": "1.10", "Long": "0.12345678901234567890"}


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_json_that_the_files_encoding_can_not_write_stays_escaped(
    import_text: Import, encoding: str
) -> None:
    lines = [
        '{"email": "bad", "first_name": "Zoë \\u20ac \\ud800"}',
        '{"email": "bad", "first_name": "\\udc80 \\ud800"}',
    ]
    done = import_text("\n".join(lines).encode(encoding), "--encoding", encoding, name="c.ndjson")
    assert done.counts == (0, 2)
    found = Path("c.rejects.ndjson").read_text(encoding=encoding).splitlines()
    names = [json.loads(line)["first_name"] for line in found]
    assert names == ["Zoë \u20ac \ud800", "\udc80 \ud800"]


def test_a_row_that_sendx_refuses_is_kept_with_its_words(
    import_text: Import, fake_sendx: FakeSendX
) -> None:
    fake_sendx.respond(422, path="identify/bulk", times=None)
    fake_sendx.respond(422, message="not this one", path="contact/identify")
    done = import_text("email\n" + "".join(f"a{n}@b.co\n" for n in range(30)))
    assert done.counts == (29, 1)
    assert "SendX answered with HTTP 422: not this one" in Path("c.rejects.csv").read_text()


def test_an_address_in_the_words_of_sendx_is_masked(
    import_text: Import, fake_sendx: FakeSendX
) -> None:
    fake_sendx.respond(422, message="jane@example.com is blocked", times=None)
    assert import_text("email\njane@example.com\n", "--show-values").counts == (0, 1)
    reason = Path("c.rejects.csv").read_text().splitlines()[1]
    assert "SendX answered with HTTP 422: j***@example.com is blocked" in reason
    assert reason.count("jane@example.com") == 1  # the row itself


def test_a_rejected_row_that_may_have_been_applied_says_so(
    import_text: Import, fake_sendx: FakeSendX
) -> None:
    fake_sendx.drop(applied=True)
    done = import_text("email,Visits\na@b.co,++1\n", "--field", "Visits", "--increments")
    assert done.counts == (0, 1)
    assert "it may have been applied" in Path("c.rejects.csv").read_text()
    assert fake_sendx.contact("a@b.co").custom_fields == {"Visits": "1"}


@pytest.mark.parametrize("options", [[], ["--rejects", "c.rejects.csv"]])
def test_rejects_that_nobody_has_mended_are_not_overwritten(
    import_text: Import, fake_sendx: FakeSendX, options: list[str]
) -> None:
    Path("c.rejects.csv").write_text("precious")
    done = import_text("email\nbad\n", *options)
    assert done.said.status == 2
    assert "c.rejects.csv exists, and may hold rows that nobody has mended" in done.said.err
    assert Path("c.rejects.csv").read_text() == "precious"
    assert fake_sendx.requests == []
    assert not Path("c.csv.sendx-progress").exists()


@pytest.mark.slow
def test_no_two_imports_write_to_the_same_rejects(
    import_text: Import, settings: None, fake_sendx: FakeSendX
) -> None:
    read, write = os.pipe()
    try:
        os.write(write, b"email\na@b.co\n")
        with started("import", "-", stdin=read) as first:
            fake_sendx.wait_for(lambda: fake_sendx.contacts, 30)
            second = run_in_shell("printf 'email\\nbad\\n' | sendx import -")
            assert second.status == 2
            assert "another import writes to it" in second.err
            os.write(write, b"bad\n")
            os.close(write)
            write = os.open(os.devnull, os.O_RDONLY)
            assert end_of(first).status == 1
    finally:
        os.close(read)
        os.close(write)
    assert Path("stdin.rejects.csv").read_text().startswith("sendx_row,")


def test_where_rejects_can_not_be_written_is_found_at_once(
    import_text: Import, fake_sendx: FakeSendX
) -> None:
    done = import_text("email\na@b.co\nbad\n", "--rejects", "absent/r.csv")
    assert done.said.status == 2
    assert "can't be written to absent/r.csv: No such file or directory; give" in done.said.err
    assert fake_sendx.requests == []


def test_rejects_may_go_to_a_device(import_text: Import) -> None:
    done = import_text("email\na@b.co\nbad\n", "--rejects", "/dev/null")
    assert (done.said.status, done.counts) == (1, (1, 1))


def test_a_full_disk_stops_the_import_and_loses_no_row(import_text: Import, run: Run) -> None:
    Path("r.csv").symlink_to("/dev/full")
    done = import_text("email\na@b.co\nbad\n", "--rejects", "r.csv")
    assert done.said.status == 2
    assert done.said.err == "Error: r.csv: No space left on device\n"
    assert done.report["stopped_by"] == "OSError"
    assert done.report["rejected"] == 0  # it is nowhere
    Path("r.csv").unlink()
    again = run("import", "c.csv", "--rejects", "r.csv", "--resume", "--json")
    assert json.loads(again.out)["rejected"] == 1
    assert Path("r.csv").read_text().splitlines()[1].endswith(",bad")


class TestDryRun:
    def test_a_dry_run_looks_at_the_whole_file_and_sends_nothing(
        self, run: Run, fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("SENDX_API_KEY")
        Path("c.csv").write_text("email\n" + "a@b.co\n" * 3 + "bad\n" * 25)
        said = run("import", "c.csv", "--dry-run")
        assert said.status == 1
        assert "\nLooked at c.csv: 3 rows can be sent, 25 can't (" in said.out
        problems = said.err.splitlines()
        assert len(problems) == 20
        assert problems[0].startswith("row 5: email must be one e-mail address")
        assert fake_sendx.requests == []
        assert [path.name for path in Path().iterdir()] == ["c.csv"]

    def test_a_dry_run_writes_rejects_if_it_is_said_where(self, import_text: Import) -> None:
        done = import_text("email\na@b.co\nbad\n", "--dry-run", "--rejects", "r.csv")
        assert done.said.status == 1
        assert (done.report["good"], done.report["rejected"]) == (1, 1)
        assert done.report["rejects"] == "r.csv"
        assert Path("r.csv").read_text().splitlines()[1].startswith('3,"email must be')

    def test_a_dry_run_of_a_good_file_ends_with_0(self, import_text: Import) -> None:
        done = import_text("email\na@b.co\n", "--dry-run", "--rejects", "r.csv")
        assert (done.said.status, done.report["rejects"]) == (0, None)
        assert not Path("r.csv").exists()


def test_a_name_that_leads_nowhere_is_taken_all_the_same(
    import_text: Import, fake_sendx: FakeSendX
) -> None:
    Path("c.rejects.csv").symlink_to("absent.csv")
    done = import_text("email\na@b.co\nbad\n")
    assert done.said.status == 2
    assert "c.rejects.csv exists, and may hold rows that nobody has mended" in done.said.err
    assert fake_sendx.requests == []
