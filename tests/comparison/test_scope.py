"""What a call by hand and the official SDK can call, from where, and what they need."""

import re
from importlib import resources
from importlib.metadata import requires
from pathlib import Path

import anyio
import httpx
import pydantic
import pytest
import sendx_python_sdk
import sendx_python_sdk.api
from sendx_python_sdk.models.identify_request import IdentifyRequest

from sendx_async.testing import FakeSendX

from .callers import JANE, by_hand


def needs(distribution: str) -> dict[str, str]:
    """What it can't do without, by name, with the versions."""
    lines = [line for line in requires(distribution) or [] if "extra ==" not in line]
    found = [re.match(r"([\w.-]+?)\s*([<>=!~(].*)?$", line.split(";")[0].strip()) for line in lines]
    return {match[1].lower(): match[2] or "" for match in found if match}


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_httpx_runs_everywhere(fake_sendx: FakeSendX, backend: str) -> None:
    assert anyio.run(by_hand, fake_sendx, backend=backend)["status"] == "200"
    with httpx.Client(headers={"X-Team-ApiKey": fake_sendx.api_key}) as client:
        response = client.post(f"{fake_sendx.url}/contact/identify", json=JANE)
    assert response.status_code == 200


def test_the_official_sdk_is_synchronous() -> None:
    modules = Path(sendx_python_sdk.__file__).parent.rglob("*.py")
    texts = [module.read_text(encoding="utf-8") for module in modules]
    assert len(texts) > 50
    assert not any(re.search(r"^\s*async def |\bawait ", text, re.MULTILINE) for text in texts)


def test_the_official_sdk_has_typed_models_for_all_of_sendx() -> None:
    groups = [name for name in dir(sendx_python_sdk.api) if name.endswith("Api")]
    assert len(groups) == 17
    assert resources.files(sendx_python_sdk).joinpath("py.typed").is_file()
    assert issubclass(IdentifyRequest, pydantic.BaseModel)
    assert IdentifyRequest.__annotations__["email"]


def test_httpcore_and_h11_come_with_httpx() -> None:
    assert "httpcore" in needs("httpx")
    assert "h11" in needs("httpcore")
    assert set(needs("sendx-async")) == {"httpx", "httpcore", "h11", "attrs", "cattrs", "anyio"}


def test_the_official_sdk_needs_an_old_urllib3() -> None:
    found = needs("sendx")
    assert set(found) == {"pydantic", "urllib3", "python-dateutil", "typing-extensions"}
    assert "<2.1.0" in found["urllib3"]
