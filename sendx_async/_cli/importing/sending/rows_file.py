"""A file of rows set aside, in the form of their own file: each with its number and the reason."""

import csv
import io
import json
import os
import re
import zlib
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, cast

import attrs

from sendx_async._cli.importing.reading.dialect import DELIMITERS, NULL
from sendx_async._cli.importing.reading.records import REJECT_COLUMNS, Record
from sendx_async._cli.importing.sending.forms import Form
from sendx_async._core.errors import ConfigurationError

_CHUNK = 1 << 20
_BEGINNING = 30
_AS_KEYS = tuple(f'"{name}"' for name in REJECT_COLUMNS)
_EARLIER = re.compile(r'^\{"sendx_row": \d+, "sendx_reason": "(?:[^"\\]|\\.)*", ')


@attrs.frozen
class Written:
    """How much of the file is certain.

    Attributes:
        size: Bytes.
        checksum: Of these bytes.
    """

    size: int = 0
    checksum: int = 0


@attrs.frozen(kw_only=True)
class Kind:
    """Which rows a file is for.

    Attributes:
        rows: What they are called.
        option: Which option names the file.
        worth: What a file may hold that is there already, and what is to be done with it.
    """

    rows: str
    option: str
    worth: str

    def unusable(self, path: Path, error: OSError) -> ConfigurationError:
        """Return the error that says that they can't be written there."""
        return ConfigurationError(
            f"{self.rows} can't be written to {shown(path)}: {error.strerror}; give another file "
            f"with {self.option}"
        )

    def taken(self, path: Path) -> ConfigurationError:
        """Return the error that says that there is something already."""
        return ConfigurationError(
            f"{shown(path)} exists, and {self.worth}, or give another file with {self.option}"
        )


REJECTED = Kind(
    rows="rejected rows",
    option="--rejects",
    worth="may hold rows that nobody has mended, or another import writes to it: import it, "
    "delete it",
)
SKIPPED = Kind(
    rows="skipped rows",
    option="--skipped",
    worth="may hold the skipped rows of another import, or one that writes to it now: rename it, "
    "delete it",
)


class RowsFile:
    """Rows with reasons, in a file that can be mended and imported.

    The file is there as long as the import runs, and afterwards if there was such a row.

    Args:
        path: Where.
        kind: Which rows.
        form: How they are written.
        written: How much of it an earlier import has written, if this one goes on with that.

    Attributes:
        path: Where.
        kind: Which rows.
        written: How much of the file is certain.
        is_device: Whether it is no file that can be read or cut off, such as /dev/null.

    Raises:
        ConfigurationError: There is a file already, or not as an earlier import left it.
        OSError: It can't be read.
    """

    def __init__(self, path: Path, kind: Kind, form: Form, written: Written | None) -> None:
        self.path = path
        self.kind = kind
        self._form = form
        self._encoding = form.encoding
        self._header = form.header
        self._lines: list[str] = []
        self.written = written or Written()
        self._is_owned = written is not None
        # Such as /dev/null: nothing can be read from it, or cut off.
        self.is_device = path.exists() and not path.is_file()
        self._file: io.FileIO | None = None
        self._check()

    def _check(self) -> None:
        path, known = self.path, self.written.size
        if self.is_device or not path.exists():
            self.written = Written()
        elif not self._is_owned:
            raise self.kind.taken(path)
        elif (not known and not self._is_ours()) or _checksum(path, known) != self.written:
            raise ConfigurationError(
                f"{shown(path)} was changed since the import was stopped: rename it, then resume"
            )

    @property
    def found_at(self) -> str | None:
        """Where rows are, as short as it can be said; None if there are none."""
        return shown(self.path) if self.written.size and not self.is_device else None

    def open(self) -> None:
        """Claim the file, so that no other import writes it too.

        Raises:
            ConfigurationError: It exists, or can't be written.
        """
        path = self.path
        try:
            if self.is_device:
                self._file = io.FileIO(path, "w")
            elif self._is_owned and path.exists():
                self._file = io.FileIO(path, "r+")
                self._file.truncate(self.written.size)  # what was written and not noted any more
            else:
                self._file = io.FileIO(path, "x", opener=for_its_owner_alone)
        except FileExistsError:  # just now, or it would have been noticed
            raise self.kind.taken(path) from None
        except OSError as error:
            raise self.kind.unusable(path, error) from None

    def _is_ours(self) -> bool:
        """Return whether what nobody has noted may have been written by an import."""
        with self.path.open("rb") as file:
            beginning = file.read(_BEGINNING)
            return not beginning or REJECT_COLUMNS[0].encode() in beginning

    def add(self, record: Record, reason: str) -> None:
        """Add a row; `write` brings it to the file."""
        if self._header is None:
            self._lines.append(self._as_json(record, reason))
        else:
            # What can't be read as cells is kept as it is, in one.
            cells = self._own(self._cells(record)) or [record.text.rstrip("\r\n")]
            self._lines.append(self._as_csv([str(record.number), reason, *cells]))

    def write(self) -> None:
        """Write what was added; `written` says how much of the file is certain then.

        Raises:
            ConfigurationError: It was deleted.
            OSError: It can't be written.
        """
        if self._lines:
            text = "".join(self._lines)
            if not self.written.size and self._header is not None:
                text = self._as_csv([*REJECT_COLUMNS, *self._own(self._header)]) + text
                if self._form.delimiter not in DELIMITERS:
                    text = f"sep={self._form.delimiter}\r\n{text}"  # nobody would guess it
            data = self._bytes(text)
            if not self.written.size and self._encoding.bom:
                data = "\ufeff".encode(self._encoding.name) + data
            file = cast("io.FileIO", self._file)
            write_all(file, data, self.path, None if self.is_device else self.written.size)
            self._lines.clear()
            self.written = Written(
                self.written.size + len(data), zlib.crc32(data, self.written.checksum)
            )

    def close(self) -> None:
        """Close the file that was opened; without a row it goes."""
        cast("io.FileIO", self._file).close()
        if not self.written.size and not self.is_device:
            self.path.unlink(missing_ok=True)

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

    def _own(self, cells: Sequence[str]) -> list[str]:
        """Leave out what an earlier import has put in front."""
        names = self._header or ()
        return [
            cell for cell, name in zip_longest(cells, names[: len(cells)])
            if name not in REJECT_COLUMNS
        ]  # fmt: skip

    def _cells(self, record: Record) -> Sequence[str]:
        """Return what stands in the cells of a row, as it is read again."""
        if self._form.is_made:
            return next(csv.reader([record.text]))
        nulls = self._form.nulls
        return [NULL if cell in nulls else cell for cell in record.values]

    def _as_csv(self, cells: list[str]) -> str:
        line = io.StringIO(newline="")
        form = self._form
        csv.writer(
            line,
            delimiter=form.delimiter,
            escapechar=form.escape,
            quoting=csv.QUOTE_ALL if form.quotes_all else csv.QUOTE_MINIMAL,
            lineterminator="\r\n",
        ).writerow(cells)
        return line.getvalue()

    def _as_json(self, record: Record, reason: str) -> str:
        row: dict[str, Any] = dict(zip(REJECT_COLUMNS, (record.number, reason), strict=True))
        text = record.text.strip()
        if not record.names:
            return json.dumps(row | {"sendx_line": text}, ensure_ascii=text.isascii()) + "\n"
        text = _EARLIER.sub("{", text)
        if any(name in text for name in _AS_KEYS):  # somebody has written it anew
            values = zip(record.names, record.values, strict=True)
            row |= {name: value for name, value in values if name not in row}
            return json.dumps(row, default=float) + "\n"
        # Just as it stood there: digits, escapes, and bytes that mean nothing.
        return json.dumps(row)[:-1] + ", " + text.removeprefix("{").lstrip() + "\n"


def write_all(file: io.FileIO, data: bytes, path: Path, place: int | None) -> None:
    """Write all of this to a file.

    Args:
        file: The file.
        data: What to write.
        path: Where it is, for errors.
        place: Behind how many bytes, since the last try may have failed half way; None for a
            device.

    Raises:
        ConfigurationError: It was deleted.
        OSError: It can't be written; it names the file.
    """
    try:
        if place is not None:
            if not os.fstat(file.fileno()).st_nlink:
                raise ConfigurationError(
                    f"{shown(path)} was deleted while the import wrote to it, and what stood in it "
                    "is lost"
                )
            file.seek(place)
        left = memoryview(data)
        while left:
            left = left[file.write(left) :]
    except OSError as error:
        raise OSError(error.errno, error.strerror, shown(path)) from None


def for_its_owner_alone(path: str, flags: int) -> int:
    """Open a file, as `open` asks an opener to; a new one can be read by its owner only."""
    return os.open(path, flags, 0o600)  # it is full of addresses


def shown(path: Path) -> str:
    """Return a path as short as it can be said."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _is_known(character: str, encoding: str) -> bool:
    try:
        character.encode(encoding, "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _checksum(path: Path, size: int) -> Written:
    """Return what of the first bytes of a file is there."""
    found = Written()
    with path.open("rb") as file:
        while chunk := file.read(min(size - found.size, _CHUNK)):
            found = Written(found.size + len(chunk), zlib.crc32(chunk, found.checksum))
    return found
