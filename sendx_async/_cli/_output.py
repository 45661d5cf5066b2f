"""What a command says, and where: results on stdout, remarks and errors on stderr."""

import contextlib
import json
import os
import sys
from collections.abc import Generator
from typing import Any, TextIO

from sendx_async._core.errors import ApiError, SendXError

PIPE_CLOSED = 141
"""The exit code if nobody reads the output any more, as shells have it for SIGPIPE."""


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


def can_answer() -> bool:
    """Return whether a person can type an answer, since standard input is a terminal."""
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


def agrees(question: str) -> bool:
    """Ask a person on stderr, and return whether the answer is yes.

    Args:
        question: It, with the blank behind it.

    Returns:
        False after Ctrl-C, at the end of the input, and for anything but ``y`` or ``yes``.
    """
    try:
        with contextlib.suppress(OSError):
            _write(sys.stderr, question, end="")
        answer = sys.stdin.readline()
    except (KeyboardInterrupt, OSError):
        answer = ""
    if not answer.endswith("\n"):
        tell("")
    return answer.strip().casefold() in {"y", "yes"}


def propose(error: object) -> None:
    """Write the commands that an error proposes to stderr, each on a line, to be copied.

    Args:
        error: What went wrong; most errors propose none.
    """
    for command in getattr(error, "commands", ()):
        tell(printable(command, instead=" "))


def give_up_stdout() -> int:
    """Let stdout lead nowhere, since Python would complain when it flushes it at the end.

    Returns:
        The exit code that says so.
    """
    _lead_nowhere(sys.stdout)
    return PIPE_CLOSED


def error_in_words(error: SendXError) -> str:
    """Return the line that tells a person what happened, and what it means for the request.

    Args:
        error: What ended the command.

    Returns:
        Its text, how long SendX asks to wait, and whether the request may have been applied.
    """
    sentences = [str(error).rstrip(".") or type(error).__name__]
    if isinstance(error, ApiError) and error.retry_after is not None:
        sentences.append(f"It asks to wait {error.retry_after:g} s")
    if error.maybe_delivered:
        sentences.append(
            "SendX may have applied it all the same: look there before you send it again"
        )
    return ". ".join(sentences) + ("." if len(sentences) > 1 else "")


def file_error_in_words(error: OSError) -> str:
    """Return the line that tells a person why a file can't be used.

    Args:
        error: What the system said.
    """
    where = "" if error.filename is None else f"{error.filename}: "
    return f"{where}{error.strerror or error}"


def _as_json(error: SendXError) -> dict[str, Any]:
    """Return what a program is told about an error, with the details that it may have.

    Args:
        error: What ended the command.

    Returns:
        Plain values; what isn't known is None.
    """
    return {
        "error": type(error).__name__,
        "message": str(error),
        "status_code": getattr(error, "status_code", None),
        "maybe_delivered": error.maybe_delivered,
        "retry_after": getattr(error, "retry_after", None),
        "operation": error.operation,
        "call_id": error.call_id,
        "attempts": error.attempts,
        "elapsed": error.elapsed,
        **getattr(error, "details", {}),
    }


@contextlib.contextmanager
def errors_as_json(wanted: bool) -> Generator[None]:  # noqa: FBT001 - it is the option --json
    """Write an error that leaves the block to stdout as well, if that is wanted.

    Args:
        wanted: Whether ``--json`` was given.

    Raises:
        SendXError: What left the block, for the line on stderr and the exit code.
        OSError: The same, of a file.
    """
    try:
        yield
    except SendXError as error:
        if wanted:
            say(json.dumps(_as_json(error)))
        raise
    except OSError as error:
        if wanted:
            say(json.dumps({"error": type(error).__name__, "message": file_error_in_words(error)}))
        raise


def _write(stream: TextIO | None, text: str, *, end: str = "\n") -> None:
    # There is none if it was closed before the start. An encoding may lack some characters.
    if stream is not None:
        encoding = stream.encoding or "utf-8"
        fit = text.encode(encoding, "backslashreplace").decode(encoding)
        print(fit, end=end, file=stream, flush=True)


def _lead_nowhere(stream: TextIO) -> None:
    # What was written stays in its buffer, so the stream itself can't just be replaced. One that
    # is no file (a test's, a notebook's) needs nothing.
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)
