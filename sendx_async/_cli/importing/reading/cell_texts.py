"""Values that have a type, as the text that they would be in a cell of CSV."""

import csv
import json
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any


def cell_text(value: object) -> str:
    """Return the text that a person would write for a value; an empty one for None."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (float, Decimal)):
        return number_text(value)
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False, default=cell_text)
    if isinstance(value, timedelta):
        return duration_text(value)
    return value.isoformat() if isinstance(value, date) else str(value)


def number_text(value: float | Decimal) -> str:
    """Return the digits of a number: no exponent, and nothing behind the point that isn't there."""
    if isinstance(value, int):
        return str(value)
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    return format(exact, "f").removesuffix(".0")


def duration_text(value: timedelta) -> str:
    """Return a duration as spreadsheets write it: 36:15:00."""
    seconds = round(value.total_seconds())
    sign, seconds = "-" if seconds < 0 else "", abs(seconds)
    return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def csv_writer() -> Callable[[Iterable[Any]], str]:
    """Return what makes a line of CSV of texts."""
    return csv.writer(_Echo(), lineterminator="\r\n").writerow


class _Echo:
    """Gives back what is written to it."""

    def write(self, text: str) -> str:
        return text
