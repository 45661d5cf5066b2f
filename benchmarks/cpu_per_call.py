"""Processor time of one call, everything included: the client has one core, the server another."""

from _contenders import official_sdk, ours, report_by_concurrency, stock_httpx
from _measure import Finding, ratios, rounds

# Calls at once, and the most that one may cost compared with stock httpx.
GOALS = {1: 0.7, 16: 0.5, 100: 0.3}
CALLS = 600


def measure(url: str, concurrency: int, count: int) -> list[Finding]:
    with (
        ours(url, concurrency) as our_calls,
        stock_httpx(url, concurrency) as stock_calls,
        official_sdk(url, concurrency) as official_calls,
    ):
        costs = rounds(
            {
                "ours": lambda: our_calls(CALLS),
                "stock": lambda: stock_calls(CALLS),
                "official": lambda: official_calls(CALLS),
            },
            count=count,
        )
    cpu = {name: [cost.cpu_microseconds for cost in all_] for name, all_ in costs.items()}
    wall = {name: [cost.wall_microseconds for cost in all_] for name, all_ in costs.items()}
    at_once = f"{concurrency} at once"
    goal = ("<=", GOALS[concurrency])
    return [
        Finding(f"{at_once}: sendx_async", cpu["ours"], "µs CPU"),
        Finding(f"{at_once}: stock httpx", cpu["stock"], "µs CPU"),
        Finding(f"{at_once}: official SDK, threads", cpu["official"], "µs CPU"),
        Finding(f"{at_once}: sendx_async", wall["ours"], "µs wall"),
        Finding(f"{at_once}: stock httpx", wall["stock"], "µs wall"),
        Finding(f"{at_once}: official SDK, threads", wall["official"], "µs wall"),
        Finding(f"{at_once}: sendx_async / stock", ratios(cpu["ours"], cpu["stock"]), "x", goal),
        Finding(
            f"{at_once}: sendx_async / official",
            ratios(cpu["ours"], cpu["official"]),
            "x",
            ("<=", 1.0),
        ),
    ]


if __name__ == "__main__":
    report_by_concurrency("Processor time per call", __doc__, GOALS, measure)
