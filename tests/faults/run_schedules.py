"""A thousand random streams against a server that fails at random, and what they got wrong.

Seeds count up from 0; an even one is sent by asyncio, an odd one by trio. The seed of a schedule
that shows a mistake is printed, and `--seed` carries it out again and shows what happened.
"""

import argparse
import collections
from pathlib import Path
from random import Random

from _measure import Finding, report

from tests.faults.schedules import KINDS, Record, Violation, carry_out, check, make_schedule

SCHEDULES = 1_000
BACKENDS = ("asyncio", "trio")


def carry_out_seed(seed: int) -> tuple[Record, list[Violation]]:
    record = carry_out(make_schedule(Random(seed)), BACKENDS[seed % len(BACKENDS)])
    return record, check(record)


def counts(record: Record) -> dict[str, int]:
    """What there was to be got wrong."""
    outcomes = [*record.outcomes, *record.unclaimed]
    return {
        "requests": record.given,
        "HTTP requests": len(record.deliveries),
        "HTTP requests with several contacts": sum(each.is_bulk for each in record.deliveries),
        "HTTP requests that met a fault": sum(bool(each.fault) for each in record.deliveries),
        "HTTP requests that came when they had been given up": sum(
            each.is_late for each in record.deliveries
        ),
        "times that the server was stopped": record.absences,
        "outcomes delivered": sum(each.error is None for each in outcomes),
        "outcomes surely not applied": sum(
            each.error is not None and not each.error.maybe_delivered for each in outcomes
        ),
        "outcomes in doubt": sum(
            each.error is not None and each.error.maybe_delivered for each in outcomes
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedules", type=int, default=SCHEDULES, metavar="N")
    parser.add_argument("--seed", type=int, metavar="S", help="carry out this one, and show it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here, too")
    arguments = parser.parse_args()
    seeds = range(arguments.schedules) if arguments.seed is None else [arguments.seed]
    totals: collections.Counter[str] = collections.Counter()
    mistakes: collections.Counter[str] = collections.Counter()
    for seed in seeds:
        record, violations = carry_out_seed(seed)
        totals.update(counts(record))
        mistakes.update(violation.kind for violation in violations)
        if arguments.seed is not None:
            print(f"{record}\n")
        for violation in violations:
            print(f"seed {seed}: {violation}", flush=True)
    report(
        f"{len(seeds):,} random streams against a server that fails at random",
        [
            *(Finding(what, [count]) for what, count in totals.items()),
            *(Finding(what, [mistakes[kind]], goal=("=", 0)) for kind, what in KINDS.items()),
        ],
        json_file=arguments.json,
    )


if __name__ == "__main__":
    main()
