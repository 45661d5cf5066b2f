"""Requests made of whatever callers give, and answers read whatever servers send."""

import itertools
import json
import os
import subprocess
import sys
from typing import Any

import pytest

from sendx_async import (
    ApiError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    CustomEventRequest,
    EventResponse,
    IdentifyRequest,
    IdentifyResponse,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ReportedFailureError,
    ResponseDecodeError,
    RevenueEventRequest,
    ServerError,
    TrackRequest,
    TrackResponse,
    UnprocessableEntityError,
)
from sendx_async._core.answers import decode, parse_retry_after
from sendx_async._core.operations import (
    CUSTOM_EVENT,
    IDENTIFY,
    IDENTIFY_BULK,
    REVENUE_EVENT,
    TRACK,
    Operation,
)
from sendx_async._core.protocol import make_request, operation_for

BOM = b"\xef\xbb\xbf"
NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT
HTML = b"<html><body>502 Bad Gateway: jane@example.com</body></html>"


def read(
    body: bytes | str,
    status_code: int = 200,
    headers: dict[str, str] | None = None,
    operation: Operation[Any, Any] = IDENTIFY,
) -> Any:
    body = body.encode() if isinstance(body, str) else body
    return decode(operation, status_code, headers or {}, body, now=NOW)


def error_of(
    body: bytes | str, status_code: int, headers: dict[str, str] | None = None
) -> ApiError:
    with pytest.raises(ApiError) as raised:
        read(body, status_code, headers)
    return raised.value


class TestRequests:
    @pytest.mark.parametrize(
        "operation, model, mapping",
        [
            (IDENTIFY, IdentifyRequest("a@b.co"), {"email": "a@b.co"}),
            (TRACK, TrackRequest("a@b.co", add_tags=["x"]), {"email": "a@b.co", "addTags": ["x"]}),
            (CUSTOM_EVENT, CustomEventRequest("i", "n"), {"identifier": "i", "name": "n"}),
            (REVENUE_EVENT, RevenueEventRequest("i", 5), {"identifier": "i", "amount": 5}),
        ],
    )
    def test_models_and_mappings(
        self, operation: Operation[Any, Any], model: Any, mapping: dict[str, Any]
    ) -> None:
        assert make_request(operation, model) is model
        assert make_request(operation, mapping) == model
        assert operation_for(model) is operation

    @pytest.mark.parametrize(
        "given, ending",
        [
            (None, "got None"),
            ("a@b.co", 'got str: pass a mapping, such as {"email": address}'),
            (7, "got int"),
            ([{"email": "a@b.co"}], "got list"),
        ],
    )
    def test_anything_else_is_refused(self, given: Any, ending: str) -> None:
        for make, call in ((lambda: make_request(IDENTIFY, given), "identify_contact"),
                           (lambda: operation_for(given), "send")):  # fmt: skip
            with pytest.raises(InvalidRequestError, match=rf"^{call}: .*IdentifyRequest") as raised:
                make()
            assert str(raised.value).endswith(ending)
            assert "a@b.co" not in str(raised.value)

    def test_the_model_of_another_operation_is_refused(self) -> None:
        with pytest.raises(
            InvalidRequestError, match=r"TrackRequest or a mapping, got sendx_async\.Id"
        ):
            make_request(TRACK, IdentifyRequest("a@b.co"))

    def test_bulk_takes_any_iterable_of_1_to_25(self) -> None:
        contacts = [{"email": f"{n}@b.co"} for n in range(25)]
        made = make_request(IDENTIFY_BULK, (contact for contact in contacts))
        assert made == tuple(IdentifyRequest(contact["email"]) for contact in contacts)
        assert make_request(IDENTIFY_BULK, [made[0]]) == made[:1]

    @pytest.mark.parametrize("count", [0, 26])
    def test_bulk_refuses_other_counts(self, count: int) -> None:
        with pytest.raises(InvalidRequestError, match="1 to 25") as raised:
            make_request(IDENTIFY_BULK, [{"email": "a@b.co"}] * count)
        assert len(raised.value.problems) == 1

    @pytest.mark.timeout(300)
    @pytest.mark.parametrize("item", [IdentifyRequest("a@b.co"), {"email": 1}], ids=["good", "bad"])
    def test_bulk_does_not_read_on_for_ever(self, item: Any) -> None:
        endless = iter(itertools.islice(itertools.repeat(item), 2_000))
        with pytest.raises(InvalidRequestError):
            make_request(IDENTIFY_BULK, endless)
        assert next(endless, None) is not None, "read to the end"

    @pytest.mark.parametrize("given", ["a@b.co", b"a", {"email": "a@b.co"}, None, 3], ids=repr)
    def test_bulk_refuses_what_is_no_iterable_of_requests(self, given: Any) -> None:
        with pytest.raises(InvalidRequestError, match=r"^identify_contacts: must be given an iter"):
            make_request(IDENTIFY_BULK, given)

    def test_bulk_reports_the_problems_of_every_contact(self) -> None:
        given = [{"email": "a@b.co"}, {"email": 1}, None, {"email": "x@y.z", "tagz": []}]
        with pytest.raises(InvalidRequestError) as raised:
            make_request(IDENTIFY_BULK, given)
        assert [problem.split()[0] for problem in raised.value.problems] == ["[1]", "[2]", "[3]"]


class TestSuccess:
    @pytest.mark.parametrize(
        "status_code, body, expected",
        [
            (200, '{"status":"200","message":"OK"}', {"status": "200", "message": "OK"}),
            (200, '{"status":"200","message":"OK","data":"success"}',
             {"status": "200", "message": "OK", "data": "success"}),
            (200, '{"status":"success","message":"All contacts processed successfully"}',
             {"status": "success", "message": "All contacts processed successfully"}),
            (201, '{"status":"200","data":{"id":"c1","email":"a@b.co"}}',
             {"status": "200", "data": {"id": "c1", "email": "a@b.co"}}),
            (200, '{"status":200,"message":"OK","score":7,"Data":null}',
             {"status": "200", "message": "OK", "extra": {"score": 7, "Data": None}}),
            (200, "", {}), (201, "", {}), (204, "", {}), (202, " \r\n\t", {}), (299, "{}", {}),
            (200, BOM + b'{"status":"200"}', {"status": "200"}),
            (200, BOM, {}), (200, BOM + b" \n", {}),
            (200, '{"message":"Zo\\u00eb \\ud83c\\udf89"}', {"message": "Zoë 🎉"}),
        ],
    )  # fmt: skip
    def test_every_2xx_is_a_success_and_nothing_is_dropped(
        self, status_code: int, body: Any, expected: dict[str, Any]
    ) -> None:
        assert read(body, status_code) == IdentifyResponse(**expected)
        assert read(body, status_code, operation=TRACK) == TrackResponse(**expected)
        for operation in (CUSTOM_EVENT, REVENUE_EVENT):
            assert read(body, status_code, operation=operation) == EventResponse(**expected)

    @pytest.mark.parametrize(
        "body",
        [HTML, b"OK", b"{", b'{"status":"200"', b"\xff\xfe", b"\xc3\x28", b"{'a':1}", b"[" * 10**5,
         b'{"a":' * 10**5, b"9" * 10_000, '{"status":"200"}'.encode("utf-16"), b"\x1f\x8b\x08",
         b"[]", b'[{"status":"200"}]', b"null", b"0", b"true", b'"OK"', BOM + b"[1]"],
        ids=lambda body: repr(body[:12]),
    )  # fmt: skip
    def test_a_success_that_sendx_cannot_have_written(self, body: bytes) -> None:
        with pytest.raises(ResponseDecodeError) as raised:
            read(body, 200, {"server": "proxy"})
        error = raised.value
        assert (error.status_code, error.headers, error.body) == (200, {"server": "proxy"}, body)
        assert error.maybe_delivered is True
        assert "HTTP 200 can't be SendX, since the body is no JSON object" in str(error)
        assert "delivered" not in str(error)
        assert error.__context__ is None

    @pytest.mark.parametrize(
        "body, message",
        [
            ({"status": "error", "message": "no"}, "no"), ({"status": "ERROR"}, None),
            ({"status": "fail"}, None), ({"status": "Failed"}, None), ({"status": "failure"}, None),
            ({"status": "partial", "errors": ["no"]}, "no"),
            ({"status": 401, "message": "no"}, "no"), ({"status": "422"}, None),
            ({"status": 500}, None), ({"success": False}, None), ({"error": "no"}, "no"),
            ({"error": {"code": 123, "message": "no"}}, "no"), ({"error": {"code": 1}}, None),
            ({"status": "200", "message": "OK", "error": "no"}, "no"),
            ({"status": "success", "errors": [{"index": 3, "message": "no"}]}, "no"),
            ({"message": "", "failed": ["a@b.co"]}, None), ({"failed": 2}, None),
            ({"failures": {"a@b.co": "no"}}, None),
        ],
        ids=str,
    )  # fmt: skip
    @pytest.mark.parametrize("operation", [IDENTIFY, IDENTIFY_BULK, TRACK, REVENUE_EVENT])
    def test_a_success_that_reports_a_failure(
        self, operation: Operation[Any, Any], body: dict[str, Any], message: str | None
    ) -> None:
        text = json.dumps(body)
        with pytest.raises(ReportedFailureError) as raised:
            read(text, 200, {"x-a": "b"}, operation)
        error = raised.value
        assert (error.status_code, error.headers, error.body) == (200, {"x-a": "b"}, text.encode())
        assert error.message == message
        assert error.maybe_delivered is True
        words = f": {message}" if message else ""
        assert str(error).startswith(f"SendX answered with HTTP 200{words}. The answer reports a ")

    @pytest.mark.parametrize(
        "body",
        [
            {"status": "OK"}, {"status": "Success"}, {"status": 200}, {"status": 207},
            {"status": "399"}, {"status": "4000"}, {"status": "no error"}, {"status": True},
            {"status": None}, {"status": ["error"]}, {"success": True}, {"success": None},
            {"error": None}, {"error": ""}, {"error": False}, {"error": {}}, {"errors": []},
            {"failed": 0}, {"failures": []}, {"Error": "x"}, {"message": "error"},
            {"warnings": ["x"]}, {"errorCode": 7}, {"data": None}, {"data": ["error", 500]},
            {"data": {"id": "c1", "status": "active", "errors": []}},
        ],
        ids=json.dumps,
    )  # fmt: skip
    @pytest.mark.parametrize("operation", [IDENTIFY, IDENTIFY_BULK])
    def test_what_is_no_report_of_a_failure(
        self, operation: Operation[Any, Any], body: dict[str, Any]
    ) -> None:
        assert isinstance(read(json.dumps(body), 200, operation=operation), IdentifyResponse)

    @pytest.mark.parametrize(
        "body",
        [
            {"data": {"processed": 24, "failed": ["a@b.co"]}},
            {"results": [{"status": "success"}, {"email": "a@b.co", "status": "error"}]},
            {"data": [{"email": "a@b.co", "error": "bad"}]},
        ],
        ids=json.dumps,
    )
    def test_what_is_said_of_each_contact_counts_for_several_only(
        self, body: dict[str, Any]
    ) -> None:
        with pytest.raises(ReportedFailureError):
            read(json.dumps(body), operation=IDENTIFY_BULK)
        assert read(json.dumps(body)).status is None

    @pytest.mark.parametrize("body", ["", '{"status":"success"}'])
    def test_207_says_that_contacts_differ_and_of_a_single_one_nothing(self, body: str) -> None:
        with pytest.raises(ReportedFailureError, match=r"^SendX answered with HTTP 207\. "):
            read(body, 207, operation=IDENTIFY_BULK)
        assert isinstance(read(body, 207), IdentifyResponse)


@pytest.mark.parametrize(
    "body, message",
    [
        ('{"status":"error","message":"No such field"}', "No such field"),
        ('{"status":401,"message":"The Team ID or API Key specified is not valid"}',
         "The Team ID or API Key specified is not valid"),
        ('{"error":"Too many"}', "Too many"),
        ('{"error":{"code":123,"message":"Broken"}}', "Broken"),
        ('{"message":"outer","error":{"message":"inner"}}', "outer"),
        ('{"message":"","error":"inner"}', "inner"),
        ('{"message":null,"error":{"code":1}}', None),
        ('{"message":["x"],"error":[1]}', "x"), ('{"message":[],"error":[1]}', None),
        ('{"errors":[{"message":"first"},{"message":"second"}]}', "first"),
        ('{"other":"x"}', None), ('"text"', None), ("[1]", None), ("null", None),
        (HTML, None), ("", None), (" ", None), (b"\xff", None), ("{", None),
        (b'{"error":' * 100_000, None),
        (BOM + b'{"error":"Too many"}', "Too many"),
    ],
    ids=lambda value: repr(value[:40]) if value else None,
)  # fmt: skip
@pytest.mark.parametrize("status_code", [302, 400, 422, 500])
def test_the_message_is_found_in_every_shape(
    status_code: int, body: Any, message: str | None
) -> None:
    error = error_of(body, status_code, {"x-a": "b"})
    assert error.message == message
    assert str(error).startswith(f"SendX answered with HTTP {status_code}")
    assert (message or "SendX") in str(error)
    assert error.body == (body.encode() if isinstance(body, str) else body)
    assert (error.status_code, error.headers) == (status_code, {"x-a": "b"})


@pytest.mark.parametrize(
    "status_code, kind, maybe_delivered",
    [
        (100, ApiError, False), (304, ApiError, False), (307, ApiError, False),
        (400, BadRequestError, False), (401, AuthenticationError, False),
        (402, ApiError, False), (403, PermissionDeniedError, False), (404, NotFoundError, False),
        (405, ApiError, False), (408, ApiError, False), (409, ConflictError, False),
        (413, ApiError, False), (422, UnprocessableEntityError, False), (425, ApiError, False),
        (429, RateLimitError, False), (499, ApiError, False), (500, ServerError, True),
        (502, ServerError, True), (503, ServerError, True), (504, ServerError, True),
        (520, ServerError, True), (599, ServerError, True), (999, ServerError, True),
    ],
)  # fmt: skip
def test_the_class_and_what_may_have_happened(
    status_code: int, kind: type[ApiError], maybe_delivered: bool
) -> None:
    error = error_of('{"message":"x"}', status_code)
    assert type(error) is kind
    assert error.maybe_delivered is maybe_delivered


@pytest.mark.parametrize("status_code", [301, 302, 303, 307, 308])
def test_a_redirect_is_named_as_one(status_code: int) -> None:
    assert "Redirects are never followed" in str(error_of("", status_code))


@pytest.mark.parametrize("status_code", [300, 304, 305, 306, 399])
def test_what_leads_nowhere_is_no_redirect(status_code: int) -> None:
    error = error_of("", status_code)
    assert "edirect" not in str(error)
    assert "check what is between you and SendX" in str(error)


def test_503_with_retry_after_was_not_applied() -> None:
    assert error_of("", 503, {"retry-after": "5"}).maybe_delivered is False
    assert error_of("", 503, {"retry-after": "soon"}).maybe_delivered is True
    assert error_of("", 500, {"retry-after": "5"}).maybe_delivered is True


@pytest.mark.parametrize(
    "status_code, hint",
    [(401, "Check the API key"), (404, "base_url"), (429, "rate"), (301, "never followed"),
     (308, "never followed")],
)  # fmt: skip
def test_the_text_says_what_to_do(status_code: int, hint: str) -> None:
    assert hint in str(error_of("", status_code))
    text = str(error_of('{"message":"Not valid."}', status_code))
    assert hint in text
    assert ".." not in text


class TestTextOfAnError:
    def test_addresses_are_masked_and_the_words_kept(self) -> None:
        error = error_of('{"message":"No contact jane@example.com"}', 404)
        # Crash reporters take it for the title, before the text.
        assert error.message == "No contact j***@example.com"
        assert error.message in str(error)
        assert "jane" not in f"{error} {error!r}"
        assert error.body == b'{"message":"No contact jane@example.com"}'

    def test_control_characters_cannot_forge_a_log_line(self) -> None:
        words = "a\nINFO forged \x1b[31m \r\u2028 \ud800"
        error = error_of(json.dumps({"message": words}), 400)
        assert error.message is not None
        assert error.message.split() == ["a", "INFO", "forged", "[31m"]
        assert str(error).isprintable()
        assert str(error).encode()

    @pytest.mark.timeout(300)
    @pytest.mark.parametrize("words", ["x", "@", "x@", "x ", "x."])
    def test_a_huge_message_is_cut_in_no_time(self, words: str) -> None:
        error = error_of(json.dumps({"message": words * (2**20 // len(words))}), 400)
        assert len(str(error)) < 600


class TestRetryAfter:
    @pytest.mark.parametrize(
        "value, seconds",
        [
            ("0", 0), ("5", 5), (" 5 ", 5), ("1.5", 1.5), ("3600", 3600), ("-3", 0),
            ("nan", None), ("inf", None), ("-inf", None), ("1e999", None), ("", None),
            ("soon", None), ("5 s", None), ("\x00", None), ("9" * 5000, None),
            ("Tue, 14 Nov 2023 22:13:50 GMT", 30),
            ("Tuesday, 14-Nov-23 22:13:50 GMT", 30),
            ("Tue Nov 14 22:13:50 2023", 30),
            ("Tue, 14 Nov 2023 23:13:50 +0100", 30),
            ("Tue, 14 Nov 2023 22:13:50 -0000", 30),
            ("Tue, 14 Nov 2023 22:13:50", 30),
            ("Tue, 14 Nov 2023 22:13:10 GMT", 0),
            ("Tue, 99 Nov 2023 22:13:50 GMT", None), ("14 Nov 99999 22:13:50 GMT", None),
            ("14 Nov 2023 22:13:50 +9999999999", None), (", ", None), ("Tue,", None),
        ],
    )  # fmt: skip
    def test_both_forms(self, value: str, seconds: float | None) -> None:
        assert parse_retry_after(value, None, now=NOW) == seconds
        assert error_of("", 429, {"retry-after": value}).retry_after == seconds

    def test_unix_time_counts_as_a_date(self) -> None:
        for wait in (0, 5, 3600.5):
            assert parse_retry_after(str(NOW + wait), None, now=NOW) == wait
        assert parse_retry_after(str(NOW - 5), None, now=NOW) == 0
        date = "Tue, 14 Nov 2023 22:13:20 GMT"
        assert parse_retry_after("1700000005", date, now=NOW - 86_400) == 5
        # As seconds it is long, but possible.
        assert parse_retry_after("999999999", None, now=NOW) == 999_999_999

    def test_absent(self) -> None:
        assert parse_retry_after(None, None, now=NOW) is None
        assert error_of("", 429).retry_after is None

    def test_a_date_counts_from_the_date_of_the_answer(self) -> None:
        until, wrong_clock = "Tue, 14 Nov 2023 22:13:50 GMT", NOW - 86_400
        for date, seconds in [
            ("Tue, 14 Nov 2023 22:13:40 GMT", 10), ("Tue Nov 14 22:13:40 2023", 10),
            ("nonsense", 86_430), ("", 86_430), (None, 86_430),
        ]:  # fmt: skip
            assert parse_retry_after(until, date, now=wrong_clock) == seconds
        headers = {"retry-after": until, "date": "Tue, 14 Nov 2023 22:13:40 GMT"}
        assert error_of("", 503, headers).retry_after == 10
        assert parse_retry_after("5", "nonsense", now=NOW) == 5

    @pytest.mark.slow
    @pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata"])
    def test_a_date_without_a_zone_is_universal_time_wherever_we_are(self, zone: str) -> None:
        code = (
            "from sendx_async._core.answers import parse_retry_after as parse\n"
            f"print(parse('Tue Nov 14 22:13:50 2023', None, now={NOW}), "
            f"parse('Tue, 14 Nov 2023 22:13:50 -0000', None, now={NOW}))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={**os.environ, "TZ": zone}, timeout=150,
        )  # fmt: skip
        assert done.stdout.split() == ["30.0", "30.0"]
