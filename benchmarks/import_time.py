"""Import time: each statement in a fresh interpreter, alternating.

The root of `sendx_async` loads its names when they are asked for, so the bare import flatters it:
the lines that a user's program really has are measured as well.
"""

import subprocess
import sys
from functools import partial

from _measure import Finding, environment_with_bytecode, options, ratios, report, rounds

OURS = "import sendx_async"
OUR_CLIENT = "from sendx_async import AsyncTrackingClient"
OUR_SYNC_CLIENT = "from sendx_async import TrackingClient"
OUR_CLIENT_BUILT = f"{OUR_CLIENT}; AsyncTrackingClient('k', base_url='http://localhost')"
HTTPX = "import httpx"
HTTPX_CLIENT_BUILT = "import httpx; httpx.AsyncClient()"
OFFICIAL = "import sendx_python_sdk"
STATEMENTS = [
    OURS,
    OUR_CLIENT,
    OUR_SYNC_CLIENT,
    OUR_CLIENT_BUILT,
    HTTPX,
    HTTPX_CLIENT_BUILT,
    OFFICIAL,
]


def milliseconds(statement: str) -> float:
    """How long the statement takes in a new interpreter, whose own start is not counted."""
    timer = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
    # A client that was only built has no connection, so its warning about closing is no news.
    command = [sys.executable, "-W", "ignore", "-c", timer]
    answer = subprocess.run(
        command, env=environment_with_bytecode(), capture_output=True, text=True, check=True
    )
    return float(answer.stdout) * 1000


def main() -> None:
    arguments = options(__doc__, default_rounds=11)
    for statement in STATEMENTS:
        milliseconds(statement)  # compiles the modules
    times = rounds(
        {statement: partial(milliseconds, statement) for statement in STATEMENTS},
        count=arguments.rounds,
    )

    def more(ours: str) -> list[float]:
        return [a - b for a, b in zip(times[ours], times[HTTPX], strict=True)]

    findings = [Finding(statement, times[statement], "ms") for statement in STATEMENTS]
    for ours in (OURS, OUR_CLIENT):
        share = ratios(times[ours], times[OFFICIAL])
        findings += [
            Finding(f"{ours}, over {HTTPX}", more(ours), "ms", ("<=", 40)),
            Finding(f"{ours} / {OFFICIAL}", share, "x", ("<", 0.333)),
        ]
    report("Import time", findings, json_file=arguments.json)


if __name__ == "__main__":
    main()
