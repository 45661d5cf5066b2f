"""How each error ends a command: the status, the line for people, the object for programs."""

import json
import pickle
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

import sendx_async
from sendx_async import SendXError
from sendx_async._cli import _exit_codes
from sendx_async._cli._output import error_in_words
from sendx_async._core.errors import api_error_class
from sendx_async.testing import FakeSendX

from .processes import Said

Run = Callable[..., Said]
EVENT = ["event", "jane@example.com", "signup"]


@pytest.mark.parametrize(
    "name, status",
    [
        ("ConfigurationError", 2),
        ("InvalidRequestError", 2),
        ("OutboxError", 2),
        ("OutboxFullError", 2),
        ("AuthenticationError", 2),
        ("PermissionDeniedError", 2),
        ("ResponseDecodeError", 2),
        ("TransportError", 3),
        ("ConnectError", 3),
        ("AttemptTimeout", 3),
        ("ResponseLost", 3),
        ("DeadlineExceeded", 3),
        ("OutageError", 3),
        ("NotSentError", 3),
        ("ClientClosedError", 1),
        ("SendXError", 1),
    ],
)
def test_the_status_of_each_kind(name: str, status: int) -> None:
    assert _exit_codes.code_of_error(getattr(sendx_async, name)("x")) == status


@pytest.mark.parametrize(
    "command", [("check",), ("identify", "jane@example.com"), ("import", "c.csv")]
)
def test_a_host_that_does_not_exist_ends_every_command_at_once(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: Sequence[str]
) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    monkeypatch.setenv("SENDX_BASE_URL", "https://api.sendx.example")
    monkeypatch.chdir(tmp_path)
    Path("c.csv").write_text("email\njane@example.com\n", encoding="utf-8")
    said = run(*command)
    assert said.status == 2
    assert "that does not pass by itself: no host has this name: correct base_url" in said.err


@pytest.mark.parametrize(
    "code, status",
    [
        (302, 2), (307, 2), (400, 1), (401, 2), (403, 2), (404, 1), (405, 1), (408, 3), (409, 1),
        (413, 1), (422, 1), (425, 3), (429, 3), (500, 3), (502, 3), (503, 3), (599, 3),
    ],
)  # fmt: skip
def test_the_status_of_each_answer(run: Run, fake_sendx: FakeSendX, code: int, status: int) -> None:
    fake_sendx.respond(code, retry_after=3600, times=None)
    said = run(*EVENT)
    assert (said.status, said.out) == (status, "")
    assert said.err.startswith(f"Error: SendX answered with HTTP {code}")
    assert ". It asks to wait 3600 s." in said.err
    assert ("may have applied" in said.err) is (code >= 500 and code != 503)
    assert said.err.count("\n") == 1
    assert api_error_class(code).__name__ == json.loads(run(*EVENT, "--json").out)["error"]


def test_an_error_tells_that_the_request_may_have_been_applied(
    run: Run, fake_sendx: FakeSendX
) -> None:
    fake_sendx.drop(applied=True)
    said = run(*EVENT)
    assert said.status == 3
    assert said.err.endswith(
        ". SendX may have applied it all the same: look there before you send it again.\n"
    )


def test_an_error_of_a_request_that_was_not_applied_says_no_more(
    run: Run, fake_sendx: FakeSendX
) -> None:
    fake_sendx.respond(422, message="bad\x1b[31m\nname of jane@example.com")
    said = run(*EVENT)
    assert (said.status, said.err) == (
        1, "Error: SendX answered with HTTP 422: bad [31m name of j***@example.com\n"
    )  # fmt: skip


@pytest.mark.parametrize("body", ["<html>please log in</html>", b"[]"])
def test_an_answer_that_sendx_cannot_have_written(
    run: Run, fake_sendx: FakeSendX, body: str | bytes
) -> None:
    fake_sendx.respond(200, body=body)
    said = run(*EVENT)
    assert (said.status, said.out) == (2, "")
    assert said.err == (
        "Error: what answered with HTTP 200 can't be SendX, since the body is no JSON object: "
        "check base_url, and what is between you and SendX. SendX may have applied it all the "
        "same: look there before you send it again.\n"
    )


@pytest.mark.parametrize("command", [EVENT, ["identify", "jane@example.com"], ["check"]])
def test_a_success_that_reports_a_failure(
    run: Run, fake_sendx: FakeSendX, command: list[str]
) -> None:
    fake_sendx.respond(200, body={"status": "error", "message": "quota exceeded"})
    said = run(*command)
    assert (said.status, said.out) == (1, "")
    assert said.err.startswith("Error: SendX answered with HTTP 200: quota exceeded. ")
    assert len(fake_sendx.requests) == 1


def test_no_answer_in_time(run: Run, fake_sendx: FakeSendX) -> None:
    fake_sendx.black_hole(times=None)
    said = run(*EVENT, "--timeout", "0.1", "--json")
    assert said.status == 3
    assert json.loads(said.out)["error"] == "AttemptTimeout"
    said = run("identify", "jane@example.com", "--deadline", "0.1", "--json")
    assert said.status == 3
    assert json.loads(said.out)["error"] == "DeadlineExceeded"


def test_nobody_listens(run: Run, fake_sendx: FakeSendX) -> None:
    fake_sendx.stop()
    said = run(*EVENT, "--deadline", "0.3")
    assert said.status == 3
    assert said.err.startswith("Error: ")
    assert "may have" not in said.err


def test_an_error_for_programs(run: Run, fake_sendx: FakeSendX) -> None:
    fake_sendx.respond(503, retry_after=3600)
    said = run(*EVENT, "--json")
    assert said.status == 3
    assert said.err.startswith("Error: SendX answered with HTTP 503")
    told = json.loads(said.out)
    assert told.pop("elapsed") > 0
    assert len(told.pop("call_id")) == 16
    assert told == {
        "error": "ServerError",
        "message": "SendX answered with HTTP 503: Service Unavailable",
        "status_code": 503,
        "maybe_delivered": False,
        "retry_after": 3600.0,
        "operation": "track_custom_event",
        "attempts": 1,
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ["identify", "x", "--json"],
        ["track", "x", "--json"],
        ["event", "a b", "x", "--json"],
        ["revenue", "a b", "1", "--json"],
        ["check", "--contact", "x", "--json"],
        ["identify", "jane@example.com", "--timeout", "0", "--json"],
        ["identify", "jane@example.com", "--base-url", "http://example.com", "--json"],
    ],
)
def test_json_says_of_a_request_that_never_left_that_it_was_not_delivered(
    run: Run, fake_sendx: FakeSendX, arguments: list[str]
) -> None:
    said = run(*arguments)
    assert said.status == 2
    told = json.loads(said.out)
    assert told["error"] in {"InvalidRequestError", "ConfigurationError"}
    assert (told["status_code"], told["retry_after"], told["maybe_delivered"]) == (
        None,
        None,
        False,
    )
    assert not fake_sendx.requests


def test_an_error_without_words_has_its_name() -> None:
    assert error_in_words(SendXError()) == "SendXError"
    assert error_in_words(pickle.loads(pickle.dumps(SendXError("gone.")))) == "gone"
