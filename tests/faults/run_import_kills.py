"""An import whose process is killed 24 times, with faults: what is lost, doubled or out of order.

A real `sendx import` of a CSV file is ended by SIGKILL, after as many requests as chance says, or
at its start, and another one goes on with `--resume`. In the file are bad rows, contacts with
several rows, and increments, which must not be applied twice. The server takes up to 30 ms for an
answer, and fails now and then. `--seed S` repeats the file and the moments; what they meet is up to
the processes.

A double is a row that was applied again. A kill may have as many as were under way.
"""

import argparse
import collections
import secrets
import tempfile
from pathlib import Path
from random import Random

from _measure import Finding, report

from sendx_async.testing import FakeSendX
from tests.faults.killed_imports.check import (
    KINDS,
    check,
    doubles_after_faults,
    doubles_after_kills,
    in_doubt,
)
from tests.faults.killed_imports.rows import make_rows
from tests.faults.killed_imports.run import History, Plan, carry_out, make_plan

KILLS = 24
ROWS = 10_000
BATCH = 25


def findings_of(history: History, plan: Plan) -> list[Finding]:
    mistakes = collections.Counter(violation.kind for violation in check(history))
    doubtful, applied = in_doubt(history)
    with_requests = [death for death in history.deaths if death.unanswered]
    return [
        Finding("rows", [len(history.rows)]),
        Finding("processes killed", [len(history.deaths)], goal=("=", len(plan.moments))),
        Finding("... with requests under way", [len(with_requests)]),
        Finding("HTTP requests", [len(history.arrivals)]),
        Finding("faults of the server", [len(plan.faults)]),
        Finding("rows delivered", [history.report["delivered"]]),
        Finding("rows rejected", [history.report["rejected"]]),
        Finding("... since they may have been applied", [doubtful]),
        Finding("... and were", [applied]),
        Finding(
            "rows without an answer at a kill", [len(each.unanswered) for each in with_requests]
        ),
        Finding("doubles after a kill", doubles_after_kills(history)),
        Finding(
            "... at most",
            [max(doubles_after_kills(history))],
            goal=("<=", plan.concurrency * BATCH),
        ),
        Finding("doubles after a fault", [doubles_after_faults(history)]),
        *(Finding(what, [mistakes[kind]], goal=("=", 0)) for kind, what in KINDS.items()),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, metavar="N")
    parser.add_argument("--kills", type=int, default=KILLS, metavar="N")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), metavar="S")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here, too")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    random = Random(arguments.seed)
    rows = make_rows(random, arguments.rows)
    plan = make_plan(random, arguments.kills, len(rows) // BATCH)
    fake = FakeSendX()
    with tempfile.TemporaryDirectory() as directory, fake.serving():
        history = carry_out(rows, plan, fake, Path(directory), random)
    for violation in check(history):
        print(violation)
    report(
        f"An import of {len(rows):,} rows whose process is killed {len(plan.moments)} times",
        findings_of(history, plan),
        json_file=arguments.json,
    )


if __name__ == "__main__":
    main()
