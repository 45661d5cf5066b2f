"""A preset laid upon the columns of a file."""

from sendx_async._cli.importing.recognising.fitting import FittedPreset, fitted
from sendx_async._cli.importing.recognising.presets import load, preset_from

PRESET = preset_from(
    "service",
    """
title = "Service"
signatures = [["Email", "Service ID"]]
keep = ["Phone", "traits.*", "Address: *", "address.city"]
leave = ["*id", "Address: Street"]
[columns]
email = ["Email", "E-Mail"]
tags = ["Tag", "Tags *"]
company = ["Account.Name"]
[titles]
"Phone" = "Telephone"
[prefixes]
"Phone" = "p:"
[[rules]]
columns = ["Status", "State"]
is_refusal = false
values = ["active"]
reason = "not active"
is_required = true
[[rules]]
columns = ["Bounced"]
is_refusal = true
reason = "bounced"
""",
)


def fit(*names: str) -> FittedPreset:
    return fitted(PRESET, names)


def test_names_are_told_apart_by_letters_and_digits_only() -> None:
    found = fit("E-MAIL", "account name", "STATUS ")
    assert found.fields == {"email": ("E-MAIL",), "company": ("account name",)}
    assert [(each.column, each.rule.reason) for each in found.rules] == [("STATUS ", "not active")]


def test_the_preset_says_which_of_two_columns_counts_first() -> None:
    preset = preset_from(
        "service",
        'title = "S"\nsignatures = [["A"]]\n[columns]\nemail = ["Work", "Home"]\n',
    )
    assert fitted(preset, ["Home", "Work"]).fields == {"email": ("Work", "Home")}


def test_a_pattern_takes_columns_in_the_order_of_the_file_but_not_those_left() -> None:
    found = fit("Email", "Tags b", "tags a", "Tag", "Tags id")
    assert found.fields["tags"] == ("Tag", "Tags b", "tags a")
    assert found.left_out == ("Tags id",)


def test_what_is_named_in_full_is_taken_whatever_is_left() -> None:
    preset = preset_from(
        "service",
        'title = "S"\nsignatures = [["A"]]\nkeep = ["*", "Paid"]\nleave = ["*id"]\n'
        '[columns]\nemail = ["*mail*"]\ncompany = ["Mail firm"]\n',
    )
    found = fitted(preset, ["Mail", "Paid", "Void", "Mail firm"])
    assert found.fields == {"email": ("Mail",), "company": ("Mail firm",)}
    assert dict(found.custom) == {"Paid": "Paid"}
    assert found.left_out == ("Void",)


def test_custom_fields_bear_the_last_part_of_a_dotted_name_once() -> None:
    found = fit("traits.plan", "traits.city", "Phone", "address.city", "traits.id", "Approx. age")
    assert dict(found.custom) == {
        "traits.plan": "plan",
        "traits.city": "city",
        "Phone": "Telephone",
        "address.city": "address.city",
    }
    assert found.left_out == ("traits.id", "Approx. age")


def test_what_stands_in_front_of_values_goes_by_the_names_of_the_file() -> None:
    assert dict(fit("PHONE").prefixes) == {"PHONE": "p:"}


def test_a_required_rule_without_its_column_is_missing() -> None:
    assert [rule.reason for rule in fit("Email", "Bounced").missing] == ["not active"]
    assert not fit("Email", "State").missing


def test_a_column_that_a_rule_is_about_is_left_out_unless_it_is_kept() -> None:
    assert fit("Email", "State").left_out == ("State",)


def test_a_pattern_keeps_no_column_that_says_who_may_be_mailed() -> None:
    preset = preset_from(
        "service",
        'title = "S"\nsignatures = [["A"]]\nkeep = ["*", "Stage"]\n[columns]\nemail = ["Email"]\n'
        '[[rules]]\ncolumns = ["Status"]\nis_refusal = true\nreason = "r"\n'
        '[[rules]]\ncolumns = ["Stage"]\nis_refusal = true\nreason = "r"\n',
    )
    assert list(fitted(preset, ["Email", "Status", "Plan", "Stage"]).custom) == ["Plan", "Stage"]


def test_a_rule_about_a_pattern_is_about_each_column_that_fits() -> None:
    preset = preset_from(
        "service",
        'title = "S"\nsignatures = [["A"]]\nkeep = ["*"]\nleave = ["Opted *"]\n[columns]\n'
        'email = ["Email"]\n[[rules]]\ncolumns = ["Opted out: *"]\n'
        'is_refusal = true\nreason = "r"\n',
    )
    found = fitted(preset, ["Email", "Opted out: News", "#3", "Opted in", "Opted out: Sales"])
    assert [each.column for each in found.rules] == ["Opted out: News", "Opted out: Sales"]
    assert found.custom == {}


def test_a_name_as_it_is_written_counts_before_one_that_is_alike() -> None:
    preset = preset_from(
        "service", 'title = "S"\nsignatures = [["A"]]\n[columns]\nemail = ["email"]\n'
    )
    assert fitted(preset, ["$email", "email"]).fields == {"email": ("email",)}


def test_a_full_name_that_becomes_a_custom_field_has_a_title() -> None:
    preset = preset_from(
        "service",
        'title = "S"\nsignatures = [["A"]]\n[columns]\nemail = ["Email"]\n'
        '[titles]\n"$p.$name" = "name"\n',
    )
    found = fitted(preset, ["$p.$name", "traits.name", "What is\nyour name?"])
    titles = [found.title_of(name) for name in ["$p.$name", "traits.name", "What is\nyour name?"]]
    assert titles == ["name", "name", "What is your name?"]


def test_a_full_name_beside_both_names_is_left_out() -> None:
    preset = preset_from(
        "service",
        'title = "S"\nsignatures = [["A"]]\nkeep = ["*"]\n[columns]\nemail = ["Email"]\n'
        'first_name = ["First"]\nlast_name = ["Last"]\nfull_name = ["Name"]\n',
    )
    found = fitted(preset, ["Email", "Name", "First", "Last", "Plan"])
    assert (found.left_out, dict(found.custom)) == (("Name",), {"Plan": "Plan"})
    assert "full_name" not in found.fields
    assert fitted(preset, ["Email", "Name", "First"]).fields["full_name"] == ("Name",)


def test_a_pattern_takes_no_question_about_mail_for_an_address() -> None:
    preset = preset_from(
        "forms",
        'title = "F"\nsignatures = [["A"]]\nkeep = ["*"]\n[columns]\nemail = ["*mail*"]\n',
    )
    found = fitted(preset, ["May we contact you by e-mail?", "Your e-mail"])
    assert found.fields == {"email": ("Your e-mail",)}
    only = "May we contact you, and by which e-mail?"
    assert fitted(preset, [only]).fields == {"email": (only,)}


def test_a_rule_for_each_column_takes_all_that_fit() -> None:
    preset = preset_from(
        "forms",
        """
title = "F"
signatures = [["A"]]
[columns]
email = ["Mail"]
[[rules]]
columns = ["*news*", "*consent*", "Ok"]
is_for_each = true
is_refusal = false
values = ["yes"]
reason = "no consent"
""",
    )
    found = fitted(preset, ["Consent to news", "OK", "Mail", "News"])
    assert [each.column for each in found.rules] == ["Consent to news", "News", "OK"]


def test_a_name_beside_a_first_or_a_last_name_is_the_other_one() -> None:
    preset = preset_from(
        "forms",
        """
title = "F"
signatures = [["A"]]
[columns]
email = ["Mail"]
first_name = ["Prénom", "First name"]
last_name = ["Apellidos"]
full_name = ["Nom", "Nombre", "Name"]
""",
    )
    assert fitted(preset, ["Prénom", "Nom"]).fields == {
        "first_name": ("Prénom",), "last_name": ("Nom",),
    }  # fmt: skip
    assert fitted(preset, ["Nombre", "Apellidos"]).fields == {
        "first_name": ("Nombre",), "last_name": ("Apellidos",),
    }  # fmt: skip
    assert fitted(preset, ["First name", "Name"]).fields == {
        "first_name": ("First name",), "full_name": ("Name",),
    }  # fmt: skip


def test_a_form_s_question_about_options_is_none_about_consent() -> None:
    for name in ("google-forms", "typeform", "eventbrite"):
        asked = "Which options are you interested in?"
        found = fitted(load(name), ["Email", asked, "Opt-in", "Newsletter opt in"])
        assert asked in found.custom, name
        assert {each.column for each in found.rules} == {"Opt-in", "Newsletter opt in"}, name
