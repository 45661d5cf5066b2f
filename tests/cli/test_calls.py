"""One call each: what is sent, what is said, and what comes of bad values."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from sendx_async.testing import FakeSendX

from .processes import Said, run_command

Run = Callable[..., Said]
JANE = "jane@example.com"


@pytest.fixture
def jane(fake_sendx: FakeSendX, run: Run) -> str:
    """A contact that exists."""
    assert run("identify", JANE).status == 0
    return JANE


def bodies(fake: FakeSendX) -> list[Any]:
    return [request.json for request in fake.requests]


class TestIdentify:
    def test_everything(self, run: Run, fake_sendx: FakeSendX) -> None:
        said = run(
            "identify", JANE, "--first-name", "Jane", "--last-name", "Smith", "--company", "Acme",
            "--tag", "a", "--tag", "b", "--list", "list_1", "--list", "list_2",
            "--field", "Role=Chief = all", "--field", "Age=++1", "--new-email", "j@example.com",
        )  # fmt: skip
        assert (said.status, said.err) == (0, "")
        assert re.fullmatch(r"Identified j\*\*\*@example\.com in \d+\.\d\d s\.\n", said.out)
        assert bodies(fake_sendx) == [
            {
                "email": JANE,
                "firstName": "Jane",
                "lastName": "Smith",
                "company": "Acme",
                "tags": ["a", "b"],
                "lists": ["list_1", "list_2"],
                "customFields": {"Role": "Chief = all", "Age": "++1"},
                "newEmail": "j@example.com",
            }
        ]

    def test_identify_sends_nothing_that_was_not_given(
        self, run: Run, fake_sendx: FakeSendX
    ) -> None:
        assert run("identify", JANE).status == 0
        assert bodies(fake_sendx) == [{"email": JANE}]

    def test_empty_values_are_sent(self, run: Run, fake_sendx: FakeSendX) -> None:
        assert run("identify", JANE, "--first-name", "", "--field", "Role=").status == 0
        assert bodies(fake_sendx) == [
            {"email": JANE, "firstName": "", "customFields": {"Role": ""}}
        ]

    def test_values_may_begin_with_a_dash(self, run: Run, fake_sendx: FakeSendX) -> None:
        said = run("identify", "--first-name", "-x", "--company=--y", "--", "-jane@example.com")
        assert said.status == 0
        assert bodies(fake_sendx) == [
            {"email": "-jane@example.com", "firstName": "-x", "company": "--y"}
        ]

    @pytest.mark.parametrize(
        "field, problem",
        [
            ("Role", "no = in it: write --field NAME=VALUE"),
            ("=x", "no name before the =: write --field NAME=VALUE"),
            ("Age=2", "'Age' is given twice"),
        ],
    )
    def test_a_bad_field(self, run: Run, fake_sendx: FakeSendX, field: str, problem: str) -> None:
        said = run("identify", JANE, "--field", "Age=1", "--field", field)
        assert (said.status, said.out) == (2, "")
        assert said.err.endswith(f"Error: Invalid value for --field: {problem}\n")
        assert not fake_sendx.requests

    def test_a_bad_address_is_told_in_a_line_without_it(self, run: Run) -> None:
        said = run("identify", "jane at example")
        assert (said.status, said.out) == (2, "")
        assert said.err == (
            "Error: IdentifyRequest: email must be one e-mail address, with text on both sides of "
            "exactly one @\n"
        )


class TestTrack:
    def test_tags(self, run: Run, fake_sendx: FakeSendX, jane: str) -> None:
        said = run("track", jane, "--add", "a", "--add", "b", "--remove", "c", "--remove", "d")
        assert said.status == 0
        assert said.out.startswith("Tracked j***@example.com in ")
        assert bodies(fake_sendx)[1:] == [
            {"email": jane, "addTags": ["a", "b"], "removeTags": ["c", "d"]}
        ]

    def test_track_sends_nothing_that_was_not_given(
        self, run: Run, fake_sendx: FakeSendX, jane: str
    ) -> None:
        assert run("track", jane, "--add", "a").status == 0
        assert bodies(fake_sendx)[1:] == [{"email": jane, "addTags": ["a"]}]
        said = run("track", jane)
        assert said.status == 2
        assert "needs a tag: give --add TAG or --remove TAG" in said.err
        assert len(fake_sendx.requests) == 2

    def test_an_unknown_contact_is_refused(self, run: Run) -> None:
        said = run("track", JANE, "--add", "a")
        assert (said.status, said.out) == (1, "")
        assert said.err.startswith("Error: SendX answered with HTTP 404: The contact was not found")
        assert said.err.count("\n") == 1


class TestEvent:
    def test_all(self, run: Run, fake_sendx: FakeSendX, jane: str) -> None:
        said = run("event", jane, "sign\x1bup", "--data", "a=1", "--data", "b=2=3")
        assert said.status == 0
        assert said.out.startswith("Recorded the event sign?up of j***@example.com in ")
        assert bodies(fake_sendx)[1:] == [
            {"identifier": jane, "name": "sign\x1bup", "data": {"a": "1", "b": "2=3"}}
        ]

    @pytest.mark.parametrize(
        "given", ["1795413600", "+1795413600", "2026-11-23T06:00:00Z", "2026-11-23 07:00+01:00"]
    )
    def test_a_time(self, run: Run, fake_sendx: FakeSendX, jane: str, given: str) -> None:
        assert run("event", jane, "signup", "--time", given).status == 0
        (event,) = fake_sendx.events
        assert event.time == int(datetime(2026, 11, 23, 6, tzinfo=UTC).timestamp())

    @pytest.mark.parametrize(
        "given, problem",
        [
            ("yesterday", "neither Unix seconds nor ISO 8601, such as 2026-11-23T12:00:00+01:00"),
            ("1.5", "neither Unix seconds nor ISO 8601, such as 2026-11-23T12:00:00+01:00"),
            ("2026-11-23", "no offset from UTC: add Z for UTC, or one such as +01:00"),
            ("2026-11-23T12:00", "no offset from UTC: add Z for UTC, or one such as +01:00"),
        ],
    )
    @pytest.mark.parametrize("command", [["event", JANE, "signup"], ["revenue", JANE, "5"]])
    def test_a_bad_time(self, run: Run, command: list[str], given: str, problem: str) -> None:
        said = run(*command, "--time", given)
        assert (said.status, said.out) == (2, "")
        assert f"Error: Invalid value for --time: {problem}" in said.err

    def test_milliseconds_are_no_seconds(self, run: Run) -> None:
        said = run("event", JANE, "signup", "--time", "1795413600000")
        assert said.status == 2
        assert said.err.startswith("Error: CustomEventRequest: time ")

    def test_data_without_a_value(self, run: Run) -> None:
        said = run("event", JANE, "signup", "--data", "x")
        assert said.status == 2
        assert "Invalid value for --data: no = in it: write --data NAME=VALUE" in said.err

    def test_a_contact_by_its_id(self, run: Run, fake_sendx: FakeSendX, jane: str) -> None:
        said = run("event", fake_sendx.contact(jane).id, "signup")
        assert said.status == 0
        assert fake_sendx.contact(jane).id not in said.out


class TestRevenue:
    @pytest.mark.parametrize(
        "arguments, text",
        [
            (["19.90"], "19.90"),
            (["5"], "5"),
            (["-5"], "-5"),
            (["--", "-5.5"], "-5.5"),
            (["--source", "web", "1e3"], "1E+3"),
        ],
    )
    def test_an_amount(
        self, run: Run, fake_sendx: FakeSendX, jane: str, *, arguments: list[str], text: str
    ) -> None:
        said = run("revenue", jane, *arguments)
        assert said.status == 0
        assert said.out.startswith(f"Recorded revenue of {text} from j***@example.com in ")
        (event,) = fake_sendx.events
        assert event.amount == float(text)
        assert event.source == ("web" if "web" in arguments else None)

    def test_a_negative_amount_before_an_option(
        self, run: Run, fake_sendx: FakeSendX, jane: str
    ) -> None:
        assert run("revenue", jane, "-5", "--source", "-web", "--time", "1795413600").status == 0
        assert bodies(fake_sendx)[1:] == [
            {"identifier": jane, "amount": -5, "source": "-web", "time": 1795413600}
        ]

    def test_an_option_that_is_misspelt(self, run: Run, fake_sendx: FakeSendX) -> None:
        said = run("revenue", "--timeot=3", "5")
        assert said.status == 2
        assert "no such option, and no contact: --timeot=3" in said.err
        assert fake_sendx.requests == []

    @pytest.mark.parametrize("given", ["ten", "1,5", ""])
    def test_no_number(self, run: Run, given: str) -> None:
        said = run("revenue", JANE, given)
        assert said.status == 2
        assert "Error: Invalid value for AMOUNT: no number such as 19.90\n" in said.err

    @pytest.mark.parametrize("given", ["nan", "1e999"])
    def test_no_finite_number(self, run: Run, given: str) -> None:
        said = run("revenue", JANE, given)
        assert said.status == 2
        assert said.err.startswith("Error: RevenueEventRequest: amount ")

    def test_an_unknown_option_is_wrong_usage(self, run: Run, fake_sendx: FakeSendX) -> None:
        said = run("revenue", JANE, "5", "--sorce", "web")
        assert said.status == 2
        assert "--sorce" in said.err
        assert not fake_sendx.requests


class TestAnswers:
    def test_json(self, run: Run, fake_sendx: FakeSendX) -> None:
        body = {"status": "200", "data": {"email": JANE}, "score": float("nan"), "sum": 0}
        fake_sendx.respond(201, body=json.dumps(body).replace("0}", "1e999}"))
        said = run("identify", JANE, "--json")
        assert (said.status, said.err) == (0, "")
        told = json.loads(said.out, parse_constant=pytest.fail)
        assert told.pop("elapsed") > 0
        assert re.fullmatch("[0-9a-f]{16}", told.pop("call_id"))
        assert told == {
            "operation": "identify_contact",
            "status_code": 201,
            "response": {"status": "200", "data": {"email": JANE}, "score": None, "sum": None},
            "attempts": 1,
        }

    @pytest.mark.parametrize(
        "command, operation",
        [
            (["track", JANE, "--add", "a"], "track_contact"),
            (["event", JANE, "x"], "track_custom_event"),
            (["revenue", JANE, "1"], "track_revenue_event"),
        ],
    )
    def test_json_of_the_others(
        self, run: Run, jane: str, command: list[str], operation: str
    ) -> None:
        assert json.loads(run(*command, "--json").out)["operation"] == operation

    def test_an_empty_answer(self, run: Run, fake_sendx: FakeSendX) -> None:
        fake_sendx.empty(204)
        told = json.loads(run("identify", JANE, "--json").out)
        assert (told["status_code"], told["response"]) == (204, None)

    def test_several_attempts_are_told(self, run: Run, fake_sendx: FakeSendX) -> None:
        fake_sendx.respond(429, retry_after=0)
        assert run("identify", JANE).out.endswith(" s, at attempt 2.\n")

    @pytest.mark.slow
    @pytest.mark.usefixtures("settings")
    def test_the_librarys_warnings_are_no_output(self, fake_sendx: FakeSendX) -> None:
        fake_sendx.respond(429, retry_after=0)
        said = run_command("identify", JANE)
        assert (said.status, said.err) == (0, "")
