"""Run every benchmark and print the results as Markdown, ready for the README."""

import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from _measure import load, markdown

HERE = Path(__file__).parent
BENCHMARKS = {
    "throughput": "Throughput: 100 connections, 200 tasks, a server that takes 50 ms",
    "cpu_per_call": "Processor time per call, one core",
    "import_time": "Import time",
    "cli_start": "The command's start",
    "otel": "Processor time per call with OpenTelemetry",
    "cancellation": "After 4 s of cancelled calls on ten connections",
    "loops": "One client over 4 asyncio.run, one trio.run and 6 threads",
    "deadline": "A call with `deadline=1`",
    "sync_facade": "The synchronous client",
    "stream_throughput": "Streams: 8 requests at once, 25 contacts each",
    "micro_batching": "Shared requests: 20 connections, a server that takes 50 ms",
    "stream_memory": "Memory of a stream of 1,000,000 contacts",
    "outage": "A stream of 20,000 contacts, out for 10 s",
    "pace": "A stream of 1,000 single requests, Rate(200)",
    "rate_limit": "A stream to a server that takes 20 requests a second",
    "fault_schedules": "1,000 random streams against a server that fails at random",
    "import_file": "`sendx import` of 100,000 rows into the sandbox",
    "import_kills": "`sendx import`, killed and resumed",
    "outbox_put": "Putting a request into an outbox",
    "outbox_drain": "Draining an outbox: 8 requests at once",
    "outbox_outage": "An outbox with 20,000 waiting contacts, out for 10 s",
    "outbox_backlog": "An outbox in which 1,000,000 requests wait, and one with 1,000",
    "postgres_blocked_heads": "Procrastinate: a fetch while many jobs wait for others",
    "outbox_crashes": "An outbox whose processes are killed 60 times",
}


def main() -> None:
    packages = ", ".join(f"{name} {version(name)}" for name in ("httpx", "httpcore", "sendx"))
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {packages}")
    failures = 0
    with tempfile.TemporaryDirectory() as directory:
        for name, title in BENCHMARKS.items():
            result = Path(directory, f"{name}.json")
            command = [sys.executable, str(HERE / f"{name}.py"), "--json", str(result)]
            run = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
            failures += run.returncode != 0
            body = markdown(load(result)) if result.exists() else "It failed: see above."
            print(f"\n### {title}\n\n{body}", flush=True)
    sys.exit(failures)


if __name__ == "__main__":
    main()
