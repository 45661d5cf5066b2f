"""Which column goes into which field, and what is asked when that isn't plain."""

from pathlib import Path

import pytest

from sendx_async.testing import FakeSendX
from tests.cli.conftest import Run

from .conftest import Import

JANE = "jane@example.com"


@pytest.mark.parametrize(
    "header",
    [
        "email,first_name",
        "E-Mail,firstName",
        "EMAIL,First Name",
        " Email , FIRST-NAME ",
        "email,firstname",
    ],
)
def test_case_blanks_and_underscores_do_not_matter(
    import_text: Import, fake_sendx: FakeSendX, header: str
) -> None:
    assert import_text(f"{header}\n {JANE} , Jane \n").counts == (1, 0)
    assert fake_sendx.contact(JANE).first_name == "Jane"


def test_columns_can_be_named_and_contacts_get_more(
    import_text: Import, fake_sendx: FakeSendX
) -> None:
    done = import_text(
        f"=Adresse,Vorname,Gruppen,Beruf,company,Notes,Notes\n{JANE},Jane,a|b,Engineer,Acme,x,y\n",
        *("--column", "=Adresse=email", "--column", "Vorname=first_name"),
        *("--column", "Gruppen=tags", "--separator", "|", "--tag", "imported", "--list", "list_1"),
        *("--field", "Beruf", "--field", "company", "--ignore", "Notes"),
    )
    assert done.counts == (1, 0)
    jane = fake_sendx.contact(JANE)
    assert (jane.first_name, jane.company) == ("Jane", None)
    assert jane.tags == {"a", "b", "imported"}
    assert jane.lists == {"list_1"}
    assert jane.custom_fields == {"Beruf": "Engineer", "company": "Acme"}


def test_a_contact_gets_the_tags_of_the_command_where_it_has_none(
    import_text: Import, fake_sendx: FakeSendX
) -> None:
    lines = (
        '{"email": "a@b.co"}\n{"email": "c@d.co", "tags": ["x"]}\n{"email": "e@f.co", "tags": 5}'
    )
    assert import_text(lines, "--tag", "t", name="c.ndjson").counts == (2, 1)
    assert fake_sendx.contact("a@b.co").tags == {"t"}
    assert fake_sendx.contact("c@d.co").tags == {"x", "t"}


@pytest.mark.parametrize("name", ["c.csv", "c.ndjson"])
def test_every_other_column_can_be_a_custom_field_or_left_out(
    import_text: Import, fake_sendx: FakeSendX, name: str
) -> None:
    text = f"email,Role,Plan,\n{JANE},Engineer,,\n"
    if name.endswith("json"):
        text = f'{{"email": "{JANE}", "Role": "Engineer", "Plan": null}}'
    assert import_text(text, "--ignore-rest", name=name).counts == (1, 0)
    assert fake_sendx.contact(JANE).custom_fields == {}
    assert import_text(text, "--all-fields", name=name).counts == (1, 0)
    assert fake_sendx.contact(JANE).custom_fields == {"Role": "Engineer"}


@pytest.mark.parametrize(
    "header, options, says",
    [
        ("email,Role,Plan", [], "the columns 'Role', 'Plan' are no fields of a contact. Send them"),
        (
            "email,frist_name",
            [],
            "Did you mean first_name by 'frist_name'? Send it as a custom field",
        ),
        (
            "name,company",
            [],
            "no column of addresses: name one email, or tell which it is with --c",
        ),
        ("email,E-Mail", [], "the columns 'email' and 'E-Mail' are the same field, email"),
        (
            "email,email",
            [],
            "are the same field, email: leave one out, for example with --ignore 'email (2)'",
        ),
        ("email", ["--field", "Role"], "the file has no column 'Role'; its columns are 'email'"),
        ("email", ["--column", "x=email"], "the file has no column 'x'"),
        ("email", ["--column", "x"], "--column 'x' must be NAME=FIELD"),
        ("email", ["--column", "=email"], "--column '=email' must be NAME=FIELD"),
        ("email,x", ["--column", "x=mail"], "'mail' is no field; the fields are email, first_name"),
        ("email", ["--separator", ""], "--separator must not be empty"),
        ("email", ["--list", "Customers"], "--list must be ids of lists, which begin with list_"),
        ("email", ["--all-fields", "--ignore-rest"], "can't go together"),
    ],
)
def test_columns_in_doubt_are_asked_about_before_anything_is_sent(
    run: Run, fake_sendx: FakeSendX, header: str, options: list[str], says: str
) -> None:
    Path("c.csv").write_text(f"{header}\n{JANE},x,y\n")
    said = run("import", "c.csv", *options)
    assert said.status == 2
    assert says in said.err
    error, *commands = said.err.splitlines()
    assert error.startswith("Error: ")
    assert all(each.startswith("sendx import c.csv --") for each in commands)
    assert fake_sendx.requests == []
    assert [path.name for path in Path().iterdir()] == ["c.csv"]


def test_of_many_columns_not_all_are_listed(import_text: Import) -> None:
    names = [f"c{number}" for number in range(1000)]
    for header in (["email", *names], names):
        done = import_text(",".join(header))
        assert "'c9' and 990 more" in done.said.err
        assert "c10" not in done.said.err


def test_an_error_is_json_for_programs(import_text: Import) -> None:
    done = import_text("name\nx\n")
    assert done.report["error"] == "DoubtfulFileError"
    assert "no column of addresses" in done.report["message"]


def test_nothing_invisible_is_in_the_name_of_a_custom_field(
    import_text: Import, fake_sendx: FakeSendX
) -> None:
    text = '{"email": "a@b.co", "Pl\\u200ban": "Pro", "custom_fields": {"First\\n role": "x"}}'
    assert import_text(text, "--all-fields", name="c.ndjson").counts == (1, 0)
    assert fake_sendx.contact("a@b.co").custom_fields == {"Plan": "Pro", "First role": "x"}
