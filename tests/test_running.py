"""How many processes run the tests."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from .conftest import pytest_xdist_auto_num_workers

CHECKOUT = Path(__file__).parents[1]
FILE = "tests/core/test_stored.py"


@pytest.mark.slow
def test_a_single_file_runs_in_one_process_without_being_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    # Nothing is selected, since only the number of processes is of interest.
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-k", "no_such_test", FILE],
        cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=150,
    )  # fmt: skip
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stdout + done.stderr
    assert "collected " in done.stdout
    assert "worker" not in done.stdout


@pytest.mark.parametrize(
    "arguments, workers",
    [
        ([FILE], 0),
        ([f"{FILE}::test_one"], 0),
        ([f"{FILE}::test_one", f"{FILE}::TestMany::test_two[a::b]"], 0),
        ([FILE, "tests/core/test_forks.py"], 3),
        (["tests/core"], 3),
        (["tests"], 3),
    ],
    ids=["a file", "a test", "tests of a file", "two files", "a folder", "everything"],
)
def test_only_what_is_larger_than_a_file_runs_in_three_processes(
    arguments: list[str], workers: int
) -> None:
    config: Any = SimpleNamespace(args=arguments, invocation_params=SimpleNamespace(dir=CHECKOUT))
    assert pytest_xdist_auto_num_workers(config) == workers
