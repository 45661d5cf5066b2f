"""The check of random streams sees the mistakes that it is there for: each is made on purpose."""

import re
from collections.abc import Callable
from random import Random
from typing import Any

import attrs
import pytest

from sendx_async import EventResponse, Outcome
from sendx_async._core.operations import IDENTIFY, contacts_of
from sendx_async._policy import ordering as queue
from sendx_async._policy import recovery
from sendx_async._policy.circuit_breaker import CircuitBreaker
from sendx_async._policy.failures import classify
from sendx_async._policy.ordering import Message, OrderedQueue
from sendx_async._policy.recovery import Decision, NextStep, Recovery
from sendx_async._streams.outcomes import OutcomeQueue
from tests.faults.schedules import carry_out, check, make_schedule

pytestmark = pytest.mark.slow

Sabotage = Callable[[pytest.MonkeyPatch], None]

MOST_SCHEDULES = 30


def ignore_contacts(monkeypatch: pytest.MonkeyPatch) -> None:
    add = OrderedQueue.add

    def careless(kept: OrderedQueue, message: Message) -> None:
        message.contacts = (f"contact {message.index}",)
        add(kept, message)

    monkeypatch.setattr(OrderedQueue, "add", careless)


def forget_the_new_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "contacts_of", lambda request: contacts_of(request)[:1])


def let_outcomes_vanish(monkeypatch: pytest.MonkeyPatch) -> None:
    _change_outcomes(monkeypatch, lambda outcome: [] if outcome.index == 9 else [outcome])


def give_outcomes_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    _change_outcomes(monkeypatch, lambda outcome: [outcome] * (1 + (outcome.index == 9)))


def mix_up_outcomes(monkeypatch: pytest.MonkeyPatch) -> None:
    _change_outcomes(monkeypatch, lambda outcome: [attrs.evolve(outcome, index=outcome.index ^ 1)])


def call_failures_certain(monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(outcome: Outcome) -> list[Outcome]:
        if outcome.error is not None:
            outcome.error.maybe_delivered = False
        return [outcome]

    _change_outcomes(monkeypatch, changed)


def call_failures_uncertain(monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(outcome: Outcome) -> list[Outcome]:
        if outcome.error is not None:
            outcome.error.maybe_delivered = True
        return [outcome]

    _change_outcomes(monkeypatch, changed)


def call_failures_success(monkeypatch: pytest.MonkeyPatch) -> None:
    success = EventResponse()
    _change_outcomes(
        monkeypatch, lambda outcome: [Outcome(outcome.index, outcome.request, success)]
    )


def _change_outcomes(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[Outcome], list[Outcome]]
) -> None:
    put = OutcomeQueue.put

    def changed(queue: OutcomeQueue, outcome: Outcome) -> None:
        for each in change(outcome):
            put(queue, each)

    monkeypatch.setattr(OutcomeQueue, "put", changed)


def repeat_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        recovery, "classify", lambda error, *, replay_safe: classify(error, replay_safe=True)
    )


def refuse_whole_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    decide = Recovery.after_failure

    def careless(*arguments: Any, **options: Any) -> Decision:
        decision = decide(*arguments, **options)
        if decision.step is NextStep.APART:
            return attrs.evolve(decision, step=NextStep.FINISH)
        return decision

    monkeypatch.setattr(Recovery, "after_failure", careless)


def allow_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CircuitBreaker, "allows", lambda outage, now: 20)


def put_everything_into_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    make = Message.__init__

    def shareable(message: Message, *arguments: Any, **options: Any) -> None:
        make(message, *arguments, **options)
        if message.operation is IDENTIFY:
            message.is_alone, message.replay_safe = False, True

    monkeypatch.setattr(Message, "__init__", shareable)


def swallow_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    close = OutcomeQueue.close
    monkeypatch.setattr(OutcomeQueue, "close", lambda queue, failure: close(queue, None))


@pytest.mark.parametrize(
    "sabotage,words",
    [
        (ignore_contacts, "order: request .* came after request"),
        (ignore_contacts, "overlap: requests .* were in flight"),
        (forget_the_new_address, "overlap: requests .* were in flight"),
        (let_outcomes_vanish, "lost: request 9 has no outcome"),
        (give_outcomes_twice, "twice: request 9 has 2 outcomes"),
        (mix_up_outcomes, "failure_class: request .* has the outcome of another request"),
        (call_failures_success, "failure_class: request .* was not accepted when it came last"),
        (call_failures_certain, "failure_class: request .* was applied, though its error says no"),
        (call_failures_uncertain, "failure_class: request .* can't have been applied, though"),
        (refuse_whole_batches, "failure_class: request .* was refused only together with others"),
        (repeat_everything, "repeated: request .* came again after"),
        (repeat_everything, "repeated: request .* was sent again after attempt"),
        (put_everything_into_batches, "repeated: request .* travelled with others"),
        (allow_too_many, "limit: .* HTTP requests were in flight"),
        (swallow_failures, "ending: it did not raise that the key was refused"),
        (swallow_failures, "ending: it raised None when it had read"),
    ],
)
def test_the_checker_sees_each_mistake_that_is_made_on_purpose(
    monkeypatch: pytest.MonkeyPatch, sabotage: Sabotage, words: str
) -> None:
    sabotage(monkeypatch)
    seen: list[str] = []
    for seed in range(MOST_SCHEDULES):
        seen += map(str, check(carry_out(make_schedule(Random(seed)), "asyncio")))
        if any(re.match(words, each) for each in seen):
            return
    pytest.fail("\n".join(["this was not seen, only:", *seen]))
