"""Contacts made of rows: what each kind of column becomes, and why a row can't be sent."""

from decimal import Decimal
from typing import Any

import pytest

from sendx_async._cli.importing.cleaning.notes import Note
from sendx_async._cli.importing.mapping.columns import Columns
from sendx_async._cli.importing.mapping.plans import Plans
from sendx_async._cli.importing.mapping.problems import Problem, shown
from sendx_async._core.models import IdentifyRequest

from .rows import EMAIL, made, noted, plan, unsent


def test_each_kind_of_column() -> None:
    row = {
        "E-Mail-Adresse": EMAIL,
        "Vorname": "Jane",
        "Nachname": "Smith",
        "Firma": "Acme",
        "Tags": "vip, new",
        "Group": "x",
        "lists": "list_1",
        "New email": "new@example.com",
        "Role": "Engineer",
        "Plan": "",
    }
    contact = made(
        row,
        field={"Role": "Job", "Plan": "Plan"},
        column={"Group": "tags"},
        tag=["all", "vip"],
        tag_prefix="crm: ",
        list=["list_2", "list_1"],
    )
    assert contact == IdentifyRequest(
        EMAIL,
        first_name="Jane",
        last_name="Smith",
        company="Acme",
        tags=("crm: vip", "crm: new", "crm: x", "all", "vip"),
        lists=("list_1", "list_2"),
        new_email="new@example.com",
        custom_fields={"Job": "Engineer"},
    )


def test_a_row_without_tags_gets_those_of_the_command() -> None:
    assert made({"email": EMAIL, "tags": ""}, tag=["t"]).tags == ("t",)
    assert made({"email": EMAIL, "tags": ""}).tags is None


def test_cells_are_read_as_they_were_meant_and_it_is_noted() -> None:
    row = {"email": "mailto:jane@example.com", "first_name": "  Zoë\u200b ", "Zip": "'01067"}
    assert noted(row, field={"Zip": "Zip"}) == [
        ("email", Note.WRAPPED_ADDRESS),
        ("first_name", Note.INVISIBLE),
        ("Zip", Note.GUARD),
    ]
    assert noted({"email": EMAIL, "Plan": "NULL"}, all_fields=True) == [("Plan", Note.MAYBE_NULL)]
    assert noted({"email": EMAIL, "Plan": "NULL"}, all_fields=True, null=["NULL"]) == [
        ("Plan", Note.NULL)
    ]


def test_null_marks_of_the_dialect_are_left_out() -> None:
    plans = Plans(Columns(all_custom=True), is_json=False, nulls=frozenset({r"\N"}))
    contact = plans.of(("email", "Plan", "tags")).contact((EMAIL, r"\N", r"\N"), [])
    assert contact == IdentifyRequest(EMAIL)


def test_full_names_are_split_only_if_asked_and_where_no_other_column_has_a_value() -> None:
    assert made({"email": EMAIL, "Name": "Ada Abel"}).custom_fields == {"Name": "Ada Abel"}
    told = made({"email": EMAIL, "Mitglied": "Ada Abel"}, column={"Mitglied": "full_name"})
    assert told.custom_fields == {"Mitglied": "Ada Abel"}
    split = made({"email": EMAIL, "Full name": "Ada Abel"}, split_names=True)
    assert (split.first_name, split.last_name) == ("Ada", "Abel")
    assert split.custom_fields is None
    one = made({"email": EMAIL, "Full name": "Ada"}, split_names=True)
    assert (one.first_name, one.last_name) == ("Ada", None)
    row = {"email": EMAIL, "Full name": "Ada Abel", "first_name": "", "last_name": "Byron"}
    both = made(row, split_names=True)
    assert (both.first_name, both.last_name) == (None, "Byron")
    assert made({"email": EMAIL, "Full name": ""}, split_names=True) == IdentifyRequest(EMAIL)


@pytest.mark.parametrize(
    "row, options, says",
    [
        (
            {"email": "a@b.co; jane.smith@b.co"},
            {},
            (
                "email has two addresses: give each a row of its own, or leave one out (it is "
                "'a***@b.co; j***@b.co')"
            ),
        ),
        ({"email": "bad"}, {}, "email must be one e-mail address, with text on both sides of exa"),
        ({"email": "", "tags": "x"}, {}, "email has no address: add it, or leave such rows out wi"),
        ({"email": "n/a"}, {}, "email has no address: add it"),
        ({"email": EMAIL, "tags": '"a'}, {}, "tags has quotes or brackets left in it"),
        ({"email": EMAIL, "lists": "VIP"}, {}, "lists must be ids of lists"),
        (
            {"email": EMAIL, "Visits": "++5"},
            {"all_fields": True},
            (
                "Visits would add to a number field, or subtract: if that is meant, use "
                "--increments; "
                "if it is a text, take one of the signs off (it is '++5')"
            ),
        ),
        (
            {"email": EMAIL, "first_name": "x\na@b.co,Ann"},
            {},
            "first_name goes on over a line with an address: is a quote not closed?",
        ),
        ({"email": EMAIL, "tags": "x\na@b.co,Ann"}, {}, "tags goes on over a line with an addre"),
        ({"email": EMAIL, "Role": "x"}, {}, "the column 'Role' is no field of a contact. Send it"),
        ({"email": EMAIL, "#2": "x"}, {}, "#2 has a value, but the column has no name: send it wi"),
        ({"Role": "x"}, {"all_fields": True}, "there is no column of addresses: tell which it is"),
        (
            {"email": EMAIL, "E-Mail": "x@b.co"},
            {},
            "the columns 'email' and 'E-Mail' are the same field, email: leave one out",
        ),
        (
            {"email": EMAIL, "tags": "\ud800"},
            {},
            "tags has a broken character: write it anew",
        ),
        ({"email": EMAIL, "A": "\ud800"}, {"all_fields": True}, "A has a broken character"),
        ({"email": EMAIL}, {"tag": ["\ud800"]}, "tags has a broken character: write it anew"),
    ],
)
def test_why_a_row_is_not_sent(row: dict[str, str], options: dict[str, Any], says: str) -> None:
    assert unsent(row, **options).startswith(says)


def test_signs_without_a_number_are_text_and_increments_can_be_wanted() -> None:
    row = {"email": EMAIL, "A": "-- none --", "B": "+49 151"}
    assert made(row, all_fields=True).custom_fields == {"A": "-- none --", "B": "+49 151"}
    row = {"email": EMAIL, "A": "++5"}
    assert made(row, all_fields=True, increments=True).custom_fields == {"A": "++5"}


def test_a_row_may_end_early_or_have_empty_cells_too_many_but_no_others() -> None:
    its = plan(("email", "first_name"))
    assert its.contact([EMAIL], []) == IdentifyRequest(EMAIL)
    assert its.contact([EMAIL, "Jane", "", ""], []) == IdentifyRequest(EMAIL, first_name="Jane")
    refused = its.contact([EMAIL, "Jane", "", "x"], [])
    assert not isinstance(refused, IdentifyRequest)
    assert "has 4 cells, but the header has 2: is one not quoted?" in str(refused)


def test_rows_without_an_address_can_be_left_out() -> None:
    assert unsent({"email": " ", "tags": "x"}, skip_empty=True) == "no address"
    assert unsent({"email": "NULL"}, skip_empty=True) == "no address"


def test_a_look_passes_over_what_nobody_has_decided_about() -> None:
    its = Plans(Columns(), is_json=False, is_look=True).of(("email", "Role", "#3", "E-Mail"))
    assert its.contact((EMAIL, "Engineer", "x", "b@c.co"), []) == IdentifyRequest(EMAIL)


class TestJson:
    def test_values_of_json(self) -> None:
        row = {
            "email": EMAIL,
            "tags": ["vip", None, " vip ", "", "new"],
            "Age": 27,
            "Price": Decimal("1.10"),
            "Active": False,
            "Nothing": None,
            "custom_fields": {"Role": "Engineer", "Zip": 1067, "None": None, "Empty": ""},
        }
        contact = made(row, is_json=True, all_fields=True)
        assert contact.tags == ("vip", "new")
        assert contact.custom_fields == {
            "Age": "27",
            "Price": "1.10",
            "Active": "false",
            "Role": "Engineer",
            "Zip": "1067",
        }

    def test_nan_is_nothing(self) -> None:
        row = {"email": EMAIL, "Age": float("nan")}
        assert noted(row, is_json=True, all_fields=True) == [("Age", Note.NULL)]

    @pytest.mark.parametrize(
        "row, says",
        [
            ({"email": 5}, "email must be a text, and is a number (it is '5')"),
            ({"email": EMAIL, "first_name": True}, "first_name must be a text, and is true or f"),
            ({"email": EMAIL, "company": {}}, "company must be a text, and is an object"),
            ({"email": EMAIL, "tags": 5}, "tags must be a list of texts, and is a number"),
            ({"email": EMAIL, "tags": ["x", 5]}, "tags must be a list of texts, and a number is i"),
            ({"email": EMAIL, "lists": ["VIP"]}, "lists must be ids of lists"),
            ({"email": EMAIL, "A": [1]}, "A must be one value, and is a list: take the column as"),
            ({"email": EMAIL, "A": {"b": 1}}, "A must be one value, and is an object: leave it ou"),
            (
                {"email": EMAIL, "custom_fields": [1]},
                "custom_fields must be a JSON object",
            ),
            (
                {"email": EMAIL, "P": 1, "custom_fields": {"P": 2}},
                "custom_fields has 'P', which another column is as well: leave one out",
            ),
            ({"email": EMAIL, "A": Decimal("1e999")}, "A must be a finite number"),
            (
                {"email": EMAIL, "custom_fields": {"A": "\ud800"}},
                "custom_fields has a broken character",
            ),
            ({"email": EMAIL, "custom_fields": {"\ud800": "A"}}, "custom_fields has a name that"),
        ],
    )
    def test_values_that_can_not_be_sent(self, row: dict[str, Any], says: str) -> None:
        assert unsent(row, is_json=True, all_fields=True).startswith(says)

    def test_a_text_of_another_class_is_a_text(self) -> None:
        class Text(str):
            __slots__ = ()

        assert made({"email": Text(EMAIL)}, is_json=True) == IdentifyRequest(EMAIL)


class TestPreset:
    def test_the_first_column_with_a_value_counts(self) -> None:
        row = {
            "First Name": "Ada",
            "Last Name": "Abel",
            "E-mail 1 - Value": "",
            "E-mail 2 - Value": EMAIL,
            "E-mail 1 - Label": "",
            "Labels": "* myContacts ::: Suppliers",
        }
        contact = made(row, from_="google")
        assert contact.email == EMAIL
        assert contact.first_name == "Ada"

    def test_people_who_must_not_be_mailed_are_left_out(self) -> None:
        row = {"first_name": "Ada", "email_address": EMAIL, "state": "cancelled", "tags": ""}
        reason = unsent(row, from_="kit")
        assert reason
        assert made(row, from_="kit", everyone=True).first_name == "Ada"
        # Whoever says what a column must have knows better; who leaves some out doesn't.
        assert made(row, from_="kit", only=["state=Cancelled"]).first_name == "Ada"
        assert unsent(row, from_="kit", skip=["state=bounced"]) == reason
        assert unsent(row | {"email_address": "", "state": "active"}, from_="kit") == "no address"

    def test_a_column_that_is_required_and_absent_says_no(self) -> None:
        row = {"first_name": "Ada", "email_address": EMAIL, "tags": ""}
        its = plan(tuple(row), from_="kit")
        assert its.decided.missing
        assert unsent(row, from_="kit") == its.decided.missing[0].reason
        assert not plan(tuple(row), from_="kit", everyone=True).decided.missing

    def test_what_the_user_says_comes_first(self) -> None:
        row = {
            "first_name": "Ada",
            "email_address": "other@example.com",
            "Mail": EMAIL,
            "state": "active",
            "tags": "x",
            "More": "y",
        }
        contact = made(
            row,
            from_="kit",
            column={"Mail": "email", "More": "tags"},
            field={"first_name": "Vorname"},
        )
        assert contact.email == EMAIL
        assert contact.first_name is None
        assert contact.custom_fields == {"Vorname": "Ada"}
        assert contact.tags == ("x", "y")

    def test_other_columns_are_left_out_unless_all_are_wanted(self) -> None:
        row = {"email_address": EMAIL, "state": "active", "created_at": "x", "id": "y"}
        assert "id" not in (made(row, from_="kit").custom_fields or {})
        more = made(row, from_="kit", all_fields=True)
        assert (more.custom_fields or {})["id"] == "y"

    def test_full_names_may_stand_in_several_columns(self) -> None:
        row = {"Email Address": EMAIL, "Name": "", "Full Name": "Ada Abel", "EUID": "x"}
        assert made(row, from_="mailchimp").custom_fields == {"Name": "Ada Abel"}
        row["Name"] = "Ada"
        assert made(row, from_="mailchimp").custom_fields == {"Name": "Ada"}
        split = made(row, from_="mailchimp", split_names=True)
        assert (split.first_name, split.last_name) == ("Ada", None)

    def test_the_first_of_several_columns_of_a_name_counts(self) -> None:
        row = {"Email Address": EMAIL, "First Name": "Ada", "FNAME": "Bea", "EUID": "x"}
        assert made(row, from_="mailchimp").first_name == "Ada"
        row["First Name"] = ""
        assert made(row, from_="mailchimp").first_name == "Bea"

    def test_a_prefix_of_facebook_is_taken_off(self) -> None:
        row = {"email": EMAIL, "full_name": "Ada Abel", "phone_number": "p:+49 151"}
        row |= {"ad_id": "ag:1", "campaign_name": "x", "form_id": "f:1", "platform": "fb"}
        assert "+49 151" in (made(row, from_="facebook").custom_fields or {}).values()
        row["phone_number"] = "p:"
        assert made(row, from_="facebook").custom_fields == {"campaign_name": "x"} | {
            "full_name": "Ada Abel"
        }

    def test_the_name_of_a_file_may_say_that_nobody_may_be_mailed(self) -> None:
        row = {"Email Address": EMAIL, "First Name": "Ada", "MEMBER_RATING": "2", "EUID": "x"}
        names, values = tuple(row), tuple(row.values())
        said = Columns(preset="mailchimp")
        file = "unsubscribed_members_export_1a2b.csv"
        left_out = Plans(said, is_json=False, files=(file,)).of(names).contact(values, [])
        assert not isinstance(left_out, IdentifyRequest)
        everyone = Columns(preset="mailchimp", takes_everyone=True)
        sent = Plans(everyone, is_json=False, files=(file,)).of(names).contact(values, [])
        assert isinstance(sent, IdentifyRequest)


@pytest.mark.parametrize(
    "value, shows_values, text",
    [
        ("jane@example.com", False, "j***@example.com"),
        ("jane@example.com", True, "jane@example.com"),
        ("Jane <jane@example.com>", False, "Jane <***@example.com>"),
        ("a" * 50, False, "a" * 37 + "..."),
        ("a\x00b\n", False, "a b"),
        (5, False, "5"),
    ],
)
def test_a_value_is_shown_short_and_masked(value: object, shows_values: bool, text: str) -> None:
    assert shown(value, shows_values=shows_values) == text


def test_a_problem_without_a_value_shows_none() -> None:
    assert Problem("A", None, "is bad").text(shows_values=True) == "A is bad"
    assert Problem(None, "x", "bad").text(shows_values=True) == "bad (it is 'x')"
    assert Problem("A", ["x"], "is bad").text(shows_values=True) == "A is bad"
    assert Problem("A", "\u200b", "is bad").text(shows_values=True) == "A is bad"
