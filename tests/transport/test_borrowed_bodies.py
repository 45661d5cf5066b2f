"""Bodies over a client that isn't the library's own: compressed ones, and those without an end."""

import gzip
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from socket import socket
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from sendx_async import AsyncTrackingClient, ResponseDecodeError, RetryPolicy, ServerError
from sendx_async.testing import FakeSendX

from .loopback import LIMIT

JANE = {"email": "jane@example.com"}
MIB = 1024 * 1024
ANSWER = json.dumps({"status": "success", "message": "read"}).encode()
CHUNK = b"8000\r\n%s\r\n" % (b" " * 0x8000)

on_both_backends = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def raw_deflate(data: bytes) -> bytes:
    coder = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return coder.compress(data) + coder.flush()


def client_of(fake: FakeSendX, http_client: Any) -> AsyncTrackingClient:
    return AsyncTrackingClient(
        fake.api_key,
        base_url=fake.url,
        http_client=http_client,
        retry=RetryPolicy(max_retries=0),
        timeout=LIMIT,
        deadline=None,
    )


@pytest.mark.parametrize(
    "coding,body",
    [
        ("gzip", gzip.compress(ANSWER)),
        ("X-GZip", gzip.compress(ANSWER)),
        ("deflate", zlib.compress(ANSWER)),
        ("deflate", raw_deflate(ANSWER)),
        ("identity", ANSWER),
    ],
    ids=["gzip", "x-gzip", "zlib", "raw", "identity"],
)
@pytest.mark.asyncio
async def test_an_answer_that_was_compressed_unasked_is_read(
    fake_sendx: FakeSendX, library: Any, coding: str, body: bytes
) -> None:
    fake_sendx.respond(200, body=body, headers={"Content-Encoding": coding})
    async with library.AsyncClient() as http_client:
        answer = await client_of(fake_sendx, http_client).identify_contact_with_http_info(JANE)
    assert answer.data.message == "read"
    assert answer.raw_data == ANSWER
    assert answer.headers["content-encoding"] == coding


@pytest.mark.asyncio
async def test_no_body_is_no_compressed_one(fake_sendx: FakeSendX, library: Any) -> None:
    fake_sendx.respond(200, body=b"", headers={"Content-Encoding": "br"})
    async with library.AsyncClient() as http_client:
        response = await client_of(fake_sendx, http_client).identify_contact(JANE)
    assert response.status is None


@pytest.mark.parametrize(
    "coding,body",
    [
        ("br", b"\x0b\x02\x80{}\x03"),
        ("zstd", b"\x28\xb5\x2f\xfd\x20\x02\x11\x00\x00{}"),
        ("gzip, gzip", gzip.compress(gzip.compress(ANSWER))),
        ("gzip", ANSWER),
        ("deflate", b"\xff" + ANSWER),
    ],
    ids=["br", "zstd", "twice", "no-gzip", "no-deflate"],
)
@pytest.mark.asyncio
async def test_what_cannot_be_decompressed_is_told(
    fake_sendx: FakeSendX, library: Any, coding: str, body: bytes
) -> None:
    for status in (200, 500):
        fake_sendx.respond(status, body=body, headers={"Content-Encoding": coding})
    async with library.AsyncClient() as http_client:
        client = client_of(fake_sendx, http_client)
        with pytest.raises(ResponseDecodeError) as unread:
            await client.identify_contact(JANE)
        with pytest.raises(ServerError) as failed:
            await client.identify_contact(JANE)
    assert unread.value.maybe_delivered
    assert unread.value.headers["content-encoding"] == coding
    assert failed.value.message is None


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.asyncio
async def test_a_bomb_is_not_inflated_beyond_the_limit(
    fake_sendx: FakeSendX, library: Any, coding: str
) -> None:
    compress = gzip.compress if coding == "gzip" else raw_deflate
    bomb = compress(b"\0" * (64 * MIB))
    fake_sendx.respond(500, body=bomb, headers={"Content-Encoding": coding})
    async with library.AsyncClient() as http_client:
        client = client_of(fake_sendx, http_client)
        tracemalloc.start()
        try:
            with pytest.raises(ServerError) as caught:
                await client.identify_contact(JANE)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert caught.value.body == b"\0" * MIB
    assert peak < 16 * MIB


@on_both_backends
@pytest.mark.parametrize("lead", [b"", gzip.compress(b"\0" * MIB)[:-8]], ids=["plain", "gzip"])
def test_an_endless_body_ends_at_the_limit(
    serve_raw: Callable[..., int], library: Any, lead: bytes, backend: str
) -> None:
    sent = 0

    def answer(bodies: Iterator[bytes], connection: socket) -> None:
        nonlocal sent
        for _ in bodies:
            coding = b"content-encoding: gzip\r\n" if lead else b""
            connection.sendall(b"HTTP/1.1 500 No\r\n%stransfer-encoding: chunked\r\n\r\n" % coding)
            if lead:
                connection.sendall(b"%x\r\n%s\r\n" % (len(lead), lead))
            while True:  # until the client closes the connection
                connection.sendall(CHUNK)
                sent += len(CHUNK)

    url = f"http://127.0.0.1:{serve_raw(answer)}"

    async def main() -> None:
        async with library.AsyncClient() as http_client:
            client = AsyncTrackingClient(
                "key",
                base_url=url,
                http_client=http_client,
                retry=RetryPolicy(max_retries=0),
                timeout=LIMIT,
                deadline=None,
            )
            with pytest.raises(ServerError) as caught:
                await client.identify_contact(JANE)
        assert len(caught.value.body) <= MIB

    anyio.run(main, backend=backend)
    assert sent < 64 * MIB  # what the buffers between take, and no more


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.asyncio
async def test_no_more_is_taken_from_a_transport_than_is_needed(
    library: Any, *, waits: bool
) -> None:
    taken = 0

    class Endless(library.AsyncByteStream):  # type: ignore[misc]  # it may be either's
        async def __aiter__(self) -> AsyncIterator[bytes]:
            nonlocal taken
            while True:
                if waits:
                    await checkpoint()
                taken += len(CHUNK)
                yield CHUNK

    def answer(_: Any) -> Any:
        return library.Response(500, stream=Endless())

    async with library.AsyncClient(transport=library.MockTransport(answer)) as http_client:
        client = AsyncTrackingClient(
            "key", http_client=http_client, retry=RetryPolicy(max_retries=0), deadline=None
        )
        with pytest.raises(ServerError) as caught:
            await client.identify_contact(JANE)
    assert len(caught.value.body) == MIB
    assert taken <= (1 if waits else 2) * MIB + 2 * len(CHUNK)
