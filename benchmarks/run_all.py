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
    "stream_throughput": "Streams: 8 requests at once, 25 contacts each",
    "micro_batching": "Shared requests: 20 connections, a server that takes 50 ms",
    "stream_memory": "Memory of a stream of 1,000,000 contacts",
    "outage": "A stream and an outbox of 20,000 contacts, out for 10 s",
    "rates": "Streams and rates: one that is told, one that is not",
    "import_file": "`sendx import` of 100,000 rows into the sandbox",
    "import_large": "`sendx import` of 2,000,000 rows",
    "outbox_put": "Putting a request into an outbox",
    "outbox_drain": "Draining an outbox: 8 and 32 requests at once",
    "outbox_backlog": "An outbox in which 1,000,000 requests wait, and one with 1,000",
    "outbox_contacts": "One contact among many in an outbox",
    "postgres_blocked_heads": "Procrastinate: a fetch while many jobs wait for others",
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
