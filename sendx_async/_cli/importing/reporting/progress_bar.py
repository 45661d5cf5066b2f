"""What a person at a terminal sees of an import while it runs."""

from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from sendx_async._runtime.real_time import monotonic

_SECONDS_BETWEEN_UPDATES = 0.1


class _RateColumn(ProgressColumn):
    """How many rows a second were finished by this process."""

    def render(self, task: Task) -> Text:
        """Return the column's text."""
        # All of a small file is read long before its rows are sent, so it isn't finished then.
        rate = task.fields["rows"] / task.elapsed if task.elapsed else 0.0
        return Text(f"{rate:,.0f} rows/s")


class _CountsColumn(ProgressColumn):
    """How many rows were delivered, rejected, and skipped if there are such.

    Args:
        done: What a row is that was not rejected, such as "delivered".
    """

    def __init__(self, done: str) -> None:
        super().__init__()
        self._done = done

    def render(self, task: Task) -> Text:
        """Return the column's text."""
        counts = f"{task.fields['good']:,} {self._done}, {task.fields['rejected']:,} rejected"
        skipped = task.fields["skipped"]
        return Text(f"{counts}, {skipped:,} skipped" if skipped else counts)


class ProgressBar:
    """A bar with what became of the rows so far, the rate and the time that is left.

    Args:
        name: What is being done.
        size: The file's size in bytes; None if nobody knows.
        done: What a row is that was not rejected, such as "delivered".
        before: How many rows were finished by an earlier process.
    """

    def __init__(self, name: str, *, size: int | None, done: str, before: int = 0) -> None:
        self._name = name
        self._before = before
        self._updated = 0.0
        self._news: dict[str, Any] = {}
        columns: list[ProgressColumn] = [
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20) if size else SpinnerColumn(),
            _CountsColumn(done),
            _RateColumn(),
        ]
        self._progress = Progress(
            *columns,
            TimeRemainingColumn() if size else TimeElapsedColumn(),
            TextColumn("left" if size else ""),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task(
            name, total=size or None, rows=0, good=0, rejected=0, skipped=0
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.update(self._task, **self._news)
        self._progress.stop()

    def show(self, *, position: int, good: int, rejected: int, skipped: int = 0) -> None:
        """Show how far it has come; most of the time that is too soon, and nothing is done.

        Args:
            position: How many bytes of the file were read.
            good: How many rows were not rejected.
            rejected: How many were.
            skipped: How many were left out by a rule.
        """
        self._news = {
            "completed": position,
            "good": good,
            "rejected": rejected,
            "skipped": skipped,
            "rows": good + rejected + skipped - self._before,
        }
        now = monotonic()
        if now - self._updated >= _SECONDS_BETWEEN_UPDATES:
            self._updated = now
            self._progress.update(self._task, **self._news)

    def say(self, text: str | None) -> None:
        """Show this in front, or the name again."""
        self._progress.update(self._task, description=self._name if text is None else text)
