"""How an error is told: to a person in a sentence, to a program as one JSON object."""

import contextlib
import json
from collections.abc import Generator
from typing import Any

from sendx_async._cli._output import say
from sendx_async._core.errors import ApiError, ResponseDecodeError, SendXError


def in_words(error: SendXError) -> str:
    """Return the line that tells a person what happened, and what it means for the request.

    Args:
        error: What ended the command.

    Returns:
        Its text, how long SendX asks to wait, and whether the request may have been applied.
    """
    sentences = [str(error).rstrip(".") or type(error).__name__]
    if isinstance(error, ApiError) and error.retry_after is not None:
        sentences.append(f"It asks to wait {error.retry_after:g} s")
    # A success that can't be read says so itself.
    if error.maybe_delivered and not isinstance(error, ResponseDecodeError):
        sentences.append(
            "SendX may have applied it all the same: look there before you send it again"
        )
    return ". ".join(sentences) + ("." if len(sentences) > 1 else "")


def of_a_file(error: OSError) -> str:
    """Return the line that tells a person why a file can't be used.

    Args:
        error: What the system said.
    """
    where = "" if error.filename is None else f"{error.filename}: "
    return f"{where}{error.strerror or error}"


def as_json(error: SendXError) -> dict[str, Any]:
    """Return what a program is told about an error.

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
    }


@contextlib.contextmanager
def errors_as_json(wanted: bool) -> Generator[None]:  # noqa: FBT001 - it is the option --json
    """Write an error that leaves the block to stdout as well, if that is wanted.

    Args:
        wanted: Whether ``--json`` was given.

    Raises:
        SendXError: What left the block, for the line on stderr and the exit status.
        OSError: The same, of a file.
    """
    try:
        yield
    except SendXError as error:
        if wanted:
            say(json.dumps(as_json(error)))
        raise
    except OSError as error:
        if wanted:
            say(json.dumps({"error": type(error).__name__, "message": of_a_file(error)}))
        raise
