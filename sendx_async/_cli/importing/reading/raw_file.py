"""The bytes of a file, a pipe or standard input, whose beginning can be looked at first."""

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

from sendx_async._core.errors import ConfigurationError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

STANDARD_INPUT = "-"

HEAD = 2 << 20
"""How many bytes are looked into before the first is read."""

_CHUNK = 1 << 16


class RawFile:
    """An opened file, to be closed.

    Args:
        file: Its path, or ``-`` for standard input.

    Attributes:
        binary: Its bytes.
        size: Its size in bytes, or None if it has none, as a pipe.

    Raises:
        ConfigurationError: Standard input is closed.
        OSError: The file can't be read.
    """

    def __init__(self, file: str) -> None:
        path = Path(file)
        self._descriptor: int | None = None
        if file == STANDARD_INPUT:
            # Not sys.stdin: a thread that waits for its next byte would break Python's exit.
            self.binary = _opened(0)
            self.size = None
        elif path.is_fifo() or path.is_char_device():
            self._descriptor = os.open(file, os.O_RDONLY)
            self.binary = _opened(self._descriptor)
            self.size = None
        else:
            self.binary = path.open("rb")
            self.size = path.stat().st_size

    @property
    def is_pipe(self) -> bool:
        """Whether more of it may be long in coming."""
        return self.size is None

    @property
    def position(self) -> int:
        """How many bytes were read; 0 for a pipe."""
        return 0 if self.size is None else self.binary.raw.tell()

    def close(self) -> None:
        """Close the file; standard input stays open."""
        if self.size is not None:
            self.binary.close()
        elif self._descriptor is not None:
            # Not the file around it: a thread that waits for the next byte holds its lock.
            os.close(self._descriptor)


def _opened(descriptor: int) -> io.BufferedReader:
    try:
        return open(descriptor, "rb", closefd=False)
    except OSError as error:
        raise ConfigurationError(f"standard input can't be read: {error.strerror}") from None


class Head:
    """The first bytes of a stream, and a way to read it from the first one all the same.

    Args:
        binary: The stream.
        is_pipe: Whether more of it may be long in coming; then no more is waited for than a line.

    Attributes:
        data: The first bytes.
        is_all: Whether the stream has no others.
    """

    def __init__(self, binary: io.BufferedReader, *, is_pipe: bool) -> None:
        self._binary = binary
        self._error: Exception | None = None
        chunks: list[bytes] = []
        size, self.is_all = 0, False
        try:
            while size < HEAD:
                chunk = binary.read1(_CHUNK)
                if not chunk:
                    self.is_all = True
                    break
                chunks.append(chunk)
                size += len(chunk)
                if is_pipe and not chunk.isspace() and (b"\n" in chunk or b"\r" in chunk):
                    break
        except (ConfigurationError, OSError) as error:
            self._error = error  # where it was met: what comes before it is of use
        self.data = b"".join(chunks)
        if self._error is not None and not self.data:
            raise self._error

    def whole(self) -> io.BufferedReader:
        """Return the stream from its first byte; to be asked for once."""
        return io.BufferedReader(_Whole(self.data, self._binary, self._error), _CHUNK)


class _Whole(io.RawIOBase):
    """Bytes that were read, and those behind them, or the error that came instead."""

    def __init__(self, data: bytes, rest: io.BufferedReader, error: Exception | None) -> None:
        self._data = memoryview(data)
        self._rest = rest
        self._error = error

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        place = memoryview(buffer)
        if self._data:
            taken = self._data[: len(place)]
            place[: len(taken)] = taken
            self._data = self._data[len(taken) :]
            return len(taken)
        if self._error is not None:
            raise self._error
        return self._rest.readinto1(place)
