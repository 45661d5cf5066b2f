"""The httpx client that the library makes for itself: it keeps no cookies."""

from typing import NoReturn

import httpx


class _NoCookies(httpx.Cookies):
    """Keeps no cookies: the API sets none, and looking for them costs a tenth of a request."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Leave the cookies of a response alone."""


class HttpClient(httpx.AsyncClient):
    """The httpx client that the library makes for itself."""

    @property
    def cookies(self) -> httpx.Cookies:
        """Cookies that nothing is ever added to."""
        return _NO_COOKIES

    @cookies.setter
    def cookies(self, cookies: object) -> NoReturn:  # noqa: ARG002 - the name is httpx's
        raise AttributeError("this client keeps no cookies")


_NO_COOKIES = _NoCookies()
