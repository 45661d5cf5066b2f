"""Packed files, unpacked while they are read: gzip, bzip2, xz, and zip with one file inside."""

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, cast

from sendx_async._core.errors import ConfigurationError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Compression = Literal["gzip", "bzip2", "xz", "zip"]

_BEGINNINGS: tuple[tuple[bytes, Compression], ...] = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),  # without any file inside
)
_OF_A_MAC = ("__MACOSX/", ".DS_Store")
_MOST_NAMED = 5
_ENCRYPTED = 1


def compression_of(first: bytes) -> Compression | None:
    """Return how a file is packed, by its first bytes; None if it isn't."""
    return next((name for start, name in _BEGINNINGS if first.startswith(start)), None)


def unpacked(binary: io.BufferedReader, compression: Compression) -> io.BufferedReader:
    """Return what is inside a packed file, as a stream that takes little memory.

    What is cut off or damaged is an error where it is reached; all before that can be read.

    Args:
        binary: The packed file; a zip must be one that can be read at any place.
        compression: How it is packed.

    Raises:
        ConfigurationError: There isn't one file inside, or it can't be unpacked.
    """
    arriving = cast("io.BufferedReader", _Arriving(binary))
    opened: io.BufferedIOBase
    if compression == "gzip":
        opened = gzip.GzipFile(fileobj=arriving)
    elif compression == "bzip2":
        opened = bz2.BZ2File(arriving)
    elif compression == "xz":
        opened = lzma.LZMAFile(arriving)  # noqa: SIM115 - as the others
    else:
        opened = cast("io.BufferedIOBase", _only_file_in(binary))
    return io.BufferedReader(_Checked(opened, compression))


def names_in_zip(binary: io.BufferedReader) -> Sequence[str]:
    """Return the names of the files inside a zip.

    Raises:
        ConfigurationError: It can't be read at any place, as a pipe, or it is damaged.
    """
    return [info.filename for info in _files_in(_zip(binary))]


class _Arriving:
    """A file that gives what is there, and never waits until it is as much as was asked for."""

    def __init__(self, binary: io.BufferedReader) -> None:
        self.read = binary.read1


class _Checked(io.RawIOBase):
    """An unpacked file, whose errors say what to do."""

    def __init__(self, opened: io.BufferedIOBase, compression: Compression) -> None:
        self._opened = opened
        self._compression = compression

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        place = memoryview(buffer)
        try:
            data = self._opened.read1(len(place))
        except EOFError:
            raise ConfigurationError(
                f"the file is cut off: its {self._compression} data end too early. Get it anew"
            ) from None
        except (gzip.BadGzipFile, zlib.error, lzma.LZMAError, zipfile.BadZipFile):
            raise self._damaged() from None
        except OSError as error:
            if error.errno is None:  # from bzip2
                raise self._damaged() from None
            raise
        place[: len(data)] = data
        return len(data)

    def _damaged(self) -> ConfigurationError:
        return ConfigurationError(
            f"the file is damaged: its {self._compression} data can't be unpacked. Get it anew"
        )


def _zip(binary: io.BufferedReader) -> zipfile.ZipFile:
    if not binary.seekable():
        raise ConfigurationError(
            "a zip, or a workbook, can't be read from a pipe: save it as a file, and give its name"
        )
    try:
        return zipfile.ZipFile(binary)
    except zipfile.BadZipFile:
        raise _damaged_zip() from None


def _damaged_zip() -> ConfigurationError:
    return ConfigurationError("the zip is cut off or damaged: get it anew")


def _files_in(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    return [
        info
        for info in archive.infolist()
        if not info.is_dir() and not any(part in info.filename for part in _OF_A_MAC)
    ]


def _only_file_in(binary: io.BufferedReader) -> object:
    archive = _zip(binary)
    files = _files_in(archive)
    if len(files) != 1:
        more = len(files) - _MOST_NAMED
        names = ", ".join(info.filename for info in files[:_MOST_NAMED])
        names += f" and {more} more" if more > 0 else ""
        raise ConfigurationError(
            f"the zip has {len(files)} files inside ({names}): unpack it, and import the one that "
            "you mean"
            if files
            else "the zip has no file inside"
        )
    if files[0].flag_bits & _ENCRYPTED:
        raise ConfigurationError("the zip is encrypted: unpack it with its password")
    try:
        return archive.open(files[0])
    except zipfile.BadZipFile:
        raise _damaged_zip() from None
    except NotImplementedError:
        raise ConfigurationError(
            "the zip is packed in a way that can't be read here: unpack it"
        ) from None
