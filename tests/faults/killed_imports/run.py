"""Imports a file with processes that are killed, the next of which goes on."""

import csv
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, Literal

import attrs

from sendx_async.testing import Contact, FakeSendX, ReceivedRequest

from .rows import LOG, SKIPPED, SourceRow, Way, number_in, write

LIMIT = 120.0  # seconds that anything may take, on a very busy machine
_LONGEST_ANSWER = 0.03

Moment = Literal["started", "connected"] | int
"""When a process is killed: at its start, at its first connection, or after so many requests."""

_EARLY: Sequence[Moment | None] = (None, None, "connected", None, "started", 1)


@attrs.frozen
class Plan:
    """What is done to the processes, one after the other.

    Attributes:
        moments: When each is killed; another one then imports to the end.
        faults: What the server does wrong after so many requests of a process, by its number.
        way: What kind of file it is, and how it is imported.
        concurrency: How many requests each has under way at most.
    """

    moments: Sequence[Moment]
    faults: Mapping[int, tuple[int, str]]
    way: Way
    concurrency: int = 8


FAULTS: Mapping[str, Callable[[FakeSendX], object]] = {
    "503": lambda fake: fake.respond(503),
    "503, applied": lambda fake: fake.respond(503, applied=True),
    "422 for 25 contacts": lambda fake: fake.respond(422, path="identify/bulk"),
    "closed": lambda fake: fake.drop(),
    "closed, applied": lambda fake: fake.drop(applied=True),
}


def make_plan(random: Random, way: Way, kills: int, requests: int) -> Plan:
    """Draw when each process is killed, and what goes wrong before.

    Args:
        random: Where chance comes from.
        way: What kind of file it is.
        kills: How many; three in six soon after the start of a process.
        requests: How many the whole file takes at least.
    """
    most = requests * 2 // (3 * kills)  # so that the file lasts to the last kill
    moments: list[Moment] = []
    for number in range(kills):
        early = _EARLY[number % len(_EARLY)]
        moments.append(random.randint(2, most) if early is None else early)
    names = list(FAULTS) * (kills // len(FAULTS) + 1)
    random.shuffle(names)
    faults = {
        number: (random.randrange(moment), name)
        for number, (moment, name) in enumerate(zip([*moments, 10], names, strict=False))
        if isinstance(moment, int)
    }
    return Plan(moments, faults, way)


@attrs.frozen
class Arrival:
    """A request that the server received.

    Attributes:
        process: The number of the process that sent it.
        rows: Which rows were in it.
        applied: Whether it was carried out.
        status: What was answered; None if nothing was.
    """

    process: int
    rows: tuple[int, ...]
    applied: bool
    status: int | None


@attrs.frozen
class Death:
    """A process that was killed.

    Attributes:
        process: Its number.
        finished: The rows that its files say are finished.
        unanswered: The rows of requests that had no answer.
    """

    process: int
    finished: frozenset[int]
    unanswered: frozenset[int]


@attrs.frozen
class History:
    """What became of a file.

    Attributes:
        rows: The file.
        arrivals: What came to the server, in that order.
        deaths: The processes that were killed.
        rejects: The rejected rows, with the reason.
        skipped: The skipped rows in their file; None if there is to be none.
        logged: The rows of which the log tells; None if there is to be none.
        report: What the last process said, as JSON.
        status: Its exit status.
        contacts: What the server holds.
    """

    rows: Sequence[SourceRow]
    arrivals: Sequence[Arrival]
    deaths: Sequence[Death]
    rejects: Sequence[tuple[int, str]]
    skipped: Sequence[int] | None
    logged: Sequence[int] | None
    report: Mapping[str, Any]
    status: int
    contacts: Mapping[str, Contact]


def carry_out(
    rows: Sequence[SourceRow],
    plan: Plan,
    fake: FakeSendX,
    directory: Path,
    random: Random,
) -> History:
    """Write the file into the directory, and import it.

    A request that a killed process had sent is carried out before the next process is started: over
    a real network it may come later than that, and then no client can keep the order.
    """
    way = plan.way
    path = write(rows, way, directory)
    fake.latency = lambda: random.uniform(0, _LONGEST_ANSWER)
    deaths: list[Death] = []
    ends: list[int] = []  # how many requests had come when each process had ended
    for number, moment in enumerate(plan.moments):
        with _started(path, fake, plan, resumes=number > 0) as process:
            _wait(fake, plan.faults.get(number), moment, process)
            process.kill()
            process.communicate(timeout=LIMIT)
        begun = ends[-1] if ends else 0
        unanswered = _rows_in(each for each in fake.requests[begun:] if each.status is None)
        fake.wait_for(lambda: not fake.connections.open, LIMIT)
        ends.append(len(fake.requests))
        deaths.append(Death(number, _finished(path, way), unanswered))
    with _started(path, fake, plan, resumes=True) as process:
        if fault := plan.faults.get(len(plan.moments)):
            _wait(fake, fault, fault[0], process)
        out, error = process.communicate(timeout=LIMIT)
    if not out:
        raise AssertionError(f"the last process said nothing on stdout, and this: {error}")
    return History(
        rows,
        _arrivals(fake.requests, ends),
        deaths,
        _rejects(directory / way.rejects),
        _skipped(directory / SKIPPED, way) if SKIPPED in way.options else None,
        _logged(directory / LOG) if LOG in way.options else None,
        json.loads(out),
        process.returncode,
        fake.contacts,
    )


def _started(path: Path, fake: FakeSendX, plan: Plan, *, resumes: bool) -> "subprocess.Popen[str]":
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "sendx_async",
        "import",
        path.name,
        "--json",
        *plan.way.options,
    ]
    command += ["--concurrency", str(plan.concurrency), *["--resume"][: int(resumes)]]
    return subprocess.Popen(
        command,
        cwd=path.parent,
        env=os.environ | {"SENDX_API_KEY": fake.api_key, "SENDX_BASE_URL": fake.url},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _wait(
    fake: FakeSendX,
    fault: tuple[int, str] | None,
    moment: Moment,
    process: "subprocess.Popen[str]",
) -> None:
    """Wait until it is time to kill the process, and have the fault happen before."""
    before, connections = len(fake.requests), fake.connections.accepted
    try:
        if fault is not None:
            fake.wait_for(lambda: len(fake.requests) >= before + fault[0], LIMIT)
            FAULTS[fault[1]](fake)
        if moment == "connected":
            fake.wait_for(lambda: fake.connections.accepted > connections, LIMIT)
        elif moment != "started":
            fake.wait_for(lambda: len(fake.requests) >= before + moment, LIMIT)
    except TimeoutError:
        process.kill()
        said = process.communicate(timeout=LIMIT)
        raise AssertionError(f"a process didn't come to {moment!r}; it said {said}") from None


def _rows_in(requests: Iterable[ReceivedRequest]) -> frozenset[int]:
    return frozenset(row for request in requests for row in _numbers(request))


def _numbers(request: ReceivedRequest) -> tuple[int, ...]:
    contacts = request.json if isinstance(request.json, list) else [request.json]
    return tuple(map(number_in, contacts))


def _arrivals(requests: Sequence[ReceivedRequest], ends: Sequence[int]) -> list[Arrival]:
    return [
        Arrival(
            sum(end <= index for end in ends), _numbers(request), request.applied, request.status
        )
        for index, request in enumerate(requests)
    ]


def _finished(path: Path, way: Way) -> frozenset[int]:
    """Give the rows that the files of a killed process say are finished, without touching them."""
    progress = path.with_name(f"{path.name}.sendx-progress")
    with tempfile.TemporaryDirectory() as copies:
        for each in path.parent.glob(f"{progress.name}*"):
            shutil.copy(each, copies)
        copy = Path(copies, progress.name)
        if not copy.exists():
            return frozenset()
        connection = sqlite3.connect(copy)
        try:
            found = connection.execute("SELECT document FROM progress").fetchone()
        except sqlite3.OperationalError:
            found = None  # killed before it had made its table
        finally:
            connection.close()
    ranges = json.loads(found[0] or "{}").get("finished", []) if found else []
    return frozenset(place + way.first for start, end in ranges for place in range(start, end))


def _rejects(path: Path) -> list[tuple[int, str]]:
    return [(int(row["sendx_row"]), row["sendx_reason"]) for row in _rows_of(path)]


def _skipped(path: Path, way: Way) -> list[int]:
    # It has the form of the file of rejected rows, and not the end of its name.
    return [int(row["sendx_row"]) for row in _rows_of(path, is_json=way.is_json)]


def _rows_of(path: Path, *, is_json: bool | None = None) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        if is_json or path.suffix == ".ndjson":
            return list(map(json.loads, file))
        return list(csv.DictReader(file))


def _logged(path: Path) -> list[int]:
    return [json.loads(line)["row"] for line in path.read_text().splitlines()]
