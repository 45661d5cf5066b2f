"""The presets that come with the library, each read from its file when it is asked for."""

import difflib
import functools
import tomllib
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import cattrs

from sendx_async._cli.importing.recognising.preset import Preset
from sendx_async._core.errors import ConfigurationError

FIELDS = frozenset(
    {"email", "first_name", "last_name", "full_name", "company", "tags", "lists", "new_email"}
)
"""What a preset may name columns for; ``full_name`` is what it isn't for a contact."""

_ENDING = ".toml"


def names() -> tuple[str, ...]:
    """Return the names of all presets, as ``--from`` takes them, in the order of the alphabet."""
    files = (file.name for file in _folder().iterdir())
    return tuple(sorted(name.removesuffix(_ENDING) for name in files if name.endswith(_ENDING)))


@functools.cache
def load(name: str) -> Preset:
    """Return the preset of this name.

    Raises:
        ConfigurationError: There is none; the error names those that there are.
    """
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"they are {', '.join(names())}"
        raise ConfigurationError(f"--from {name} is none of the services that are known; {hint}")
    return preset_from(name, (_folder() / f"{name}{_ENDING}").read_text("utf-8"))


def all_presets() -> tuple[Preset, ...]:
    """Return all presets."""
    return tuple(map(load, names()))


def preset_from(name: str, text: str) -> Preset:
    """Return the preset that a file says.

    Args:
        name: What ``--from`` takes.
        text: The content of its file, in TOML.

    Raises:
        ValueError: The file is wrong; the text names each wrong key.
    """
    try:
        preset = _converter().structure({**tomllib.loads(text), "name": name}, Preset)
    except cattrs.BaseValidationError as error:
        raise ValueError(f"{name}{_ENDING}: {'; '.join(cattrs.transform_error(error))}") from None
    wrong = [f"{field!r} in columns is no field" for field in preset.columns.keys() - FIELDS]
    wrong += [
        f"the rule {rule.reason!r} says no value that may be sent"
        for rule in preset.rules
        if not (rule.is_refusal or rule.values or rule.refused)
    ]
    if not (preset.signatures and all(preset.signatures)):
        wrong.append("a signature is empty, or there is none")
    if "email" not in preset.columns:
        wrong.append("columns has no email")
    if wrong:
        raise ValueError(f"{name}{_ENDING}: {'; '.join(sorted(wrong))}")
    return preset


def _folder() -> Traversable:
    return resources.files("sendx_async._cli.importing.recognising") / "preset_files"


@functools.cache
def _converter() -> cattrs.Converter:
    """Return what makes presets of TOML, and refuses what doesn't fit instead of changing it."""
    made = cattrs.Converter(forbid_extra_keys=True)
    made.register_structure_hook(str, _as_it_is)
    made.register_structure_hook(bool, _as_it_is)
    # Else a string would become a tuple of letters.
    made.register_structure_hook_func(
        lambda kind: kind == tuple[str, ...], lambda value, _: tuple(_texts(value))
    )
    made.register_structure_hook_func(
        lambda kind: kind == frozenset[str], lambda value, _: frozenset(_texts(value))
    )
    return made


def _as_it_is(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise ValueError(kind)  # noqa: TRY004 (what cattrs names with its place)
    return value


def _texts(value: Any) -> list[str]:
    return [_as_it_is(each, str) for each in _as_it_is(value, list)]
