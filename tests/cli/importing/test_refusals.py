"""Whether cells of a column that says no of mailing say it."""

import pytest

from sendx_async._cli.importing.recognising.consent import consent_of
from sendx_async._cli.importing.recognising.preset import Rule
from sendx_async._cli.importing.recognising.refusals import lets_mail

_RULE = Rule(columns=("A",), is_refusal=True, reason="unsubscribed")


@pytest.mark.parametrize(
    "text",
    ["", " ", "no", "No", "NO ", "false", "False", "FALSE", "f", "n", "0", "0.00", "0,00", "-0.0",
     "$0.00", "0,00 €",
     "00", "nein", "non", "Não", "nee", "FALSCH", "Faux", "falso", "onwaar", "off", "never",
     "none", "NULL", "-", "--",
     "\N{EM DASH}", "0000-00-00 00:00:00", "0000-00-00", "0000-00-00T00:00:00Z", "0/0/00"],
)  # fmt: skip
def test_it_lets_somebody_be_mailed(text: str) -> None:
    assert lets_mail(text)
    assert _RULE.allows(text)


@pytest.mark.parametrize(
    "text",
    ["yes", "Yes", "true", "t", "1", "0.01", "2025-02-03 04:05:06", "HARD_BOUNCE", "UNSUBSCRIBED",
     "NEVER_SUBSCRIBED",
     "x", "+", "\N{CHECK MARK}", "*", ".", "spam complaint", "?", "no longer interested",
     "not confirmed", "pending",
     "1970-01-01", "10.00", "0001", "unknown"],
)  # fmt: skip
def test_it_does_not(text: str) -> None:
    assert not lets_mail(text)
    assert not _RULE.allows(text)


def test_no_value_is_proposed_for_mailing_that_speaks_against_it() -> None:
    seen = ["unsubscribed", "pending", "opt out", "unknown", "no", "", "2024-01-01"]
    found = consent_of("Opt out status", seen)
    assert found
    assert found.proposal("A") == ("--only", "A=", "--only", "A=no")
