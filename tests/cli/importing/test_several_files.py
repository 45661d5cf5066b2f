"""Several files in one call: all are looked at before the first one is sent."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from sendx_async.testing import FakeSendX
from tests.cli.conftest import Run


@pytest.fixture
def files(directory: Path) -> list[str]:
    for name, address in (("a.csv", "a@b.co"), ("b.csv", "c@d.co"), ("c.csv", "e@f.co")):
        Path(name).write_text(f"email,Plan\n{address},Pro\n")
    return ["a.csv", "b.csv", "c.csv"]


def reports(run: Run, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    said = run("import", *arguments, "--json")
    return said.status, [json.loads(line) for line in said.out.splitlines()]


def test_each_file_has_its_own_report(run: Run, fake_sendx: FakeSendX, files: list[str]) -> None:
    Path("b.csv").write_text("email,Plan\nbad,Pro\n")
    status, found = reports(run, *files, "--ignore", "Plan")
    assert status == 1
    assert [(each["file"], each["delivered"]) for each in found] == [
        ("a.csv", 1), ("b.csv", 0), ("c.csv", 1),
    ]  # fmt: skip
    assert found[1]["rejects"] == "b.rejects.csv"
    assert set(fake_sendx.contacts) == {"a@b.co", "e@f.co"}


def test_nothing_is_sent_before_all_can_be(
    run: Run, fake_sendx: FakeSendX, files: list[str]
) -> None:
    Path("b.csv").write_text("email,Plan\nc@d.co,n/a\n")
    Path("c.csv").write_text("email,Plan\nc@d.co,NULL\n")
    status, (error,) = reports(run, *files, "--all-fields")
    assert status == 2
    assert [each["file"] for each in error["files"]] == ["b.csv", "c.csv"]
    assert error["files"][1]["proposal"][-2:] == ["--null", "NULL"]
    said = run("import", *files, "--all-fields")
    assert said.err.splitlines()[1:] == [
        "sendx import b.csv --all-fields --null n/a",
        "sendx import c.csv --all-fields --null NULL",
    ]
    assert not fake_sendx.requests


def test_a_file_that_can_not_be_read_is_named(run: Run, fake_sendx: FakeSendX) -> None:
    Path("a.csv").write_text("email\na@b.co\n")
    Path("b.csv").write_text("")
    said = run("import", "a.csv", "b.csv")
    assert (said.status, said.err[:26]) == (2, "Error: b.csv: the file is ")
    assert not fake_sendx.requests


def test_each_file_is_shown(run: Run, files: list[str]) -> None:
    status, found = reports(run, *files, "--ignore", "Plan", "--dry-run")
    assert (status, [each["preview"]["rows"] for each in found]) == (0, [1, 1, 1])


def test_after_a_file_that_was_stopped_no_other_is_begun(
    run: Run, fake_sendx: FakeSendX, files: list[str]
) -> None:
    fake_sendx.respond(401, times=None)
    status, found = reports(run, *files, "--ignore", "Plan")
    assert status == 2
    assert [each["file"] for each in found] == ["a.csv"]


def test_it_goes_on_with_the_file_that_was_stopped(
    run: Run, fake_sendx: FakeSendX, files: list[str]
) -> None:
    Path("b.csv").write_text("email,Plan\n" + "".join(f"b{n}@b.co,Pro\n" for n in range(4)))
    options = ("--ignore", "Plan", "--limit", "2")
    _, found = reports(run, *files, *options)
    assert [(each["file"], each["delivered"]) for each in found] == [("a.csv", 1), ("b.csv", 1)]
    said = run("import", *files, "--ignore", "Plan", "--resume")
    assert said.status == 0
    assert said.err == "a.csv is finished, and passed over.\n"
    assert set(fake_sendx.contacts) == {
        "a@b.co", "b0@b.co", "b1@b.co", "b2@b.co", "b3@b.co", "e@f.co",
    }  # fmt: skip


@pytest.mark.parametrize("limit", ["1", "2"])
def test_a_limit_is_one_for_all_files(
    run: Run, fake_sendx: FakeSendX, files: list[str], limit: str
) -> None:
    options = (*files, "--ignore", "Plan", "--limit", limit)
    said = run("import", *options)
    assert said.status == 0
    assert f"--limit {limit} is reached" in said.out
    assert len(fake_sendx.contacts) == int(limit)
    again = run("import", *options, "--resume")
    assert (again.status, len(fake_sendx.contacts)) == (0, min(3, 2 * int(limit)))


def test_nothing_is_to_be_gone_on_with(run: Run, files: list[str]) -> None:
    said = run("import", *files, "--ignore", "Plan", "--resume")
    assert said.status == 2
    assert "there is nothing to resume: no import of a.csv" in said.err


@pytest.mark.parametrize("other", ["./a.csv", "link.csv", "hard.csv"])
def test_a_file_that_is_named_twice_is_sent_by_neither_name(
    run: Run, fake_sendx: FakeSendX, files: list[str], other: str
) -> None:
    Path("link.csv").symlink_to("a.csv")
    os.link("a.csv", "hard.csv")
    said = run("import", "b.csv", "a.csv", other, "--ignore", "Plan")
    assert said.status == 2
    assert f"a.csv and {other} are the same file" in said.err
    assert not fake_sendx.requests


def test_a_proposed_command_takes_a_file_for_no_option(run: Run) -> None:
    Path("-d.csv").write_text("email,Plan\na@b.co,n/a\n")
    said = run("import", "--all-fields", "--", "-d.csv")
    assert said.err.splitlines()[1:] == ["sendx import ./-d.csv --all-fields --null n/a"]
