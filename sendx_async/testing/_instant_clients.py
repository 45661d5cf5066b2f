"""The clients of the pytest fixtures: what they do between attempts takes no time."""

from typing import Any, TypeVar, Unpack

from sendx_async._calls.call import Answer, Call
from sendx_async._calls.rate_limiter import RateLimiter
from sendx_async._clients.async_client import AsyncTrackingClient
from sendx_async._clients.sync_client import TrackingClient
from sendx_async._core.errors import ApiError, SendXError
from sendx_async._core.operations import Operation
from sendx_async._core.options import RetryPolicy
from sendx_async._core.protocol import make_request
from sendx_async._core.settings import PerCall, for_this_call
from sendx_async.testing._fake import FakeSendX

ResponseT = TypeVar("ResponseT")


def make_async_client(fake: FakeSendX) -> AsyncTrackingClient:
    """Make a client of a fake server."""
    retry = RetryPolicy(base=0.0, cap=0.0)
    return AsyncTrackingClientWithoutWaits(fake.api_key, base_url=fake.url, retry=retry)


def make_client(fake: FakeSendX) -> TrackingClient:
    """Make a synchronous client of a fake server."""
    client = TrackingClient(fake.api_key, base_url=fake.url)
    client._client = make_async_client(fake)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    return client


class AsyncTrackingClientWithoutWaits(AsyncTrackingClient):
    """Decides as its parent does, waits included, and then doesn't wait."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._shared.rate_limiter = _Restless(None)

    async def _call(
        self,
        operation: Operation[Any, ResponseT],
        given: object,
        **per_call: Unpack[PerCall],
    ) -> Answer[ResponseT]:
        if self._batcher is not None:
            return await super()._call(operation, given, **per_call)
        settings = for_this_call(self._settings, per_call)
        request = make_request(operation, given)
        target = self._targets[operation.path]
        return await _Hurried(self._shared, settings, operation, request, target).run()


class _Hurried(Call[ResponseT]):
    def _after(self, error: SendXError) -> float | None:
        return None if super()._after(error) is None else 0.0


class _Restless(RateLimiter):
    def pause(self, seconds: float, cause: ApiError) -> bool:
        """Let everybody go on, but have it told that there was a pause."""
        del seconds, cause
        return True
