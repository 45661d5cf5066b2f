"""The file of rejected rows: in the form of their own file, each with its row and the reason."""

import csv
import io
import json
import os
import zlib
from pathlib import Path
from typing import Any

import attrs

from sendx_async._cli.importing._columns import REJECT_COLUMNS
from sendx_async._cli.importing._records import Record
from sendx_async._cli.importing._text import Encoding, has_bad_bytes
from sendx_async._errors import ConfigurationError

_CHUNK = 1 << 20
_BEGINNING = 30


@attrs.frozen
class Written:
    """How much of the file is certain.

    Attributes:
        size: Bytes.
        checksum: Of these bytes.
    """

    size: int = 0
    checksum: int = 0


class RejectsFile:
    """Rejected rows, in a file that can be mended and imported again.

    Nothing is made until the first row is rejected.

    Args:
        path: Where.
        encoding: How the rows' own file is written.
        header: The names of its columns; None for JSON.
        delimiter: What stands between cells.
        written: How much of it an earlier import has written, if this one goes on with that.

    Raises:
        ConfigurationError: There is a file already, or not as an earlier import left it.
        OSError: It can't be read.
    """

    def __init__(
        self,
        path: Path,
        *,
        encoding: Encoding,
        header: tuple[str, ...] | None,
        delimiter: str,
        written: Written | None,
    ) -> None:
        self.path = path
        # One that is wide needs a mark at the beginning that each addition would repeat.
        self._encoding = (
            Encoding("utf-8", bom=True, is_wide=False) if encoding.is_wide else encoding
        )
        self._header = header
        self._delimiter = delimiter
        self._lines: list[str] = []
        self._file: io.FileIO | None = None
        self.written = written or Written()
        # Such as /dev/null: nothing can be read from it, or cut off.
        self._is_device = path.exists() and not path.is_file()
        self._check(resumes=written is not None)

    def _check(self, *, resumes: bool) -> None:
        """See whether what stands in the file is what was written, and cut off what is more."""
        if self._is_device:
            return
        where = self.path if self.path.exists() else self.path.parent
        if not os.access(where, os.W_OK):
            raise ConfigurationError(
                f"rejected rows can't be written to {shown(self.path)}: "
                f"{'it' if where == self.path else 'its directory'} can't be written, or doesn't "
                "exist; give another file with --rejects"
            )
        size, known = self.path.stat().st_size if self.path.exists() else 0, self.written.size
        if not size:
            self.written = Written()
        elif not resumes or (not known and not self._is_ours()):
            raise ConfigurationError(
                f"{shown(self.path)} exists, and may hold rows that nobody has mended: import it, "
                "delete it, or give another file with --rejects"
            )
        elif size < known or _checksum(self.path, known) != self.written.checksum:
            raise ConfigurationError(
                f"{shown(self.path)} was changed since the import was stopped: rename it, then "
                "resume"
            )
        elif size > known:
            os.truncate(self.path, known)  # what was written last, before that was noted

    def _is_ours(self) -> bool:
        with self.path.open("rb") as file:
            return REJECT_COLUMNS[0].encode() in file.read(_BEGINNING)

    def add(self, record: Record, reason: str) -> None:
        """Add a row; `write` brings it to the file."""
        if self._header is None:
            self._lines.append(self._as_json(record, reason))
        else:
            # What can't be read as cells is kept as it is, in one.
            cells = record.values or [record.text.rstrip("\r\n")]
            self._lines.append(self._as_csv([str(record.number), reason, *cells]))

    def write(self) -> Written:
        """Write what was added; gives how much of the file is certain now.

        Raises:
            OSError: It can't be written.
        """
        if self._lines:
            text = "".join(self._lines)
            if not self.written.size and self._header is not None:
                text = self._as_csv([*REJECT_COLUMNS, *self._header]) + text
            data = self._bytes(text)
            if not self.written.size and self._encoding.bom:
                data = "\ufeff".encode(self._encoding.name) + data
            file, left = self._opened(), memoryview(data)
            if not self._is_device:
                file.seek(self.written.size)  # again there, if the last attempt failed half way
            while left:
                left = left[file.write(left) :]
            self._lines.clear()
            self.written = Written(
                self.written.size + len(data), zlib.crc32(data, self.written.checksum)
            )
        return self.written

    def close(self) -> None:
        """Close the file, if it is open."""
        if self._file is not None:
            self._file.close()

    def _opened(self) -> io.FileIO:
        if self._file is None:
            is_there = self.path.exists() and not self._is_device
            self._file = io.FileIO(self.path, "r+" if is_there else "w")
        return self._file

    def _bytes(self, text: str) -> bytes:
        try:
            return text.encode(self._encoding.name, "surrogateescape")
        except UnicodeEncodeError:
            # Only a reason, which may be in SendX's words, has what the file's own rows can't have.
            return b"".join(
                character.encode(self._encoding.name, "surrogateescape")
                if _is_known(character, self._encoding.name)
                else b"?"
                for character in text
            )

    def _as_csv(self, cells: list[str]) -> str:
        line = io.StringIO(newline="")
        csv.writer(line, delimiter=self._delimiter, lineterminator="\r\n").writerow(cells)
        return line.getvalue()

    def _as_json(self, record: Record, reason: str) -> str:
        row: dict[str, Any] = dict(zip(REJECT_COLUMNS, (record.number, reason), strict=True))
        if record.names:
            values = zip(record.names, record.values, strict=True)
            row |= {name: value for name, value in values if name not in row}
        else:
            row["sendx_line"] = record.text.rstrip("\r\n")
        line = json.dumps(row, ensure_ascii=False) + "\n"
        if has_bad_bytes(record.text):
            return line  # they are to stay as they are
        try:
            line.encode(self._encoding.name)
        except UnicodeEncodeError:
            return json.dumps(row) + "\n"  # with escapes, as they may have stood there
        return line


def shown(path: Path) -> str:
    """Give a path as short as it can be said."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _is_known(character: str, encoding: str) -> bool:
    try:
        character.encode(encoding, "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _checksum(path: Path, size: int) -> int:
    checksum = 0
    with path.open("rb") as file:
        while size and (chunk := file.read(min(size, _CHUNK))):
            checksum = zlib.crc32(chunk, checksum)
            size -= len(chunk)
    return checksum
