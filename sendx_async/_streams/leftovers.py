"""What a stream leaves behind: an outcome for each request that it read and did not finish."""

from collections.abc import Iterable, Sequence
from typing import Any

from sendx_async._core.errors import NotSentError, OutageError, ResponseLost, SendXError
from sendx_async._policy.ordering import Message
from sendx_async._streams.outcomes import Outcome, OutcomeQueue

_NOT_SENT = "the stream ended before this request was sent"
_UNKNOWN = "the stream ended before it was known whether this request was applied"


def of_the_unfinished(messages: Iterable[Message]) -> list[Outcome]:
    """Return the outcomes of messages that were accepted, when nothing is under way any more."""
    outcomes: list[Outcome] = []
    for message in messages:
        error: SendXError = NotSentError(_NOT_SENT)
        if message.maybe_delivered:
            error = ResponseLost(_UNKNOWN, maybe_delivered=True)
        error.operation, error.attempts = message.operation.name, message.attempts
        outcomes.append(Outcome(message.index, message.request, error=error))
    return outcomes


def of_the_unread(given: Iterable[Any], *, first_index: int) -> list[Outcome]:
    """Return the outcomes of what was read ahead, and looked at by nobody."""
    return [
        Outcome(index, request, error=NotSentError(_NOT_SENT))
        for index, request in enumerate(given, first_index)
    ]


def describe(failure: SendXError, outcomes: OutcomeQueue, left: Sequence[Outcome]) -> None:
    """Have the error that ended everything say what was sent and what not."""
    unsent = sum(isinstance(each.error, NotSentError) for each in left)
    summary = (
        f"Of {outcomes.delivered + outcomes.failed + len(left)} requests that were read "
        f"{outcomes.delivered} were delivered, {outcomes.failed} failed, {len(left) - unsent} may "
        f"have been delivered and {unsent} were not sent; the stream's unclaimed and unsent hold "
        "them."
    )
    failure.maybe_delivered = failure.maybe_delivered or any(
        isinstance(each.error, ResponseLost) for each in left
    )
    if isinstance(failure, OutageError):
        failure.args = (f"{str(failure).rstrip('.')}. {summary}",)
    else:
        failure.add_note(summary)
