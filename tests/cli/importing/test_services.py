"""Each service's export: recognised, proposed, and imported as a marketer would want it.

What is right stands beside each file of ``exports``, as ``NAME.expected.json``, row by row.
"""

import csv
import io
import json
import shlex
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from sendx_async._cli.importing.recognising import presets
from sendx_async.testing import Contact, FakeSendX
from tests.cli.conftest import Run

EXPORTS = Path(__file__).parent / "exports"
EXPECTATIONS = sorted(EXPORTS.glob("*.expected.json"))
COMMAND = "sendx import "


@pytest.fixture(params=EXPECTATIONS, ids=lambda path: path.name.removesuffix(".expected.json"))
def expected(request: pytest.FixtureRequest, directory: Path) -> dict[str, Any]:
    """What is right for a file, which lies in the current directory."""
    wanted: dict[str, Any] = json.loads(request.param.read_text("utf-8"))
    shutil.copy(EXPORTS / wanted["file"], directory)
    return wanted


def proposed(error: str) -> list[list[str]]:
    """Return the commands that an error has to paste, each on a line of its own."""
    lines = (line.strip() for line in error.splitlines())
    return [shlex.split(line) for line in lines if line.startswith(COMMAND)]


def test_the_bare_command_proposes_the_one_that_imports_the_file(
    expected: dict[str, Any], run: Run, fake_sendx: FakeSendX
) -> None:
    bare = run("import", expected["file"])
    assert bare.status == 2
    assert presets.load(expected["from"]).title in bare.err
    assert proposed(bare.err) == [["sendx", *command(expected)]]
    assert not fake_sendx.requests


def command(expected: dict[str, Any]) -> list[str]:
    """Return the arguments of the command that imports a file."""
    return ["import", expected["file"], "--from", expected["from"], *expected.get("options", [])]


def test_the_command_brings_the_right_contacts_and_nobody_else(
    expected: dict[str, Any], run: Run, fake_sendx: FakeSendX
) -> None:
    done = run(*command(expected), "--skipped", "skipped", "--json")
    report = json.loads(done.out)
    assert done.status == (1 if report["rejected"] else 0)
    assert report["rejected"] == expected.get("rejected", 0)
    assert fake_sendx.contacts == {
        address: Contact(email=address, **fields)
        for address, fields in expected["contacts"].items()
    }
    assert report["skipped"] == {
        reason: who if isinstance(who, int) else len(who)
        for reason, who in expected["skipped"].items()
    }
    skipped = rows_skipped() if report["skipped"] else {}
    for reason, who in expected["skipped"].items():
        for address in [] if isinstance(who, int) else who:
            assert any(address in row for row in skipped[reason])


def test_the_name_within_a_zip_tells_who_is_in_it(
    run: Run, fake_sendx: FakeSendX, directory: Path
) -> None:
    name = "nonsubscribed_members_export_5f6e7d.csv"
    with zipfile.ZipFile("audience.zip", "w") as archive:
        archive.write(EXPORTS / name, f"export/{name}")
    done = run("import", "audience.zip", "--from", "mailchimp", "--json")
    assert json.loads(done.out)["skipped"] == {"never subscribed": 2}
    assert not fake_sendx.requests


def rows_skipped() -> dict[str, list[str]]:
    """Return the rows of the file of skipped ones, by the reason that it gives."""
    text = Path("skipped").read_text("utf-8-sig")
    rows: dict[str, list[str]] = {}
    if text.startswith("{"):
        for line in text.splitlines():
            rows.setdefault(json.loads(line)["sendx_reason"], []).append(line)
        return rows
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    for row in csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter):
        rows.setdefault(row["sendx_reason"], []).append(str(row))
    return rows


def test_each_service_has_a_sample_of_what_is_right() -> None:
    known = {json.loads(path.read_text("utf-8"))["from"] for path in EXPECTATIONS}
    assert known == set(presets.names())


def test_a_list_in_a_field_of_ones_own_costs_its_value_alone(
    run: Run, fake_sendx: FakeSendX, directory: Path
) -> None:
    lines = [
        {"distinct_ids": ["1"], "properties": {"email": "a@b.co", "plans": ["a"], "seats": 2}},
        {"distinct_ids": ["2"], "properties": {"email": "c@d.co", "plans": [], "seats": 3}},
    ]
    Path("p.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
    shown = run("import", "p.ndjson", "--from", "posthog", "--dry-run")
    assert "plans: 1 cell held a list or an object, which is no custom field" in shown.out
    assert run("import", "p.ndjson", "--from", "posthog").status == 0
    assert fake_sendx.contact("a@b.co").custom_fields == {"seats": "2"}
    assert fake_sendx.contact("c@d.co").custom_fields == {"seats": "3"}
    asked = run("import", "p.ndjson", "--from", "posthog", "--field", "properties.plans", "--json")
    assert json.loads(asked.out)["rejected"] == 2
