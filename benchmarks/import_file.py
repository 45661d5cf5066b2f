"""`sendx import` of a CSV file of 100,000 rows, against a loop over the official SDK.

What is timed of the import is its whole process, from its start to its end. The loop reads the same
file with csv.DictReader and calls the official SDK for each row, in one thread; its start is not
counted. Both talk to `FakeSendX`, in a process of its own, which has its share in these times.
Each import's memory and processor time are what the system says of its process.
"""

import contextlib
import csv
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import attrs
from _measure import Cost, Finding, environment_with_bytecode, options, ratios, report, rounds

ROWS = 100_000
OFFICIAL_ROWS = 4_000
PASSED_OVER = 90_000
BATCH = 25
RATIO_GOAL = (">=", 5)
MEMORY_GOAL = ("<", 100)
KEY = "benchmark-key"
FIELDS = ("Role", "Plan")
HEADER = ("email", "first_name", "last_name", "tags", *FIELDS)
# What getrusage calls kilobytes is bytes on macOS.
PEAK_UNIT = 1 if sys.platform == "darwin" else 1024


def cells(number: int) -> list[str]:
    return [f"jane.smith{number}@company.com", "Jane", "Smith", "new_user,vip", "Engineer", "Gold"]


def write_files(directory: Path) -> tuple[Path, Path]:
    """Write the same contacts as CSV and as NDJSON."""
    as_csv, as_json = directory / "contacts.csv", directory / "contacts.ndjson"
    with as_csv.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows(map(cells, range(ROWS)))
    with as_json.open("w") as lines:
        for number in range(ROWS):
            lines.write(json.dumps(dict(zip(HEADER, cells(number), strict=True))) + "\n")
    return as_csv, as_json


class Server:
    """The fake server in a process of its own, seen from the benchmark."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._say, self._heard = process.stdin, process.stdout
        self.url = self._heard.readline().strip()

    def expect(self, requests: int) -> None:
        """Have it tell when so many more requests were answered."""
        self._say.write(f"{requests}\n")
        self._say.flush()
        assert self._heard.readline() == "counting\n"

    def reached(self) -> float:
        """Wait until it tells; gives the time on the clock of time.monotonic."""
        return float(self._heard.readline())


def serve(core: int | None) -> None:
    """Be the server, until standard input ends."""
    from sendx_async.testing import FakeSendX, ReceivedRequest  # noqa: PLC0415 - not in the parent

    if core is not None:
        os.sched_setaffinity(0, {core})
    left = 0

    def count(_: ReceivedRequest) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            print(time.monotonic(), flush=True)

    with FakeSendX(api_key=KEY, keep=1, on_request=count).serving() as url:
        print(url, flush=True)
        for line in sys.stdin:
            left = int(line)
            print("counting", flush=True)


@contextlib.contextmanager
def running_server() -> Iterator[Server]:
    """Run the server on one processor core, and this process on another, if there are two."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    command = [sys.executable, __file__, "--serve", *map(str, cores[1:][-1:])]
    if cores:
        os.sched_setaffinity(0, cores[:1])
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Server(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()


def start(
    url: str, file: Path, *arguments: str, checkout: Path | None = None
) -> "subprocess.Popen[bytes]":
    """Start an import; by the sources in another checkout, if one is given."""
    # -P: or the sources in this directory would go before those of the checkout.
    command = [sys.executable, "-P", "-m", "sendx_async", "import", str(file), *arguments]
    for field in FIELDS:
        command += ["--field", field]
    settings = {"SENDX_API_KEY": KEY, "SENDX_BASE_URL": url}
    if checkout is not None:
        settings["PYTHONPATH"] = str(checkout.absolute())
    environment = environment_with_bytecode() | settings
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)


def end(process: "subprocess.Popen[bytes]", *, began: float, rows: int, status: int = 0) -> Cost:
    """Wait for its end, and say what it cost; this process's own memory isn't counted."""
    _, ended, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(ended)
    assert process.returncode == status, process.returncode
    return Cost(rows, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * PEAK_UNIT)


def imported(
    url: str, file: Path, *arguments: str, rows: int = ROWS, checkout: Path | None = None
) -> Cost:
    began = time.monotonic()
    return end(start(url, file, *arguments, checkout=checkout), began=began, rows=rows)


def until_first_request(server: Server, file: Path, *arguments: str) -> Cost:
    """Stop an import once its first request was answered; gives what it took to come to that."""
    server.expect(1)
    began = time.monotonic()
    process = start(server.url, file, *arguments)
    wall = server.reached() - began
    process.send_signal(signal.SIGTERM)
    return attrs.evolve(end(process, began=began, rows=PASSED_OVER, status=143), wall=wall)


def passed_over(server: Server, file: Path, count: int) -> Mapping[str, list[Cost]]:
    """Import nine rows in ten; gives what it takes to begin anew, and to go on."""
    server.expect(PASSED_OVER // BATCH)
    process = start(server.url, file)
    server.reached()
    process.send_signal(signal.SIGTERM)
    end(process, began=0, rows=PASSED_OVER, status=143)
    another = file.with_name("another.sendx-progress")

    def afresh() -> Cost:
        another.unlink(missing_ok=True)
        return until_first_request(server, file, "--progress-file", str(another))

    return rounds(
        {"afresh": afresh, "resumed": partial(until_first_request, server, file, "--resume")},
        count=count,
    )


def official(url: str, file: Path) -> Cost:
    """Have a process of its own call the official SDK in a loop."""
    command = [sys.executable, __file__, "--official", url, str(file)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Cost(**json.loads(done.stdout))


def loop_over_official_sdk(url: str, file: Path) -> Cost:
    """Be the loop: what somebody writes who has the official SDK and a CSV file."""
    # Here, so that the process that starts the imports stays small.
    from sendx_python_sdk.api.tracking_api import TrackingApi  # noqa: PLC0415
    from sendx_python_sdk.api_client import ApiClient  # noqa: PLC0415
    from sendx_python_sdk.configuration import Configuration  # noqa: PLC0415
    from sendx_python_sdk.models.identify_request import IdentifyRequest  # noqa: PLC0415

    configuration = Configuration(host=url, api_key={"TeamApiKey": KEY})
    with ApiClient(configuration) as api_client, file.open(newline="") as lines:
        api = TrackingApi(api_client)
        wall, cpu = time.perf_counter(), time.process_time()
        for row in islice(csv.DictReader(lines), OFFICIAL_ROWS):
            api.identify_contact(
                IdentifyRequest(
                    email=row["email"],
                    firstName=row["first_name"],
                    lastName=row["last_name"],
                    tags=row["tags"].split(","),
                    customFields={field: row[field] for field in FIELDS},
                )
            )
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Cost(OFFICIAL_ROWS, wall, cpu)


def compared(costs: Sequence[Cost], sdk: Sequence[Cost]) -> Iterator[Finding]:
    """What each of the two costs, and how they compare."""
    speeds = [[each.calls_per_second for each in side] for side in (costs, sdk)]
    yield Finding("`sendx import`, CSV", speeds[0], "rows/s")
    yield Finding("the official SDK in a loop", speeds[1], "rows/s")
    yield Finding("the import over the loop", ratios(*speeds), "x", RATIO_GOAL)
    yield Finding("`sendx import`, CSV", [each.cpu_microseconds for each in costs], "µs CPU a row")
    yield Finding(
        "the official SDK in a loop", [each.cpu_microseconds for each in sdk], "µs CPU a row"
    )
    peaks = [each.peak_megabytes for each in costs]
    yield Finding("peak memory of the import", peaks, "MB", MEMORY_GOAL)


def main() -> None:
    arguments = options(__doc__, default_rounds=3)
    with tempfile.TemporaryDirectory() as directory, running_server() as server:
        as_csv, as_json = write_files(Path(directory))
        costs = rounds(
            {
                "import": partial(imported, server.url, as_csv),
                "official": partial(official, server.url, as_csv),
            },
            count=arguments.rounds,
        )
        json_cost = imported(server.url, as_json)
        looked = [imported(server.url, each, "--dry-run") for each in (as_csv, as_json)]
        begun = passed_over(server, as_csv, arguments.rounds)
    afresh, resumed = begun["afresh"], begun["resumed"]
    extra = [after.cpu - before.cpu for before, after in zip(afresh, resumed, strict=True)]
    findings = [
        *compared(costs["import"], costs["official"]),
        Finding("`sendx import`, NDJSON", [json_cost.calls_per_second], "rows/s"),
        Finding("`sendx import`, NDJSON", [json_cost.cpu_microseconds], "µs CPU a row"),
        Finding("peak memory of it", [json_cost.peak_megabytes], "MB", MEMORY_GOAL),
        Finding("`--dry-run`, CSV", [looked[0].calls_per_second], "rows/s"),
        Finding("`--dry-run`, NDJSON", [looked[1].calls_per_second], "rows/s"),
        Finding("from its start to its first request", [each.wall for each in afresh], "s"),
        Finding("... after 90 %, with `--resume`", [each.wall for each in resumed], "s"),
        Finding("passed over", [each / PASSED_OVER * 1e6 for each in extra], "µs CPU a row"),
        Finding("passed over", [PASSED_OVER / statistics.median(extra)], "rows/s"),
    ]
    report(f"`sendx import` of {ROWS:,} rows", findings, json_file=arguments.json)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(int(sys.argv[2]) if sys.argv[2:] else None)
    elif sys.argv[1:2] == ["--official"]:
        print(json.dumps(attrs.asdict(loop_over_official_sdk(sys.argv[2], Path(sys.argv[3])))))
    else:
        main()
