"""What the build of the site doesn't check: that nothing public is left out of it."""

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import sendx_async

from .pages import CHECKOUT, DOCS, PAGES, name_of, prose_of

_MODULES = ["sendx_async"] + [
    found.name
    for found in pkgutil.iter_modules(sendx_async.__path__, "sendx_async.")
    if not found.name.rpartition(".")[2].startswith("_")
]
_REFERENCE = "\n".join(
    page.read_text(encoding="utf-8") for page in sorted((DOCS / "reference").glob("*.md"))
)


def names_of(module: str) -> list[str]:
    names: list[str] = importlib.import_module(module).__all__
    return sorted(set(names) - {"__version__"})


def test_the_public_modules_are_found() -> None:
    assert {"sendx_async.outbox", "sendx_async.testing"} < set(_MODULES)


@pytest.mark.parametrize("module", _MODULES)
def test_the_reference_has_each_public_name(module: str) -> None:
    shown = re.findall(rf"^::: {re.escape(module)}\.(\w+)$", _REFERENCE, re.MULTILINE)
    assert sorted(shown) == names_of(module)


def test_the_reference_says_where_the_version_is() -> None:
    assert "`sendx_async.__version__`" in _REFERENCE


def test_the_navigation_lists_each_page_once() -> None:
    text = (CHECKOUT / "mkdocs.yml").read_text(encoding="utf-8")
    navigation = text.partition("\nnav:\n")[2].partition("\n\n")[0]
    listed = re.findall(r"^ +- (?:[^:\n]+: )(\S+\.md)$", navigation, re.MULTILINE)
    pages = [page.relative_to(DOCS).as_posix() for page in PAGES if DOCS in page.parents]
    assert sorted(listed) == sorted(pages)


def test_the_page_of_services_links_to_each_of_them() -> None:
    folder = DOCS / "coming-from"
    linked = re.findall(r"\]\(([\w-]+\.md)\)", (folder / "index.md").read_text(encoding="utf-8"))
    assert sorted(linked) == sorted({page.name for page in folder.glob("*.md")} - {"index.md"})


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_within_the_readme_and_the_pages_lead_to_files(page: Path) -> None:
    """Links of the pages are checked by the build, too; those of the README by nobody else."""
    gone = [
        f"{number}: {target}"
        for number, line in prose_of(page)
        for target in re.findall(r"\]\(([^)#\s]+)", line)
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert gone == []
