"""What a file may look like: its format, its encoding, its lines."""

import codecs
import json
import subprocess
from pathlib import Path

import pytest

from sendx_async.testing import FakeSendX
from tests.cli.conftest import Run
from tests.cli.processes import run_command, run_in_shell

from .conftest import Import

JANE = "jane@example.com"


def objects(body: object) -> list[object]:
    """Give the contacts of a request, which may be one."""
    return list(body) if isinstance(body, list) else [body]


def test_each_row_becomes_a_contact(import_text: Import, fake_sendx: FakeSendX) -> None:
    done = import_text(
        "email,first_name,last_name,company,tags,lists\n"
        f"{JANE},Jane,Smith,Acme,vip,list_1\n"
        "bob@example.com,Bob,,,,\n"
    )
    assert done.said.status == 0
    assert done.counts == (2, 0)
    assert done.report["complete"] is True
    jane, bob = fake_sendx.contact(JANE), fake_sendx.contact("bob@example.com")
    assert (jane.first_name, jane.last_name, jane.company) == ("Jane", "Smith", "Acme")
    assert jane.tags == {"vip"}
    assert jane.lists == {"list_1"}
    assert (bob.first_name, bob.last_name, bob.tags) == ("Bob", None, frozenset())
    # What is empty is not sent, since it might empty what SendX has.
    sent = [each for request in fake_sendx.requests for each in objects(request.json)]
    assert {"email": "bob@example.com", "firstName": "Bob"} in sent
    assert [path.name for path in Path().iterdir()] == ["c.csv"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_header_tells_what_stands_between_cells(
    import_text: Import, fake_sendx: FakeSendX, delimiter: str
) -> None:
    rows = [["first name", "email"], ['Jane, "the first"; yes', JANE]]
    lines = [
        delimiter.join('"' + cell.replace('"', '""') + '"' for cell in cells) for cells in rows
    ]
    assert import_text("\r\n".join(lines)).counts == (1, 0)
    assert fake_sendx.contact(JANE).first_name == 'Jane, "the first"; yes'


@pytest.mark.parametrize("given", ["^", "\\t", "tab"])
def test_a_delimiter_can_be_given(import_text: Import, fake_sendx: FakeSendX, given: str) -> None:
    delimiter = "^" if given == "^" else "\t"
    text = f"email{delimiter}first_name\n{JANE}{delimiter}Jane\n"
    assert import_text(text, "--delimiter", given).counts == (1, 0)
    assert fake_sendx.contact(JANE).first_name == "Jane"


@pytest.mark.parametrize("given", ["", "ab", '"', "\n"])
def test_a_delimiter_that_can_not_be_one(import_text: Import, given: str) -> None:
    done = import_text("email\n", "--delimiter", given)
    assert done.said.status == 2
    assert "--delimiter" in done.said.err
    assert "one character" in done.said.err


@pytest.mark.parametrize(
    "encoding, given",
    [
        ("utf-8", []),
        ("utf-8-sig", []),
        ("utf-8-sig", ["--encoding", "utf-8"]),
        ("utf-16", []),
        ("utf-32", []),
        ("utf-16-be", ["--encoding", "utf-16-be"]),
        ("utf-16-be", []),
        ("utf-16-le", []),
        ("cp1252", ["--encoding", "cp1252"]),
        ("utf-8-sig", ["--encoding", "utf-8-sig"]),
        ("utf-8-sig", ["--encoding", "UTF8"]),
    ],
)
@pytest.mark.parametrize("name", ["c.csv", "c.ndjson"])
def test_encodings(
    import_text: Import, fake_sendx: FakeSendX, encoding: str, given: list[str], name: str
) -> None:
    text = f"email,first_name\n{JANE},Zoë\n"
    if name.endswith("json"):
        text = json.dumps({"email": JANE, "first_name": "Zoë"}, ensure_ascii=False)
    assert import_text(text.encode(encoding), *given, name=name).counts == (1, 0)
    assert fake_sendx.contact(JANE).first_name == "Zoë"


@pytest.mark.parametrize(
    "data, options, says",
    [
        (codecs.BOM_UTF16_LE + b"e\0m\0a\0i\0l\0\n\0x", [], "can't be read as utf-16"),
        (b"email\n\xff\xff\n", ["--encoding", "utf-16"], "can't be read as utf-16"),
        (b"email\n", ["--encoding", "klingon"], "--encoding 'klingon' is no encoding"),
        (b"email\n", ["--encoding", "base64"], "--encoding 'base64' is no encoding"),
        (b"", [], "the file is empty"),
        (b"\n\n  \n", [], "the file is empty"),
        (b"jane@example.com,Jane\n", [], "has no header"),
        (b"email\n" + b"x" * 1_100_000, [], "line 2 has more than 1,000,000 characters"),
        (b'"email\n' + b"x" * 140_000, [], "the header can't be read as CSV"),
        (b'"email"x\na', [], "the header can't be read as CSV"),
    ],
)
def test_a_file_that_can_not_be_used_is_one_line_of_error(
    run: Run, fake_sendx: FakeSendX, data: bytes, options: list[str], says: str
) -> None:
    Path("c.csv").write_bytes(data)
    for mode in ([], ["--dry-run"]):
        said = run("import", "c.csv", *options, *mode)
        assert said.status == 2
        assert said.err.startswith("Error: ")
        assert says in said.err
        assert said.err.count("\n") == 1
    assert fake_sendx.requests == []
    # One that was begun can be gone on with when it is mended, or begun anew.
    assert {path.name for path in Path().iterdir()} <= {"c.csv", "c.csv.sendx-progress"}


@pytest.mark.parametrize("name", ["absent.csv", "."])
def test_a_file_that_can_not_be_opened(run: Run, name: str) -> None:
    said = run("import", name, "--json")
    assert said.status == 2
    assert said.err.startswith(f"Error: {name}: ")
    assert json.loads(said.out)["message"].startswith(f"{name}: ")
    assert list(Path().iterdir()) == []


def test_a_file_with_only_a_header_has_nothing_to_import(import_text: Import) -> None:
    done = import_text("email,first_name")
    assert (done.said.status, done.counts) == (0, (0, 0))


def test_empty_lines_are_passed_over_and_rows_are_counted_as_a_spreadsheet_does(
    import_text: Import, fake_sendx: FakeSendX
) -> None:
    done = import_text(
        "\n\nemail,first_name\n"  # rows 1 to 3
        '"jane@example.com","Jane\nSmith"\n'  # row 4, on two lines
        "\n,\n \r\n"  # 5 to 7: the last one has a blank
        "no address,x\n"  # 8
        "\0\0\0\n"  # 9: a disk was full
        "bad,\n",  # 10
        "--rejects",
        "r.csv",
    )
    assert done.counts == (1, 2)
    assert fake_sendx.contact(JANE).first_name == "Jane Smith"
    rows = [line.split(",")[0] for line in Path("r.csv").read_text().splitlines()]
    assert rows == ["sendx_row", "8", "10"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_end_of_lines(import_text: Import, fake_sendx: FakeSendX, end: str) -> None:
    assert import_text(f"email{end}a@b.co{end}c@d.co").counts == (2, 0)
    assert set(fake_sendx.contacts) == {"a@b.co", "c@d.co"}


def test_a_row_may_end_early_or_have_empty_cells_too_many(
    import_text: Import, fake_sendx: FakeSendX
) -> None:
    assert import_text("email,first_name\na@b.co\nc@d.co,Cid,,\n").counts == (2, 0)
    assert fake_sendx.contact("c@d.co").first_name == "Cid"


def test_json_a_line(import_text: Import, fake_sendx: FakeSendX) -> None:
    lines: list[object] = [
        {"email": JANE, "firstName": "Jane", "tags": ["vip", "new"], "company": None},
        {"email": "bob@example.com", "first_name": "Bob", "tags": "a, b,,c"},
        {"email": "eve@example.com", "custom_fields": {"Age": 27, "Role": None}},
    ]
    text = "\n\n".join(json.dumps(line) for line in lines)
    assert import_text(text, name="c.jsonl").counts == (3, 0)
    assert fake_sendx.contact(JANE).tags == {"vip", "new"}
    assert fake_sendx.contact("bob@example.com").tags == {"a", "b", "c"}
    assert fake_sendx.contact("eve@example.com").custom_fields == {"Age": "27"}


@pytest.mark.parametrize(
    "line, says",
    [
        ("{", "is no JSON: Expecting property name enclosed in double quotes (character 2)"),
        ('{"email": ' + "1" * 5000 + "}", "has a number that is too long"),
        ("[]", "must be a JSON object"),
        ('"x"', "must be a JSON object"),
        ('{"email": "a@b.co", "email": "c@d.co"}', "names 'email' twice"),
        ("[" * 100_000, "is nested too deep"),
        ('{"email": "a@b.co", "custom_fields": 5}', "custom_fields must be a JSON object, such as"),
        ('{"email": "a@b.co", "tags": 5}', "tags must be"),
        ('{"email": 5}', "email must be a text, and is a number (it is '5')"),
        ("{}", "there is no column of addresses"),
        ('{"email": null}', "email has no address: add it, or leave such rows out"),
        ('{"email": "a@b.co", "first_name": "\\ud800"}', "first_name has a broken character"),
    ],
)
def test_lines_of_json_that_can_not_be_sent(import_text: Import, line: str, says: str) -> None:
    done = import_text(line, name="c.ndjson")
    assert (done.said.status, done.counts) == (1, (0, 1))
    (rejected,) = Path("c.rejects.ndjson").read_text().splitlines()
    found = json.loads(rejected)
    assert found["sendx_row"] == 1
    assert says in found["sendx_reason"]


def test_many_kinds_of_json_objects(import_text: Import) -> None:
    # More than are remembered.
    lines = [json.dumps({"email": f"a{n}@b.co", f"field{n}": "x"}) for n in range(300)]
    assert import_text("\n".join(lines), "--all-fields", name="c.ndjson").counts == (300, 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "text, options",
    [
        ("email,first_name\njane@example.com,Jane\n", []),
        ('\n {"email": "jane@example.com", "firstName": "Jane"}\n', []),
        ("email,first_name\njane@example.com,Jane\n", ["--format", "csv"]),
        ('{"email": "jane@example.com", "firstName": "Jane"}\n', ["--format", "ndjson"]),
        ('\ufeff{"email": "jane@example.com", "firstName": "Jane"}\n', []),
    ],
)
def test_standard_input(
    settings: None, fake_sendx: FakeSendX, text: str, options: list[str]
) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as pipe:
        assert pipe.stdin is not None
        pipe.stdin.write(text.encode())
        pipe.stdin.close()
        said = run_command("import", "-", *options, stdin=pipe.stdout)
    assert (said.status, said.err) == (0, "")
    assert said.out.startswith("Imported standard input: 1 row delivered, 0 rejected (")
    assert fake_sendx.contact(JANE).first_name == "Jane"
    assert list(Path().iterdir()) == []


def test_a_quote_that_is_closed_far_too_late_is_noticed(import_text: Import) -> None:
    text = 'email,first_name,tags\nq@b.co,"Jane\nr@b.co,x\ns@b.co,"y\nz@b.co,Z,"a\nc@b.co"\n'
    done = import_text(text.replace('co,"y', 'co"'))
    assert done.counts == (0, 2)
    reasons = Path("c.rejects.csv").read_text()
    assert "first_name goes on over a line with an address: is a quote not closed?" in reasons
    assert "tags goes on over a line with an address" in reasons


def test_rejects_tell_a_delimiter_that_nobody_would_guess(import_text: Import) -> None:
    done = import_text("sep=^\nemail^first_name\nbad^x\n")
    assert done.counts == (0, 1)
    again = import_text(Path("c.rejects.csv").read_text().replace("bad", "a@b.co"), name="d.csv")
    assert again.counts == (1, 0)


def test_a_name_that_could_steer_the_terminal(run: Run) -> None:
    name = "c\x1b[31m.csv"
    Path(name).write_text("email\na@b.co\n")
    said = run("import", name)
    assert said.out.startswith("Imported c?[31m.csv: 1 row delivered")


def test_a_custom_field_that_is_given_twice(import_text: Import) -> None:
    line = '{"email": "a@b.co", "P": 1, "custom_fields": {"P": 2}}'
    assert import_text(line, "--field", "P", name="c.ndjson").counts == (0, 1)
    assert (
        "custom_fields has 'P', which another column is as well"
        in Path("c.rejects.ndjson").read_text()
    )


def test_the_line_that_excel_wants(import_text: Import, fake_sendx: FakeSendX) -> None:
    done = import_text("sep=;\nemail;first_name\na@b.co;Ann, Lee\nbad;x\n")
    assert done.counts == (1, 1)
    assert fake_sendx.contact("a@b.co").first_name == "Ann, Lee"
    assert Path("c.rejects.csv").read_text().splitlines()[1].startswith("4;")


@pytest.mark.slow
def test_standard_input_that_can_not_be_used(settings: None) -> None:
    said = run_command("import", "-")
    assert said.status == 2
    assert "the file is empty" in said.err
    closed = run_in_shell("sendx import - <&-")
    assert (closed.status, closed.out) == (2, "")
    assert closed.err == "Error: standard input can't be read: Bad file descriptor\n"


@pytest.mark.slow
def test_a_pipe_is_like_standard_input(settings: None, fake_sendx: FakeSendX) -> None:
    said = run_in_shell("sendx import <(printf 'email\\na@b.co\\nbad\\n')")
    assert said.status == 1
    assert said.err == ""
    assert "1 row delivered, 1 rejected" in said.out
    assert [path.name for path in Path().iterdir()] == ["stdin.rejects.csv"]


def test_a_format_that_the_name_does_not_tell(import_text: Import) -> None:
    done = import_text('{"email": "a@b.co"}', "--format", "ndjson", name="c.txt")
    assert done.counts == (1, 0)
