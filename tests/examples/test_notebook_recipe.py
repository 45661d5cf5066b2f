"""The notebook, run by a kernel; the outputs stored in it are what comes out.

When it was changed on purpose, ``python -m tests.examples.test_notebook_recipe`` stores them anew.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.examples.conftest import EXAMPLES, LIMIT

NOTEBOOK = EXAMPLES / "notebook.ipynb"


def read() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]


def execute(notebook: Any) -> None:
    """Run all cells; one that fails raises."""
    client = NotebookClient(
        notebook, timeout=int(LIMIT), kernel_name="python3", record_timing=False
    )
    asyncio.run(client.async_execute())


def shown(output: Mapping[str, Any]) -> str:
    """Give what a reader sees of an output."""
    if output["output_type"] == "stream":
        return f"{output['name']}: {output['text']}"
    data = output["data"]
    return str(data.get("text/markdown", data["text/plain"]))


def outputs(notebook: Any) -> dict[str, list[str]]:
    return {
        cell.id: [shown(output) for output in cell.outputs]
        for cell in notebook.cells
        if cell.cell_type == "code"
    }


@pytest.mark.slow
def test_what_is_stored_is_what_comes_out() -> None:
    # Warnings can't be errors in the kernel, which warns itself; but they would come out.
    notebook = read()
    stored = outputs(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    execute(notebook)
    assert outputs(notebook) == stored


def test_the_stored_outputs_show_deliveries_refusals_and_tags() -> None:
    stored = outputs(read())
    assert stored["identify"] == ["IdentifyResponse(status='200', message='OK')"]
    table = stored["outcomes"][0].splitlines()
    assert [line.split(" | ")[-1] for line in table[2:]].count("delivered") == 4
    assert "carl at example.com | IdentifyRequest: email must be" in stored["outcomes"][0]
    assert stored["sync"][0].count("TrackingClient is called in a running event loop") == 1
    assert stored["thread"] == []
    assert "jane@example.com | Jane | renewed, vip | -" in stored["held"][0]


def test_nothing_of_a_machine_is_stored() -> None:
    notebook = read()
    assert notebook.metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}
    }
    assert all(cell.metadata == {} for cell in notebook.cells)
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in codes] == list(range(1, len(codes) + 1))
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert "127.0.0.1" not in text
    assert "ipykernel_" not in text


def store() -> None:
    notebook = read()
    execute(notebook)
    notebook.metadata.pop("language_info", None)
    nbformat.write(notebook, NOTEBOOK)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    store()
