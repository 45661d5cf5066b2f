"""The same call, identify one contact, by hand with httpx and by the official SDK: all defaults."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
from sendx_python_sdk.api.tracking_api import TrackingApi
from sendx_python_sdk.api_client import ApiClient
from sendx_python_sdk.configuration import Configuration
from sendx_python_sdk.models.identify_request import IdentifyRequest

from sendx_async.testing import FakeSendX

JANE = {"email": "jane@example.com"}


def httpx_client(fake: FakeSendX, **options: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(headers={"X-Team-ApiKey": fake.api_key}, **options)


async def post(client: httpx.AsyncClient, fake: FakeSendX, contact: Mapping[str, Any]) -> Any:
    response = await client.post(f"{fake.url}/contact/identify", json=contact)
    response.raise_for_status()
    return response.json()


async def by_hand(fake: FakeSendX, contact: Mapping[str, Any] = JANE, **options: Any) -> Any:
    async with httpx_client(fake, **options) as client:
        return await post(client, fake, contact)


class Official:
    """The official SDK as its own README shows it; what it keeps open is closed by `close`."""

    def __init__(self, fake: FakeSendX) -> None:
        self.configuration = Configuration(host=fake.url, api_key={"TeamApiKey": fake.api_key})
        self._client = ApiClient(self.configuration)
        self._api = TrackingApi(self._client)

    def identify(self, contact: Mapping[str, Any] = JANE, **options: Any) -> Any:
        return self._api.identify_contact(IdentifyRequest(**contact), **options)

    def identify_all(self, contacts: list[Mapping[str, Any]]) -> Any:
        """Hand it a list, for which it has no method."""
        wrong: Any = [IdentifyRequest(**contact) for contact in contacts]
        return self._api.identify_contact(wrong)

    def close(self) -> None:
        self._client.rest_client.pool_manager.clear()


@contextmanager
def unanswered(official: Official, fake: FakeSendX) -> Iterator[Future[Any]]:
    """Make a call in a thread that gets no answer; the server stops at the end, and so it ends."""
    fake.black_hole()
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(official.identify)
        try:
            fake.wait_for(lambda: len(fake.requests) == 1, 30)
            yield call
        finally:
            fake.stop()
