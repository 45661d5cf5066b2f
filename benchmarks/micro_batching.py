"""Calls per second of 400 tasks on 20 connections, which share requests or each make their own."""

from functools import partial

from _contenders import ours
from _measure import Finding, options, ratios, report, rounds
from _server import server_on_another_core

CONNECTIONS = 20
TASKS = 400
CALLS = 4_000
SHARING = "batch_identify"
ALONE = "each call alone"


def main() -> None:
    arguments = options(__doc__)
    with server_on_another_core() as server:
        url = server.url("delay-50")
        with (
            ours(url, CONNECTIONS, TASKS, batch_identify=True) as sharing,
            ours(url, CONNECTIONS, TASKS) as alone,
        ):
            costs = rounds(
                {SHARING: partial(sharing, CALLS), ALONE: partial(alone, CALLS)},
                count=arguments.rounds,
            )
    speed = {name: [cost.calls_per_second for cost in all_] for name, all_ in costs.items()}
    cpu = {name: [cost.cpu_microseconds for cost in all_] for name, all_ in costs.items()}
    findings = [
        *(Finding(name, speed[name], "calls/s") for name in costs),
        *(Finding(name, cpu[name], "µs CPU") for name in costs),
        Finding(f"{SHARING} / {ALONE}", ratios(speed[SHARING], speed[ALONE]), "x", (">=", 8)),
        Finding(f"{SHARING} / {ALONE}, processor time", ratios(cpu[SHARING], cpu[ALONE]), "x"),
    ]
    report(
        f"Shared requests: {TASKS} tasks, {CONNECTIONS} connections, a server that takes 50 ms",
        findings,
        json_file=arguments.json,
    )


if __name__ == "__main__":
    main()
