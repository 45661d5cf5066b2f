"""The Flask recipe: threads of one process, and processes that are forked."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from sendx_async import ConfigurationError, RetryPolicy, TrackingClient
from sendx_async.testing import FakeSendX
from tests.examples.conftest import EXAMPLES, LIMIT, Load, Program, Start, needs_fork

SIGNUP = {"email": "jane@example.com", "name": "Jane"}
ORDER = {"email": "jane@example.com", "amount": "49.5"}


def test_the_example_runs_against_a_sandbox(start: Start) -> None:
    output = start("-W", "error", str(EXAMPLES / "flask_app.py")).ends()
    assert "40 visitors sign up at once: 40 are answered with 201.\n" in output
    found = re.search(r"SendX knows 40 contacts; they came over (\d+) connections\.\n", output)
    assert found is not None, output
    assert 1 <= int(found[1]) <= 20
    assert "A bad address: 422 {'delivered': False, 'problems': ['email must" in output
    assert "the answer is lost: 503 {'delivered': 'maybe'} Retry-After: -\n" in output
    assert "longer than a view waits: 503 {'delivered': False} Retry-After: 30\n" in output
    assert "Traceback" not in output


class TestViews:
    @pytest.fixture
    def service(self, load: Load, fake_sendx: FakeSendX) -> Iterator[Any]:
        """Flask's own test client of the service."""
        with TrackingClient(
            fake_sendx.api_key,
            base_url=fake_sendx.url,
            retry=RetryPolicy(max_retries=0),
            deadline=20,
        ) as client:
            yield load("flask_app").create_app(client).test_client()

    def test_signups_and_orders_arrive_as_contacts_and_events(
        self, service: Any, fake_sendx: FakeSendX
    ) -> None:
        assert service.post("/signup", data=SIGNUP).status_code == 201
        assert service.post("/order", data=ORDER).status_code == 201
        assert fake_sendx.contact("jane@example.com").first_name == "Jane"
        assert [event.amount for event in fake_sendx.events] == [49.5]

    @pytest.mark.parametrize(
        "path, form, words",
        [
            ("/signup", {}, "email must"),
            ("/signup", {"email": "jane at example.com"}, "email must"),
            ("/order", {"email": "jane@example.com", "amount": "much"}, "amount must"),
        ],
    )
    def test_a_bad_form_is_answered_with_422_and_not_sent(
        self, service: Any, fake_sendx: FakeSendX, path: str, form: dict[str, str], words: str
    ) -> None:
        answer = service.post(path, data=form)
        assert answer.status_code == 422
        assert words in answer.json["problems"][0]
        assert fake_sendx.requests == []

    def test_what_sendx_refuses_is_answered_with_422_and_logged_masked(
        self, service: Any, fake_sendx: FakeSendX, caplog: pytest.LogCaptureFixture
    ) -> None:
        fake_sendx.respond(422, message="no such plan for jane@example.com")
        answer = service.post("/signup", data=SIGNUP)
        assert answer.status_code == 422
        assert answer.json == {"delivered": False, "problems": ["SendX refuses this"]}
        assert "no such plan for j***@example.com" in caplog.text
        assert "jane@example.com" not in caplog.text

    def test_a_key_that_is_not_accepted_is_answered_with_500_and_logged(
        self, service: Any, fake_sendx: FakeSendX, caplog: pytest.LogCaptureFixture
    ) -> None:
        fake_sendx.respond(401)
        answer = service.post("/signup", data=SIGNUP)
        assert answer.status_code == 500
        assert "AuthenticationError" not in answer.text
        assert "AuthenticationError" in caplog.text

    def test_a_busy_server_is_answered_with_503_and_its_retry_after(
        self, service: Any, fake_sendx: FakeSendX
    ) -> None:
        fake_sendx.respond(429, retry_after=30)
        answer = service.post("/signup", data=SIGNUP)
        assert (answer.status_code, answer.json) == (503, {"delivered": False})
        assert answer.headers["Retry-After"] == "30"

    def test_after_a_lost_answer_an_order_is_maybe_delivered_and_not_repeated(
        self, service: Any, fake_sendx: FakeSendX
    ) -> None:
        service.post("/signup", data=SIGNUP)
        fake_sendx.drop(applied=True)
        answer = service.post("/order", data=ORDER)
        assert (answer.status_code, answer.json) == (503, {"delivered": "maybe"})
        assert "Retry-After" not in answer.headers
        assert len(fake_sendx.events) == 1

    def test_a_server_that_is_down_is_answered_with_503(
        self, service: Any, fake_sendx: FakeSendX
    ) -> None:
        fake_sendx.stop()
        answer = service.post("/signup", data=SIGNUP)
        assert (answer.status_code, answer.json) == (503, {"delivered": False})


def test_its_own_client_gives_up_at_the_examples_deadline(load: Load, settings: FakeSendX) -> None:
    example = load("flask_app")
    example.DEADLINE = 0.5
    settings.black_hole(times=None)
    answer = example.create_app().test_client().post("/signup", data=SIGNUP)
    assert (answer.status_code, answer.json) == (503, {"delivered": "maybe"})
    assert len(settings.requests) == 1  # by the client's own deadline there would be more


def test_a_missing_key_is_seen_at_the_start(load: Load) -> None:
    with pytest.raises(ConfigurationError, match="SENDX_API_KEY"):
        load("flask_app").create_app()


NO_REUSE = httpx.Limits(max_keepalive_connections=0)  # a connection belongs to one worker

# A master process that has used the client, so that its event loop runs, before it forks.
USED_BEFORE_THE_FORK = """
from flask_app import create_app, TrackingClient
client = TrackingClient(deadline=30)
client.identify_contact({"email": "parent@example.com"})
app = create_app(client)
"""


@needs_fork
@pytest.mark.usefixtures("children_unmeasured")
class TestGunicorn:
    def serve(self, start: Start, *options: str, app: str = "flask_app:create_app()") -> Program:
        return start(
            "-m", "gunicorn", "--bind", "127.0.0.1:0", "--workers", "2", "--threads", "8",
            "--timeout", "60", "--access-logfile", "-", "--access-logformat", "%(p)s answered",
            "--pythonpath", f"{EXAMPLES},.", *options, app,
        )  # fmt: skip

    def sign_up_in_both(self, program: Program, server: FakeSendX) -> None:
        """Send visitors, 40 at once, until each of the two workers has answered some."""
        url = program.says(r"Listening at: (\S+) ")[0]
        visitors = 0
        workers: set[str] = set()
        with (
            httpx.Client(base_url=url, timeout=LIMIT, limits=NO_REUSE) as service,
            ThreadPoolExecutor(40) as threads,
        ):

            def sign_up(number: int) -> int:
                form = {"email": f"visitor{number}@example.com"}
                return service.post("/signup", data=form).status_code

            while len(workers) < 2:
                statuses = threads.map(sign_up, range(visitors, visitors + 40))
                assert set(statuses) == {201}, program.output
                visitors += 40
                workers = set(program.says(r"(?m)^(\S+) answered", times=visitors))
        known = [email for email in server.contacts if email.startswith("visitor")]
        assert len(known) == visitors

    @pytest.mark.parametrize("options", [(), ("--preload",)], ids=["made after", "made before"])
    def test_each_worker_sends(
        self, start: Start, settings: FakeSendX, options: tuple[str, ...]
    ) -> None:
        program = self.serve(start, *options)
        self.sign_up_in_both(program, settings)
        program.stop()
        assert "Traceback" not in program.ends()

    def test_a_client_that_was_used_before_the_fork(
        self, start: Start, settings: FakeSendX, tmp_path: Path
    ) -> None:
        (tmp_path / "used_before.py").write_text(USED_BEFORE_THE_FORK)
        program = self.serve(start, "--preload", app="used_before:app")
        self.sign_up_in_both(program, settings)
        program.stop()
        assert "Traceback" not in program.ends()
        assert "parent@example.com" in settings.contacts

    def test_what_was_begun_before_a_stop_is_answered(
        self, start: Start, settings: FakeSendX
    ) -> None:
        settings.latency = 1.0
        program = self.serve(start)
        url = program.says(r"Listening at: (\S+) ")[0]
        with ThreadPoolExecutor(1) as visitor:
            answer = visitor.submit(httpx.post, f"{url}/signup", data=SIGNUP, timeout=LIMIT)
            settings.wait_for(lambda: settings.requests, LIMIT)
            program.stop()
            assert answer.result(LIMIT).status_code == 201
        assert "Traceback" not in program.ends()
        assert "jane@example.com" in settings.contacts
