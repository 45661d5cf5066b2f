"""Proxies: the one that the environment names for a target, and the way through it."""

import base64
import ipaddress
from collections.abc import Callable
from typing import NoReturn, cast
from urllib.request import getproxies, proxy_bypass

import attrs
import h11
import httpcore
import httpx

from sendx_async._core.errors import ConfigurationError
from sendx_async._core.options import is_loopback
from sendx_async._transport.exchange import Target
from sendx_async._transport.heads import AnswerFault, read_head

_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
_WANTS_PASSWORD = 407
_LONGEST_OF_SOCKS = 255  # bytes of a name, a password or a host
_SOCKS = 5
_WITHOUT_PASSWORD, _WITH_PASSWORD = 0, 2
_SOCKS_REFUSALS = {
    1: "it failed",
    2: "its rules forbid it",
    3: "the network can't be reached",
    4: "the host can't be reached",
    5: "the connection was refused",
    6: "it took too long",
}


class ProxyFault(httpx.ProxyError):
    """A proxy doesn't lead to the server; the text quotes nothing of what it says.

    It may repeat the password.
    """


@attrs.frozen
class Proxy:
    """A proxy that leads to any server.

    Attributes:
        scheme: How it is spoken to: http, https, socks5 or socks5h.
        host: Where it is.
        port: Where it listens.
        credentials: The name and the password that it wants, or None.
    """

    scheme: str
    host: str
    port: int
    credentials: tuple[bytes, bytes] | None = attrs.field(repr=False)

    @classmethod
    def at(cls, address: str) -> "Proxy":
        """Return the proxy at a URL.

        Raises:
            ValueError: It is none, or none of a kind that is known here.
            httpx.InvalidURL: It is none.
        """
        url = httpx.URL(address if "://" in address else f"http://{address}")
        credentials = (url.username.encode(), url.password.encode()) if url.userinfo else None
        if url.scheme not in _PORTS or not url.host:
            raise ValueError("not a proxy")
        proxy = cls(
            url.scheme, url.raw_host.decode("ascii"), url.port or _PORTS[url.scheme], credentials
        )
        if proxy.is_socks and max(map(len, credentials or ()), default=0) > _LONGEST_OF_SOCKS:
            raise ValueError("too long for SOCKS")
        return proxy

    @property
    def speaks_tls(self) -> bool:
        """Whether the way to the proxy itself is encrypted."""
        return self.scheme == "https"

    @property
    def is_socks(self) -> bool:
        """Whether it speaks SOCKS 5, and not HTTP."""
        return self.scheme.startswith("socks")


def proxy_for(target: Target) -> Proxy | None:
    """Return the proxy that the environment names for a target, or None.

    Raises:
        ConfigurationError: It names one that can't be used.
    """
    is_usable, proxy = _look_up(target)
    if not is_usable:
        raise ConfigurationError(
            f"the environment's proxy for {target.url.scheme} is none that this client can use "
            "itself: set one with http://, https:// or socks5://, or NO_PROXY, or pass "
            "http_client=httpx.AsyncClient(...)"
        )
    return proxy


def _look_up(target: Target) -> tuple[bool, Proxy | None]:
    # In a function of its own: where the error is raised, no variable holds a password.
    proxies = getproxies()
    address = proxies.get(target.url.scheme) or proxies.get("all")
    if not address or _is_reached_directly(target, proxies.get("no", "")):
        return True, None
    try:
        return True, Proxy.at(address)
    except (ValueError, httpx.InvalidURL):
        return False, None


def _is_reached_directly(target: Target, exceptions: str) -> bool:
    host, address = target.host_name, f"{target.host_name}:{target.host_and_port[1]}"
    # A proxy elsewhere would look for a loopback address on itself.
    if is_loopback(host) or proxy_bypass(address):
        return True
    # httpx also takes a star among others, and a scheme before a name.
    scheme = f"{target.url.scheme}://"
    names = [name.strip().lower().removeprefix(scheme) for name in exceptions.split(",")]
    return any(
        name == "*" or (name and f".{each}".endswith(f".{name.lstrip('.')}"))
        for name in names
        for each in (host, address)
    )


async def open_tunnel(
    stream: httpcore.AsyncNetworkStream,
    proxy: Proxy,
    host: str,
    port: int,
    left: Callable[[], float | None],
) -> None:
    """Have a proxy lead a connection on to a server.

    Args:
        stream: The connection to the proxy.
        proxy: How to speak to it.
        host: The server, which the proxy looks up.
        port: The server's port.
        left: Returns how many seconds it may take from now on; None for no limit.

    Raises:
        ProxyFault: The proxy refuses.
    """
    if proxy.is_socks:
        await _connect_by_socks(stream, proxy, host, port, left)
    else:
        await _connect_by_http(stream, proxy, host, port, left)


async def _connect_by_http(
    stream: httpcore.AsyncNetworkStream,
    proxy: Proxy,
    host: str,
    port: int,
    left: Callable[[], float | None],
) -> None:
    http = h11.Connection(h11.CLIENT)
    # As a view, since tools that show the variables of a traceback would show the password.
    request = cast("bytes", memoryview(_encode(http, proxy, host, port)))
    await stream.write(request, timeout=left())
    try:
        head, _, rest = await read_head(http, stream, left())
    except (AnswerFault, h11.RemoteProtocolError) as error:
        raise ProxyFault("the proxy doesn't answer as an HTTP proxy does") from error
    if not 200 <= head.status_code < 300:  # noqa: PLR2004 - the definition of a 2xx
        hint = ": check the name and the password in its URL"
        _refuse(
            f"the proxy refuses with HTTP {head.status_code}"
            + (hint if head.status_code == _WANTS_PASSWORD else "")
        )
    if rest:
        # It came before the handshake, so it isn't authentic.
        _refuse("the proxy or what is behind it spoke before the TLS handshake")


def _encode(http: h11.Connection, proxy: Proxy, host: str, port: int) -> bytes:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    headers = [("Host", address)]
    if proxy.credentials is not None:
        token = base64.b64encode(b":".join(proxy.credentials)).decode()
        headers.append(("Proxy-Authorization", f"Basic {token}"))
    request = http.send(h11.Request(method="CONNECT", target=address, headers=headers))
    http.send(h11.EndOfMessage())
    return request


async def _connect_by_socks(
    stream: httpcore.AsyncNetworkStream,
    proxy: Proxy,
    host: str,
    port: int,
    left: Callable[[], float | None],
) -> None:
    """Ask a SOCKS 5 proxy: RFC 1928, and RFC 1929 for the password."""

    async def ask(question: bytes, size: int) -> bytes:
        question = cast("bytes", memoryview(question))  # as above
        await stream.write(question, timeout=left())
        return await read(size)

    async def read(size: int) -> bytes:
        answer = b""
        while len(answer) < size:
            data = await stream.read(size - len(answer), timeout=left())
            if not data:
                _refuse("the SOCKS proxy closed the connection")
            answer += data
        return answer

    methods = [_WITHOUT_PASSWORD] + [_WITH_PASSWORD] * (proxy.credentials is not None)
    version, method = await ask(bytes([_SOCKS, len(methods), *methods]), 2)
    if version != _SOCKS:
        _refuse("the proxy doesn't answer as a SOCKS 5 proxy does")
    if method not in methods:
        _refuse("the SOCKS proxy wants a name and a password: put them into its URL")
    if method == _WITH_PASSWORD:
        name, password = (bytes([len(part)]) + part for part in proxy.credentials or ())
        _, refusal = await ask(b"\x01" + name + password, 2)
        if refusal:
            _refuse("the SOCKS proxy refuses the name or the password in its URL")
    answer = await ask(bytes([_SOCKS, 1, 0]) + _socks_address(host) + port.to_bytes(2, "big"), 4)
    if answer[1]:
        reason = _SOCKS_REFUSALS.get(answer[1], f"code {answer[1]}")
        _refuse(f"the SOCKS proxy doesn't lead to the server: {reason}")
    # Its own address follows, of one of three lengths.
    await read(({1: 4, 4: 16}.get(answer[3]) or (await read(1))[0]) + 2)


def _socks_address(host: str) -> bytes:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if len(host) > _LONGEST_OF_SOCKS:
            _refuse("the server's name is too long for SOCKS")
        return bytes([3, len(host)]) + host.encode("ascii")
    return bytes([1 if address.version == 4 else 4]) + address.packed  # noqa: PLR2004 - IPv4


def _refuse(reason: str) -> NoReturn:
    raise ProxyFault(reason)
