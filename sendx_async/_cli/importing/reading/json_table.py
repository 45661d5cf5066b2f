"""The records of JSON: an object a line."""

import json
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, cast

from sendx_async._cli.importing.reading.records import Record


class JsonLines:
    """A file with one JSON object a line.

    Args:
        lines: The text; lines keep their ends.
    """

    header = None
    titles = None
    before = ()
    dialect = None

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = lines

    def __iter__(self) -> Iterator[Record]:
        for number, line in enumerate(self._lines, 1):
            if not line or line.isspace():
                continue
            problem = None
            found: object = {}
            try:
                found = json.loads(line, object_pairs_hook=_object, parse_float=Decimal)
            except _NamedTwiceError as error:
                problem = f"names {error.args[0]!r} twice"
            except json.JSONDecodeError as error:
                problem = f"is no JSON: {error.msg} (character {error.pos + 1})"
            except ValueError:
                problem = "has a number that is too long"
            except RecursionError:
                problem = "is nested too deep"
            if not isinstance(found, dict):
                problem = 'must be a JSON object, such as {"email": "jane@example.com"}'
                found = {}
            values = cast("dict[str, Any]", found)
            yield Record(number, line, tuple(values), tuple(values.values()), problem)


class _NamedTwiceError(ValueError):
    """A JSON object has a name twice."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise _NamedTwiceError(next(name for name in names if names.count(name) > 1))
    return made
