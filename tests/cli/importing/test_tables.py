"""Tables of no service: what the bare command proposes, and what arrives with that.

What is right stands beside each file of ``tables``, as ``FILE.expected.json``: with these options
either nothing is sent and something is proposed, or these contacts arrive and these rows don't.
"""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from sendx_async.testing import Contact, FakeSendX
from tests.cli.conftest import Run

TABLES = Path(__file__).parent / "tables"
ENDING = ".expected.json"
CASES: list[tuple[str, dict[str, Any]]] = [
    (path.name.removesuffix(ENDING), case)
    for path in sorted(TABLES.glob(f"*{ENDING}"))
    for case in json.loads(path.read_text("utf-8"))
]


@pytest.mark.parametrize(
    "file, case", CASES, ids=[f"{file} {' '.join(case['options'])}" for file, case in CASES]
)
def test_a_table_is_read_as_it_was_meant(
    file: str, case: dict[str, Any], run: Run, fake_sendx: FakeSendX, directory: Path
) -> None:
    shutil.copy(TABLES / file, directory)
    done = run("import", file, *case["options"], "--rejects", "rejects", "--json")
    if "proposes" in case:
        assert done.status == 2
        assert [text for text in case["proposes"] if text not in done.err] == []
        assert not fake_sendx.requests
        return
    assert fake_sendx.contacts == {
        address: Contact(email=address, **fields) for address, fields in case["contacts"].items()
    }
    assert rows_rejected() == case["rejected"]
    assert done.status == (1 if case["rejected"] else 0)


def rows_rejected() -> list[int]:
    """Return the numbers of the rows in the file of rejected ones."""
    if not Path("rejects").exists():
        return []
    with Path("rejects").open(encoding="utf-8-sig", newline="") as file:
        return [int(row["sendx_row"]) for row in csv.DictReader(file)]
