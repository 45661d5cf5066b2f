"""What must show nowhere, and what holds it.

It is put together here, and given by functions, so that what tools show beside the library's own
frames (the lines of a test, and its variables) holds none of it.
"""

import json
from typing import Any

from sendx_async import IdentifyRequest

KEY = "key-" + "5f3c9a7e1b2d"
TOKEN = "token-" + "0b9d44e1"
PERSON = "distinctive" + ".person"
ADDRESS = PERSON + "@example.com"
NAME = "Wilhel" + "mina-Q"
PHONE = "555-" + "01771"
SECRETS = {
    "key": KEY, "token": TOKEN, "address": PERSON,
    "name": NAME, "phone": PHONE,
}  # fmt: skip


def contact(**more: Any) -> IdentifyRequest:
    return IdentifyRequest(**mapping(), **more)


def mapping(**more: Any) -> dict[str, Any]:
    return {
        "email": ADDRESS, "first_name": NAME, "custom_fields": {"Phone": PHONE}, **more,
    }  # fmt: skip


def address() -> str:
    return ADDRESS


def event(**more: Any) -> dict[str, Any]:
    return {"identifier": ADDRESS, "name": NAME, "data": {"Phone": PHONE}, **more}


def account() -> dict[str, Any]:
    """Options of a client."""
    return {"api_key": KEY, "headers": headers()}


def headers() -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKEN}"}


def said(**answer: Any) -> bytes:
    """The body of an answer that names all that it was sent."""
    words = f"No contact {ADDRESS}"
    return json.dumps({"message": words, "data": mapping(), "echo": KEY, **answer}).encode()


def shown_in(text: str) -> list[str]:
    """Return the names of the secrets that stand in a text."""
    return [name for name, secret in SECRETS.items() if secret in text]
