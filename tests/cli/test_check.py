"""``sendx check``: whether the key is accepted, and what makes it impossible to tell."""

import json
import re
from collections.abc import Callable

import pytest

from sendx_async.testing import FakeSendX

from .processes import Said

Run = Callable[..., Said]
TRACK = "/api/v1/rest/contact/track"
NOT_FOUND = {"status": "error", "message": "The contact was not found"}


def test_check_tells_that_the_key_is_accepted_and_writes_nothing(
    run: Run, fake_sendx: FakeSendX
) -> None:
    said = run("check")
    assert (said.status, said.err) == (0, "")
    key, url, first, others = said.out.splitlines()
    assert key == "API key     accepted: SendX looked for a contact that can't exist (HTTP 404)"
    assert url == f"base URL    {fake_sendx.url}"
    assert re.fullmatch(r"first call  \d+ ms, with connecting", first)
    assert re.fullmatch(r"next calls  median \d+ ms, slowest \d+ ms, of 4", others)
    assert [each.status for each in fake_sendx.requests] == [404, 401, 404, 404, 404, 404]
    addresses = [each.json["email"] for each in fake_sendx.requests]
    assert len(set(addresses)) == 6
    for request in fake_sendx.requests:
        assert request.path == TRACK
        assert set(request.json) == {"email"}
        assert request.json["email"].endswith(".invalid")


def test_one_call(run: Run, fake_sendx: FakeSendX) -> None:
    said = run("check", "--calls", "1")
    assert said.status == 0
    assert len(said.out.splitlines()) == 3
    told = json.loads(run("check", "--calls", "1", "--json").out)
    assert (told["median_ms"], told["slowest_ms"]) == (None, None)


def test_for_programs(run: Run, fake_sendx: FakeSendX) -> None:
    said = run("check", "--calls", "3", "--json")
    assert (said.status, said.err) == (0, "")
    told = json.loads(said.out)
    assert 0 < told.pop("median_ms") <= told.pop("slowest_ms")
    assert told.pop("first_ms") > 0
    assert told == {
        "accepted": True, "status_code": 404, "base_url": fake_sendx.url, "calls": 3
    }  # fmt: skip


def test_a_contact_of_the_users_is_identified(run: Run, fake_sendx: FakeSendX) -> None:
    said = run("check", "--contact", "jane@example.com", "--calls", "2")
    assert said.status == 0
    assert said.out.startswith(
        "API key     accepted: j***@example.com was identified 2 times (HTTP 200)\n"
    )
    first, made_up, second = fake_sendx.requests
    assert first.json == second.json == {"email": "jane@example.com"}
    assert (made_up.path.rpartition("/")[2], made_up.status) == ("track", 401)
    said = run("check", "--contact", "jane@example.com", "--calls", "1")
    assert "was identified once (HTTP 200)" in said.out


def test_a_server_that_takes_any_key_proves_nothing(run: Run, fake_sendx: FakeSendX) -> None:
    fake_sendx.respond(200, times=None)
    said = run("check", "--contact", "jane@example.com")
    assert (said.status, said.out) == (2, "")
    assert "answers a made-up key like this one, with HTTP 200" in said.err


@pytest.mark.parametrize("code", [401, 403])
def test_a_key_that_is_not_accepted(run: Run, fake_sendx: FakeSendX, code: int) -> None:
    fake_sendx.respond(code, times=None)
    said = run("check")
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith(f"Error: SendX answered with HTTP {code}: ")
    assert len(fake_sendx.requests) == 1


def test_sendx_takes_the_contact_after_all(run: Run, fake_sendx: FakeSendX) -> None:
    fake_sendx.respond(200)
    said = run("check", "--calls", "1")
    assert said.status == 0
    assert said.out.startswith(
        "API key     accepted: unexpectedly, SendX took a contact that can't exist (HTTP 200)\n"
    )


@pytest.mark.parametrize(
    "body", ["", "<html>Not found</html>", {"detail": "Not Found"}, {"message": "no Route"}]
)
def test_a_404_of_somebody_else(run: Run, fake_sendx: FakeSendX, body: object) -> None:
    fake_sendx.respond(404, body=body, times=None)  # type: ignore[arg-type]
    said = run("check")
    assert (said.status, said.out) == (2, "")
    assert said.err == (
        f"Error: {fake_sendx.url} answers with HTTP 404, but not in SendX's form: does the base "
        "URL lead to SendX?\n"
    )


@pytest.mark.parametrize("body", [{"error": "no"}, {"error": {"code": 1, "message": "no"}}])
def test_other_forms_of_sendx(run: Run, fake_sendx: FakeSendX, body: object) -> None:
    fake_sendx.respond(404, body=body)  # type: ignore[arg-type]
    assert run("check", "--calls", "1").status == 0


@pytest.mark.parametrize("code, body", [(404, NOT_FOUND), (200, {"status": "200"})])
def test_any_key_gets_that_answer(
    run: Run, fake_sendx: FakeSendX, code: int, body: dict[str, str]
) -> None:
    fake_sendx.respond(code, body=body, times=None)
    said = run("check", "--json")
    assert said.status == 2
    assert json.loads(said.out)["error"] == "ConfigurationError"
    assert f"answers a made-up key like this one, with HTTP {code}" in said.err


def test_a_path_that_is_none_of_sendx(run: Run, fake_sendx: FakeSendX) -> None:
    said = run("check", "--base-url", f"{fake_sendx.url}/v2")
    assert said.status == 2
    assert "does the base URL lead to SendX?" in said.err


@pytest.mark.parametrize("code, status", [(422, 1), (429, 3), (500, 3), (302, 2)])
def test_other_answers_are_not_repeated(
    run: Run, fake_sendx: FakeSendX, code: int, status: int
) -> None:
    fake_sendx.respond(code, times=None)
    assert run("check").status == status
    assert len(fake_sendx.requests) == 1


def test_nobody_listens(run: Run, fake_sendx: FakeSendX) -> None:
    fake_sendx.stop()
    said = run("check")
    assert said.status == 3
    assert said.err.startswith("Error: ")


@pytest.mark.parametrize("calls", ["0", "101", "x"])
def test_a_number_of_calls_that_cannot_be(run: Run, calls: str) -> None:
    said = run("check", "--calls", calls)
    assert said.status == 2
    assert "'--calls'" in said.err
