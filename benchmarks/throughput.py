"""Throughput: calls per second over 100 connections to a server that takes 50 ms to answer."""

from _contenders import ours, stock_httpx
from _measure import Finding, options, ratios, report, rounds
from _server import running_server

CONNECTIONS = 100
TASKS = 200
CALLS = 1_000


def main() -> None:
    arguments = options(__doc__)
    with running_server() as server:
        url = server.url("delay-50")
        with (
            ours(url, CONNECTIONS, TASKS) as measure,
            stock_httpx(url, CONNECTIONS, TASKS) as stock,
        ):
            costs = rounds(
                {"ours": lambda: measure(CALLS), "stock": lambda: stock(CALLS)},
                count=arguments.rounds,
            )
    speed = {name: [cost.calls_per_second for cost in all_] for name, all_ in costs.items()}
    findings = [
        Finding("sendx_async", speed["ours"], "calls/s"),
        Finding("stock httpx", speed["stock"], "calls/s"),
        Finding("sendx_async / stock", ratios(speed["ours"], speed["stock"]), "x", (">=", 8)),
    ]
    report(
        f"Throughput: {CONNECTIONS} connections, {TASKS} tasks, a server that takes 50 ms",
        findings,
        json_file=arguments.json,
    )


if __name__ == "__main__":
    main()
