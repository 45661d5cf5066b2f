"""What a value of a wrong type is called in an error, and what is to be passed in its place."""

from collections.abc import Mapping
from decimal import Decimal
from enum import Enum

from sendx_async._core.scalars import is_scalar_of_numpy

_MOST_SHOWN = 1e9
_LEAVE_OUT = (
    "which pandas writes for an empty cell: leave it out, or make it None with "
    "df.astype(object).where(df.notna(), None)"
)
_MARKS_OF_PANDAS = {"NAType": "pandas.NA", "NaTType": "pandas.NaT"}
_BY_TYPE: Mapping[str, str] = {
    "uuid.UUID": "pass str(uuid)",
    "fractions.Fraction": "it has no end as a decimal number, so pass float(fraction)",
}
# By what a class has. They are looked up in the class: an instance may answer to any name.
_BY_ATTRIBUTE: Mapping[str, str] = {
    "model_dump": "pass model.model_dump(exclude_none=True)",  # pydantic
    "__dataclass_fields__": "pass dataclasses.asdict(it)",
    "_asdict": "pass row._asdict()",  # a NamedTuple, a row of SQLAlchemy or of DataFrame.itertuples
    "to_dict": "pass row.to_dict()",  # a Series
    "tolist": "pass array.tolist()",  # what numpy and torch call an array
    "keys": "pass dict(row)",  # sqlite3.Row and asyncpg.Record, which are no Mapping
}
_FRAMES: Mapping[tuple[str, str], str] = {
    ("pandas", "DataFrame"): 'df.to_dict("records")',
    ("pandas", "Series"): "series.to_list()",
    ("polars", "DataFrame"): "df.iter_rows(named=True)",
    ("polars", "LazyFrame"): "df.collect().iter_rows(named=True)",
    ("polars", "Series"): "series.to_list()",
    ("pyarrow", "Table"): "table.to_pylist()",
}


def type_name(value: object) -> str:
    """Return the name of a value's type: with its module, unless it is a builtin."""
    if value is None:
        return "None"
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def described(value: object) -> str:
    """Return the name of a setting's type for an error, with its value if it is a plain number."""
    if isinstance(value, (int, float)) and abs(value) < _MOST_SHOWN:
        return f"{type_name(value)} {value}"
    return type_name(value)


def wrong_type(wanted: str, value: object, *, has_parts: bool = False) -> str:
    """Return that a value must be something else: what it is, and what to pass in its place.

    Args:
        wanted: What it must be, with its article.
        value: What it is.
        has_parts: Whether what is wanted may be a mapping or a list.
    """
    if mark := _empty_cell(value):
        return f"is {mark}, {_LEAVE_OUT}"
    advice = _advice_on_scalar(value) or (_advice_on_parts(value) if has_parts else "")
    return f"must be {wanted}, got {type_name(value)}{advice and ': '}{advice}"


def bad_number(wanted: str, value: object) -> str:
    """Return that a number must be another one, and what NaN stands for.

    Args:
        wanted: What it must be, with its article.
        value: The number.
    """
    mark = _empty_cell(value)
    return f"is {mark}, {_LEAVE_OUT}" if mark else f"must be {wanted}"


def rows_of_frame(value: object) -> str | None:
    """Return what gives the rows of a data frame, or the items of a column; None for others.

    To iterate over a frame gives the names of its columns.
    """
    for kind in type(value).__mro__:
        if found := _FRAMES.get((kind.__module__.partition(".")[0], kind.__name__)):
            return found
    return None


def _empty_cell(value: object) -> str:
    """Return the name of what stands for an empty cell, or "" for anything else."""
    if (isinstance(value, float) and value != value) or (  # noqa: PLR0124 - as only NaN is
        isinstance(value, Decimal) and value.is_nan()
    ):
        return "NaN"
    module, name = type(value).__module__, type(value).__name__
    if module == "numpy":
        return {"nan": "NaN", "NaT": "NaT"}.get(str(value), "")
    return _MARKS_OF_PANDAS.get(name, "") if module.startswith("pandas.") else ""


def _advice_on_scalar(value: object) -> str:
    """Return what is to be passed in place of a value of a known kind, or ""."""
    kind = type(value)
    if isinstance(value, Enum):
        return "pass member.value"
    return _BY_TYPE.get(f"{kind.__module__}.{kind.__name__}", "")


def _advice_on_parts(value: object) -> str:
    """Return what makes a mapping or a list of a value, or ""."""
    if is_scalar_of_numpy(value):
        return ""  # it has a tolist, which gives no list
    return next((text for name, text in _BY_ATTRIBUTE.items() if hasattr(type(value), name)), "")
