"""The blocks of code in docstrings are run as well: what follows ``::`` there."""

import ast
import contextlib
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

import sendx_async
from sendx_async import TrackingClient
from sendx_async.testing import Contact, FakeSendX

from .pages import Block
from .reader import Reader

PACKAGE = Path(sendx_async.__file__).parent
_CODE = re.compile(r"::\n\n((?:[ ]{4}.*\n|\n)+)")

# Written before a block in a test's file, for what its docstring takes for granted.
_SIGN_UP = """
import pytest

pytestmark = pytest.mark.asyncio


async def sign_up(email, client):
    await client.identify_contact({"email": email, "tags": ["new"]})


"""
# Blocks that can't be run as they stand, with the reason; they are compiled.
_COMPILED_ONLY = {
    "Deliveries": "it needs PostgreSQL, and docs/howto/postgresql.md runs the same",
    "sendx_lifespan": "an event is left out, and it is a part of an application",
}


def docstring_blocks() -> Iterator[tuple[str, str]]:
    """Give each block with the name of what it documents."""
    for file in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if not isinstance(
                node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
            ):
                continue
            name = file.parent.name if isinstance(node, ast.Module) else node.name
            for found in _CODE.finditer(f"{ast.get_docstring(node) or ''}\n"):
                yield name, textwrap.dedent(found[1])


BLOCKS = list(docstring_blocks())


def test_blocks_are_found() -> None:
    names = {name for name, _ in BLOCKS}
    assert {"FakeSendX", "async_sendx_client", *_COMPILED_ONLY} <= names


@pytest.mark.parametrize("name, source", BLOCKS, ids=[name for name, _ in BLOCKS])
def test_the_block_of_a_docstring_does_what_it_says(
    name: str, source: str, reader: Reader, fake_sendx: FakeSendX
) -> None:
    if name in _COMPILED_ONLY:
        compile(source, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        return
    if "def test_" in source:
        source = _SIGN_UP + source
    with contextlib.ExitStack() as clients:

        def client(key: str, *, base_url: str) -> TrackingClient:
            """Make a client that is closed in the end, which a short example leaves out."""
            return clients.enter_context(TrackingClient(key, base_url=base_url))

        jane = {"email": "jane@example.com", "tags": ["vip"]}
        client(fake_sendx.api_key, base_url=fake_sendx.url).identify_contact(jane)
        reader.given = {
            "Contact": Contact, "FakeSendX": FakeSendX, "TrackingClient": client, "fake": fake_sendx
        }  # fmt: skip
        reader.follow(Block(PACKAGE / "__init__.py", 1, "python", None, source))
        reader.finish()
