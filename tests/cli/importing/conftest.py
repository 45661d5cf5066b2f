"""Importing a file that a test has written, into the fake server."""

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.cli.conftest import Run
from tests.cli.processes import Said


@attrs.frozen
class Imported:
    """What came of an import."""

    said: Said
    report: dict[str, Any]

    @property
    def counts(self) -> tuple[int, int]:
        """How many rows were delivered, and how many rejected."""
        return self.report["delivered"], self.report["rejected"]


Import = Callable[..., Imported]


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def import_text(run: Run) -> Import:
    """Import a file with this content."""

    def import_text(content: str | bytes, *options: str, name: str = "c.csv") -> Imported:
        data = content.encode() if isinstance(content, str) else content
        Path(name).write_bytes(data)
        said = run("import", name, "--json", *options)
        return Imported(said, json.loads(said.out))

    return import_text
