"""The FastAPI integration in one process: the lifespan, the dependencies, what is refused."""

import functools
import gc
import importlib
import inspect
import subprocess
import sys
import traceback
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, get_type_hints

import anyio
import anyio.from_thread
import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI, Request, WebSocket
from fastapi.testclient import TestClient

from sendx_async import AsyncTrackingClient, ConfigurationError, OutboxError
from sendx_async.fastapi import (
    SendX,
    SendXOutbox,
    SendXState,
    get_sendx,
    get_sendx_outbox,
    sendx_lifespan,
)
from sendx_async.fastapi._lifespan import NewClientOptions
from sendx_async.outbox import Outbox
from sendx_async.testing import FakeSendX

JANE = {"email": "jane@example.com"}
KEY = "key-5f3c9a7e1b2d"

Make = Callable[[], AsyncTrackingClient]


@pytest.fixture
def settings(fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch) -> FakeSendX:
    """A server that an application finds in its environment."""
    monkeypatch.setenv("SENDX_API_KEY", fake_sendx.api_key)
    monkeypatch.setenv("SENDX_BASE_URL", fake_sendx.url)
    return fake_sendx


@pytest.fixture
def made() -> list[AsyncTrackingClient]:
    """Clients that were made, in order."""
    return []


@pytest.fixture
def make(settings: FakeSendX, made: list[AsyncTrackingClient]) -> Make:
    """Make a client as an application's function does, and remember it."""

    def make() -> AsyncTrackingClient:
        made.append(AsyncTrackingClient())
        return made[-1]

    return make


def signing_up(app: FastAPI) -> FastAPI:
    @app.post("/signup")
    async def signup(email: str, sendx: SendX) -> dict[str, int]:
        await sendx.identify_contact({"email": email})
        return {"client": id(sendx)}

    return app


def start(app: FastAPI) -> None:
    """Start an application as a server does, and stop it."""

    async def run() -> None:
        async with app.router.lifespan_context(app):
            pass

    anyio.run(run)


def open_ones(made: list[AsyncTrackingClient]) -> list[AsyncTrackingClient]:
    return [client for client in made if not client.is_closed]


def sign_up(visitor: TestClient, email: str = "jane@example.com") -> Any:
    answer = visitor.post("/signup", params={"email": email})
    assert answer.status_code == 200, answer.text
    return answer.json()


class TestClientOfAnApplication:
    def test_the_client_is_made_of_the_environment_and_of_options(
        self, settings: FakeSendX
    ) -> None:
        app = signing_up(FastAPI(lifespan=sendx_lifespan(headers={"X-Shop": "shoes"})))
        with TestClient(app) as visitor:
            sign_up(visitor)
        assert list(settings.contacts) == ["jane@example.com"]
        assert settings.requests[0].headers["x-shop"] == "shoes"

    def test_each_start_has_one_client_which_is_closed_at_the_end(
        self, settings: FakeSendX, make: Make, made: list[AsyncTrackingClient]
    ) -> None:
        app = signing_up(FastAPI(lifespan=sendx_lifespan(client=make)))
        for starts in (1, 2, 3):
            with TestClient(app) as visitor:
                clients = {sign_up(visitor)["client"] for _ in range(3)}
                assert clients == {id(made[-1])}
                assert open_ones(made) == [made[-1]]
            assert open_ones(made) == []
            assert len(made) == starts
        settings.wait_for(lambda: settings.connections.open == 0)
        assert settings.connections.accepted == 3

    def test_routers_mounted_applications_and_websockets_get_the_same(
        self, make: Make, made: list[AsyncTrackingClient]
    ) -> None:
        router, mounted = APIRouter(), FastAPI()
        app = FastAPI(lifespan=sendx_lifespan(client=make))

        async def who(sendx: SendX) -> int:
            return id(sendx)

        @router.websocket("/ws")
        @mounted.websocket("/ws")
        async def talk(websocket: WebSocket, sendx: SendX) -> None:
            await websocket.accept()
            await sendx.identify_contact(JANE)
            await websocket.send_json(id(sendx))
            await websocket.close()

        for each in (app, router, mounted):
            each.add_api_route("/who", who)
        app.include_router(router, prefix="/router")
        app.mount("/mounted", mounted)
        with TestClient(app) as visitor:
            seen = {visitor.get(f"{place}/who").json() for place in ("", "/router", "/mounted")}
            for place in ("/router", "/mounted"):
                with visitor.websocket_connect(f"{place}/ws") as websocket:
                    seen.add(websocket.receive_json())
        assert seen == {id(made[0])}

    def test_a_router_may_bring_it(self, settings: FakeSendX) -> None:
        router = APIRouter(lifespan=sendx_lifespan())
        router.add_api_route("/signup", signup_alone, methods=["POST"])
        app = FastAPI()
        app.include_router(router)
        with TestClient(app) as visitor:
            sign_up(visitor)
        assert list(settings.contacts) == ["jane@example.com"]

    def test_the_client_is_there_for_threads_background_tasks_and_middleware(
        self, settings: FakeSendX
    ) -> None:
        app = FastAPI(lifespan=sendx_lifespan())

        @app.middleware("http")
        async def count(request: Request, call_next: Callable[..., Any]) -> Any:
            await (await get_sendx(request)).identify_contact({"email": "middleware@example.com"})
            return await call_next(request)

        @app.post("/thread")
        def thread(sendx: SendX) -> None:
            anyio.from_thread.run(sendx.identify_contact, {"email": "thread@example.com"})

        @app.post("/later")
        async def later(tasks: BackgroundTasks, sendx: SendX) -> None:
            tasks.add_task(sendx.identify_contact, {"email": "later@example.com"}, deadline=20)

        with TestClient(app) as visitor:
            assert visitor.post("/thread").status_code == 200
            assert visitor.post("/later").status_code == 200
        people = {address.partition("@")[0] for address in settings.contacts}
        assert people == {"middleware", "thread", "later"}

    def test_the_types_are_resolved_where_annotations_are_texts(
        self, settings: FakeSendX, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "texts_app.py").write_text(
            "from __future__ import annotations\n"
            "from fastapi import FastAPI\n"
            "from sendx_async.fastapi import SendX, sendx_lifespan\n"
            "app = FastAPI(lifespan=sendx_lifespan())\n"
            "@app.post('/signup')\n"
            "async def signup(email: str, sendx: SendX) -> dict[str, str]:\n"
            "    await sendx.identify_contact({'email': email})\n"
            "    return {}\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        app = importlib.import_module("texts_app").app
        monkeypatch.delitem(sys.modules, "texts_app")
        with TestClient(app) as visitor:
            sign_up(visitor)
        assert list(settings.contacts) == ["jane@example.com"]

    def test_the_schema_shows_nothing_of_it(self) -> None:
        app = signing_up(FastAPI(lifespan=sendx_lifespan(outbox="never-opened.db")))
        app.add_api_route("/put", put_jane, methods=["POST"])
        paths = app.openapi()["paths"]
        names = [each["name"] for each in paths["/signup"]["post"]["parameters"]]
        assert names == ["email"]
        assert "parameters" not in paths["/put"]["post"]
        assert "requestBody" not in paths["/put"]["post"]

    def test_a_test_puts_another_in_its_place(
        self, fake_sendx: FakeSendX, async_sendx_client: AsyncTrackingClient
    ) -> None:
        app = signing_up(FastAPI(lifespan=sendx_lifespan()))
        app.dependency_overrides[get_sendx] = lambda: async_sendx_client
        sign_up(TestClient(app))  # without `with`, so nothing is opened
        assert list(fake_sendx.contacts) == ["jane@example.com"]
        anyio.run(async_sendx_client.aclose)


async def signup_alone(email: str, sendx: SendX) -> None:
    await sendx.identify_contact({"email": email})


async def put_jane(outbox: SendXOutbox) -> str:
    return await outbox.put(JANE)


OwnLifespan = Callable[[FastAPI], AbstractAsyncContextManager[Any]]


class TestOwnLifespan:
    @pytest.fixture
    def log(self) -> list[str]:
        return []

    @pytest.fixture
    def own(self, log: list[str], made: list[AsyncTrackingClient]) -> Callable[..., OwnLifespan]:
        """Make a lifespan of an application's own."""

        def own(gives: Any = None, *, fails: str = "") -> OwnLifespan:
            @asynccontextmanager
            async def lifespan(app: FastAPI) -> AsyncGenerator[Any]:
                log.append(f"{app.title} starts, client closed: {made[-1].is_closed}")
                if fails == "at start":
                    raise OSError("no database")
                yield gives
                log.append(f"{app.title} stops, client closed: {made[-1].is_closed}")
                if fails == "at stop":
                    raise OSError("no database")

            return lifespan

        return own

    @pytest.mark.parametrize("gives", [None, {"shop": "shoes"}], ids=["nothing", "a state"])
    def test_another_lifespan_runs_inside_and_both_states_are_there(
        self, own: Callable[..., OwnLifespan], make: Make, log: list[str], gives: Any
    ) -> None:
        app = signing_up(FastAPI(title="shop", lifespan=sendx_lifespan(own(gives), client=make)))

        @app.get("/state")
        async def state(request: Request, sendx: SendX) -> list[Any]:
            return [getattr(request.state, "shop", None), request.state.sendx is sendx]

        for _ in range(2):
            with TestClient(app) as visitor:
                sign_up(visitor)
                assert visitor.get("/state").json() == [gives and "shoes", True]
            assert log == ["shop starts, client closed: False", "shop stops, client closed: False"]
            log.clear()

    @pytest.mark.parametrize("fails", ["at start", "at stop"])
    def test_when_it_fails_the_client_is_closed(
        self,
        own: Callable[..., OwnLifespan],
        make: Make,
        made: list[AsyncTrackingClient],
        tmp_path: Path,
        fails: str,
    ) -> None:
        outboxes: list[Outbox] = []

        def make_outbox() -> Outbox:
            outboxes.append(Outbox(tmp_path / "sendx.db"))
            return outboxes[-1]

        lifespan = sendx_lifespan(own(fails=fails), client=make, outbox=make_outbox)
        app = FastAPI(lifespan=lifespan)
        with pytest.raises(OSError, match="no database"):
            start(app)
        assert [client.is_closed for client in made] == [True]
        with pytest.raises(OutboxError, match="closed"):
            outboxes[0].stats()

    def test_another_lifespan_may_not_take_the_names(
        self, own: Callable[..., OwnLifespan], make: Make, made: list[AsyncTrackingClient]
    ) -> None:
        app = FastAPI(lifespan=sendx_lifespan(own({"sendx": 1}), client=make))
        with pytest.raises(ConfigurationError, match="own lifespan yields 'sendx', which is the"):
            start(app)
        assert made[0].is_closed

    def test_another_lifespan_uses_the_client_where_it_is_composed_by_hand(
        self, settings: FakeSendX
    ) -> None:
        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
            async with sendx_lifespan(timeout=5)(app) as state:
                await state["sendx"].identify_contact({"email": "start@example.com"})
                yield {**state, "shop": "shoes"}
                await state["sendx"].identify_contact({"email": "stop@example.com"})

        with TestClient(signing_up(FastAPI(lifespan=lifespan))) as visitor:
            assert list(settings.contacts) == ["start@example.com"]
            sign_up(visitor)
        assert list(settings.contacts)[1:] == ["jane@example.com", "stop@example.com"]

    def test_another_lifespan_may_open_the_client_all_by_itself(self, settings: FakeSendX) -> None:
        @asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncIterator[SendXState]:
            async with AsyncTrackingClient() as client:
                yield {"sendx": client}

        with TestClient(signing_up(FastAPI(lifespan=lifespan))) as visitor:
            sign_up(visitor)
        assert list(settings.contacts) == ["jane@example.com"]

    @pytest.mark.parametrize("gives", ["nothing", "a text"])
    def test_without_a_client_the_error_says_what_to_write(self, gives: str) -> None:
        @asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
            yield {} if gives == "nothing" else {"sendx": "?", "sendx_outbox": "?"}

        app = signing_up(FastAPI(lifespan=lifespan))
        app.add_api_route("/put", put_jane, methods=["POST"])
        with TestClient(app) as visitor:
            with pytest.raises(ConfigurationError) as caught:
                sign_up(visitor)
            assert str(caught.value) == (
                "this application has no open AsyncTrackingClient: make it with "
                "FastAPI(lifespan=sendx_lifespan()), and open it in a test with `with "
                "TestClient(app)`, or set app.dependency_overrides[get_sendx]"
            )
            with pytest.raises(ConfigurationError) as caught:
                visitor.post("/put")
        assert "no open Outbox" in str(caught.value)
        assert "sendx_lifespan(outbox='sendx.db')" in str(caught.value)
        assert "dependency_overrides[get_sendx_outbox]" in str(caught.value)


class TestOutboxOfAnApplication:
    def test_the_outbox_is_drained_as_long_as_the_application_runs(
        self, settings: FakeSendX, tmp_path: Path
    ) -> None:
        path = tmp_path / "sendx.db"
        app = FastAPI(lifespan=sendx_lifespan(outbox=path))
        app.add_api_route("/put", put_jane, methods=["POST"])

        @app.get("/state")
        async def state(request: Request, outbox: SendXOutbox) -> bool:
            return outbox is request.state.sendx_outbox

        for _ in range(2):
            settings.reset()
            with TestClient(app) as visitor:
                assert len(visitor.post("/put").json()) > 8
                settings.wait_for(lambda: settings.contacts, timeout=20)
                assert visitor.get("/state").json() is True
            assert list(settings.contacts) == ["jane@example.com"]
        with Outbox(path) as outbox:
            assert outbox.stats().pending == 0

    def test_or_it_is_filled_only(
        self, settings: FakeSendX, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        app = FastAPI(lifespan=sendx_lifespan(client=make, outbox="sendx.db", drain=False))

        @app.post("/put")
        def put(outbox: SendXOutbox) -> str:
            return outbox.put_sync(JANE)

        with TestClient(app) as visitor:
            visitor.post("/put").raise_for_status()
        with Outbox(tmp_path / "sendx.db") as outbox:
            assert outbox.stats().pending == 1
        assert settings.requests == []

    def test_a_file_that_cannot_be_used_ends_the_start(
        self, make: Make, made: list[AsyncTrackingClient], tmp_path: Path
    ) -> None:
        app = FastAPI(lifespan=sendx_lifespan(client=make, outbox=tmp_path / "no" / "sendx.db"))
        with pytest.raises(OutboxError):
            start(app)
        assert made[0].is_closed

    def test_a_test_puts_another_in_its_place(self, tmp_path: Path) -> None:
        app = FastAPI()
        app.add_api_route("/put", put_jane, methods=["POST"])
        with Outbox(tmp_path / "test.db") as outbox:
            app.dependency_overrides[get_sendx_outbox] = lambda: outbox
            TestClient(app).post("/put").raise_for_status()
            assert outbox.stats().pending == 1


class TestRefusals:
    @pytest.mark.parametrize(
        "key,text", [(None, "SENDX_API_KEY"), ("", "empty"), ("line\nbreak", "api_key")]
    )
    def test_a_key_that_is_none_ends_the_start(self, key: str | None, text: str) -> None:
        app = FastAPI(lifespan=sendx_lifespan(api_key=key))
        with pytest.raises(ConfigurationError, match=text):
            start(app)

    def test_a_bad_option_ends_the_start(self) -> None:
        app = FastAPI(lifespan=sendx_lifespan(api_key=KEY, timeout=-1))
        with pytest.raises(ConfigurationError, match="timeout") as caught:
            start(app)
        assert KEY not in shown_with_variables(caught.value)

    def test_an_unknown_option_is_told_at_once(self) -> None:
        with pytest.raises(TypeError, match="no option 'time_out': besides client") as caught:
            sendx_lifespan(api_key=KEY, time_out=5)  # type: ignore[call-arg]
        assert KEY not in shown_with_variables(caught.value)

    def test_options_beside_a_function_are_told_at_once(self) -> None:
        with pytest.raises(TypeError, match="client makes the client, so give timeout to it"):
            sendx_lifespan(client=AsyncTrackingClient, timeout=5)

    def test_what_can_be_opened_only_once_is_told_at_once(self, tmp_path: Path) -> None:
        client = AsyncTrackingClient(KEY)
        with pytest.raises(ConfigurationError) as caught:
            sendx_lifespan(client=client)  # type: ignore[arg-type]
        assert str(caught.value) == (
            "client must be a function that makes a new one at each start, got "
            "sendx_async.AsyncTrackingClient: write client=lambda: ..."
        )
        with pytest.raises(ConfigurationError, match=r"got sendx_async\.outbox\.Outbox: write"):
            sendx_lifespan(outbox=Outbox(tmp_path / "sendx.db"))  # type: ignore[arg-type]

    def test_a_function_that_makes_something_else(self, make: Make) -> None:
        for lifespan, text in (
            (sendx_lifespan(client=lambda: "?"), "client must make an AsyncTrackingClient, it"),  # type: ignore[arg-type,return-value]
            (sendx_lifespan(client=make, outbox=lambda: None), "outbox must make an Outbox, it"),  # type: ignore[arg-type,return-value]
        ):
            app = FastAPI(lifespan=lifespan)
            with pytest.raises(ConfigurationError, match=text):
                start(app)

    def test_a_lifespan_without_its_decorator_is_told_at_once(self) -> None:
        async def lifespan(_: FastAPI) -> AsyncIterator[None]:
            yield

        with pytest.raises(ConfigurationError, match=r"FastAPI\(lifespan=sendx_lifespan\(\)\)"):
            sendx_lifespan(FastAPI())  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match="asynccontextmanager above it, got one witho"):
            sendx_lifespan(lifespan)  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match=r"asynccontextmanager above it, got str$"):
            sendx_lifespan("lifespan")  # type: ignore[arg-type]


def shown_with_variables(error: BaseException) -> str:
    """What tools print that show local variables, in all frames but those of this file."""
    summary = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [frame for frame in summary.stack if frame.filename != __file__]
    return "".join(str(frame.locals) for frame in frames) + str(error)


def test_the_options_are_those_of_the_client() -> None:
    parameters = dict(inspect.signature(AsyncTrackingClient).parameters)
    hints = get_type_hints(AsyncTrackingClient.__init__)
    assert get_type_hints(NewClientOptions) == {name: hints[name] for name in parameters}


def test_a_lifespan_shows_no_key() -> None:
    lifespan = sendx_lifespan(api_key=KEY)
    assert KEY not in repr(lifespan)
    inner = gc.get_referents(inspect.unwrap(lifespan))
    assert KEY not in repr([cell.cell_contents for tup in inner if isinstance(tup, tuple)
                            for cell in tup])  # fmt: skip


@pytest.mark.slow
class TestWithoutFastAPI:
    def imported(self, missing: str) -> Iterator[str]:
        code = f"import sys\nsys.modules[{missing!r}] = None\nimport sendx_async.fastapi\n"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=150
        )
        assert done.returncode == 1
        yield from done.stderr.splitlines()

    @pytest.mark.parametrize("missing", ["fastapi", "starlette.requests"])
    def test_the_error_says_what_to_install(self, missing: str) -> None:
        *_, last = self.imported(missing)
        assert last == (
            "ModuleNotFoundError: sendx_async.fastapi needs FastAPI: "
            "pip install 'sendx-async[fastapi]'"
        )

    def test_another_missing_module_is_shown_as_it_is(self) -> None:
        *_, last = self.imported("sqlite3")
        assert "pip install" not in last
        assert "sqlite3" in last


@pytest.mark.slow
def test_importing_the_package_does_not_import_fastapi() -> None:
    code = "import sendx_async, sendx_async.testing, sys; print('fastapi' in sys.modules)"
    run = functools.partial(subprocess.run, capture_output=True, text=True, timeout=150, check=True)
    assert run([sys.executable, "-c", code]).stdout == "False\n"
