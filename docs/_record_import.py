"""Record `sendx import` at a terminal, into the picture that the README shows.

    python docs/_record_import.py docs/import.svg

A real run of the command against the sandbox: 20,000 rows of which three are bad.
"""

import csv
import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from sendx_async.testing import FakeSendX

ROWS = 20_000
BAD = {1_234: "jane at example.com", 7_890: "bob@@example.com", 15_555: ""}
COLUMNS = 100
COMMAND = "sendx import contacts.csv --all-fields --yes"  # else it shows a preview, and asks
ERASE = re.compile(r"\r?\x1b\[2K|\r(?!\n)")
CODES_BUT_COLOURS = re.compile(r"\x1b\[[0-9;?]*[a-ln-zA-Z]")
FONTS = re.compile(r"\s*@font-face\s*\{[^}]*\}")


def write_contacts(path: Path) -> None:
    """Write a file as people have them."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["E-Mail", "First Name", "Tags", "Plan"])
        for number in range(ROWS):
            address = BAD.get(number, f"customer{number}@example.com")
            rows.writerow([address, "Jane", "customer,2026", "Premium"])


def run(directory: Path, sandbox: FakeSendX) -> str:
    """Run the command at a terminal of its own; gives all that appeared there."""
    ours, theirs = os.openpty()
    environment = os.environ | {
        "SENDX_API_KEY": sandbox.api_key,
        "SENDX_BASE_URL": sandbox.url,
        "TERM": "xterm-256color",
        "COLUMNS": str(COLUMNS),
    }
    program = [sys.executable, "-m", "sendx_async", *COMMAND.split()[1:]]
    with subprocess.Popen(program, cwd=directory, env=environment, stdout=theirs, stderr=theirs):
        os.close(theirs)
        seen = b""
        try:
            while got := os.read(ours, 10_000):
                seen += got
        except OSError:  # how Linux tells that the last writer has gone
            os.close(ours)
    return seen.decode()


def shown(seen: str) -> list[str]:
    """Give the lines that stay, and of each line that was drawn again the last state."""
    lines = CODES_BUT_COLOURS.sub("", ERASE.sub("\x00", seen)).replace("\r\n", "\n").split("\n")
    return [line.rpartition("\x00")[2] for line in lines if line.strip("\x00")]


def main() -> None:
    """Record it, and write the picture."""
    sandbox = FakeSendX(keep=0)
    with tempfile.TemporaryDirectory() as directory, sandbox.serving():
        write_contacts(Path(directory, "contacts.csv"))
        lines = shown(run(Path(directory), sandbox))
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.assemble(("$ ", "bold green"), COMMAND))
    for line in lines:
        console.print(Text.from_ansi(line))
    picture = console.export_svg(title="sendx import", unique_id="import")
    # It would fetch a font from somebody else's server for each reader.
    picture = FONTS.sub("", picture).replace("Fira Code", "ui-monospace")
    Path(sys.argv[1]).write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
