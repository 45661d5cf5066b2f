"""What a client and its copies have in common."""

import httpx

from sendx_async._calls.rate_limiter import RateLimiter
from sendx_async._policy.retry import RetryBudget
from sendx_async._runtime.clock import Clock
from sendx_async._transport.borrowed import BorrowedClient
from sendx_async._transport.exchange import OriginKey


class Shared:
    """What a client and its copies have in common.

    Args:
        http: What sends: the library's own httpx client, or the application's.
        rate_limiter: When requests may begin.
        clock: What all its waits go by.
        most_at_once: How many requests can be under way in one event loop.
    """

    def __init__(
        self,
        http: httpx.AsyncClient | BorrowedClient,
        *,
        rate_limiter: RateLimiter,
        clock: Clock,
        most_at_once: float,
    ) -> None:
        self.http = http
        self.is_borrowed: bool = isinstance(http, BorrowedClient)
        self.rate_limiter = rate_limiter
        self.clock = clock
        self.now = clock.monotonic  # bound once, since every call asks several times
        self.most_at_once = most_at_once
        self.budget = RetryBudget()
        self.reached = set[OriginKey]()  # from where an answer has come
        self.is_used = False
        self.is_closed = False
