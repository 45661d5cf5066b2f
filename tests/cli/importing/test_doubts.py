"""What keeps a file from being sent before a person has decided, and how that is decided."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from sendx_async.testing import FakeSendX
from tests.cli.conftest import Run

ROW = "email,Plan\na@b.co,Pro\n"


def refused(run: Run, fake_sendx: FakeSendX, *arguments: str) -> dict[str, Any]:
    """Import a file that is in doubt; nothing is sent, and no key is asked for."""
    said = run("import", *arguments, "--json")
    assert said.status == 2
    assert not fake_sendx.requests
    error: dict[str, Any] = json.loads(said.out)
    assert error["error"] == "DoubtfulFileError"
    assert said.err.splitlines()[0] == f"Error: {error['message']}"
    commands = said.err.splitlines()[1:]
    proposal = error["proposal"]
    assert commands == [shlex.join(["sendx", *each]) for each in error["proposals"]]
    assert error["proposals"] == [proposal] if proposal else len(error["proposals"]) != 1
    assert {path.suffix for path in Path().iterdir()} <= {".csv", ".ndjson"}
    return error


def imported(run: Run, *arguments: str) -> dict[str, Any]:
    said = run("import", *arguments, "--json")
    assert said.status == 0, said
    report: dict[str, Any] = json.loads(said.out)
    return report


@pytest.mark.parametrize(
    "text, options, proposed",
    [
        ("email,Plan\na@b.co,n/a\nc@d.co,n/a\n", ["--all-fields"], ["--null", "n/a"]),
        ("email,Plan\na@b.co,--\n", ["--all-fields"], ["--null=--"]),
        ("email,A,B\na@b.co,-,1\n", ["--field", "A", "--field", "B=C"], ["--null=-"]),
        ("email,tags\na@b.co,vip;new\n", [], ["--separator", ";"]),
        ("email,tags\na@b.co,vip|new\n", [], ["--separator", "|"]),
    ],
)
def test_cells_in_doubt_stop_an_import_until_they_are_decided(
    run: Run, fake_sendx: FakeSendX, text: str, options: list[str], proposed: list[str]
) -> None:
    Path("c.csv").write_text(text)
    error = refused(run, fake_sendx, "c.csv", *options)
    assert shlex.join(proposed) in error["message"]
    assert error["proposal"] == ["import", "c.csv", *options, *proposed]
    assert error["preview"]["doubtful"] == error["preview"]["rows"]
    assert imported(run, *error["proposal"][1:])["delivered"] == text.count("@")


def test_an_encoding_that_was_guessed_is_said(run: Run, fake_sendx: FakeSendX) -> None:
    names = ["Jörg Müller", "Zoë Größe", "Ærøskøbing", "Café Señor", "Françoise Élodie"]
    text = "email,first_name\n" + "".join(f"a{n}@b.co,{name}\n" for n, name in enumerate(names))
    Path("c.csv").write_bytes(text.encode("cp1252"))
    error = refused(run, fake_sendx, "c.csv")
    assert error["preview"]["encoding_is_guessed"] is True
    option = error["proposal"][-2]
    assert option == "--encoding"
    imported(run, *error["proposal"][1:])
    assert fake_sendx.contact("a0@b.co").first_name == "Jörg Müller"


def test_cells_that_nothing_cures_have_no_command(run: Run, fake_sendx: FakeSendX) -> None:
    Path("c.csv").write_text("email,first_name\na@b.co,MÃ¼ller\n")
    error = refused(run, fake_sendx, "c.csv")
    assert error["proposal"] is None
    assert "--yes" in error["message"]
    imported(run, "c.csv", "--yes")
    assert fake_sendx.contact("a@b.co").first_name == "MÃ¼ller"


def test_a_doubt_that_yes_does_not_decide_is_left(run: Run, fake_sendx: FakeSendX) -> None:
    Path("c.csv").write_text("email,Plan,Unsubscribed,City\na@b.co,n/a,yes,Rome\n")
    error = refused(run, fake_sendx, "c.csv", "--ignore", "Plan", "--yes")
    assert "City" in error["message"]
    assert "Unsubscribed" in error["message"]
    assert "--yes" not in error["message"].replace("--yes shows", "")
    assert imported(
        run, "c.csv", "--ignore", "Plan", "--ignore", "City", "--skip", "Unsubscribed=yes"
    )["skipped"]


def test_an_export_that_is_known_is_named_with_its_command(run: Run, fake_sendx: FakeSendX) -> None:
    Path("my list.csv").write_text(
        "Email Address,First Name,Last Name,MEMBER_RATING,OPTIN_TIME,OPTIN_IP,CONFIRM_TIME,"
        "CONFIRM_IP,LATITUDE,LONGITUDE,GMTOFF,DSTOFF,TIMEZONE,CC,REGION,LAST_CHANGED,LEID,EUID,"
        "NOTES,TAGS\n"
        "jane@example.com,Jane,Smith,2,2024-01-01 00:00:00,,2024-01-01 00:00:00,1.2.3.4,,,,,,,,"
        '2024-01-01 00:00:00,1,abc,,"""vip"",""Blog, monthly"""\n'
    )
    error = refused(run, fake_sendx, "my list.csv", "--tag", "moved")
    assert "Mailchimp" in error["message"]
    assert "'MEMBER_RATING'" in error["message"]
    assert error["proposal"] == [
        "import", "my list.csv", "--tag", "moved", "--from", "mailchimp"
    ]  # fmt: skip
    shown = error["preview"]
    imported(run, *error["proposal"][1:])
    sent = [request.json for request in fake_sendx.requests]
    assert shown["contacts"] == sent
    assert fake_sendx.contact("jane@example.com").tags == {"vip", "Blog, monthly", "moved"}


def test_a_dry_run_shows_an_export_as_its_command_would_send_it(run: Run) -> None:
    header = "Email Address,MEMBER_RATING,LEID,EUID,TAGS\n"
    Path("c.csv").write_text(header + 'jane@example.com,2,1,abc,"""vip"""\n')
    said = run("import", "c.csv", "--dry-run")
    assert said.status == 2
    assert "MEMBER_RATING -> left out (--from mailchimp)" in said.out
    assert said.err.splitlines()[-1] == "sendx import c.csv --from mailchimp"
    report = json.loads(run("import", "c.csv", "--dry-run", "--json").out)
    assert report["proposal"] == ["import", "c.csv", "--from", "mailchimp"]
    assert report["preview"]["contacts"] == [{"email": "jane@example.com", "tags": ["vip"]}]


def test_doubtful_rows_behind_those_that_were_looked_at_are_rejected(
    run: Run, fake_sendx: FakeSendX
) -> None:
    rows = [f"a{n}@b.co,Pro\n" for n in range(1_001)]
    Path("c.csv").write_text("email,Plan\n" + "".join(rows) + "last@b.co,n/a\n")
    said = run("import", "c.csv", "--all-fields", "--json")
    report = json.loads(said.out)
    assert (said.status, report["delivered"], report["rejected"]) == (1, 1_001, 1)
    reason = Path("c.rejects.csv").read_text().splitlines()[-1]
    assert "--null" in reason
    assert "--yes" in reason
    Path("c.rejects.csv").unlink()
    report = imported(run, "c.csv", "--all-fields", "--yes")
    assert report["delivered"] == 1_002
    assert fake_sendx.contact("last@b.co").custom_fields == {"Plan": "n/a"}


def test_options_come_back_in_the_command(run: Run, fake_sendx: FakeSendX) -> None:
    Path("c.csv").write_text("a@b.co,n/a,x\n")
    options = [
        "--columns", "email,Plan,a b", "--column", "Plan=company", "--field", "a b=B",
        "--increments", "--skip", "Plan=", "--skip-lines", "0", "--null=-",
    ]  # fmt: skip
    error = refused(run, fake_sendx, "c.csv", *options)
    assert imported(run, *error["proposal"][1:])["delivered"] == 0
    assert run("import", *error["proposal"][1:], "--null", "other").status == 0


@pytest.mark.parametrize(
    "line, says",
    [
        ({"first_name": "Jane"}, "there is no column of addresses"),
        ({"email": "a@b.co", "frist_name": "x"}, "Did you mean first_name by 'frist_name'?"),
        ({"email": "a@b.co", "": "x"}, "the column '' is no field"),
        ({"email": "a@b.co", "P": 1, "custom_fields": {"P": 2}}, "'P' is no field"),
        ({"email": "a@b.co", "status": "unsubscribed"}, "'status' tells who may be mailed"),
    ],
)
def test_what_is_in_doubt_of_json_stops_it_as_well(
    run: Run, fake_sendx: FakeSendX, line: dict[str, Any], says: str
) -> None:
    Path("c.ndjson").write_text(json.dumps({"email": "x@y.co"}) + "\n" + json.dumps(line) + "\n")
    if "email" not in line:
        Path("c.ndjson").write_text(json.dumps(line))
    assert says in refused(run, fake_sendx, "c.ndjson")["message"]


def test_rows_of_json_may_name_their_fields_in_different_ways(
    run: Run, fake_sendx: FakeSendX
) -> None:
    lines = [{"email": "a@b.co", "firstName": "A"}, {"E-Mail": "c@d.co", "first_name": "C"}]
    Path("c.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert imported(run, "c.ndjson")["delivered"] == 2
    assert fake_sendx.contact("c@d.co").first_name == "C"


def test_a_column_that_only_its_cells_tell_of_is_named(run: Run, fake_sendx: FakeSendX) -> None:
    Path("c.csv").write_text("who,first_name\na@b.co,A\nc@d.co,C\n")
    error = refused(run, fake_sendx, "c.csv")
    assert error["proposal"] == ["import", "c.csv", "--column", "who=email"]
    assert imported(run, *error["proposal"][1:])["delivered"] == 2
    assert imported(run, "c.csv", "--yes")["delivered"] == 2


def test_many_doubtful_values_are_not_all_remembered(run: Run, fake_sendx: FakeSendX) -> None:
    rows = "".join(f"a{n}@b.co,t{n};u\n" for n in range(30))
    Path("c.csv").write_text("email,tags\n" + rows)
    error = refused(run, fake_sendx, "c.csv")
    assert "30 cells" in error["message"]
    assert error["proposal"][-2:] == ["--separator", ";"]


def test_what_was_decided_is_saved_only_if_nothing_is_in_doubt(run: Run) -> None:
    Path("c.csv").write_text("email,Plan\na@b.co,n/a\n")
    command = ("import", "c.csv", "--all-fields", "--dry-run", "--save-mapping", "m.toml")
    assert run(*command).status == 2
    assert not Path("m.toml").exists()
    assert run(*command, "--null", "n/a").status == 0
    assert run("import", "c.csv", "--mapping", "m.toml").status == 0


def test_an_export_of_something_like_hubspot_is_not_asked_for_its_columns(
    run: Run, fake_sendx: FakeSendX
) -> None:
    Path("c.csv").write_text(
        "Record Id,Contact Owner,First Name,Email,Email Opt Out,Unsubscribed Time\n"
        "zcrm_1,Bob,Ann,ann@example.com,true,2024-01-01\n"
    )
    error = refused(run, fake_sendx, "c.csv")
    assert "HubSpot" not in error["message"]
    assert "--skip 'Email Opt Out=true'" in error["message"]
    # A pattern of what is left out hides no column of consent.
    error = refused(run, fake_sendx, "c.csv", "--from", "hubspot", "--yes")
    assert "--skip 'Email Opt Out=true'" in error["message"]
    assert "--only 'Unsubscribed Time='" in error["message"]
    assert "an export of HubSpot has a column" in error["message"]


def test_na_is_a_place_where_places_stand(run: Run, fake_sendx: FakeSendX) -> None:
    Path("c.csv").write_text(
        "email,Country,State / Region,countryCode,Plan\n"
        "a@b.co,NA,NA,NA,NA\nc@d.co,DE,BY,DE,n/a\ne@f.co,N/A,,,Pro\n"
    )
    error = refused(run, fake_sendx, "c.csv", "--all-fields")
    assert error["message"].count("--null NA") == 1
    assert error["message"].count("'Plan'") == 1
    assert "'Country' 1 cell may hold a null mark: leave it out with --null N/A" in error["message"]
    Path("d.csv").write_text("email,Country\na@b.co,NA\n")
    imported(run, "d.csv", "--all-fields")
    assert fake_sendx.contact("a@b.co").custom_fields == {"Country": "NA"}


def test_an_option_that_several_columns_need_is_proposed_once(
    run: Run, fake_sendx: FakeSendX
) -> None:
    Path("c.csv").write_text("email,first_name,company\na@b.co,None,None\n")
    assert refused(run, fake_sendx, "c.csv")["proposal"] == ["import", "c.csv", "--null", "None"]


def test_codes_that_a_data_frame_took_for_numbers_are_in_doubt(
    run: Run, fake_sendx: FakeSendX
) -> None:
    Path("c.csv").write_text("email,Zip,Age\na@b.co,10115.0,31.0\nc@d.co,,\n")
    message = refused(run, fake_sendx, "c.csv", "--all-fields")["message"]
    assert "'Zip' 1 cell may hold a code with .0 behind" in message
    assert "'Age'" not in message
    # As a number it is sent without.
    Path("c.ndjson").write_text('{"email": "a@b.co", "Zip": 10115.0}\n')
    imported(run, "c.ndjson", "--all-fields")
    assert fake_sendx.contact("a@b.co").custom_fields == {"Zip": "10115"}


@pytest.mark.parametrize(
    "columns, both",
    [
        ("Plan", (("--field", "Plan"), ("--ignore", "Plan"))),
        ("Plan,City", (("--all-fields",), ("--ignore-rest",))),
        ("Plan=City", (("--all-fields",), ("--ignore-rest",))),
    ],
)
def test_columns_are_sent_or_left_out_by_one_of_two_commands(
    run: Run, fake_sendx: FakeSendX, columns: str, both: tuple[tuple[str, ...], ...]
) -> None:
    cells = "Pro,Rome" if "," in columns else "Pro"
    Path("c.csv").write_text(f"email,{columns},Newsletter\na@b.co,{cells},yes\nc@d.co,{cells},no\n")
    error = refused(run, fake_sendx, "c.csv")
    rows = ("--only", "Newsletter=yes")
    assert error["proposals"] == [["import", "c.csv", *each, *rows] for each in both]
    send, leave = error["proposals"]
    imported(run, *leave[1:])
    assert list(fake_sendx.contacts) == ["a@b.co"]
    assert fake_sendx.contact("a@b.co").custom_fields == {}
    imported(run, *send[1:])
    assert fake_sendx.contact("a@b.co").custom_fields[columns.partition(",")[0]] == "Pro"


def test_another_services_export_is_not_read_as_the_one_that_was_said(
    run: Run, fake_sendx: FakeSendX
) -> None:
    exports = Path(__file__).parent / "exports"
    Path("c.csv").write_bytes((exports / "brevo.csv").read_bytes())
    error = refused(run, fake_sendx, "c.csv", "--from", "activecampaign")
    assert (
        "it looks like an export of Brevo: say --from brevo instead of --from activecampaign"
        in error["message"]
    )
    # A table that nobody knows may come from there all the same.
    Path("d.csv").write_text("Email,First Name,Status\na@b.co,Ann,Active\nc@d.co,Bo,Bounced\n")
    assert imported(run, "d.csv", "--from", "activecampaign")["delivered"] == 1


def test_a_name_of_several_lines_can_be_pasted_as_it_is_shown(
    run: Run, fake_sendx: FakeSendX
) -> None:
    Path("c.csv").write_text('email,"Which of these?\nChoose\tany."\na@b.co,Red\n')
    said = run("import", "c.csv")
    assert said.status == 2
    commands = said.err.splitlines()[1:]
    assert commands[0] == "sendx import c.csv --field 'Which of these? Choose any.'"
    for command in commands:
        assert run(*shlex.split(command)[1:]).status == 0
    assert fake_sendx.contact("a@b.co").custom_fields == {"Which of these? Choose any.": "Red"}
