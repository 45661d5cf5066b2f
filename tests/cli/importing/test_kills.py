"""Imports whose process is killed: nothing is lost, nothing finished is sent again."""

import collections
import csv
import itertools
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from sendx_async.testing import FakeSendX
from tests.cli.conftest import Run
from tests.cli.processes import started
from tests.faults.killed_imports.check import check, doubles_after_kills
from tests.faults.killed_imports.rows import WAYS, Way, make_rows
from tests.faults.killed_imports.run import carry_out, make_plan

from .killing import KILLED, LIMIT, import_until

pytestmark = pytest.mark.slow

BATCH = 25
REJECTS = Path("c.rejects.csv")


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize(
    "size",
    [
        pytest.param((1_000, 6), id="briefly", marks=pytest.mark.timeout(600)),
        pytest.param(
            (10_000, 24), id="long", marks=[pytest.mark.chaos, pytest.mark.timeout(30 * 60)]
        ),
    ],
)
def test_an_import_that_is_killed_again_and_again_ends_as_if_it_had_not_been(
    fake_sendx: FakeSendX, tmp_path: Path, seed: int, way: Way, size: tuple[int, int]
) -> None:
    rows, kills = size
    random = Random(seed)
    file = make_rows(random, rows, way)
    plan = make_plan(random, way, kills, rows // BATCH)
    history = carry_out(file, plan, fake_sendx, tmp_path, random)
    assert [str(violation) for violation in check(history)] == [], plan
    assert len(history.deaths) == kills
    assert any(death.unanswered for death in history.deaths)
    assert max(doubles_after_kills(history)) <= plan.concurrency * BATCH, plan


def sent(fake: FakeSendX) -> "collections.Counter[str]":
    """Count the applications of each contact."""
    bodies: list[Any] = [request.json for request in fake.requests if request.applied]
    contacts = itertools.chain(*(each if isinstance(each, list) else [each] for each in bodies))
    return collections.Counter(contact["email"] for contact in contacts)


def rejected_rows() -> list[str]:
    with REJECTS.open(newline="") as file:
        return [row["sendx_row"] for row in csv.DictReader(file)]


def die_when(text: str, fake: FakeSendX, *options: str) -> None:
    """Import until this is among the rejected rows, and not yet noted."""
    url, key = fake.url, fake.api_key
    status = import_until(text, REJECTS, "c.csv", *options, url=url, key=key)
    assert status == KILLED
    assert text in REJECTS.read_text()


def test_a_kill_leaves_in_doubt_no_more_than_could_be_under_way(
    settings: None, run: Run, fake_sendx: FakeSendX
) -> None:
    lines = [f"a{row}@b.co,++1" for row in range(200)]
    Path("c.csv").write_text("\n".join(["email,Visits", *lines]))
    options = ("c.csv", "--field", "Visits", "--increments", "--concurrency", "4")
    # So that it is killed, however long that takes, before all are sent.
    fake_sendx.latency = lambda: 0 if len(fake_sendx.requests) < 20 else 0.5
    with started("import", *options) as process:
        fake_sendx.wait_for(lambda: len(fake_sendx.requests) >= 20, LIMIT)
        process.kill()
        process.communicate(timeout=LIMIT)
    fake_sendx.latency = 0
    said = run("import", *options, "--resume")
    in_doubt = rejected_rows()
    assert 0 < len(in_doubt) <= 4
    assert REJECTS.read_text().count("may have been applied") == len(in_doubt)
    assert f"{200 - len(in_doubt)} rows delivered, {len(in_doubt)} rejected" in said.out
    assert max(sent(fake_sendx).values()) == 1


@pytest.mark.parametrize("is_torn", [False, True])
@pytest.mark.parametrize("row", [2, 30, 90])
def test_an_import_may_die_between_writing_a_rejected_row_and_noting_it(
    run: Run, fake_sendx: FakeSendX, row: int, is_torn: bool
) -> None:
    bad = {2, 3, 30, 31, 60, 90}
    lines = [f"no address {row}" if row in bad else f"a{row}@b.co" for row in range(2, 102)]
    Path("c.csv").write_text("\n".join(["email", *lines]))
    die_when(f"no address {row}", fake_sendx, "--concurrency", "1")
    if is_torn:
        REJECTS.write_bytes(REJECTS.read_bytes()[:-5])
    said = run("import", "c.csv", "--concurrency", "1", "--resume", "--json")
    assert said.status == 1, said.err
    report = json.loads(said.out)
    assert (report["delivered"], report["rejected"]) == (94, 6)
    assert rejected_rows() == sorted(map(str, bad), key=int)
    assert set(sent(fake_sendx)) == {line for line in lines if "@" in line}
    assert {path.name for path in Path().iterdir()} == {"c.csv", "c.rejects.csv"}


def test_a_row_refused_before_a_kill_and_delivered_after_it_is_not_rejected(
    run: Run, fake_sendx: FakeSendX
) -> None:
    Path("c.csv").write_text("email\nbad\na@b.co\n")
    fake_sendx.respond(422, message="not today")
    die_when("not today", fake_sendx)
    said = run("import", "c.csv", "--resume")
    assert "1 row delivered, 1 rejected" in said.out
    assert rejected_rows() == ["2"]
