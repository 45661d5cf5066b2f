"""Which rows are sent: `--only` and `--skip`."""

from typing import Any

import pytest

from sendx_async._core.models import IdentifyRequest

from .rows import EMAIL, made, unsent

ROW = {"email": EMAIL, "Plan": " Pro ", "Country": "", "Age": "NULL"}


@pytest.mark.parametrize(
    "options",
    [
        {"only": ["plan=PRO"]},
        {"only": ["Plan=Free", "Plan=pro"]},
        {"only": ["Plan=pro", "Country="]},
        {"only": ["#2=Pro"]},
        {"only": ["Age=null"]},
        {"only": ["Age="], "null": ["NULL"]},
        {"only": ["Age=null"], "null": ["NULL"]},
        {"skip": ["Plan=Free", "Plan="]},
        {"skip": ["Country=x"]},
    ],
)
def test_rows_that_are_sent(options: dict[str, Any]) -> None:
    assert made(ROW, ignore_rest=True, **options) == IdentifyRequest(EMAIL)


@pytest.mark.parametrize(
    "options, reason",
    [
        ({"only": ["Plan=Free"]}, "not --only Plan=Free"),
        ({"only": ["Plan=Free", "Plan=Basic"]}, "not --only Plan=Free or Plan=Basic"),
        ({"only": ["Plan=Pro", "Country=DE"]}, "not --only Country=DE"),
        ({"only": ["Age="]}, "not --only Age="),
        ({"skip": ["PLAN=pro"]}, "--skip PLAN=pro"),
        ({"skip": ["Country="]}, "--skip Country="),
        ({"only": ["email=x@b.co"]}, "not --only email=x@b.co"),
    ],
)
def test_rows_that_are_left_out(options: dict[str, Any], reason: str) -> None:
    assert unsent(ROW, ignore_rest=True, **options) == reason


def test_values_of_json() -> None:
    row = {"email": EMAIL, "ok": True, "age": 27, "tags": ["a", "b"], "none": None, "no": []}
    for condition in ("ok=TRUE", "age=27", "tags=B", "none=", "no=", "absent="):
        assert made(row, is_json=True, ignore_rest=True, only=[condition]).email == EMAIL
    for condition in ("ok=1", "tags=c", "absent=x"):
        assert unsent(row, is_json=True, ignore_rest=True, only=[condition])
