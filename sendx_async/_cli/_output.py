"""What a command says, and where: results on stdout, remarks and errors on stderr."""

import contextlib
import os
import sys
from typing import TextIO

PIPE_CLOSED = 141
"""The exit status if nobody reads the output any more, as shells have it for SIGPIPE."""


def say(text: str) -> None:
    """Write a result to stdout, at once.

    Args:
        text: What to write; a line break is added.

    Raises:
        SystemExit: Nobody reads the output any more, as after ``sendx ... | head``.
        OSError: It can't be written for another reason, such as a full disk.
    """
    try:
        _write(sys.stdout, text)
    except BrokenPipeError:
        raise SystemExit(give_up_stdout()) from None
    except OSError:
        give_up_stdout()
        raise


def tell(text: str) -> None:
    """Write a remark to stderr, at once. If that can't be done it is passed over.

    Args:
        text: What to write; a line break is added.
    """
    try:
        _write(sys.stderr, text)
    except OSError:
        _lead_nowhere(sys.stderr)


def complain(text: str) -> None:
    """Write an error to stderr, in one line.

    Args:
        text: What is wrong. Line breaks and other control characters in it become blanks.
    """
    tell("Error: " + " ".join(printable(text, instead=" ").split()))


def printable(text: str, *, instead: str = "?") -> str:
    """Return the text without what could steer a terminal or begin another line.

    Args:
        text: Any text.
        instead: What stands for a character that isn't printable.
    """
    return "".join(character if character.isprintable() else instead for character in text)


def is_terminal() -> bool:
    """Return whether a person sees what is written to stderr."""
    # Without stderr there is None; a stream that was closed can't be asked.
    return sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty()


def give_up_stdout() -> int:
    """Let stdout lead nowhere, since Python would complain when it flushes it at the end.

    Returns:
        The exit status that says so.
    """
    _lead_nowhere(sys.stdout)
    return PIPE_CLOSED


def _write(stream: TextIO | None, text: str) -> None:
    # There is none if it was closed before the start. An encoding may lack some characters.
    if stream is not None:
        encoding = stream.encoding or "utf-8"
        fit = text.encode(encoding, "backslashreplace").decode(encoding)
        print(fit, file=stream, flush=True)


def _lead_nowhere(stream: TextIO) -> None:
    # What was written stays in its buffer, so the stream itself can't just be replaced. One that
    # is no file (a test's, a notebook's) needs nothing.
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)
