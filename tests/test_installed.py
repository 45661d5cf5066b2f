"""What is tested is what is installed, in children too; and what is installed says what it is."""

import json
import os
import re
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

import pytest

import sendx_async

CHECKOUT = Path(__file__).parents[1]
INSTALLED = metadata.distribution("sendx-async")


def is_editable() -> bool:
    origin = json.loads(INSTALLED.read_text("direct_url.json") or "{}")
    return bool(origin.get("dir_info", {}).get("editable", False))


def test_the_tests_import_what_is_installed() -> None:
    place = CHECKOUT if is_editable() else Path(sysconfig.get_path("purelib"))
    assert Path(sendx_async.__file__) == place / "sendx_async" / "__init__.py"


def test_in_continuous_integration_a_built_wheel_is_tested() -> None:
    is_ci = "CI" in os.environ
    assert not (is_ci and is_editable())


@pytest.mark.slow
def test_children_of_the_tests_import_the_same() -> None:
    code = "import sendx_async; print(sendx_async.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=150,
    )  # fmt: skip
    assert done.stdout.strip() == sendx_async.__file__


def test_type_checkers_find_the_mark() -> None:
    assert Path(sendx_async.__file__).with_name("py.typed").is_file()


def test_the_version_is_that_of_the_distribution() -> None:
    assert INSTALLED.version == sendx_async.__version__


def test_the_oldest_python_of_the_classifiers_is_the_one_required() -> None:
    minors = [
        int(found[1])
        for classifier in INSTALLED.metadata.get_all("Classifier", [])
        if (found := re.fullmatch(r"Programming Language :: Python :: 3\.(\d+)", classifier))
    ]
    assert INSTALLED.metadata["Requires-Python"] == f">=3.{min(minors)}"
