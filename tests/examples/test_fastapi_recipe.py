"""The FastAPI recipe: the service, several processes of it, and the tests that users copy."""

import functools
import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from sendx_async.outbox import Outbox
from sendx_async.testing import FakeSendX
from tests.examples.conftest import EXAMPLES, LIMIT, Program, Start

SERVE = ("-m", "uvicorn", "--app-dir", str(EXAMPLES), "--port", "0", "fastapi_app:app")

needs_kill = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")


def url_of(program: Program) -> str:
    program.says(r"Uvicorn running on http://\S+ \(")
    (url,) = re.findall(r"Uvicorn running on (http://\S+)", program.output)
    return str(url)


def are_handled(sandbox: FakeSendX, outbox: Outbox, orders: int) -> bool:
    return len(sandbox.events) + outbox.stats().uncertain == orders


def test_the_example_runs_against_a_sandbox(start: Start) -> None:
    output = start("-W", "error", str(EXAMPLES / "fastapi_app.py")).ends()
    up, down, up_again = re.split(r"SendX is (?:down|up again)\.\n", output)
    assert re.search(r'POST /signup -> 201 in \d+ ms: {"welcome":"Jane"}\n', up)
    assert re.search(r'POST /signup -> 422 in \d+ ms: .*"loc":\["sendx","email"\]', up)
    assert re.search(r"POST /signup -> 503 in \d+ ms: .*Try again later", down)
    assert re.search(r'POST /order -> 202 in \d+ ms: {"delivery":"', down)
    assert "answered 503, since identify_contact failed" in down
    assert "tags={'customer', 'new_user'}" in up_again
    assert "ReceivedEvent(kind='revenue'" in up_again
    assert "amount=49.0" in up_again


def test_without_a_key_it_does_not_start(start: Start) -> None:
    output = start(*SERVE).ends(status=3)
    assert "ConfigurationError: no API key: pass api_key, or set the environment" in output
    assert "Application startup failed" in output


def test_orders_need_a_file(start: Start, settings: FakeSendX) -> None:
    service = start(*SERVE)
    url = url_of(service)
    order = {"email": "jane@example.com", "amount": 1}
    assert httpx.post(f"{url}/order", json=order, timeout=LIMIT).status_code == 404
    assert httpx.post(f"{url}/signup", json=order, timeout=LIMIT).status_code == 201
    assert settings.contact("jane@example.com").tags == {"new_user"}
    service.stop()
    service.says(r"Finished server process")


class TestTwoWorkers:
    @pytest.fixture
    def outbox(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Outbox]:
        path = tmp_path / "outbox.db"
        monkeypatch.setenv("OUTBOX_FILE", str(path))
        with closing(Outbox(path)) as outbox:
            yield outbox

    @needs_kill
    def test_no_order_is_lost_when_they_are_killed_in_an_outage(
        self, start: Start, settings: FakeSendX, outbox: Outbox
    ) -> None:
        service = start(*SERVE, "--workers", "2")
        url = url_of(service)
        service.says(r"(?s)(Application startup complete.*){2}")
        workers = [
            int(pid) for pid in re.findall(r"Started server process \[(\d+)\]", service.output)
        ]
        assert len(workers) == 2
        emails = [f"buyer{number}@example.com" for number in range(30)]
        # One of the two drains, so one of the two that are killed is the one that does.
        for turn, worker in enumerate(workers):
            settings.stop()
            for email in emails[15 * turn : 15 * turn + 15]:
                order = {"email": email, "amount": 5}
                assert httpx.post(f"{url}/order", json=order, timeout=LIMIT).status_code == 202
            os.kill(worker, signal.SIGKILL)
            service.says(rf"Child process \[{worker}\] died")
            settings.start()
            # What the worker was about to send when it was killed is kept for somebody to look at.
            ordered = 15 * turn + 15
            settings.wait_for(functools.partial(are_handled, settings, outbox, ordered), LIMIT)
        service.stop()
        service.ends()
        assert set(settings.contacts) == set(emails)
        told = [event.identifier for event in settings.events]
        assert len(told) == len(set(told))
        stats = outbox.stats()
        assert (stats.pending, stats.dead) == (0, 0)
        assert stats.uncertain <= 8  # so many are under way at most


class TestTheTestsToCopy:
    def run(self, start: Start, *, broken: tuple[str, str] = ("", "")) -> Program:
        here = Path.cwd()
        for name in ("fastapi_app.py", "test_my_app.py"):
            shutil.copy(EXAMPLES / name, here)
        app = here / "fastapi_app.py"
        source = app.read_text(encoding="utf-8")
        assert broken[0] in source
        app.write_text(source.replace(*broken), encoding="utf-8")
        # The two plugins are left out that a user may not have, and which warn of their own.
        return start(
            "-m", "pytest", "-W", "error", "-p", "no:asyncio", "-p", "no:randomly", "--color=no"
        )

    def test_the_examples_own_tests_pass(self, start: Start) -> None:
        output = self.run(start).ends()
        assert re.search(r"\n=+ 7 passed in ", output)

    def test_the_examples_own_tests_find_a_mistake_and_show_what_sendx_got(
        self, start: Start
    ) -> None:
        output = self.run(start, broken=('tags=["new_user"]', 'tags=["new-user"]')).ends(status=1)
        assert re.search(r"\n=+ 1 failed, 6 passed in ", output)
        _, _, section = output.partition("- fake SendX -")
        held = "Contact(id='contact_0000000000000000000001', email='jane@example.com', "
        assert f"{held}first_name='Jane', tags={{'new-user'}})" in section
        assert re.search(r'/contact/identify {.*"tags":\["new-user"\]} -> 200, applied', section)
