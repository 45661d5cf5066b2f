"""Whether cells say yes or no."""

import pytest

from sendx_async._cli.importing.cleaning.answers import says_no, says_yes


@pytest.mark.parametrize(
    "text",
    ["", " ", "no", "No", "NO", "false", "False", "FALSE", "f", "n", "0", "0.00", "0,00", "-0.0",
     "00", "nein",
     "non", "Não", "nee", "FALSCH", "Faux", "falso", "onwaar", "off", "never", "none",
     "0000-00-00 00:00:00",
     "0000-00-00", "0000-00-00T00:00:00"],
)  # fmt: skip
def test_it_says_no(text: str) -> None:
    assert says_no(text)


@pytest.mark.parametrize(
    "text",
    ["yes", "Yes", "true", "t", "1", "0.01", "2025-02-03 04:05:06", "HARD_BOUNCE", "UNSUBSCRIBED",
     "NEVER_SUBSCRIBED",
     "x", "spam complaint", "-", "n/a", "?", "no longer interested", "not confirmed", "1970-01-01",
     "10.00"],
)  # fmt: skip
def test_it_does_not_say_no(text: str) -> None:
    assert not says_no(text)


def test_a_column_may_have_its_own_words_for_no() -> None:
    also = frozenset({"Subscribed"})
    assert says_no("SUBSCRIBED", also)
    assert says_no("no", also)
    assert not says_no("unsubscribed", also)


def test_only_the_values_of_a_column_say_yes() -> None:
    values = frozenset({"Subscribed", "yes"})
    for text in ("Subscribed", "SUBSCRIBED", " yes "):
        assert says_yes(text, values)
    for text in ("", "true", "1", "NEVER_SUBSCRIBED", "unsubscribed", "yes, but"):
        assert not says_yes(text, values)
