"""Each row of the tables that promise something has tests behind it, which are there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import sendx_async

from .evidence import TABLES
from .pages import CHECKOUT


def labels_of(page: Path, heading: str) -> list[str]:
    """Give the first cells of the table below a heading."""
    text = page.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    table = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert table, f"{page.name} has no table below {heading!r}"
    return [line.split("|")[1].strip() for line in table[0].splitlines()[2:]]


@cache
def cases_of(module: Path) -> dict[str, str]:
    """Give what the decorators of each function of a module say."""
    nodes = ast.walk(ast.parse(module.read_text(encoding="utf-8")))
    return {
        node.name: " ".join(map(ast.unparse, node.decorator_list))
        for node in nodes
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


@pytest.mark.parametrize("page,heading", TABLES)
def test_each_row_has_its_evidence(page: str, heading: str) -> None:
    labels = labels_of(CHECKOUT / page, heading)
    for label, begins in zip(labels, TABLES[page, heading], strict=True):
        assert label.startswith(begins)


@pytest.mark.parametrize(
    "name", [name for rows in TABLES.values() for names in rows.values() for name in names]
)
def test_the_evidence_is_there(name: str) -> None:
    path, function, case = re.fullmatch(r"(.+)::(\w+)(?:\[(.+)\])?", name).groups()  # type: ignore[union-attr]
    cases = cases_of(CHECKOUT / path)
    assert function in cases
    assert case is None or re.search(rf"\b{case}\b", cases[function])


def test_the_table_of_what_to_send_again_says_what_errors_say() -> None:
    page = (CHECKOUT / "docs/errors.md").read_text(encoding="utf-8")
    table = page.partition("\n## Send it again?\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (True|False)[^|]*\| (.+) \|$", table, re.MULTILINE)
    told = {
        name: answer == "True"
        for answer, errors in rows
        for name in re.findall(r"`(\w+)`", errors)
        if name != "ApiError"  # its status decides
    }
    kinds = {name: getattr(sendx_async, name) for name in sendx_async.__all__}
    errors = {
        name: kind().is_retryable
        for name, kind in kinds.items()
        if isinstance(kind, type) and issubclass(kind, sendx_async.SendXError)
    }
    for base in ("SendXError", "TransportError", "ApiError"):
        del errors[base]
    assert told == errors
