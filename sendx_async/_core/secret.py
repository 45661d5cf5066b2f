"""The API key: checked, locked away, and put on the wire last."""

import json
import os
from typing import NoReturn

from sendx_async._core.errors import ConfigurationError
from sendx_async._core.wrong_types import type_name

KEY_HEADER = "X-Team-ApiKey"
_SHORTEST_TO_REDACT = 8


class Secret:
    """Holds the API key, and shows it to nobody by accident."""

    __slots__ = ("_forms", "_header", "_key", "_prefix")

    def __init__(self, key: str, prefix: str | None) -> None:
        self._key = key
        self._prefix = prefix
        value = f"{prefix} {key}" if prefix else key
        self._header = (KEY_HEADER.encode(), value.encode("latin-1"))
        # How an answer may hold it: as it is, or as JSON writes it.
        forms = {key, json.dumps(key)[1:-1], key.replace("/", "\\/")}
        self._forms = (
            {form.encode(encoding) for form in forms for encoding in ("latin-1", "utf-8")}
            if len(key) >= _SHORTEST_TO_REDACT
            else set[bytes]()
        )

    def changed(self, **changes: object) -> "Secret":
        """Return the secret with another ``api_key``, another ``api_key_prefix``, or both."""
        return make_secret(
            changes.get("api_key", self._key), changes.get("api_key_prefix", self._prefix)
        )

    def header(self) -> tuple[bytes, bytes]:
        """Return the header to put on the wire."""
        return self._header

    def redact(self, answer: bytes) -> bytes:
        """Remove the key from what a server sent back.

        A key of a few characters stays: they stand in any text, and real keys are long.
        """
        for form in self._forms:
            if form in answer:
                answer = answer.replace(form, b"***")
        return answer

    def redact_text(self, text: str) -> str:
        """Do the same to text that was decoded from an answer."""
        return text.replace(self._key, "***") if self._forms else text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an API key is never pickled: make a new client where it is needed")


def make_secret(api_key: object, prefix: object) -> Secret:
    """Check the key and its prefix and lock them away; without a key, SENDX_API_KEY is used."""
    name = "api_key"
    if api_key is None:
        name = "SENDX_API_KEY"
        api_key = os.environ.get(name)
        if api_key is None:
            raise ConfigurationError(
                "no API key: pass api_key, or set the environment variable SENDX_API_KEY"
            )
    key = header_text(name, api_key)
    return Secret(key, None if prefix is None else header_text("api_key_prefix", prefix))


def header_text(name: str, value: object) -> str:
    """Check what goes into a header; the text of an error never shows it."""
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be a str, got {type_name(value)}")
    if not value.strip():
        raise ConfigurationError(f"{name} is empty")
    if max(value) > "\xff":
        raise ConfigurationError(
            f"{name} has characters that a header can't carry (outside of latin-1)"
        )
    if value != value.strip() or any(ord(c) < 32 or 127 <= ord(c) < 160 for c in value):  # noqa: PLR2004 - the C0 and C1 control characters
        raise ConfigurationError(
            f"{name} has control characters or white space around it: strip it, a line break at "
            "the end often comes from reading a file"
        )
    return value
