"""The command that imports a file which isn't imported as it was asked for, to be pasted."""

import csv
import io
import itertools
import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import cast

from sendx_async._cli.importing.checking.doubts import Doubt
from sendx_async._cli.importing.mapping.mapping_file import Document
from sendx_async._cli.importing.options import FileOptions
from sendx_async._cli.importing.reading.raw_file import STANDARD_INPUT

_OF_NAMES = "columns"  # one option with all of them
_FLAGS = {"--all-fields", "--ignore-rest"}
_OF_TITLES = "field"


def proposed(options: FileOptions, doubts: Sequence[Doubt]) -> list[tuple[str, ...]]:
    """Return the arguments of ``sendx`` that import a file, one way or the other.

    Nothing is proposed if nobody can tell all of them.

    Args:
        options: What was asked for.
        doubts: What keeps the file from being sent so.
    """
    # Else it may be taken for an option.
    is_like_one = options.file.startswith("-") and options.file != STANDARD_INPUT
    file = f"./{options.file}" if is_like_one else options.file
    ways = [each.choices or ((each.options,) if each.options else ()) for each in doubts]
    asked = ("import", file, *_arguments(options.document))
    return [(*asked, *_once(way)) for way in itertools.product(*ways)]


def _once(parts: Iterable[Sequence[str]]) -> Iterator[str]:
    """Return options, each with its value only once: two columns may need the same."""
    return itertools.chain(*dict.fromkeys(pair for each in parts for pair in _pairs(each)))


def _pairs(arguments: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Return options, each with its value; the value of none stands behind it after a ``=``."""
    left = iter(arguments)
    for option in left:
        is_alone = "=" in option or option in _FLAGS
        yield (option,) if is_alone else (option, next(left))


def in_words(arguments: Iterable[str]) -> str:
    """Return a command as a shell takes it."""
    return shlex.join(("sendx", *arguments))


def _arguments(document: Document) -> Iterator[str]:
    for name, value in document.items():
        if value is True:
            yield f"--{name}"
        elif name == _OF_NAMES:
            yield from _argument(name, _row(value))
        elif isinstance(value, dict):
            for key, each in cast("dict[str, str]", value).items():
                # A custom field is called as its column, unless it is said.
                is_plain = name == _OF_TITLES and key == each and "=" not in key
                yield from _argument(name, key if is_plain else f"{key}={each}")
        else:
            texts = cast("list[str]", value) if isinstance(value, list) else [str(value)]
            for each in texts:
                yield from _argument(name, each)


def _argument(name: str, value: str) -> tuple[str, ...]:
    # Else it may be taken for an option.
    return (f"--{name}={value}",) if value.startswith("-") else (f"--{name}", value)


def _row(names: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(names)
    return line.getvalue()
