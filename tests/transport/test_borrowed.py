"""An application's own httpx client, whatever protocol it speaks: what it says of a request."""

from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from sendx_async import ApiError, AsyncTrackingClient, ResponseLost, RetryPolicy

REVENUE = {"identifier": "jane@example.com", "amount": 1}


class Http2(httpx.AsyncBaseTransport):
    """Tells by httpcore's trace what an HTTP/2 connection tells, without the package h2."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        trace: Any = request.extensions["trace"]
        post = SimpleNamespace(method=b"POST")
        await trace("connection.connect_tcp.started", {"host": "sendx.test"})
        await trace("http2.send_request_headers.started", {"request": post})
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        headers = [(b"retry-after", b"0"), (b"x-server", b"h2")]
        told = {"return_value": (answer.status_code, headers)}
        await trace("http2.receive_response_headers.complete", told)
        return answer


def client_of(transport: httpx.AsyncBaseTransport) -> AsyncTrackingClient:
    return AsyncTrackingClient(
        "team-key",
        base_url="https://sendx.test",
        http_client=httpx.AsyncClient(transport=transport),
        retry=RetryPolicy(base=0, cap=0),
    )


@pytest.mark.asyncio
async def test_an_answer_over_http2_is_read() -> None:
    transport = Http2(httpx.Response(200, json={"status": "success"}))
    response = await client_of(transport).track_revenue_event(REVENUE)
    assert response.status == "success"


@pytest.mark.asyncio
async def test_a_redirect_over_http2_is_told() -> None:
    transport = Http2(httpx.Response(302, headers={"location": "mailto:jane@example.com"}))
    with pytest.raises(ApiError, match="302") as caught:
        await client_of(transport).track_revenue_event(REVENUE)
    assert caught.value.headers["x-server"] == "h2"


@pytest.mark.asyncio
async def test_an_event_is_not_repeated_after_a_protocol_error_on_this_side() -> None:
    # h2 calls a server's bad frame a local error when it meets it while it is sending.
    transport = Http2(httpx.LocalProtocolError("received data on a closed stream"))
    with pytest.raises(ResponseLost) as caught:
        await client_of(transport).track_revenue_event(REVENUE)
    assert caught.value.maybe_delivered
    assert transport.requests == 1
