"""Every code block of the README and of the site is run, one test for each page.

A page is one test, since its blocks build upon each other; an error names the line.
"""

import contextlib
from pathlib import Path

import pytest

from sendx_async.testing import FakeSendX

from .pages import DOCS, PAGES, Block, blocks_of, name_of, prose_of
from .reader import Reader
from .surroundings import OF_PAGES

PAGES_WITH_BLOCKS = [page for page in PAGES if blocks_of(page)]


def follow(page: Path, blocks: list[Block], reader: Reader, fake: FakeSendX) -> None:
    """Do what the blocks say, in the surroundings of the page."""
    surroundings = OF_PAGES.get(name_of(page))
    around = contextlib.AsyncExitStack()
    if surroundings is not None:
        reader.loop.run(around.enter_async_context(surroundings(reader, fake)))
    try:
        for block in blocks:
            reader.follow(block)
        reader.finish()
    finally:
        reader.loop.run(around.aclose())
    reader.see_that_files_were_used()


@pytest.mark.parametrize("page", PAGES_WITH_BLOCKS, ids=name_of)
def test_the_blocks_of_a_page_do_what_they_say(
    page: Path, reader: Reader, fake_sendx: FakeSendX
) -> None:
    follow(page, blocks_of(page), reader, fake_sendx)


def test_surroundings_are_of_pages_that_exist() -> None:
    assert set(OF_PAGES) <= {name_of(page) for page in PAGES_WITH_BLOCKS}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_code_stands_in_fences(page: Path) -> None:
    """Indented code would be no block for these tests."""
    indented = [f"{number}: {line}" for number, line in prose_of(page) if line.startswith("    ")]
    assert indented == []


def made_up(source: str, language: str = "python", title: str | None = None) -> Block:
    return Block(DOCS / "index.md", 1, language, title, source)


@pytest.mark.parametrize(
    "block",
    [
        made_up("nothing_of_this_name"),
        made_up("raise OSError"),
        made_up("import asyncio\nawait asyncio.sleep(0)\nassert False"),
        made_up("import warnings\nwarnings.warn('old')"),
        made_up("def test_it(fake_sendx):\n    assert fake_sendx.contact('jane@example.com')"),
        made_up("x = 1", title="never_run.py"),
        made_up("false\ntrue", "sh"),
        made_up("sendx no-such-command", "sh"),
        made_up("pip install 'sendx-async[nothing]'", "sh"),
        made_up("python3 -m venv elsewhere", "sh"),
        made_up("printed by nothing", "text"),
        made_up("a: 1", "yaml"),
        made_up('--8<-- "examples/gone.py"\n'),
    ],
    ids=lambda block: block.source[:20],
)
def test_a_block_can_fail(block: Block, reader: Reader, fake_sendx: FakeSendX) -> None:
    with pytest.raises((Exception, AssertionError)):  # noqa: PT012 - whatever it is, at any point
        reader.follow(block)
        reader.finish()
        reader.see_that_files_were_used()


def test_an_unmarked_block_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__package__}.pages.CHECKOUT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("```\nx = 1\n```\n")
    with pytest.raises(AssertionError, match="what language"):
        blocks_of(page)
