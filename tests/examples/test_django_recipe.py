"""The Django recipe: under uvicorn, and with Django's own test clients."""

import asyncio
import importlib
import os
import re
import sys
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from sendx_async.testing import FakeSendX
from tests.examples.conftest import EXAMPLES, LIMIT, Program, Start

SIGNUP = {"email": "jane@example.com", "name": "Jane"}
STARTED = r"running on (http://\S+)"


def test_the_example_runs_against_a_sandbox(start: Start) -> None:
    output = start("-W", "error", str(EXAMPLES / "django_view.py")).ends()
    assert "40 visitors sign up at once: 40 are answered with 201.\n" in output
    assert "in the other view: 40 are answered with 201.\n" in output
    assert "SendX knows 40 contacts and 40 orders.\n" in output
    assert "A bad address: 422 {'delivered': False, 'problems': ['email must" in output
    assert "the answer is lost: 503 {'delivered': 'maybe'}\n" in output
    assert "Traceback" not in output


class TestUvicorn:
    @pytest.fixture(autouse=True)
    def _path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(EXAMPLES), str(tmp_path)]))

    def serve(self, start: Start, *options: str, app: str = "django_view:application") -> Program:
        return start(
            "-X", "dev", "-W", "error", "-m", "uvicorn",
            "--port", "0", "--ws", "none", *options, app,
        )  # fmt: skip

    def test_a_lifespan_opens_and_closes_the_client(
        self, start: Start, settings: FakeSendX
    ) -> None:
        program = self.serve(start)
        url = program.says(STARTED)[0]
        with httpx.Client(base_url=url, timeout=LIMIT) as service:

            def visit(number: int) -> tuple[int, int]:
                form = {"email": f"visitor{number}@example.com"}
                signup = service.post("/signup", data=form).status_code
                return signup, service.post("/order", data=form).status_code

            with ThreadPoolExecutor(20) as visitors:
                assert set(visitors.map(visit, range(40))) == {(201, 201)}, program.output
        assert (len(settings.contacts), len(settings.events)) == (40, 40)
        program.stop()
        output = program.ends(-15)  # uvicorn repeats the signal once all is closed
        assert "Application shutdown complete" in output
        assert "Exception" not in output
        assert "Warning" not in output
        settings.wait_for(lambda: settings.connections.open == 0, LIMIT)

    def test_it_serves_without_a_lifespan_too(self, start: Start, settings: FakeSendX) -> None:
        program = self.serve(start, "--lifespan", "off")
        url = program.says(STARTED)[0]
        for path in ("signup", "order"):
            assert httpx.post(f"{url}/{path}", data=SIGNUP, timeout=LIMIT).status_code == 201
        assert (len(settings.contacts), len(settings.events)) == (1, 1)

    def test_a_missing_key_is_seen_at_the_start(self, start: Start) -> None:
        output = self.serve(start).ends(3)
        assert "no API key: " in output
        assert "Application startup failed" in output

    def test_visitors_who_leave_take_no_connection_with_them(
        self, start: Start, settings: FakeSendX, tmp_path: Path
    ) -> None:
        (tmp_path / "patient.py").write_text(
            "import django_view\ndjango_view.DEADLINE = 300\napplication = django_view.application"
        )
        program = self.serve(start, app="patient:application")
        url = program.says(STARTED)[0]
        settings.black_hole(times=40)  # twice as many as there are connections

        async def leave(service: httpx.AsyncClient) -> None:
            visitors = [
                asyncio.create_task(service.post("/signup", data=SIGNUP)) for _ in range(20)
            ]
            seen = len(settings.requests)
            await settings.until(lambda: len(settings.requests) == seen + 20, LIMIT)
            for visitor in visitors:
                visitor.cancel()
            await asyncio.gather(*visitors, return_exceptions=True)

        async def visit() -> int:
            async with httpx.AsyncClient(base_url=url, timeout=LIMIT) as service:
                await leave(service)
                await leave(service)
                return (await service.post("/signup", data=SIGNUP)).status_code

        assert asyncio.run(visit()) == 201


@pytest.fixture(scope="module")
def loaded() -> Iterator[Any]:
    """The example; once, since Django can be configured only once in a process."""
    sys.path.insert(0, str(EXAMPLES))
    try:
        yield importlib.import_module("django_view")
    finally:
        sys.path.remove(str(EXAMPLES))


@pytest.fixture
def example(loaded: Any, settings: FakeSendX) -> Iterator[Any]:
    """The example with clients of the test's server, made when they are used."""
    loaded.sendx.cache_clear()
    loaded.sendx_sync.cache_clear()
    yield loaded
    asyncio.run(loaded.sendx().aclose())
    loaded.sendx_sync().close()


class TestDjangosClients:
    def test_an_asynchronous_view_tells_sendx_of_each_visitor(
        self, example: Any, settings: FakeSendX
    ) -> None:
        from django.test import AsyncClient  # noqa: PLC0415 - after the settings

        async def visit() -> list[int]:
            service = AsyncClient()
            forms = [{"email": f"visitor{number}@example.com"} for number in range(40)]
            signups = await asyncio.gather(*(service.post("/signup", form) for form in forms))
            orders = await asyncio.gather(*(service.post("/order", form) for form in forms))
            await example.sendx().aclose()
            return [answer.status_code for answer in (*signups, *orders)]

        assert set(asyncio.run(visit())) == {201}
        assert (len(settings.contacts), len(settings.events)) == (40, 40)

    def test_synchronous_where_each_request_has_an_event_loop(
        self, example: Any, settings: FakeSendX
    ) -> None:
        from django.test import Client  # noqa: PLC0415 - likewise

        def visit(number: int) -> tuple[int, int]:
            form = {"email": f"visitor{number}@example.com"}
            signup = Client().post("/signup", form).status_code
            return signup, Client().post("/order", form).status_code

        with ThreadPoolExecutor(8) as visitors:
            assert set(visitors.map(visit, range(40))) == {(201, 201)}
        assert (len(settings.contacts), len(settings.events)) == (40, 40)
        # What was opened in a loop was closed with it; left is the synchronous client's.
        settings.wait_for(lambda: settings.connections.open <= 8, LIMIT)

    @pytest.mark.parametrize("path", ["/signup", "/order"])
    @pytest.mark.parametrize(
        "misbehave, delivered",
        [
            (lambda server: server.drop(applied=True, times=None), "maybe"),
            (lambda server: server.respond(429, retry_after=60), False),
            (lambda server: server.respond(422), False),
        ],
        ids=["lost", "busy", "refused"],
    )
    def test_an_error_says_whether_it_was_delivered(
        self,
        *,
        example: Any,
        settings: FakeSendX,
        path: str,
        misbehave: Callable[[FakeSendX], None],
        delivered: object,
    ) -> None:
        from django.test import Client  # noqa: PLC0415 - likewise

        misbehave(settings)
        answer = Client().post(path, SIGNUP)
        assert (answer.status_code, answer.json()) == (503, {"delivered": delivered})

    @pytest.mark.parametrize("form", [{}, {"email": "jane at example.com"}])
    def test_a_bad_form_is_answered_with_422_and_not_sent(
        self, example: Any, settings: FakeSendX, form: dict[str, str]
    ) -> None:
        from django.test import Client  # noqa: PLC0415 - likewise

        answer = Client().post("/signup", form)
        assert answer.status_code == 422
        assert re.match(r"email must ", answer.json()["problems"][0])
        assert settings.requests == []


def test_a_lifespan_can_follow_another(example: Any, settings: FakeSendX) -> None:
    """As it does where tests start the application more than once."""

    async def live() -> list[str]:
        incoming = iter(["startup", "shutdown"])
        sent: list[str] = []

        async def receive() -> dict[str, str]:
            return {"type": f"lifespan.{next(incoming)}"}

        async def send(message: dict[str, str]) -> None:
            sent.append(message["type"])

        application: Callable[..., Awaitable[None]] = example.application
        await application({"type": "lifespan"}, receive, send)
        return sent

    complete = ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert [asyncio.run(live()) for _ in range(2)] == [complete, complete]
    assert not example.sendx().is_closed
