"""Each cell of the README's table has a test or a benchmark behind it, which is there."""

import ast
import re
from functools import cache
from itertools import takewhile
from pathlib import Path

import pytest

from .evidence import ROWS
from .test_scope import needs

CHECKOUT = Path(__file__).parents[2]
README = CHECKOUT / "README.md"
PAGES = [README, *sorted((CHECKOUT / "docs").rglob("*.md"))]
OFFICIAL = "official SDK 2.0.0"  # in the heading of this table, and of no other
FIGURE = re.compile(r"\d[\d,.]*(?: µs| ms|x\b|/s\b| of \d+)")


def plain(text: str) -> str:
    """Take links and marks away."""
    return re.sub(r"\[([^]]*)]\([^)]*\)", r"\1", text).replace("`", "").replace("*", "")


def around_and_table(page: Path) -> tuple[list[str], list[str]]:
    """Give the lines around the table and its own, which may be none."""
    lines = plain(page.read_text(encoding="utf-8")).splitlines()
    headings = [n for n, line in enumerate(lines) if line.startswith("|") and OFFICIAL in line]
    assert len(headings) <= 1, f"{page.name} has it twice"
    start = headings[0] if headings else len(lines)
    table = list(takewhile(lambda line: line.startswith("|"), lines[start:]))
    return lines[:start] + lines[start + len(table) :], table


def rows_of(page: Path) -> list[list[str]]:
    """Give the table's rows of cells, the heading first."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in around_and_table(page)[1]]
    return rows[:1] + rows[2:]


@cache
def functions(module: Path) -> set[str]:
    nodes = ast.walk(ast.parse(module.read_text(encoding="utf-8")))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_the_readme_compares_three() -> None:
    heading, *rows = rows_of(README)
    assert heading == ["", "this library", "by hand with httpx", OFFICIAL]
    assert all(len(row) == 4 and all(row) for row in rows)


def test_each_row_has_its_evidence() -> None:
    assert [label for label, *_ in rows_of(README)[1:]] == list(ROWS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(CHECKOUT).as_posix())
def test_wherever_the_table_stands_it_is_the_same(page: Path) -> None:
    assert rows_of(page) in ([], rows_of(README))


@pytest.mark.parametrize("label", ROWS)
def test_the_evidence_is_there(label: str) -> None:
    for evidence in ROWS[label]:
        assert evidence
        for name in evidence:
            path, _, function = name.partition("::")
            assert (CHECKOUT / path).is_file(), name
            assert not function or function in functions(CHECKOUT / path), name


def test_figures_are_those_of_the_benchmarks() -> None:
    known = FIGURE.findall(
        "\n".join(
            line
            for page in (README, CHECKOUT / "docs" / "performance.md")
            for line in around_and_table(page)[0]
        )
    )
    figures = FIGURE.findall("\n".join(around_and_table(README)[1]))
    assert len(figures) > 9
    assert set(figures) <= set(known)


def test_what_is_needed_is_named() -> None:
    (cells,) = (cells for label, *cells in rows_of(README) if label == "needs")
    named = [set(re.findall(r"[a-z][a-z0-9-]+", cell)) - {"below"} for cell in cells]
    ours = set(needs("sendx-async")) - {"httpcore", "h11"}  # they come with httpx
    assert named == [ours, {"httpx"}, set(needs("sendx"))]
