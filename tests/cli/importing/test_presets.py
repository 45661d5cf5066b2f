"""The presets: each file fits the form, and what is wrong in one is named."""

import subprocess
import sys

import pytest

from sendx_async._cli.importing.recognising import presets
from sendx_async._cli.importing.recognising.preset import Rule
from sendx_async._core.errors import ConfigurationError

RIGHT = """
title = "Service"
signatures = [["Email", "Service ID"]]
[columns]
email = ["Email"]
"""


@pytest.mark.parametrize("name", presets.names())
def test_a_preset_fits_the_form(name: str) -> None:
    preset = presets.load(name)
    assert preset.name == name
    assert preset.title


@pytest.mark.parametrize(
    "text, named",
    [
        (RIGHT.replace("title", "titel"), "titel"),
        (RIGHT.replace('"Service"', "3"), "$.title"),
        (RIGHT.replace('["Email"]', '"Email"'), "$.columns"),
        (RIGHT.replace('["Email"]', "[1]"), "$.columns"),
        (RIGHT.replace("email", "emial"), "'emial' in columns"),
        (RIGHT.replace("email", "company"), "columns has no email"),
        (RIGHT.replace('[["Email", "Service ID"]]', '["Email"]'), "$.signatures"),
        (RIGHT.replace('[["Email", "Service ID"]]', "[[]]"), "signature"),
        (RIGHT.replace('[["Email", "Service ID"]]', "[]"), "signature"),
        (f'{RIGHT}\n[[rules]]\ncolumns = ["A"]\nis_refusal = true\nraeson = "r"', "raeson"),
        (f'{RIGHT}\n[[rules]]\ncolumns = ["A"]\nis_refusal = 1\nreason = "r"', "is_refusal"),
        (f'{RIGHT}\n[[rules]]\ncolumns = ["A"]\nis_refusal = false\nreason = "r"', "rule 'r'"),
    ],
)
def test_what_is_wrong_in_a_preset_is_named(text: str, named: str) -> None:
    presets.preset_from("service", RIGHT)
    with pytest.raises(ValueError) as caught:
        presets.preset_from("service", text)
    assert str(caught.value).startswith("service.toml: ")
    assert named in str(caught.value)


@pytest.mark.parametrize(
    "name, hint",
    [("mailchump", "did you mean mailchimp?"), ("acme", "they are activecampaign, .*woocommerce")],
)
def test_a_name_without_a_preset_is_answered_with_what_there_is(name: str, hint: str) -> None:
    with pytest.raises(ConfigurationError, match=f"--from {name} .*; {hint}"):
        presets.load(name)


def test_all_presets_are_those_that_have_a_name() -> None:
    assert tuple(each.name for each in presets.all_presets()) == presets.names()


@pytest.mark.slow
def test_nothing_is_read_at_import() -> None:
    code = """
import builtins, io, sys
from sendx_async._cli.importing.recognising import fitting, preset
opened = []
sys.addaudithook(lambda event, args: event == "open" and opened.append(str(args[0])))
from sendx_async._cli.importing.recognising import presets
assert not [name for name in opened if name.endswith(".toml")], opened
presets.all_presets()
assert [name for name in opened if name.endswith(".toml")]
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def _refusal(*values: str) -> Rule:
    return Rule(columns=("A",), is_refusal=True, values=frozenset(values), reason="unsubscribed")


def _consent(*values: str) -> Rule:
    return Rule(columns=("A",), is_refusal=False, values=frozenset(values), reason="no consent")


@pytest.mark.parametrize(
    "value",
    [None, "", " ", "no", "No ", "FALSE", "0", "0.00", "$0.00", "0,00 €", 0, 0.0, False, [], "-"],
)
def test_a_refusal_that_says_no_lets_a_row_pass(value: object) -> None:
    assert _refusal().allows(value)


@pytest.mark.parametrize(
    "value",
    ["yes", "true", True, 1, "2024-01-01 00:00:00", "HARD_BOUNCE", "10.00", ["spam"], "keineswegs"],
)
def test_a_refusal_that_says_anything_else_does_not(value: object) -> None:
    assert not _refusal().allows(value)


def test_a_preset_says_what_else_means_no() -> None:
    assert _refusal("Keineswegs").allows("KEINESWEGS ")


@pytest.mark.parametrize("value", ["subscribed", " Subscribed", "SUBSCRIBED"])
def test_consent_that_says_yes_lets_a_row_pass(value: object) -> None:
    assert _consent("Subscribed").allows(value)


@pytest.mark.parametrize("value", [None, "", "never_subscribed", "unsubscribed", "yes", True, "0"])
def test_consent_that_says_anything_else_does_not(value: object) -> None:
    assert not _consent("Subscribed").allows(value)


def test_an_answer_in_words_fits_a_pattern() -> None:
    assert _consent("yes*").allows("Yes, please!\nDaily")
    assert not _consent("yes*").allows("Oh yes")
    assert _refusal("see *").allows("See notes")


def test_what_alone_is_refused_lets_everything_else_pass() -> None:
    rule = Rule(
        columns=("A",),
        is_refusal=False,
        refused=frozenset({"Refunded", "<test lead*", ""}),
        reason="refunded",
    )
    assert all(map(rule.allows, ["Attending", "No", "(test lead)", 0]))
    assert not any(map(rule.allows, ["refunded ", "<Test lead: dummy data for email>", "", None]))


def test_json_says_yes_with_true() -> None:
    assert _consent("true").allows(True)


@pytest.mark.parametrize(
    "file, reason",
    [
        ("nonsubscribed_members_export_1a2b.csv", "never subscribed"),
        ("exports/Unsubscribed_email_audience_export_1a2b.csv", "unsubscribed"),
        ("cleaned_members_export_1a2b.csv", "bounced"),
        ("subscribed_members_export_1a2b.csv", None),
        ("standard input", None),
    ],
)
def test_a_file_may_say_by_its_name_that_nobody_may_be_mailed(
    file: str, reason: str | None
) -> None:
    assert presets.load("mailchimp").refusal_of(file) == reason
