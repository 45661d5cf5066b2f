"""Peak memory of `sendx import` with 2,000,000 rows: plain CSV, gzip, a JSON array.

Likewise of `--duplicates last`, of `--log`, and of `--dry-run`, which looks at the whole file.
Each import is a process of its own, and the system says how much memory it had.
"""

import csv
import gzip
import json
import tempfile
from functools import partial
from pathlib import Path

from _measure import Finding, options, report
from import_file import HEADER, MEMORY_GOAL, cells, imported, running_server

ROWS = 2_000_000


def write_csv(path: Path) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows(map(cells, range(ROWS)))
    return path


def write_gzip(path: Path, source: Path) -> Path:
    with source.open("rb") as lines, gzip.open(path, "wb", compresslevel=1) as packed:
        packed.writelines(lines)
    return path


def write_array(path: Path) -> Path:
    with path.open("w") as file:
        for number in range(ROWS):
            file.write("[" if number == 0 else ",\n")
            file.write(json.dumps(dict(zip(HEADER, cells(number), strict=True))))
        file.write("]\n")
    return path


def main() -> None:
    arguments = options(__doc__, default_rounds=1)
    with tempfile.TemporaryDirectory() as name, running_server() as server:
        directory = Path(name)
        plain = write_csv(directory / "contacts.csv")
        packed = write_gzip(directory / "packed.csv.gz", plain)
        array = write_array(directory / "array.json")
        run = partial(imported, server.url, rows=ROWS)
        kinds = {
            "CSV": partial(run, plain),
            "gzip": partial(run, packed),
            "JSON array": partial(run, array),
            "CSV, --duplicates last": partial(run, plain, "--duplicates", "last"),
            "CSV, --log": partial(run, plain, "--log", str(directory / "log.ndjson")),
            "CSV, --dry-run": partial(run, plain, "--dry-run"),
            "JSON array, --dry-run": partial(run, array, "--dry-run"),
        }
        findings: list[Finding] = []
        for kind, measured in kinds.items():
            (directory / "log.ndjson").unlink(missing_ok=True)
            costs = [measured() for _ in range(arguments.rounds)]
            findings += [
                Finding(kind, [cost.peak_megabytes for cost in costs], "MB", MEMORY_GOAL),
                Finding(kind, [cost.calls_per_second for cost in costs], "rows/s"),
                Finding(kind, [cost.cpu_microseconds for cost in costs], "µs CPU a row"),
            ]
    report(f"`sendx import` of {ROWS:,} rows", findings, json_file=arguments.json)


if __name__ == "__main__":
    main()
