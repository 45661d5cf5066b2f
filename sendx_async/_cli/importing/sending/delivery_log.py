"""The list of delivered contacts, with the tags given, so that these can be taken back."""

import io
import json
import os
from pathlib import Path
from typing import cast

from sendx_async._cli.importing.sending.rows_file import Kind, for_its_owner_alone, write_all
from sendx_async._core.errors import ConfigurationError
from sendx_async._core.models import IdentifyRequest

_BEGINNING = b'{"email": '
_LONGEST_LINE = 1 << 20
_LOG = Kind(
    rows="the delivered contacts",
    option="--log",
    worth="may be the log of another import: rename it, go on with --resume",
)


class DeliveryLog:
    """A line of JSON for each contact that SendX has, and for each that it may have.

    A line is on the disk before the checkpoint says that its row is finished. So none is missing,
    however the process ends; the rows that were under way then may have two.

    Args:
        path: Where.
        source: What the imported file is called.
        goes_on: Whether lines may be added to a log that is there.
    """

    def __init__(self, path: Path, *, source: str, goes_on: bool) -> None:
        self._path = path
        self._source = source
        self._goes_on = goes_on
        self._lines: list[str] = []
        self._file: io.FileIO | None = None
        self._size = 0  # of what is certain
        self._is_device = path.exists() and not path.is_file()

    def open(self) -> None:
        """Claim the file, or go on behind its last whole line.

        Raises:
            ConfigurationError: It exists, is something else, or can't be written.
        """
        path = self._path
        try:
            if self._is_device:
                self._file = io.FileIO(path, "w")
            elif not self._goes_on or not path.exists():
                # An empty one may be left of an import that was killed early.
                mode = "r+" if path.exists() and not path.stat().st_size else "x"
                self._file = io.FileIO(path, mode, opener=for_its_owner_alone)
            else:
                self._file = io.FileIO(path, "r+")
                self._cut_to_whole_lines(self._file)
        except FileExistsError:
            raise _LOG.taken(path) from None
        except OSError as error:
            raise _LOG.unusable(path, error) from None

    def _cut_to_whole_lines(self, file: io.FileIO) -> None:
        """Cut off a last line that was not written to its end: its row is not finished."""
        if file.read(len(_BEGINNING)) != _BEGINNING[: file.seek(0, os.SEEK_END)]:
            file.close()
            raise ConfigurationError(
                f"{self._path} is no log of delivered contacts: give another file with --log"
            )
        size = file.seek(0, os.SEEK_END)
        begin = file.seek(max(0, size - _LONGEST_LINE))
        tail = file.read()
        self._size = begin + tail.rfind(b"\n") + 1
        file.truncate(self._size)

    def add(self, contact: IdentifyRequest, row: int) -> None:
        """Add a contact; `write` brings it to the file."""
        line = {
            "email": contact.new_email or contact.email,  # as it is called from now on
            "tags": list(contact.tags or ()),
            "row": row,
            "file": self._source,
        }
        self._lines.append(json.dumps(line) + "\n")

    def write(self) -> None:
        """Bring what was added to the disk.

        Raises:
            ConfigurationError: It was deleted.
            OSError: It can't be written.
        """
        if not self._lines:
            return
        file = cast("io.FileIO", self._file)
        data = "".join(self._lines).encode()
        write_all(file, data, self._path, None if self._is_device else self._size)
        if not self._is_device:
            os.fsync(file.fileno())
        self._lines.clear()
        self._size += len(data)

    def close(self) -> None:
        """Close the file."""
        cast("io.FileIO", self._file).close()
