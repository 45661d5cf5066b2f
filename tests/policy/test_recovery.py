"""What follows an answer or a failure: decided without a network, a loop or a clock."""

import math

import pytest

from sendx_async import (
    AuthenticationError,
    ConnectError,
    IdentifyRequest,
    NotFoundError,
    RateLimitError,
    ReportedFailureError,
    ResponseDecodeError,
    RetryPolicy,
    SendXError,
    ServerError,
    UnprocessableEntityError,
)
from sendx_async._policy.ordering import Message, OrderedQueue
from sendx_async._policy.recovery import Decision, NextStep, Recovery

EVENT = {"identifier": "jane@example.com", "name": "signup"}


class Stream:
    """A queue and what decides about it, at moments that are given."""

    def __init__(self, *requests: object, patience: float = 60.0) -> None:
        self.queue = OrderedQueue(25)
        for index, request in enumerate(requests):
            self.queue.add(Message.of(index, request))
        policy = RetryPolicy(1, base=8, cap=8)
        self.recovery = Recovery(self.queue, policy, patience=patience, most_at_once=8, now=0.0)

    def fails(self, error: SendXError, now: float = 1.0) -> Decision:
        """Let the next request fail that is due at ``now``, and be sent again if it is to be."""
        messages = self.recovery.take(now)
        decision = self.recovery.after_failure(messages, error, jitter=0.5, begun=now, now=now)
        if decision.step in {NextStep.AGAIN, NextStep.APART, NextStep.LATER}:
            for message in messages:
                message.is_alone = message.is_alone or decision.step is NextStep.APART
            self.queue.give_back(messages)
        return decision

    def succeeds(self, now: float) -> bool:
        return self.recovery.note_answer(self.recovery.take(now), begun=now, now=now)


def contacts(count: int) -> list[IdentifyRequest]:
    return [IdentifyRequest(f"c{number}@example.com") for number in range(count)]


@pytest.mark.parametrize(
    "requests,error,step",
    [
        (contacts(1), UnprocessableEntityError(status_code=422), NextStep.FINISH),
        (contacts(2), UnprocessableEntityError(status_code=422), NextStep.APART),
        (contacts(2), NotFoundError(status_code=404), NextStep.APART),
        (contacts(1), ReportedFailureError(status_code=200), NextStep.FINISH),
        (contacts(2), ReportedFailureError(status_code=200), NextStep.APART),
        (contacts(1), ResponseDecodeError(status_code=200), NextStep.AGAIN),
        (contacts(2), ResponseDecodeError(status_code=200), NextStep.APART),
        (contacts(1), AuthenticationError(status_code=401), NextStep.STOP),
        (contacts(2), AuthenticationError(status_code=401), NextStep.STOP),
        (contacts(1), ServerError(status_code=500), NextStep.LATER),
        (contacts(2), ServerError(status_code=500), NextStep.APART),
        ([EVENT], ServerError(status_code=500), NextStep.FINISH),
        (contacts(1), ConnectError(), NextStep.AGAIN),
        (contacts(2), RateLimitError(status_code=429), NextStep.AGAIN),
        ([EVENT], RateLimitError(status_code=429), NextStep.AGAIN),
    ],
)
def test_what_becomes_of_messages_at_their_first_failure(
    requests: list[object], error: SendXError, step: NextStep
) -> None:
    decision = Stream(*requests).fails(error)
    assert decision.step is step
    is_outage = step is NextStep.AGAIN or isinstance(error, ResponseDecodeError)
    assert (decision.pause is not None) == is_outage
    assert decision.wait == (4.0 if step is NextStep.LATER else 0.0)
    assert not decision.ends_outage


def test_an_event_that_something_else_has_answered_is_finished_and_all_others_wait() -> None:
    decision = Stream(EVENT).fails(ResponseDecodeError(status_code=200, maybe_delivered=True))
    assert decision == Decision(NextStep.FINISH, pause=4.0)


def test_a_wait_that_sendx_asks_for_is_kept_unless_it_exceeds_the_patience() -> None:
    error = ServerError(status_code=500, retry_after=7.0)
    assert Stream(*contacts(1)).fails(error).wait == 7.0
    assert Stream(*contacts(1), patience=6.0).fails(error).step is NextStep.FINISH
    refusal = RateLimitError(status_code=429, retry_after=7.0)
    assert Stream(*contacts(1)).fails(refusal).pause == 7.0
    assert Stream(*contacts(1), patience=6.0).fails(refusal).pause == math.inf


def test_a_message_that_fails_too_often_is_finished() -> None:
    stream = Stream(*contacts(1))
    assert stream.fails(ServerError(status_code=500)).step is NextStep.LATER
    assert stream.fails(ServerError(status_code=500)).step is NextStep.FINISH


def test_an_endpoint_that_is_missing_is_not_asked_again() -> None:
    stream = Stream(*contacts(40))
    stream.fails(NotFoundError(status_code=404))
    assert stream.queue.batch_size == 1


def test_an_outage_is_tried_by_one_and_ends_with_an_answer() -> None:
    stream = Stream(*contacts(30))
    assert stream.recovery.allows(1.0) == 8
    assert stream.fails(RateLimitError(status_code=429, retry_after=5.0)).pause == 5.0
    assert stream.recovery.resumes_at == 6.0
    assert stream.recovery.allows(5.9) == 0
    assert stream.recovery.allows(6.0) == 1
    assert stream.recovery.wait(6.0) == 0.0
    assert stream.succeeds(6.0)
    assert stream.recovery.allows(6.0) == 2
    assert stream.recovery.wait(6.1) > 0  # the rate that the refusal has taught
    assert not stream.succeeds(7.0)


def test_a_refusal_ends_an_outage_too() -> None:
    stream = Stream(*contacts(2))
    assert stream.fails(ConnectError()).pause == 4.0
    assert stream.fails(UnprocessableEntityError(status_code=422), 5.0) == Decision(
        NextStep.APART, ends_outage=True
    )


def test_a_server_that_fails_at_batches_only_gets_single_contacts() -> None:
    stream = Stream(*contacts(200))
    now = 1.0
    for streak in range(2):
        assert stream.fails(ConnectError(), now).step is NextStep.AGAIN
        now = stream.recovery.resumes_at
        assert stream.fails(ServerError(status_code=500), now).step is NextStep.APART
        now = stream.recovery.resumes_at
        assert stream.queue.batch_size == 25, streak
        assert stream.succeeds(now)  # a contact by itself
    assert stream.queue.batch_size == 1


class TestUnknownContact:
    """Who waits for nobody asks again for a contact that SendX doesn't know."""

    @staticmethod
    def stream(is_outbox: bool) -> Stream:
        stream = Stream(*contacts(2))
        stream.queue.batch_size = 1
        stream.recovery = Recovery(
            stream.queue, RetryPolicy(2, base=8, cap=8), patience=60, most_at_once=8, now=0,
            is_outbox=is_outbox,
        )  # fmt: skip
        return stream

    def test_an_outbox_asks_for_an_unknown_contact_as_often_as_the_policy_allows(self) -> None:
        stream = self.stream(is_outbox=True)
        error = NotFoundError(status_code=404)
        assert stream.fails(error) == Decision(NextStep.LATER, wait=4.0)
        stream.succeeds(1.0)
        assert stream.fails(error) == Decision(NextStep.LATER, wait=4.0)
        assert stream.fails(error) == Decision(NextStep.FINISH)

    def test_a_stream_does_not_ask_again_for_an_unknown_contact(self) -> None:
        assert self.stream(is_outbox=False).fails(NotFoundError(status_code=404)) == Decision(
            NextStep.FINISH
        )

    def test_another_refusal_than_an_unknown_contact_is_final(self) -> None:
        error = UnprocessableEntityError(status_code=422)
        assert self.stream(is_outbox=True).fails(error) == Decision(NextStep.FINISH)

    def test_only_the_first_message_of_an_unknown_contact_is_sent_again(self) -> None:
        stream = self.stream(is_outbox=True)
        error = NotFoundError(status_code=404)
        message = Message.of(7, {"email": "c0@example.com"})
        steps = [self.step_after(stream, message, error) for _ in range(3)]
        assert steps == [NextStep.LATER, NextStep.LATER, NextStep.FINISH]
        follower = Message.of(8, {"email": "c0@example.com"})
        assert self.step_after(stream, follower, error) is NextStep.FINISH
        stream.recovery.note_answer([follower], begun=1, now=1)  # it is known now
        assert (
            self.step_after(stream, Message.of(9, {"email": "c0@example.com"}), error)
            is NextStep.LATER
        )

    @staticmethod
    def step_after(stream: Stream, message: Message, error: SendXError) -> NextStep:
        return stream.recovery.after_failure([message], error, jitter=0, begun=1, now=1).step

    def test_so_many_unknown_contacts_are_remembered_and_no_more(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sendx_async._policy.recovery._MOST_UNKNOWN", 0)
        stream = self.stream(is_outbox=True)
        error = NotFoundError(status_code=404)
        for index in (7, 8):
            message = Message.of(index, {"email": "c0@example.com"})
            steps = [self.step_after(stream, message, error) for _ in range(3)]
            assert steps == [NextStep.LATER, NextStep.LATER, NextStep.FINISH]


def test_an_outbox_begins_with_one_request() -> None:
    recovery = Recovery(
        OrderedQueue(25), RetryPolicy(), patience=60, most_at_once=8, now=0, is_outbox=True
    )
    allowed = [recovery.allows(0)]
    for now in range(1, 5):
        recovery.note_answer([Message.of(now, EVENT)], begun=now, now=now)
        allowed.append(recovery.allows(now))
    assert allowed == [1, 2, 4, 8, 8]


class TestEventAsProbe:
    def test_in_a_stream_it_waits_for_what_is_given_back_in_a_moment(self) -> None:
        stream = Stream(*contacts(1), EVENT)
        (safe,) = stream.queue.take()
        stream.queue.set_aside(safe)
        stream.recovery.after_failure([safe], ConnectError(), jitter=0.5, begun=1.0, now=1.0)
        assert stream.recovery.lacks_probe
        assert stream.recovery.take(9.0) == []
        assert stream.recovery.take_event(9.0) == []
        stream.queue.give_back([safe])
        assert stream.recovery.take(9.0) == [safe]
        assert [each.index for each in stream.recovery.take_event(9.0)] == [1]

    @staticmethod
    def outbox(*requests: object) -> Stream:
        stream = Stream(*requests)
        stream.recovery = Recovery(
            stream.queue, RetryPolicy(1, base=8, cap=8), patience=math.inf, most_at_once=8, now=0,
            is_outbox=True,
        )  # fmt: skip
        return stream

    def test_in_an_outbox_it_is_looked_for_something_better_every_half_minute(self) -> None:
        stream = self.outbox(EVENT)
        recovery = stream.recovery
        recovery.note_uncertain(-100.0)
        assert recovery.allows(0.0) == 1
        assert recovery.lacks_probe
        assert recovery.take_event(0.0) == []
        assert recovery.resumes_at == 30.0
        assert [recovery.allows(now) for now in (29.0, 30.0)] == [0, 1]
        assert recovery.take_event(190.0) == []
        assert recovery.resumes_at == 200.0
        assert [each.index for each in recovery.take_event(200.0)] == [0]

    def test_in_an_outbox_it_is_preferred_when_nothing_else_gets_through(self) -> None:
        stream = self.outbox(*contacts(1), EVENT)
        now = 0.0
        while now < 300.0:
            assert stream.fails(ServerError(status_code=500), now).step is NextStep.AGAIN
            now = stream.recovery.resumes_at
        assert stream.fails(ServerError(status_code=500), now).step is NextStep.FINISH
        assert [each.index for each in stream.recovery.take(now + 8.0)] == [0]

    def test_a_request_that_fails_alone_for_long_is_given_up_though_it_may_be_an_outage(
        self,
    ) -> None:
        stream = self.outbox(*contacts(1))
        now, steps = 0.0, [NextStep.AGAIN]
        while steps[-1] is NextStep.AGAIN:
            steps.append(stream.fails(ServerError(status_code=500), now).step)
            now = stream.recovery.resumes_at
        assert steps[-1] is NextStep.FINISH
        assert 300.0 < now < 330.0
