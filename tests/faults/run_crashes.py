"""An outbox whose producers and drainers are killed 60 times, with faults: what is lost or doubled.

Five processes put, three offer to drain, all on one file; SIGKILL ends one of them at random
moments, and another takes its place. The server answers one request in twelve with 503, 500, 429 or
400, or drops the connection, some of them after it has applied the request. `--seed S` repeats what
is put, who is killed and after how much of it all; what that meets is up to the processes.

A duplicate is a request applied again that is safe to repeat. It is excused if its answer was lost
or a 5xx, or if the process that had sent it was killed.
"""

import argparse
import collections
import secrets
from pathlib import Path

from _measure import Finding, report
from _outboxes import directory

from tests.faults.crashes.check import KINDS, check, doubts, duplicates, went_back
from tests.faults.crashes.history import History
from tests.faults.crashes.plan import Plan, make_producers
from tests.faults.crashes.run import carry_out

PUTS = 10_000
KILLS = 60
STOPS = 10
CONTACTS_EACH = 12


def make_plan(seed: int, puts: int, kills: int) -> Plan:
    return Plan(
        seed=seed,
        puts=puts,
        kills=kills,
        stops=STOPS,
        producers=make_producers(CONTACTS_EACH),
        drainers=3,
        window=1_000,
        limit=1_800,
    )


def findings_of(history: History, plan: Plan) -> list[Finding]:
    repeated = duplicates(history)
    causes = collections.Counter(duplicate.cause for duplicate in repeated)
    after_a_kill = collections.Counter(
        duplicate.first.drainer for duplicate in repeated if duplicate.cause == "killed process"
    )
    faults = collections.Counter(arrival.fault for arrival in history.arrivals if arrival.fault)
    drainers = [death for death in history.deaths if death.is_drainer]
    accepted = sum(stored.delivery_id is not None for stored in history.stored.values())
    seen = {mark for arrival in history.arrivals for mark in arrival.marks}
    in_silence = sum(
        history.stored[mark].delivery_id is None for mark in seen & history.stored.keys()
    )
    kinds = collections.Counter(aside.kind for aside in history.aside)
    unknown = collections.Counter(doubts(history))
    mistakes = collections.Counter(violation.kind for violation in check(history))
    return [
        Finding("puts accepted", [accepted], goal=(">=", plan.puts)),
        Finding("... and stored though their process died before it said so", [in_silence]),
        Finding("processes killed", [len(history.deaths)], goal=("=", plan.kills)),
        Finding("... that put", [len(history.deaths) - len(drainers)]),
        Finding("... that drained, or waited to", [len(drainers)]),
        Finding("... with requests under way", [sum(each.under_way > 0 for each in drainers)]),
        Finding("drainers replaced in good order", [history.stops]),
        Finding("HTTP requests", [len(history.arrivals)]),
        *(Finding(f"faults: {name}", [count]) for name, count in sorted(faults.items())),
        Finding("dead, refused with 400", [kinds["dead"]]),
        Finding("uncertain after a lost answer or a 5xx", [unknown["lost answer"]]),
        Finding("uncertain after a kill", [unknown["killed process"]]),
        Finding("duplicates after a lost answer or a 5xx", [causes["lost answer"]]),
        Finding("duplicates after a kill", [causes["killed process"]]),
        Finding(
            "... after one kill, at most",
            [max(after_a_kill.values(), default=0)],
            goal=("<=", plan.concurrency * plan.batch_size),
        ),
        Finding("contacts whose last word isn't the latest", [len(went_back(history))]),
        *(Finding(what, [mistakes[kind]], goal=("=", 0)) for kind, what in KINDS.items()),
        Finding("it all took", [history.seconds], "s"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--puts", type=int, default=PUTS, metavar="N")
    parser.add_argument("--kills", type=int, default=KILLS, metavar="N")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), metavar="S")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here, too")
    arguments = parser.parse_args()
    plan = make_plan(arguments.seed, arguments.puts, arguments.kills)
    print(f"seed {plan.seed}", flush=True)
    with directory() as place:
        history = carry_out(plan, place / "outbox.db")
    for violation in check(history):
        print(violation)
    report(
        f"An outbox with {plan.kills} processes killed while it is used",
        findings_of(history, plan),
        json_file=arguments.json,
    )


if __name__ == "__main__":
    main()
