"""Both clients have the same surface: the synchronous one can't fall behind unnoticed."""

import inspect
from typing import get_type_hints

import pytest

from sendx_async import (
    AsyncOutcomeStream,
    AsyncTrackingClient,
    OutcomeStream,
    TrackingClient,
)

Signature = dict[str, tuple[object, object, object]]
PUBLIC = sorted(name for name in vars(AsyncTrackingClient) if not name.startswith("_"))
ASYNC_ONLY = {"aclose": "close"}
METHODS = [
    name
    for name in PUBLIC
    if callable(getattr(AsyncTrackingClient, name)) and name not in {*ASYNC_ONLY, "send_many"}
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


def test_streams_differ_in_the_kinds_of_source_and_what_they_give() -> None:
    awaited = parameters(AsyncTrackingClient.send_many)
    blocking = parameters(TrackingClient.send_many)
    assert list(awaited) == list(blocking)
    del awaited["source"], blocking["source"]
    assert awaited == blocking
    assert get_type_hints(AsyncTrackingClient.send_many)["return"] is AsyncOutcomeStream
    assert get_type_hints(TrackingClient.send_many)["return"] is OutcomeStream
    assert inspect.getdoc(TrackingClient.send_many)
    for name in ("unclaimed", "unsent"):
        for kind in (AsyncOutcomeStream, OutcomeStream):
            assert isinstance(vars(kind)[name], property)


def test_constructors_have_the_same_parameters_in_the_same_order() -> None:
    blocking = parameters(TrackingClient.__init__)
    assert blocking == parameters(AsyncTrackingClient.__init__)
    assert list(blocking) == list(parameters(AsyncTrackingClient.__init__))


def test_neither_client_has_names_that_the_other_lacks() -> None:
    expected = {ASYNC_ONLY.get(name, name) for name in PUBLIC}
    names = {name for name in vars(TrackingClient) if not name.startswith("_")}
    assert names == expected


def test_properties_are_properties_in_both() -> None:
    assert isinstance(vars(AsyncTrackingClient)["is_closed"], property)
    assert isinstance(vars(TrackingClient)["is_closed"], property)
