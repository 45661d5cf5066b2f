"""Calls per second of many tasks on 20 connections, which share requests or each make their own."""

from functools import partial

from _contenders import ours
from _measure import Finding, options, ratios, report, rounds
from _server import server_on_another_core

CONNECTIONS = 20
# Tasks, the calls that they make, and what sharing has to bring. With a task for each connection
# nobody has to wait, so there sharing can only cost.
CASES: dict[int, tuple[int, tuple[str, float] | None]] = {400: (2_000, (">=", 8)), 20: (400, None)}
SHARING = "batch_identify"
ALONE = "each call alone"


def measure(
    url: str, tasks: int, calls: int, goal: tuple[str, float] | None, count: int
) -> list[Finding]:
    with (
        ours(url, CONNECTIONS, tasks, batch_identify=True) as sharing,
        ours(url, CONNECTIONS, tasks) as alone,
    ):
        costs = rounds(
            {SHARING: partial(sharing, calls), ALONE: partial(alone, calls)}, count=count
        )
    speed = {name: [cost.calls_per_second for cost in all_] for name, all_ in costs.items()}
    cpu = {name: [cost.cpu_microseconds for cost in all_] for name, all_ in costs.items()}
    both = f"{tasks} tasks: {SHARING} / {ALONE}"
    return [
        *(Finding(f"{tasks} tasks: {name}", speed[name], "calls/s") for name in costs),
        *(Finding(f"{tasks} tasks: {name}", cpu[name], "µs CPU") for name in costs),
        Finding(both, ratios(speed[SHARING], speed[ALONE]), "x", goal),
        Finding(f"{both}, processor time", ratios(cpu[SHARING], cpu[ALONE]), "x"),
    ]


def main() -> None:
    arguments = options(__doc__)
    findings: list[Finding] = []
    with server_on_another_core() as server:
        for tasks, (calls, goal) in CASES.items():
            findings += measure(server.url("delay-50"), tasks, calls, goal, arguments.rounds)
    report(
        f"Shared requests: {CONNECTIONS} connections, a server that takes 50 ms",
        findings,
        json_file=arguments.json,
    )


if __name__ == "__main__":
    main()
