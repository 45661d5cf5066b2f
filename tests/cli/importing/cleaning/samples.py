"""The sample files of cells, as they stand in the folder of exports."""

import csv
from pathlib import Path

_EXPORTS = Path(__file__).parent.parent / "exports"


def rows_of(name: str) -> list[dict[str, str]]:
    with (_EXPORTS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
