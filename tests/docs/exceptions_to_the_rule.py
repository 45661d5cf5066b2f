"""The blocks that are not simply run, each with the reason, and what is checked in its stead.

A block that is in none of these lists is run; there is no other way past that.
"""

import re
from collections.abc import Callable
from importlib import metadata

from sendx_async.testing import FakeSendX

from .pages import CHECKOUT, Block

# Commands that end only when they are asked to: they are started, and have to print these words,
# or to make this true of the fake server; what follows on the page runs beside them; at its end
# they are stopped, and have to stop.
LONG_RUNNING: dict[str, str | Callable[[FakeSendX], object]] = {
    "sendx sandbox --port 8025": "Ctrl-C stops",
    "procrastinate --app=my_module.app worker --queues=sendx --concurrency=8": (
        lambda fake: fake.contact("jane@example.com").tags == {"vip"}
    ),
}


def is_not_run(block: Block) -> bool:
    """Say whether a block is an exception; it has been checked, then, as its list says."""
    for belongs, check in _NOT_RUN:
        if belongs(block):
            check(block)
            return True
    return False


def _installs(block: Block) -> bool:
    return block.language == "sh" and all(
        command.startswith("pip install ") for command in block.commands
    )


def _check_installs(block: Block) -> None:
    """Installing needs a package index, and would change the environment of the tests.

    In its stead: an extra that is named has to be one of this package.
    """
    assert "sendx-async" in block.source, f"{block.place}: what for?"
    known = set(metadata.metadata("sendx-async").get_all("Provides-Extra", []))
    for extras in re.findall(r"sendx-async\[([\w,-]+)\]", block.source):
        assert set(extras.split(",")) <= known, f"{block.place}: there is no extra {extras}"


def _is_of_a_fresh_clone(block: Block) -> bool:
    return block.language == "sh" and any("python3 -m venv" in line for line in block.commands)


def _check_is_of_a_fresh_clone(block: Block) -> None:
    """These make the environment that the tests run in, and the second one runs the tests.

    ``.ci/run`` runs them from nothing. In their stead: it has to take just this line.
    """
    script = (CHECKOUT / ".ci" / "run").read_text(encoding="utf-8")
    found = re.search(r"grep '(.*)' README\.md", script)
    assert found, "how does .ci/run find the README's commands?"
    assert block.page.name == "README.md", f"{block.place}: .ci/run looks into the README only"
    (command,) = block.commands
    assert re.match(found[1], command), f"{block.place}: .ci/run doesn't take this command"


def _measures(block: Block) -> bool:
    return block.language == "sh" and "benchmarks/" in block.source


def _check_measures(block: Block) -> None:
    """Measuring takes half an hour and another environment; `nox -s benchmarks` does it.

    In its stead: the scripts have to be there.
    """
    for script in re.findall(r"benchmarks/\w+\.py", block.source):
        assert (CHECKOUT / script).is_file(), f"{block.place}: there is no {script}"


def _is_an_example(block: Block) -> bool:
    return block.source.startswith("--8<--")


def _check_is_an_example(block: Block) -> None:
    """The text of an example, put here by the site; tests of its own run each example."""
    found = re.fullmatch(r'--8<-- "(examples/\w+\.(?:py|ipynb))"\n', block.source)
    assert found, f"{block.place}: only a whole example can stand here"
    assert (CHECKOUT / found[1]).is_file(), f"{block.place}: there is no {found[1]}"


_NOT_RUN: list[tuple[Callable[[Block], bool], Callable[[Block], None]]] = [
    (_installs, _check_installs),
    (_measures, _check_measures),
    (_is_of_a_fresh_clone, _check_is_of_a_fresh_clone),
    (_is_an_example, _check_is_an_example),
]
