"""The pages of the documentation, and the code blocks in them."""

import re
from collections.abc import Iterator
from pathlib import Path

import attrs
from sybil import Document
from sybil.parsers.markdown.lexers import RawFencedCodeBlockLexer

CHECKOUT = Path(__file__).parents[2]
README = CHECKOUT / "README.md"
DOCS = CHECKOUT / "docs"
PAGES = [README, *sorted(DOCS.rglob("*.md"))]

_INFO = re.compile(r"(?P<info>[^\n]*)\n")
_LANGUAGE_AND_TITLE = re.compile(r'(?P<language>\w+)(?: title="(?P<title>[\w./-]+)")?')


@attrs.frozen
class Block:
    """A fenced block: what it says, and where.

    Attributes:
        page: The file that it stands in.
        line: The number of its first line of code, from 1.
        language: What follows the fence.
        title: The file that the reader is to save it as, if any.
        source: The code.
    """

    page: Path
    line: int
    language: str
    title: str | None
    source: str

    @property
    def place(self) -> str:
        """Where it stands, for people."""
        return f"{name_of(self.page)}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """The lines of a shell block, without comments."""
        lines = (line.partition(" #")[0].strip() for line in self.source.splitlines())
        return [line for line in lines if line and not line.startswith("#")]


def name_of(page: Path) -> str:
    """How a page is called here: ``README.md``, ``docs/tutorial.md``."""
    return page.relative_to(CHECKOUT).as_posix()


def blocks_of(page: Path) -> list[Block]:
    """Read the fenced blocks of a page, in their order."""
    text = page.read_text(encoding="utf-8")
    return sorted(_read(Document(text, str(page)), page), key=lambda block: block.line)


def _read(document: Document, page: Path) -> Iterator[Block]:
    for region in RawFencedCodeBlockLexer(_INFO)(document):
        line = document.text.count("\n", 0, region.start) + 2
        info = region.lexemes["info"].strip()
        found = _LANGUAGE_AND_TITLE.fullmatch(info)
        assert found, f"{name_of(page)}:{line}: what language is {info!r}? Say python, sh, text ..."
        yield Block(page, line, found["language"], found["title"], region.lexemes["source"])


def prose_of(page: Path) -> list[tuple[int, str]]:
    """Give the numbered lines of a page that are in no fenced block."""
    lines = page.read_text(encoding="utf-8").splitlines()
    inside = {
        number
        for block in blocks_of(page)
        for number in range(block.line - 1, block.line + block.source.count("\n") + 1)
    }
    return [(number, line) for number, line in enumerate(lines, 1) if number not in inside]
