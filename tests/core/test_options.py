"""Settings of a client: what is accepted, what is refused in which words, and the secret key."""

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from sendx_async import ConfigurationError, Rate, RetryPolicy, Timeout, __version__
from sendx_async._core.options import (
    PRODUCTION,
    is_loopback,
    make_base_url,
    make_count,
    make_deadline,
    make_rate,
    make_retry,
    make_timeout,
)
from sendx_async._core.secret import make_secret
from sendx_async._core.settings import default_headers, make_headers

KEY = "k3y-of-the-team"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SENDX_API_KEY", raising=False)
    monkeypatch.delenv("SENDX_BASE_URL", raising=False)


def refusal(make: Callable[[], object]) -> str:
    with pytest.raises(ConfigurationError) as raised:
        make()
    assert raised.value.__context__ is None or raised.value.__suppress_context__
    return str(raised.value)


class TestSecret:
    def test_the_header_is_that_of_the_official_sdks(self) -> None:
        assert make_secret(KEY, None).header() == (b"X-Team-ApiKey", KEY.encode())
        assert make_secret(KEY, "Bearer").header() == (b"X-Team-ApiKey", b"Bearer " + KEY.encode())
        assert make_secret("cl\xe9", None).header() == (b"X-Team-ApiKey", b"cl\xe9")

    def test_the_environment_is_used_when_no_key_is_given(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert "pass api_key, or set the environment variable SENDX_API_KEY" in refusal(
            lambda: make_secret(None, None)
        )
        monkeypatch.setenv("SENDX_API_KEY", KEY)
        assert make_secret(None, None).header()[1] == KEY.encode()
        assert make_secret("other", None).header()[1] == b"other"
        monkeypatch.setenv("SENDX_API_KEY", "")
        assert refusal(lambda: make_secret(None, None)) == "SENDX_API_KEY is empty"

    @pytest.mark.parametrize(
        "key, words",
        [
            ("", "is empty"), (" \t", "is empty"), (7, "must be a str, got int"),
            (b"key", "must be a str, got bytes"), ("s3cret\n", "strip it"),
            (" s3cret", "strip it"), ("s3cret\xa0", "strip it"),
            ("s3cret\r\nX-Evil: 1", "control characters"), ("s3\x00cret", "control characters"),
            ("s3cret\x7f", "control characters"), ("s3\x85cret", "control characters"),
            ("s3cret€", "outside of latin-1"), ("s3cret\ud800", "outside of latin-1"),
        ],
        ids=repr,
    )  # fmt: skip
    def test_a_bad_key_or_prefix_is_refused_and_not_shown(self, key: Any, words: str) -> None:
        for name, make in (
            ("api_key", lambda: make_secret(key, None)),
            ("api_key_prefix", lambda: make_secret(KEY, key)),
        ):
            text = refusal(make)
            assert text.startswith(f"{name} ")
            assert words in text
            assert "s3" not in text
            assert KEY not in text

    def test_nobody_sees_it_by_accident(self) -> None:
        secret = make_secret(KEY, "Bearer")
        assert KEY not in f"{secret} {secret!r} {[secret]}"
        assert not hasattr(secret, "__dict__")
        for leak in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="never pickled"):
                leak(secret)

    def test_a_copy_changes_what_it_is_told_to(self) -> None:
        secret = make_secret(KEY, "Bearer")
        assert secret.changed().header() == secret.header()
        assert secret.changed(api_key="other").header()[1] == b"Bearer other"
        assert secret.changed(api_key_prefix=None).header()[1] == KEY.encode()
        assert refusal(lambda: secret.changed(api_key="a\n")).startswith("api_key ")

    @pytest.mark.parametrize("key", [KEY, "s3cret \xe9 with blanks"])
    @pytest.mark.parametrize("prefix", [None, "Bearer"])
    def test_the_key_is_taken_out_of_what_a_server_echoes(
        self, key: str, prefix: str | None
    ) -> None:
        secret = make_secret(key, prefix)
        for encoding in ("latin-1", "utf-8"):
            for sent in (key, f"{prefix} {key}"):
                echo = f'{{"message":"key {sent}, {key}"}}'.encode(encoding)
                redacted = secret.redact(echo)
                assert key.encode(encoding) not in redacted
                assert redacted.startswith(b'{"message":"key ')
                assert redacted.endswith(b'***"}')

    def test_a_short_key_takes_nothing_else_out(self) -> None:
        body = b'{"status":"200","data":"a test"}'
        for key in ("a", '"', "test", "200"):
            assert make_secret(key, None).redact(body) == body


class TestBaseUrl:
    @pytest.mark.parametrize(
        "given, kept",
        [
            (None, PRODUCTION),
            ("https://stag1.sendx.io/api/v1/rest", "https://stag1.sendx.io/api/v1/rest"),
            ("https://h/", "https://h"), ("https://h///", "https://h"),
            ("https://h/a/b/", "https://h/a/b"), ("HTTPS://h", "HTTPS://h"),
            ("https://h:8443/x", "https://h:8443/x"), ("https://exämple.com", "https://exämple.com"),
            ("http://127.0.0.1:8025", "http://127.0.0.1:8025"),
            ("http://127.9.9.9", "http://127.9.9.9"), ("http://[::1]:80/", "http://[::1]:80"),
            ("http://localhost:1", "http://localhost:1"), ("http://LocalHost./", "http://LocalHost."),
        ],
    )  # fmt: skip
    def test_accepted_and_normalised(self, given: Any, kept: str) -> None:
        assert make_base_url(given) == kept

    @pytest.mark.parametrize(
        "given, words",
        [
            ("", "must be a URL such as"), ("api.sendx.io", "must be a URL such as"),
            ("https://", "must be a URL such as"), ("https:///path", "must be a URL such as"),
            ("https://h/a b", "must be a URL such as"), ("https://h/\n", "must be a URL such as"),
            ("\thttps://h", "must be a URL such as"), ("https://h\u200b", "must be a URL such as"),
            ("https://h:99999", "URL"), ("https://h:x", "URL"),
            ("https://[::1", "URL"),
            ("https://me@h", "user name or password"), ("https://me:pw@h", "user name or password"),
            ("https://@h", "user name or password"),
            ("https://h?a=1", "no query"), ("https://h#a", "no query"), ("https://h?", "no query"),
            ("https://h#", "no query"),
            ("http://api.sendx.io", "must begin with https://"), ("ftp://h", "must begin"),
            ("http://127.0.0.1.evil.com", "must begin with https://"),
            ("http://localhost.evil.com", "must begin with https://"),
            ("http://0.0.0.0", "must begin with https://"), ("http://[::]", "must begin"),
            ("http://192.168.0.1", "must begin with https://"),
            (7, "must be a str, got int"), (b"https://h", "must be a str, got bytes"),
        ],
        ids=repr,
    )  # fmt: skip
    def test_refused(self, given: Any, words: str) -> None:
        text = refusal(lambda: make_base_url(given))
        assert text.startswith("base_url ")
        assert words in text
        assert "pw" not in text

    def test_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SENDX_BASE_URL", "http://127.0.0.1:1/")
        assert make_base_url(None) == "http://127.0.0.1:1"
        assert make_base_url("https://h") == "https://h"
        monkeypatch.setenv("SENDX_BASE_URL", "")
        assert make_base_url(None) == PRODUCTION
        monkeypatch.setenv("SENDX_BASE_URL", "http://h")
        assert refusal(lambda: make_base_url(None)).startswith("SENDX_BASE_URL must begin")

    def test_loopback(self) -> None:
        assert all(map(is_loopback, ["localhost", "LOCALHOST.", "127.0.0.1", "::1"]))
        assert not any(map(is_loopback, ["", "10.0.0.1", "::2", "local", "127.0.0.1.x.org"]))


@pytest.mark.parametrize(
    "value",
    [0, -1, -0.5, math.nan, True, "10", [], b"1",
     pytest.param(10**400, id="huge"), pytest.param(-(10**5000), id="unspeakable")],
)  # fmt: skip
class TestBadSeconds:
    def test_timeout(self, value: Any) -> None:
        assert "timeout must be a number of seconds" in refusal(lambda: make_timeout(value))

    @pytest.mark.parametrize("name", ["total", "connect", "read", "write"])
    def test_parts_of_a_timeout(self, value: Any, name: str) -> None:
        text = refusal(lambda: Timeout(**{name: value}))
        assert text.startswith(f"Timeout: {name} must be a number of seconds")

    def test_deadline(self, value: Any) -> None:
        assert "deadline must be a number of seconds" in refusal(lambda: make_deadline(value))

    def test_rate(self, value: Any) -> None:
        assert refusal(lambda: Rate(value)).startswith("Rate: per_second must be")


class TestTimes:
    def test_timeout(self) -> None:
        assert make_timeout(3) == Timeout(3.0)
        timeout = Timeout(1, connect=2, read=None, write=0.5)
        assert make_timeout(timeout) is timeout
        assert (timeout.total, timeout.connect, timeout.read, timeout.write) == (1, 2, None, 0.5)
        assert Timeout() == Timeout(10.0, connect=5.0, read=None, write=None)

    def test_an_attempt_has_a_limit(self) -> None:
        assert "got None" in refusal(lambda: make_timeout(None))
        none: Any = None
        assert "got None" in refusal(lambda: Timeout(none))

    def test_deadline(self) -> None:
        assert make_deadline(30) == 30.0
        assert make_deadline(None) == math.inf

    def test_the_value_is_shown(self) -> None:
        assert refusal(lambda: make_timeout(-1.5)).endswith("got float -1.5")
        assert refusal(lambda: make_deadline(0)).endswith("got int 0")


class TestRest:
    def test_rate(self) -> None:
        assert make_rate(None) is None
        rate = Rate(0.5, burst=3)
        assert make_rate(rate) is rate
        assert (rate.per_second, rate.burst, Rate(5).burst) == (0.5, 3, 1)
        assert "rate must be a Rate, got int" in refusal(lambda: make_rate(5))

    @pytest.mark.parametrize("value", [0, -1, 1.5, True, None, "3"], ids=repr)
    def test_counts(self, value: Any) -> None:
        assert refusal(lambda: Rate(1, burst=value)).startswith("Rate: burst must be an int")
        text = refusal(lambda: make_count("max_connections", value))
        assert text.startswith("max_connections must be an int of at least 1")
        assert make_count("max_connections", 1) == 1

    def test_retry(self) -> None:
        policy = RetryPolicy(1)
        assert make_retry(policy) is policy
        assert "retry must be a RetryPolicy, got int" in refusal(lambda: make_retry(3))

    def test_settings_are_frozen(self) -> None:
        for settings in (Timeout(), Rate(1)):
            changeable: Any = settings
            with pytest.raises(AttributeError):
                changeable.total = 1


class TestHeaders:
    def test_defaults(self) -> None:
        assert default_headers() == (
            (b"Accept", b"application/json"),
            (b"Accept-Encoding", b"identity"),
            (b"User-Agent", f"sendx-async/{__version__}".encode()),
        )
        assert make_headers(None, default_headers()) == default_headers()
        assert make_headers({}, default_headers()) == default_headers()

    def test_added_and_replaced_whatever_the_case(self) -> None:
        made = make_headers({"X-Trace": "cl\xe9", "user-agent": "me"}, default_headers())
        assert made == (
            *default_headers()[:2], (b"user-agent", b"me"), (b"X-Trace", b"cl\xe9"),
        )  # fmt: skip
        assert make_headers({"x-trace": "2"}, made)[-1] == (b"x-trace", b"2")
        assert len(make_headers({"A": "1", "a": "2"}, ())) == 1

    @pytest.mark.parametrize(
        "name",
        ["Accept", "content-type", "Content-Length", "HOST", "x-team-apikey", "Connection",
         "Transfer-Encoding", "Expect", "Upgrade"],
    )  # fmt: skip
    def test_the_clients_own_are_refused(self, name: str) -> None:
        assert "is set by the client itself" in refusal(lambda: make_headers({name: "x"}, ()))

    @pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "ä", 7, None, b"a"], ids=repr)
    def test_names_are_tokens(self, name: Any) -> None:
        assert "headers: a name must be" in refusal(lambda: make_headers({name: "x"}, ()))

    @pytest.mark.parametrize(
        "value", ["", "s3cret\r\nX: 1", "s3\x00", " s3", "s3€", 7, None, b"s3"]
    )
    def test_values_cannot_break_out(self, value: Any) -> None:
        text = refusal(lambda: make_headers({"X-A": value}, ()))
        assert text.startswith("headers: X-A ")
        assert "s3" not in text

    @pytest.mark.parametrize("given", [[("a", "b")], "a", 7], ids=repr)
    def test_a_mapping_is_needed(self, given: Any) -> None:
        name = type(given).__name__
        assert refusal(lambda: make_headers(given, ())) == f"headers must be a mapping, got {name}"
