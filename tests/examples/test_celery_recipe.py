"""The Celery recipe: a real worker that forks, and what is tried again."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sendx_async import (
    ConnectError,
    RateLimitError,
    RetryPolicy,
    SendXError,
    ServerError,
    TrackingClient,
    UnprocessableEntityError,
)
from sendx_async.testing import FakeSendX
from tests.examples.conftest import EXAMPLES, LIMIT, Load, Program, Start, needs_fork

EMAIL = "jane@example.com"

# What `celery --config` reads: the example's folder for a broker, and the children's numbers.
CONFIGURATION = """
import os
from celery.signals import worker_process_init
from kombu.transport import TRANSPORT_ALIASES

TRANSPORT_ALIASES["folder"] = "celery_tasks:Folder"
broker_url = "folder://localhost"
broker_transport_options = {options!r}
worker_lost_wait = 0.1

@worker_process_init.connect(weak=False)
def tell(**_):
    print(f"child {{os.getpid()}}.", flush=True)
"""


@needs_fork
def test_the_example_survives_an_outage_and_counts_an_order_once(
    start: Start, children_unmeasured: None
) -> None:
    # Celery warns of root in the worker, so warnings are errors in the other process only.
    output = start("-W", "error", str(EXAMPLES / "celery_tasks.py")).ends()
    assert "SendX knows 20 contacts and 20 orders.\n" in output
    assert re.search(r"SendX is down\. .*Task celery_tasks\.signed_up\S+ retry: Retry in ", output)
    assert "SendX is up again, and knows Jane.\n" in output
    assert re.search(r"lost\. .*celery_tasks\.ordered\S+ raised unexpected: ResponseL", output)
    assert "Jane ordered once, and 1 counts. The worker ended with 0.\n" in output


@pytest.fixture
def example(load: Load, tmp_path: Path) -> Any:
    """The example, as a web application imports it, with a folder for a broker."""
    (tmp_path / "queue").mkdir()
    module = load("celery_tasks")
    module.use_folder(str(tmp_path / "queue"))
    return module


Work = Callable[..., Program]


@needs_fork
@pytest.mark.usefixtures("children_unmeasured")
class TestWorker:
    @pytest.fixture
    def work(
        self, example: Any, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Work:
        """Start a worker as in production, except for the broker."""
        options = example.app.conf.broker_transport_options
        (tmp_path / "settings.py").write_text(CONFIGURATION.format(options=options))
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(EXAMPLES), str(tmp_path)]))

        def work(*, processes: int = 2) -> Program:
            return start(
                "-m", "celery", "--quiet", "--config", "settings", "-A", "celery_tasks",
                "worker", "--pool", "prefork", "--concurrency", f"{processes}", "-l", "INFO",
                "--without-gossip", "--without-mingle", "--without-heartbeat",
            )  # fmt: skip

        return work

    def test_tasks_wait_out_an_outage_fail_if_refused_and_end_before_a_shutdown(
        self, work: Work, example: Any, settings: FakeSendX
    ) -> None:
        # Both children have a task at once, since each one takes a while.
        settings.latency = 0.2
        for number in range(10):
            example.signed_up.delay(f"visitor{number}@example.com", "Jane")
        worker = work()
        settings.wait_for(lambda: len(settings.contacts) == 10, LIMIT)
        worker.says(r"signed_up\S+ succeeded", times=10)
        children = set(re.findall(r"(ForkPoolWorker-\d+)\] Task \S+ succeeded", worker.output))
        assert children == {"ForkPoolWorker-1", "ForkPoolWorker-2"}
        assert settings.connections.accepted == 2
        settings.latency = 0.0

        settings.stop()
        example.signed_up.delay(EMAIL, "Jane")
        worker.says(r"signed_up\S+ retry: Retry in \S+s: ConnectError")
        settings.start()
        assert settings.wait_for(lambda: settings.contact(EMAIL), LIMIT).first_name == "Jane"
        worker.says(r"signed_up\S+ succeeded", times=11)

        settings.respond(422, message=f"no more orders of {EMAIL}")
        example.ordered.delay(EMAIL, 49)
        worker.says(r"ordered\S+ raised unexpected: UnprocessableEntityError")
        settings.drop(applied=True)
        example.ordered.delay(EMAIL, 49)
        worker.says(r"ordered\S+ raised unexpected: ResponseLost")

        settings.latency = 1.0
        seen = len(settings.requests)
        example.ordered.delay(EMAIL, 50)
        settings.wait_for(lambda: len(settings.requests) == seen + 1, LIMIT)
        worker.stop()
        output = worker.ends()
        assert "Warm shutdown" in output
        assert len(re.findall(r"ordered\S+ succeeded", output)) == 1
        assert [event.amount for event in settings.events] == [49, 50]
        assert EMAIL not in output
        assert "visitor" not in output
        assert settings.api_key not in output

    def test_only_a_signup_is_done_again_if_its_process_is_killed(
        self, work: Work, example: Any, settings: FakeSendX
    ) -> None:
        worker = work(processes=1)
        example.signed_up.delay(EMAIL)
        settings.wait_for(lambda: settings.contact(EMAIL), LIMIT)

        def kill_in(task: Any, *arguments: object) -> None:
            begun = len(worker.says(r"child (\d+)\."))
            settings.black_hole(applied=True)
            seen = len(settings.requests)
            task.delay(EMAIL, *arguments)
            settings.wait_for(lambda: len(settings.requests) > seen, LIMIT)
            os.kill(int(worker.says(r"child (\d+)\.")[-1]), signal.SIGKILL)
            worker.says(r"child (\d+)\.", times=begun + 1)

        kill_in(example.ordered, 49)  # may count, so it is not done again
        worker.says(r"raised error: WorkerLostError")
        kill_in(example.signed_up, "Jane")
        worker.says(r"signed_up\S+ succeeded", times=2)
        worker.stop()
        worker.ends()
        assert len(settings.events) == 1
        ends = [request.path.rsplit("/", 1)[1] for request in settings.requests]
        assert ends == ["identify", "revenue", "identify", "identify"]

    def test_a_worker_without_a_key_takes_no_task(
        self, work: Work, example: Any, tmp_path: Path
    ) -> None:
        example.signed_up.delay(EMAIL)
        assert "Error: no API key: " in work().ends(1)
        assert len(list((tmp_path / "queue").glob("*.msg"))) == 1


class TestTryingAgain:
    @pytest.fixture(autouse=True)
    def _client(
        self, example: Any, fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[None]:
        with TrackingClient(
            fake_sendx.api_key, base_url=fake_sendx.url, retry=RetryPolicy(max_retries=0)
        ) as client:
            monkeypatch.setattr(example, "sendx", lambda: client)
            yield

    def wait_after(self, example: Any, *, retries: int, is_safe_to_repeat: bool) -> float:
        """Give the seconds after which a task comes back; raise if it doesn't."""

        class ComesBackError(Exception):
            pass

        waits: list[float] = []

        def retry(*, exc: Exception, countdown: float) -> Exception:
            assert isinstance(exc, SendXError)
            waits.append(countdown)
            return ComesBackError()

        task = SimpleNamespace(request=SimpleNamespace(retries=retries), retry=retry)
        request = example.IdentifyRequest(EMAIL)
        with pytest.raises(ComesBackError):
            example.deliver(task, request, is_safe_to_repeat=is_safe_to_repeat)
        return waits[0]

    @pytest.mark.parametrize("is_safe", [True, False], ids=["safe", "unsafe"])
    @pytest.mark.parametrize("told, wait", [(30, 30), (3600, 600), (None, 8)])
    def test_a_task_comes_back_when_a_busy_server_says_so_or_later_each_time(
        self, example: Any, fake_sendx: FakeSendX, is_safe: bool, told: int | None, wait: int
    ) -> None:
        fake_sendx.respond(429, retry_after=told)
        assert self.wait_after(example, retries=3, is_safe_to_repeat=is_safe) == wait

    @pytest.mark.parametrize("retries, wait", [(0, 1), (4, 16), (99, 600)])
    def test_a_task_comes_back_later_each_time_while_the_server_is_down(
        self, example: Any, fake_sendx: FakeSendX, retries: int, wait: int
    ) -> None:
        fake_sendx.stop()
        assert self.wait_after(example, retries=retries, is_safe_to_repeat=False) == wait

    def test_what_may_have_been_applied_comes_back_only_if_safe_to_repeat(
        self, example: Any, fake_sendx: FakeSendX
    ) -> None:
        fake_sendx.respond(500, applied=True, times=2)
        assert self.wait_after(example, retries=1, is_safe_to_repeat=True) == 2
        with pytest.raises(ServerError):
            self.wait_after(example, retries=1, is_safe_to_repeat=False)

    def test_what_was_refused_does_not_come_back(self, example: Any, fake_sendx: FakeSendX) -> None:
        fake_sendx.respond(422)
        with pytest.raises(UnprocessableEntityError):
            self.wait_after(example, retries=0, is_safe_to_repeat=True)


class TestEager:
    """Without a worker, as an application's own tests run tasks."""

    @pytest.fixture(autouse=True)
    def _eager(
        self, example: Any, sendx_client: TrackingClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        example.app.conf.task_always_eager = True
        monkeypatch.setattr(example, "sendx", lambda: sendx_client)

    def test_a_chain_runs_its_tasks_in_order(self, example: Any, fake_sendx: FakeSendX) -> None:
        example.chain(example.signed_up.si(EMAIL), example.ordered.si(EMAIL, 49)).delay()
        assert EMAIL in fake_sendx.contacts
        assert [event.amount for event in fake_sendx.events] == [49]

    def test_a_task_comes_back_at_once(self, example: Any, fake_sendx: FakeSendX) -> None:
        fake_sendx.respond(500, times=5)  # the client repeats three of them
        example.signed_up.delay(EMAIL).get()
        assert [request.status for request in fake_sendx.requests] == [500] * 5 + [200]

    def test_what_was_refused_raises_from_the_task(
        self, example: Any, fake_sendx: FakeSendX
    ) -> None:
        fake_sendx.respond(422)
        with pytest.raises(UnprocessableEntityError):
            example.signed_up.delay(EMAIL).get()

    def test_a_task_fails_after_its_last_retry_in_an_outage(
        self, example: Any, fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(example.signed_up, "max_retries", 2)
        fake_sendx.stop()
        with pytest.raises(ConnectError):
            example.signed_up.delay(EMAIL).get()


def test_the_client_is_made_once(example: Any, settings: FakeSendX) -> None:
    example.make_client()
    assert example.sendx() is example.sendx()
    assert RateLimitError in example.IN_TROUBLE
