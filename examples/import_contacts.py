"""Import a CSV file of 50,000 contacts, with a progress bar; only its bad rows fail.

    pip install 'sendx-async[sandbox]' rich
    python examples/import_contacts.py

The file is read line by line, and only as fast as SendX takes it, so it may be larger than memory.
Contacts travel 25 to a request. Three of them are bad: one is never sent, two are refused, and what
travelled with them gets through all the same. With `--outage --patience 5` the server breaks half
way; see how to go on then. It is the sandbox, a stand-in for SendX on this machine: for the real
SendX leave out `base_url`, and have the key in SENDX_API_KEY.
"""

import argparse
import csv
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from rich import progress as bars
from rich.console import Console
from rich.text import Text

from sendx_async import Event, Outcome, SendXError, TrackingClient
from sendx_async.testing import FakeSendX, ReceivedRequest

SHOWN = 20  # failures: in a wrong file every row is one


def made_up_file(rows: int) -> Iterator[str]:
    """Give the lines of a file with three bad rows; stands for ``open("customers.csv")``."""
    bad = {
        rows // 4: "ann at example.com,Ann,1990-05-17",
        rows // 2: "bob@example.com,Bob,17.5.1990",
        rows * 3 // 4: "eve@example.com,Eve,unknown",
    }
    yield "address,name,born"
    for row in range(1, rows + 1):
        yield bad.get(row, f"customer{row}@example.com,Customer {row},1990-05-17")


def contacts(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Make a contact of each row when it is asked for.

    As a mapping: `IdentifyRequest` would raise here for a bad address, and so end the import.
    """
    for row in csv.DictReader(lines):
        yield {
            "email": row["address"],
            "first_name": row["name"] or None,  # an empty string would overwrite what SendX has
            "tags": ["customer"],
            "extra": {"birthday": row["born"]},
        }


class Rate(bars.ProgressColumn):
    """How many contacts a second were finished so far."""

    def render(self, task: bars.Task) -> Text:
        """Give the column's text."""
        return Text(f"{task.completed / (task.finished_time or task.elapsed or 1):,.0f}/s")


def import_rows(client: TrackingClient, first: int, last: int, patience: float) -> bool:
    """Send these rows of the file, show how it goes, and tell whether it came to the end."""
    progress = bars.Progress(
        bars.TextColumn("{task.description}"),
        bars.BarColumn(bar_width=20),
        bars.MofNCompleteColumn(),
        Rate(),
        bars.TextColumn("{task.fields[failed]} failed"),
        bars.TimeRemainingColumn(elapsed_when_finished=True),
        console=Console(force_terminal=sys.stdout.isatty()),  # in a log one line is enough
    )
    total = last - first + 1
    task = progress.add_task("Importing", total=total, failed=0)

    def show(event: Event) -> None:
        if event.operation == "send_many":  # the others tell of single requests
            text = "SendX is down" if event.kind == "paused" else "Importing"
            progress.update(task, description=text)

    source = islice(contacts(made_up_file(last)), first - 1, None)
    outcomes = client.with_options(on_event=show).send_many(source, patience=patience)
    failed: list[Outcome] = []
    end: BaseException | None = None
    try:
        with progress, outcomes:
            for outcome in progress.track(outcomes, total, task_id=task):
                if outcome.error is not None:
                    failed.append(outcome)
                    progress.update(task, failed=len(failed))
    except (SendXError, KeyboardInterrupt) as error:
        end = error

    for outcome in sorted(failed, key=lambda outcome: outcome.index)[:SHOWN]:
        print(f"  row {first + outcome.index}: {outcome.error}")
    if len(failed) > SHOWN:
        print(f"  and {len(failed) - SHOWN} more")
    if end is not None:
        # Every row before these is done, so go on there; to identify some again does no harm.
        left = outcomes.unclaimed
        index = left[0].index if left else int(progress.tasks[task].completed)
        print(f"Stopped by {type(end).__name__}{f': {end}' if str(end) else ''}")
        print(f"{len(left)} rows were read and not confirmed: go on with --first {first + index}")
    return end is None


def main() -> None:
    """Import the file into a sandbox, then print what the sandbox holds."""
    parser = argparse.ArgumentParser(description="Import contacts, into a sandbox.")
    parser.add_argument("--contacts", type=int, default=50_000, help="rows of the file")
    parser.add_argument("--first", type=int, default=1, help="the row to begin with")
    parser.add_argument("--patience", type=float, default=300.0, help="seconds of an outage")
    parser.add_argument("--outage", action="store_true", help="break the sandbox half way")
    options = parser.parse_args()
    answers: Counter[int | None] = Counter()

    def count(request: ReceivedRequest) -> None:
        answers[request.status] += 1
        if options.outage and answers.total() == options.contacts // 50:
            sandbox.respond(503, times=None)

    sandbox = FakeSendX(keep=0, on_request=count)
    with sandbox.serving() as url, TrackingClient(sandbox.api_key, base_url=url) as client:
        is_done = import_rows(client, options.first, options.contacts, options.patience)
    counts = ", ".join(f"{number} with {status}" for status, number in answers.most_common())
    print(f"{answers.total()} requests were answered, {counts}.")
    print(f"The sandbox holds {len(sandbox.contacts)} contacts.")
    sys.exit(0 if is_done else 1)


if __name__ == "__main__":
    main()
