"""Learning how fast SendX lets requests in, by a clock that the tests set."""

import pytest

from sendx_async._policy.adaptive_rate import AdaptiveRate


class Server:
    """A server that lets in so many requests a second, and a client that is throttled."""

    def __init__(self, per_second: float, *, burst: int = 1, retry_after: float = 1.0) -> None:
        self.now = 1000.0
        self.adaptive_rate = AdaptiveRate(self.now)
        self._per_second = per_second
        self._burst = burst
        self._retry_after = retry_after
        self._tokens = float(burst)
        self._filled_at = self.now
        self.accepted = 0
        self.refused = 0

    def run(self, seconds: float) -> float:
        """Send as fast as the adaptive_rate lets; gives the accepted requests per second."""
        until, before, began = self.now + seconds, self.accepted, self.now
        while self.now < until:
            wait = self.adaptive_rate.wait(self.now)
            if wait > 0:
                self.now += wait
            else:
                self._send()
        return (self.accepted - before) / (self.now - began)

    def _send(self) -> None:
        self.now += 0.001
        passed = self.now - self._filled_at
        self._tokens = min(self._burst, self._tokens + passed * self._per_second)
        self._filled_at = self.now
        if self._tokens >= 1:
            self._tokens -= 1
            self.accepted += 1
            self.adaptive_rate.succeed(self.now)
        else:
            self.refused += 1
            self.adaptive_rate.refuse(self.now, pause=self._retry_after)
            self.now += self._retry_after


def test_without_a_refusal_nobody_waits() -> None:
    adaptive_rate = AdaptiveRate(100.0)
    for _ in range(1000):
        assert adaptive_rate.wait(100.0) == 0
        adaptive_rate.succeed(100.0)


@pytest.mark.parametrize("per_second", [2, 20, 300])
@pytest.mark.parametrize("burst", [1, 10])
def test_the_rate_comes_to_use_most_of_what_is_let_in(per_second: int, burst: int) -> None:
    server = Server(per_second, burst=burst)
    server.run(60)
    refused = server.refused
    rate = server.run(200)
    assert 0.75 * per_second <= rate <= 1.01 * per_second
    assert server.refused - refused < 30


def test_a_window_that_is_filled_at_once_is_spread_over_its_length() -> None:
    # 300 requests in the first second, then 59 seconds of waiting: 300 a minute, then.
    adaptive_rate = AdaptiveRate(0.0)
    for _ in range(300):
        adaptive_rate.succeed(1.0)
    adaptive_rate.refuse(1.0, pause=59.0)
    assert adaptive_rate.wait(1.0) == pytest.approx(59.0)
    assert adaptive_rate.wait(60.0) == 0
    assert adaptive_rate.wait(60.0) == pytest.approx(0.2)


def test_a_server_that_becomes_faster_is_followed() -> None:
    server = Server(10)
    server.run(100)
    server._per_second = 40
    server.run(300)
    assert server.run(100) > 30


def test_however_often_it_is_refused_one_a_second_is_tried() -> None:
    adaptive_rate = AdaptiveRate(0.0)
    for _ in range(50):
        adaptive_rate.refuse(1.0, pause=1.0)
    assert adaptive_rate.wait(2.0) == 0
    assert adaptive_rate.wait(2.0) == pytest.approx(1.0)


def test_time_in_which_nothing_was_sent_makes_nobody_wait() -> None:
    adaptive_rate = AdaptiveRate(0.0)
    for number in range(200):
        adaptive_rate.succeed(number / 100)
    for number in range(200):
        adaptive_rate.succeed(3600 + number / 100)
    adaptive_rate.refuse(3602.0, pause=1.0)
    assert adaptive_rate.wait(3603.0) == 0
    assert adaptive_rate.wait(3603.0) == pytest.approx(3 / 200, rel=0.1)
    # And after an idle hour it doesn't grow beyond all measure.
    adaptive_rate.succeed(7200.0)
    assert adaptive_rate.wait(7200.0) == 0
    assert adaptive_rate.wait(7200.0) > 0.009


@pytest.mark.parametrize("pause", [0.0, 1.0, 3600.0])
def test_a_refusal_of_the_very_first_request_pauses_and_gives_a_slow_rate(pause: float) -> None:
    adaptive_rate = AdaptiveRate(0.0)
    adaptive_rate.refuse(0.0, pause=pause)
    if pause:
        assert adaptive_rate.wait(0.0) == pause
    assert adaptive_rate.wait(pause) == 0
    assert adaptive_rate.wait(pause) == pytest.approx(0.2)


def test_a_rate_that_was_never_near_a_limit_is_forgotten() -> None:
    adaptive_rate = AdaptiveRate(0.0)
    for number in range(100):
        adaptive_rate.succeed(number / 100)
    adaptive_rate.refuse(1.0, pause=0.0)
    now = 1.0
    while (wait := adaptive_rate.wait(now)) or adaptive_rate.wait(now):
        now += wait
        adaptive_rate.succeed(now)
        assert now < 60
