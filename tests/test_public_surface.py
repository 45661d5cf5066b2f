"""What the package shows to the world, and whether all of it is explained."""

import base64
import importlib
import importlib.metadata
import importlib.resources
import inspect
import json
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, get_origin, get_type_hints, is_typeddict

import pytest

import sendx_async
import sendx_async.fastapi
import sendx_async.otel
import sendx_async.outbox
import sendx_async.procrastinate
import sendx_async.testing

MODULES = (
    sendx_async, sendx_async.fastapi, sendx_async.otel, sendx_async.outbox,
    sendx_async.procrastinate, sendx_async.testing,
)  # fmt: skip
# Says where the explanation is: "As `x`", "as for `x`", "errors as `x`", "See there".
POINTER = re.compile(r"`\w|\bsee there\b", re.IGNORECASE)


def public_names() -> list[Any]:
    return list(_public_names())


def _public_names() -> Iterator[Any]:
    for module in MODULES:
        for name in module.__all__:
            value = getattr(module, name)
            # An alias has no words of its own at run time; the reference explains it.
            if name != "__version__" and get_origin(value) is not Annotated:
                yield pytest.param(value, id=f"{module.__name__}.{name}")


def public_methods() -> list[Any]:
    return list(_public_methods())


def _public_methods() -> Iterator[Any]:
    for case in public_names():
        kind = case.values[0]
        if isinstance(kind, type) and not issubclass(kind, BaseException):
            for name, member in inspect.getmembers(kind):
                if name.startswith("_") or not callable(member):
                    continue
                if not (getattr(member, "__module__", "") or "").startswith("sendx_async"):
                    continue
                yield pytest.param(member, id=f"{case.id}.{name}")


def parameters_of(called: Any) -> list[str]:
    if is_typeddict(called):
        return list(called.__annotations__)
    return [
        name
        for name, parameter in inspect.signature(called).parameters.items()
        if name not in {"self", "cls"} and not name.startswith("_")
        and parameter.kind is not inspect.Parameter.VAR_POSITIONAL
    ]  # fmt: skip


def is_explained(name: str, text: str) -> bool:
    return (
        re.search(rf"(^\s*\**{re.escape(name)}:)|``{re.escape(name)}", text, re.MULTILINE)
        is not None
    )


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
class TestModules:
    def test_all_is_what_can_be_imported(self, module: ModuleType) -> None:
        names = module.__all__
        assert names == sorted(set(names), key=names.index), "a name stands twice"
        for name in names:
            assert getattr(module, name) is not None
        reachable = {
            name
            for name, value in vars(module).items()
            if not name.startswith("_") and not isinstance(value, ModuleType)
            and name not in {"TYPE_CHECKING", "Any"}
        }  # fmt: skip
        assert reachable <= set(names)

    def test_an_unknown_name_is_an_attribute_error(self, module: ModuleType) -> None:
        with pytest.raises(AttributeError, match=r"module '.*' has no attribute 'Trakcing'"):
            _ = module.Trakcing
        with pytest.raises(ImportError, match="cannot import name 'Trakcing'"):
            exec(f"from {module.__name__} import Trakcing")

    def test_a_module_says_what_it_is_for(self, module: ModuleType) -> None:
        assert inspect.getdoc(module)


def test_all_names_every_error() -> None:
    errors = importlib.import_module("sendx_async._core.errors")
    for name, value in vars(errors).items():
        if isinstance(value, type) and issubclass(value, errors.SendXError) and name[0] != "_":
            assert name in sendx_async.__all__


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_what_is_public_says_that_it_is_of_the_public_module(module: ModuleType) -> None:
    for name in module.__all__:
        value = getattr(module, name)
        if name != "__version__" and get_origin(value) is not Annotated:
            assert value.__module__ == module.__name__, name


# One of each public class, pickled before the private modules moved into packages.
OLD_PICKLES: dict[str, str] = json.loads(
    (Path(__file__).parent / "old_pickles.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", OLD_PICKLES)
def test_what_was_pickled_before_can_be_read(name: str) -> None:
    loaded = pickle.loads(base64.b64decode(OLD_PICKLES[name]))
    module, _, kind = f"sendx_async.{name}".rpartition(".")
    assert type(loaded) is getattr(importlib.import_module(module), kind)
    again = pickle.loads(pickle.dumps(loaded))
    assert (type(again), repr(again)) == (type(loaded), repr(loaded))
    assert f"{module}\n{kind}".encode() in pickle.dumps(loaded, 0)


def test_an_old_pickle_of_an_error_brings_all_it_knew() -> None:
    error = pickle.loads(base64.b64decode(OLD_PICKLES["RateLimitError"]))
    assert str(error) == "SendX answered with HTTP 404: No j***@example.com"
    assert (error.call_id, error.retry_after, error.body) == ("0123456789abcdef", 1.5, b"{}")


def test_an_old_pickle_of_an_outbox_has_no_sign_of_life() -> None:
    stats = pickle.loads(base64.b64decode(OLD_PICKLES["outbox.OutboxStats"]))
    assert (stats.is_draining, stats.silent_for) == (True, None)


def test_dir_shows_the_public_names() -> None:
    assert dir(sendx_async) == sorted(sendx_async.__all__)


def test_a_star_import_gives_them_all() -> None:
    names: dict[str, Any] = {}
    exec("from sendx_async import *", names)
    assert set(sendx_async.__all__) == set(names) - {"__builtins__"}


def test_every_name_is_found_when_it_is_asked_for_first(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in sendx_async.__all__:
        original = getattr(sendx_async, name)
        if name != "__version__":
            monkeypatch.delitem(vars(sendx_async), name)
        assert getattr(sendx_async, name) is original


def test_the_version_is_that_of_the_distribution() -> None:
    assert sendx_async.__version__ == importlib.metadata.version("sendx-async")


def test_the_package_is_typed() -> None:
    assert (importlib.resources.files("sendx_async") / "py.typed").is_file()


@pytest.mark.parametrize("public", public_names())
class TestDocumentation:
    def test_every_name_has_words_of_its_own(self, public: Any) -> None:
        text = inspect.getdoc(public)
        assert text
        assert not text.startswith("Method generated by attrs")
        if isinstance(public, type):
            assert public.__doc__, "inherited words only"

    def test_every_parameter_is_explained(self, public: Any) -> None:
        text = inspect.getdoc(public) or ""
        if isinstance(public, type) and issubclass(public, BaseException):
            return  # callers don't make errors: their attributes are explained, see below
        missing = [name for name in parameters_of(public) if not is_explained(name, text)]
        assert missing == []


@pytest.mark.parametrize("method", public_methods())
def test_every_parameter_of_a_method_is_explained(method: Any) -> None:
    text = inspect.getdoc(method) or ""
    assert text
    if not POINTER.search(text):
        assert [name for name in parameters_of(method) if not is_explained(name, text)] == []


@pytest.mark.parametrize(
    "error",
    [pytest.param(case.values[0], id=case.id) for case in public_names()
     if isinstance(case.values[0], type) and issubclass(case.values[0], sendx_async.SendXError)],
)  # fmt: skip
def test_every_attribute_of_an_error_is_explained(error: type[sendx_async.SendXError]) -> None:
    text = "\n".join(inspect.cleandoc(kind.__doc__ or "") for kind in error.__mro__)
    assert [name for name in vars(error()) if not is_explained(name, text)] == []


def test_names_of_both_clients_are_those_of_the_official_sdk() -> None:
    for client in (sendx_async.AsyncTrackingClient, sendx_async.TrackingClient):
        for name, first in (
            ("identify_contact", "identify_request"), ("track_contact", "track_request"),
            ("track_custom_event", "custom_event_request"),
            ("track_revenue_event", "revenue_event_request"),
            ("identify_contacts", "identify_requests"),
        ):  # fmt: skip
            for method in (getattr(client, name), getattr(client, f"{name}_with_http_info")):
                assert list(inspect.signature(method).parameters)[1] == first


@pytest.mark.parametrize("public", public_names())
def test_type_hints_can_be_resolved(public: Any) -> None:
    for called in (public, getattr(public, "__init__", None)):
        if inspect.isfunction(called):
            get_type_hints(called)
