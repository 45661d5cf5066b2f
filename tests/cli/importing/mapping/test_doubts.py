"""What the user has to decide before anything is sent, and what there is to paste."""

from typing import Any

import pytest

from sendx_async._cli.importing.mapping.columns import Columns
from sendx_async._cli.importing.mapping.doubts import consents, doubts, quoted
from sendx_async._cli.importing.mapping.plans import Plans
from sendx_async._cli.importing.mapping.problems import Refusal
from sendx_async._cli.importing.reading.records import Record

from .rows import EMAIL, plan


@pytest.mark.parametrize(
    "names, options, says",
    [
        (
            ["email", "First Role", "frist_name"],
            {},
            (
                "the columns 'First Role', 'frist_name' are no fields of a contact. Did you mean "
                "first_name by 'frist_name'? Send them as custom fields with --all-fields, some of "
                "them with --field 'First Role' --field frist_name, or leave them out with "
                "--ignore-rest"
            ),
        ),
        (
            ["email", "Role"],
            {},
            (
                "the column 'Role' is no field of a contact. Send it as a custom field with "
                "--field "
                "Role, or leave it out with --ignore Role"
            ),
        ),
        (
            ["email"],
            {"field": {"emial": "emial"}},
            "the file has no column 'emial'; did you mean 'email'?",
        ),
        (
            ["email"],
            {"only": ["Role=x"]},
            "the file has no column 'Role'; its columns are 'email'",
        ),
        (
            ["company"],
            {},
            (
                "there is no column of addresses: name one email, or tell which it is with "
                "--column "
                "NAME=email; the columns are 'company'"
            ),
        ),
        (
            ["email_address", "first_name", "tags"],
            {"from": "kit"},
            (
                "an export of Kit has a column 'state', which tells who may be mailed, and this "
                "file "
                "has none: export it again with that, or give --everyone if all may be mailed"
            ),
        ),
    ],
)
def test_what_is_undecided(names: list[str], options: dict[str, Any], says: str) -> None:
    assert [each.text for each in doubts(plan(names, **options))] == [says]


def test_of_two_columns_of_a_field_the_second_is_proposed_to_be_left_out() -> None:
    (said,) = doubts(plan(["email", "E-Mail"]))
    assert said.options == ("--ignore", "E-Mail")


def test_all_is_said_at_once() -> None:
    found = doubts(plan(["company", "Firma", "Role"], field={"Absent": "x"}))
    assert len(found) == 4


@pytest.mark.parametrize("options", [{}, {"all_fields": True}])
def test_a_column_without_a_name_is_asked_about_if_it_has_a_value(options: dict[str, Any]) -> None:
    its = plan(["email", "#2", "#3"], **options)
    assert doubts(its) == []
    (said,) = doubts(its, [[EMAIL], ["", None, " "], [None, 0]])
    assert said.options == ("--ignore", "#3")
    assert said.text == (
        "the column #3 has values and no name: leave it out with --ignore '#3', or send it with "
        "--field '#3=TITLE'"
    )
    assert doubts(its, [[EMAIL], [""]]) == []


class TestConsent:
    NAMES = ("email", "Unsubscribed")
    SEEN = ([EMAIL], ["yes", "no", ""])

    def test_a_column_that_says_who_may_be_mailed_has_to_be_decided_about(self) -> None:
        assert doubts(plan(self.NAMES), self.SEEN) == doubts(
            plan(self.NAMES, all_fields=True), self.SEEN
        )
        (said,) = doubts(plan(self.NAMES), self.SEEN)
        assert said.options == ("--skip", "Unsubscribed=yes")
        assert said.text == (
            "the column 'Unsubscribed' tells who may be mailed: choose rows with --skip "
            "Unsubscribed=yes, or send all with --everyone"
        )

    def test_where_no_value_tells_those_that_were_seen_are_named(self) -> None:
        (said,) = doubts(plan(("email", "Consent"), ignore_rest=True), ([EMAIL], ["A", "B"]))
        assert "with --only Consent=VALUE, where it has 'A', 'B', or send all" in said.text
        assert said.options == ()

    @pytest.mark.parametrize(
        "options", [{"only": ["unsubscribed=no"]}, {"skip": ["#2=yes"]}, {"everyone": True}]
    )
    def test_the_user_can_decide(self, options: dict[str, Any]) -> None:
        its = plan(self.NAMES, ignore_rest=True, **options)
        assert consents(its, self.SEEN) == []

    def test_a_preset_decides_about_the_columns_that_it_knows(self) -> None:
        names = ("Email Address", "OPTIN_TIME", "UNSUB_REASON", "CLEAN_TIME", "Newsletter consent")
        mailchimp = plan(names, from_="mailchimp")
        seen = [[EMAIL], ["", "x"], ["", "SPAM"], [""], ["yes", "no"]]
        assert [each.name for each, _ in consents(mailchimp, seen)] == ["Newsletter consent"]

    def test_a_row_of_json_may_be_the_first_that_has_such_a_column(self) -> None:
        sample = [Record(1, "", ("email", "optin_at"), (EMAIL, "2026-01-01"))]
        plans = Plans(Columns(all_custom=True), is_json=True, sample=sample)
        refused = plans.of(("email", "unsubscribed")).contact((EMAIL, True), [])
        assert isinstance(refused, Refusal)
        assert "the column 'unsubscribed' tells who may be mailed" in str(refused)
        assert plans.of(("email", "optin_at")).refusal is None
        everyone = Columns(all_custom=True, takes_everyone=True)
        plans = Plans(everyone, is_json=True, sample=sample)
        assert plans.of(("email", "unsubscribed")).refusal is None


class TestAddressByCells:
    NAMES = ("A", "Kontakt")

    def its_plans(self, columns: Columns, *, is_json: bool = False) -> Plans:
        sample = [Record(2, "", self.NAMES, ("x", EMAIL)), Record(3, "", self.NAMES, ("x",))]
        return Plans(columns, is_json=is_json, sample=sample)

    @pytest.mark.parametrize(
        "columns", [Columns(ignored=("A",)), Columns(all_custom=True), Columns(ignores_rest=True)]
    )
    def test_the_column_that_has_addresses_is_taken_and_said(self, columns: Columns) -> None:
        its = self.its_plans(columns).of(self.NAMES)
        assert its.address_by_cells == "Kontakt"
        assert its.address is not None
        assert its.address.why == "its cells"
        assert doubts(its) == []

    @pytest.mark.parametrize(
        "columns",
        [
            Columns(ignored=("Kontakt",)),
            Columns(renamed={"A": "email"}),
            Columns(custom={"Kontakt": "Kontakt"}),
        ],
    )
    def test_not_if_somebody_has_said_what_it_is(self, columns: Columns) -> None:
        assert self.its_plans(columns).of(self.NAMES).address_by_cells is None

    def test_in_json_each_row_knows_it(self) -> None:
        plans = self.its_plans(Columns(), is_json=True)
        assert plans.of(("Kontakt",)).address_by_cells == "Kontakt"
        assert plans.of(("A",)).address is None


def test_options_are_quoted_for_a_shell() -> None:
    assert quoted("--column", "Jane's mail", "email") == """--column 'Jane'"'"'s mail=email'"""
    assert quoted("--field", "Role") == "--field Role"
