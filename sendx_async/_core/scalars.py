"""What stands for a string, a number or a date, and the plain Python value that it stands for.

Enumerations with a type (``StrEnum``), strings that know more (``Markup``), the cells of a data
frame and the numbers of other libraries all do. What is kept and sent is the plain value.
"""

import decimal
import numbers
from datetime import date, datetime
from decimal import Decimal
from typing import Any

_PLAIN: frozenset[type] = frozenset(
    {str, int, float, bool, type(None), Decimal, date, datetime, dict, list, tuple}
)
_DIGITS = 400  # more than any number has that a double holds


def to_scalar(value: object) -> Any:
    """Return the plain value that another one stands for; what stands for none as it is."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, str):
        return str.__str__(value)  # what str() gives is the name of a member in some enumerations
    if isinstance(value, int):
        return int.__index__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if is_scalar_of_numpy(value):
        return _of_numpy(value)
    return _exact(value) if isinstance(value, numbers.Rational) else value


def is_scalar_of_numpy(value: object) -> bool:
    """Return whether a value is one number, date or text of numpy, and no array."""
    kinds = type(value).__mro__
    return any(kind.__module__ == "numpy" and kind.__name__ == "generic" for kind in kinds)


def _of_numpy(value: Any) -> object:
    match value.dtype.kind:
        case "b" | "i" | "u":
            return value.item()
        case "f":
            # Exactly if it is whole, else in the digits that tell it from its neighbours: for the
            # float32 nearest to 0.1 that is 0.1.
            number = float(value)
            return number if number.is_integer() else float(str(value))
        case "M":
            moment = value.item()
            if not isinstance(moment, date):  # it is finer than a datetime, or is NaT
                moment = value.astype("datetime64[us]").item()
            return moment if isinstance(moment, date) else value
        case _:
            return value


def _exact(value: numbers.Rational) -> object:
    """Return a fraction as an int or as a decimal number, if that has an end."""
    if value.denominator == 1:
        return int(value.numerator)
    with decimal.localcontext(decimal.Context(prec=_DIGITS, traps=[decimal.Inexact])):
        try:
            return Decimal(int(value.numerator)) / Decimal(int(value.denominator))
        except decimal.Inexact:
            return value
