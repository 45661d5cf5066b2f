"""Whether there is a progress bar at all: only if a person watches."""

import contextlib
from collections.abc import Generator
from typing import TYPE_CHECKING

from sendx_async._cli.importing.options import ImportOptions
from sendx_async._cli.importing.reading.opening import Source

if TYPE_CHECKING:
    from sendx_async._cli.importing.reporting.progress_bar import ProgressBar


@contextlib.contextmanager
def progress_bar(
    options: ImportOptions, text: Source, done: str, *, before: int = 0
) -> Generator["ProgressBar | None"]:
    """Show how far it has come, if a person watches.

    Args:
        options: What was asked for.
        text: The opened file.
        done: What a row is that was not rejected, such as "delivered".
        before: How many rows were finished by an earlier process.
    """
    if not options.is_watched:
        yield None
        return
    from sendx_async._cli.importing.reporting.progress_bar import ProgressBar  # noqa: PLC0415 - it loads rich

    with ProgressBar(options.name, size=text.size, done=done, before=before) as bar:
        yield bar
