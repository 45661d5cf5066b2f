"""Requests that httpx itself sends: in the application's own client, and under mocks."""

import ssl

import httpcore
import httpx

from sendx_async._transport.exchange import Exchange, RawAnswer, read_body


def is_intercepted() -> bool:
    """Return whether somebody has replaced how httpx or httpcore sends.

    respx, pytest-httpx and recorders do, by putting a method of theirs in the place of the
    original. Then its module isn't httpx's or httpcore's any more.
    """
    return not (
        httpx.AsyncHTTPTransport.handle_async_request.__module__.startswith("httpx.")
        and httpcore.AsyncConnectionPool.handle_async_request.__module__.startswith("httpcore.")
    )


async def send_intercepted(
    request: httpx.Request, exchange: Exchange, ssl_context: ssl.SSLContext
) -> RawAnswer:
    """Send the way that the application's own client does, past whoever intercepts it."""
    exchange.sent = True
    async with httpx.AsyncHTTPTransport(verify=ssl_context) as transport:
        return await read_response(await transport.handle_async_request(request))


async def read_response(response: httpx.Response) -> RawAnswer:
    """Read the answer out of httpx's response, and close it."""
    body: bytes | None
    try:
        body = await read_body(response.aiter_bytes())
    except httpx.DecodingError:
        body = None
    finally:
        await response.aclose()
    return RawAnswer(response.status_code, response.headers.raw, body)
