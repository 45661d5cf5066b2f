"""Both clients have the same surface: the synchronous one can't fall behind unnoticed."""

import inspect
from typing import get_type_hints

import pytest

from sendx_async import AsyncTrackingClient, TrackingClient

Signature = dict[str, tuple[object, object, object]]
PUBLIC = sorted(name for name in vars(AsyncTrackingClient) if not name.startswith("_"))
ASYNC_ONLY = {"aclose": "close", "send_many": None}
METHODS = [
    name
    for name in PUBLIC
    if callable(getattr(AsyncTrackingClient, name)) and name not in ASYNC_ONLY
]


def parameters(function: object) -> Signature:
    assert callable(function)
    hints = get_type_hints(function)
    return {
        name: (parameter.kind, parameter.default, hints.get(name))
        for name, parameter in inspect.signature(function).parameters.items()
    }


def test_the_comparison_sees_the_methods() -> None:
    assert {"identify_contact", "identify_contacts_with_http_info", "send"} <= set(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_each_method_has_its_twin(name: str) -> None:
    awaited, blocking = getattr(AsyncTrackingClient, name), getattr(TrackingClient, name)
    assert parameters(blocking) == parameters(awaited)
    assert get_type_hints(blocking)["return"] == get_type_hints(awaited)["return"]
    assert not inspect.iscoroutinefunction(blocking)
    assert inspect.getdoc(blocking)


def test_constructors_differ_in_the_backend_only() -> None:
    blocking = parameters(TrackingClient.__init__)
    assert blocking.pop("backend") == (inspect.Parameter.KEYWORD_ONLY, "asyncio", str)
    assert blocking == parameters(AsyncTrackingClient.__init__)
    assert list(blocking) == list(parameters(AsyncTrackingClient.__init__))


def test_neither_client_has_names_that_the_other_lacks() -> None:
    expected = {ASYNC_ONLY.get(name, name) for name in PUBLIC}
    names = {name for name in vars(TrackingClient) if not name.startswith("_")}
    assert names == expected - {None}


def test_properties_are_properties_in_both() -> None:
    assert isinstance(vars(AsyncTrackingClient)["is_closed"], property)
    assert isinstance(vars(TrackingClient)["is_closed"], property)
