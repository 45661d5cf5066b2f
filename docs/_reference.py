"""What the reference needs beyond the docstrings: signatures of attrs classes, and links."""

import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from typing import Any

import griffe

import sendx_async

_NAME = re.compile(r"(?<![`\[\w])`(\w+)((?:\.\w+)*)`(?!`)")
_CODE = re.compile(r"::\n\n((?:[ ]{4}.*\n|\n)+)")


class Reference(griffe.Extension):
    """Completes what griffe reads from the sources."""

    def __init__(self) -> None:
        super().__init__()
        self._paths = dict(_public_names())

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Look at everything, now that all bases are known."""
        for member in _members_of(pkg):
            if isinstance(member, griffe.Class):
                _add_signature(member)
            if member.docstring is not None:
                member.docstring.value = self._linked(member.docstring.value)

    def _linked(self, text: str) -> str:
        """Make names in single backticks links, and what follows `::` a block of code."""

        def link(found: re.Match[str]) -> str:
            path = self._paths.get(found[1])
            return f"[{found[0]}][{path}{found[2]}]" if path else found[0]

        def fence(found: re.Match[str]) -> str:
            return f":\n\n```python\n{textwrap.dedent(found[1]).strip()}\n```\n\n"

        return _CODE.sub(fence, _NAME.sub(link, f"{text}\n"))


def _public_names() -> Iterator[tuple[str, str]]:
    yield from ((name, f"sendx_async.{name}") for name in sendx_async.__all__)
    for found in pkgutil.iter_modules(sendx_async.__path__, "sendx_async."):
        if not found.name.rpartition(".")[2].startswith("_"):
            names = importlib.import_module(found.name).__all__
            yield from ((name, f"{found.name}.{name}") for name in names)


def _members_of(scope: griffe.Object) -> Iterator[griffe.Object]:
    yield scope
    for member in scope.members.values():
        if isinstance(member, griffe.Object):
            yield from _members_of(member)


def _add_signature(cls: griffe.Class) -> None:
    """Write down the `__init__` that attrs makes at run time."""
    if not any("attrs" in str(decorator.value) for decorator in cls.decorators):
        return
    if "__init__" in cls.members:
        return
    parameters = [griffe.Parameter("self", kind=griffe.ParameterKind.positional_or_keyword)]
    for parameter in inspect.signature(griffe.dynamic_import(cls.path)).parameters.values():
        is_required = parameter.default is inspect.Parameter.empty
        parameters.append(
            griffe.Parameter(
                parameter.name,
                annotation=getattr(cls.all_members.get(parameter.name), "annotation", None),
                kind=griffe.ParameterKind(parameter.kind.description),
                default=None if is_required else _shown(parameter.default),
            )
        )
    init = griffe.Function("__init__", parameters=griffe.Parameters(*parameters), parent=cls)
    cls.set_member("__init__", init)


def _shown(default: object) -> str:
    return "..." if type(default).__module__.startswith("attr") else repr(default)
