"""`sendx import` of 100,000 plain CSV rows: this checkout against another one, an earlier commit.

    git worktree add /tmp/before 843e5f5
    python benchmarks/import_versions.py /tmp/before

Both are run by this Python, with its packages. Each round runs both, in alternating order; what is
timed is the whole process, from its start to its end.
"""

import tempfile
from functools import partial
from pathlib import Path

from _measure import Finding, options, ratios, report, rounds
from import_file import ROWS, imported, running_server, write_files

GOAL = (">=", 0.9)


def main() -> None:
    arguments = options(
        __doc__, default_rounds=7, directory="a checkout of the commit to compare with"
    )
    here = Path(__file__).parent.parent
    with tempfile.TemporaryDirectory() as directory, running_server() as server:
        file, _ = write_files(Path(directory))
        before, now = (
            partial(imported, server.url, file, checkout=each)
            for each in (arguments.directory, here)
        )
        costs = rounds({"before": before, "now": now}, count=arguments.rounds)
    findings = [
        Finding(f"{name}, {unit}", [getattr(cost, attribute) for cost in all_], unit)
        for attribute, unit in (
            ("calls_per_second", "rows/s"),
            ("cpu_microseconds", "µs CPU a row"),
            ("peak_megabytes", "MB"),
        )
        for name, all_ in costs.items()
    ]
    speeds = {name: [cost.calls_per_second for cost in all_] for name, all_ in costs.items()}
    findings.append(Finding("now over before", ratios(speeds["now"], speeds["before"]), "x", GOAL))
    report(f"`sendx import` of {ROWS:,} rows, before and now", findings, json_file=arguments.json)


if __name__ == "__main__":
    main()
