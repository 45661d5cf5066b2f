"""The pytest fixtures that come with the package, used by a test suite of their own."""

import subprocess
import sys

import pytest

from sendx_async import AsyncTrackingClient, TrackingClient
from sendx_async.testing import FakeSendX

pytest_plugins = ["pytester"]

FIRST_ID = "contact_0000000000000000000001"


# Left out is what orders tests at random, what imports all of Hypothesis each time, and what warns
# if it isn't the first to import vcr.
OPTIONS = (
    "-p", "no:randomly", "-p", "no:hypothesispytest", "-p", "no:recording", "-W", "error",
)  # fmt: skip


def run(
    pytester: pytest.Pytester, code: str, *options: str, in_process: bool = True
) -> pytest.RunResult:
    """Run the code's tests, where the plugin is loaded through its entry point as with a user."""
    pytester.makepyfile(code)
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    start = pytester.runpytest_inprocess if in_process else pytester.runpytest_subprocess
    return start(*OPTIONS, *options)


def passes(pytester: pytest.Pytester, code: str, *, count: int, in_process: bool = True) -> None:
    # The first failure ends it: the time limit of the test around it counts only once.
    run(pytester, code, "-n0", "-x", in_process=in_process).assert_outcomes(passed=count)


def test_fake_sendx_serves_and_is_fresh_for_each_test(pytester: pytest.Pytester) -> None:
    passes(
        pytester,
        """
        import httpx
        import pytest

        @pytest.mark.parametrize("_", range(2))
        def test_it(fake_sendx, _):
            assert fake_sendx.contacts == {}
            answer = httpx.post(
                fake_sendx.url + "/contact/identify",
                json={"email": "jane@example.com", "tags": ["vip"]},
                headers={"X-Team-ApiKey": fake_sendx.api_key},
            )
            assert answer.is_success
            assert fake_sendx.contact("jane@example.com").tags == {"vip"}
        """,
        count=2,
    )


def test_sendx_client_talks_to_the_fake_and_retries_at_once(pytester: pytest.Pytester) -> None:
    passes(
        pytester,
        """
        def test_it(fake_sendx, sendx_client):
            fake_sendx.respond(503, retry_after=25_000, times=3)
            jane = {"email": "jane@example.com", "tags": ["vip"]}
            sendx_client.identify_contact(jane, deadline=100_000)
            assert fake_sendx.contact("jane@example.com").tags == {"vip"}
            first, *_, last = fake_sendx.requests
            assert len(fake_sendx.requests) == 4
            assert last.at - first.at < 20

        def test_unused(sendx_client):
            pass
        """,
        count=2,
    )


def test_async_sendx_client_is_entered_by_the_test_on_any_loop(pytester: pytest.Pytester) -> None:
    passes(
        pytester,
        """
        import anyio
        import pytest

        async def use(fake, client):
            fake.respond(503, times=3)
            async with client:
                await client.identify_contact({"email": "jane@example.com", "tags": ["vip"]})
            assert fake.contact("jane@example.com").tags == {"vip"}
            assert len(fake.requests) == 4
            await fake.until(lambda: fake.connections.open == 0)

        @pytest.mark.asyncio
        async def test_with_pytest_asyncio(fake_sendx, async_sendx_client):
            await use(fake_sendx, async_sendx_client)

        @pytest.mark.anyio
        @pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
        async def test_with_anyio(fake_sendx, async_sendx_client, anyio_backend):
            await use(fake_sendx, async_sendx_client)

        def test_without_a_plugin(fake_sendx, async_sendx_client):
            anyio.run(use, fake_sendx, async_sendx_client, backend="trio")

        def test_unused(async_sendx_client):
            pass
        """,
        count=5,
    )


@pytest.mark.slow
def test_loading_the_plugin_loads_nothing_heavy() -> None:
    code = """
import sys
import pytest
before = set(sys.modules)
import sendx_async.testing._fixtures
print(sorted(
    name for name in set(sys.modules) - before if name.split(".")[0] != "sendx_async"
))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=150
    )
    assert done.stdout.strip() == "[]"


class TestRetryAfter:
    """What the fake asks clients to wait is decided on, and not waited for: it would take hours."""

    def test_the_synchronous_client_goes_on_at_once(self, pytester: pytest.Pytester) -> None:
        passes(
            pytester,
            """
            import pytest
            from sendx_async import RateLimitError, ServerError

            JANE = {"email": "jane@example.com"}

            @pytest.mark.parametrize("status", [429, 503])
            def test_it_is_repeated(fake_sendx, sendx_client, status):
                fake_sendx.respond(status, retry_after=25_000, times=3)
                sendx_client.identify_contact(JANE, deadline=100_000)
                sendx_client.with_options(timeout=20).track_contact(JANE, deadline=29)
                assert [r.status for r in fake_sendx.requests] == [status] * 3 + [200] * 2

            def test_it_is_given_up_in_the_end(fake_sendx, sendx_client):
                fake_sendx.respond(429, retry_after=25_000, times=None)
                with pytest.raises(RateLimitError) as caught:
                    sendx_client.identify_contact(JANE, deadline=100_000)
                assert (caught.value.attempts, caught.value.retry_after) == (4, 25_000)

            def test_waits_count_for_the_deadline(fake_sendx, sendx_client):
                fake_sendx.respond(429, retry_after=25_000, times=None)
                with pytest.raises(RateLimitError) as caught:
                    sendx_client.identify_contact(JANE, deadline=30_000)
                assert (caught.value.attempts, caught.value.retry_after) == (2, 25_000)

            def test_what_is_longer_than_the_deadline_is_not_begun(fake_sendx, sendx_client):
                fake_sendx.respond(503, retry_after=3600)
                with pytest.raises(ServerError) as caught:
                    sendx_client.identify_contact(JANE)
                assert (caught.value.attempts, caught.value.retry_after) == (1, 3600)
                sendx_client.identify_contact(JANE, deadline=None)

            def test_an_event_is_not_repeated_blindly(fake_sendx, sendx_client):
                fake_sendx.respond(500)
                with pytest.raises(ServerError) as caught:
                    sendx_client.track_custom_event(
                        {"identifier": "jane@example.com", "name": "bought"}
                    )
                assert (caught.value.attempts, caught.value.maybe_delivered) == (1, True)
            """,
            count=6,
        )

    def test_the_asynchronous_client_and_its_copies_do_too(self, pytester: pytest.Pytester) -> None:
        passes(
            pytester,
            """
            import anyio
            import pytest

            CONTACTS = [{"email": f"{number}@example.com"} for number in range(8)]

            async def use(fake, client):
                fake.respond(429, retry_after=25_000, times=2)
                seen = []
                async with client:
                    copy = client.with_options(
                        deadline=100_000, on_event=lambda event: seen.append(event.kind)
                    )
                    async with anyio.create_task_group() as tasks:
                        for contact in CONTACTS:
                            tasks.start_soon(copy.identify_contact, contact)
                assert len(fake.contacts) == 8
                assert seen.count("paused") == seen.count("retry_scheduled") == 2

            async def use_together(fake, client):
                fake.respond(503, retry_after=0)
                async with client:
                    together = client.with_options(batch_identify=True)
                    await together.identify_contact(CONTACTS[0])
                    async with client.send_many(CONTACTS) as outcomes:
                        assert [outcome.error async for outcome in outcomes] == [None] * 8
                assert len(fake.contacts) == 8

            @pytest.mark.parametrize("backend", ["asyncio", "trio"])
            @pytest.mark.parametrize("do", [use, use_together])
            def test_it(fake_sendx, async_sendx_client, backend, do):
                anyio.run(do, fake_sendx, async_sendx_client, backend=backend)
            """,
            count=4,
        )

    def test_clients_of_the_fixtures_look_like_any_client(
        self, fake_sendx: FakeSendX, sendx_client: TrackingClient,
        async_sendx_client: AsyncTrackingClient,
    ) -> None:  # fmt: skip
        for client, kind in (
            (sendx_client, TrackingClient), (async_sendx_client, AsyncTrackingClient)
        ):  # fmt: skip
            assert isinstance(client, kind)
            assert kind.__name__ in repr(client)
            assert fake_sendx.api_key not in repr(client)


SECTION = "-* fake SendX -*"
FAILING = """
    import unittest
    import anyio
    import pytest
    from sendx_async import NotFoundError

    JANE = {"email": "jane@example.com", "tags": ["vip", "new"]}

    def test_plain(fake_sendx, sendx_client):
        sendx_client.identify_contact(JANE)
        assert not fake_sendx.contacts

    class TestClass:
        def test_method(self, fake_sendx):
            raise OSError

    class TestCase(unittest.TestCase):
        @pytest.fixture(autouse=True)
        def _sendx(self, fake_sendx, sendx_client):
            self.sendx = sendx_client

        def test_unittest(self):
            with self.assertRaises(NotFoundError):
                self.sendx.track_contact({"email": "ann@example.com", "add_tags": ["x"]})
            self.fail("on purpose")

    @pytest.mark.asyncio
    async def test_pytest_asyncio(fake_sendx, async_sendx_client):
        async with async_sendx_client as client:
            await client.identify_contact(JANE)
        assert False

    @pytest.mark.anyio
    @pytest.mark.parametrize("anyio_backend", ["trio"])
    async def test_anyio(fake_sendx, async_sendx_client, anyio_backend):
        async with async_sendx_client as client:
            await client.identify_contact(JANE)
        assert False

    def test_asked_for_late(request):
        request.getfixturevalue("fake_sendx")
        assert False

    @pytest.fixture
    def checked(fake_sendx):
        yield fake_sendx
        assert fake_sendx.requests, "SendX was told nothing"

    def test_at_the_end(checked):
        pass
"""


@pytest.mark.slow  # it runs pytest in pytest
class TestReports:
    @pytest.mark.parametrize("workers", ["-n0", "-n2"])
    def test_a_failing_test_shows_what_the_server_saw(
        self, pytester: pytest.Pytester, workers: str
    ) -> None:
        result = run(pytester, FAILING, workers)
        result.assert_outcomes(failed=6, passed=1, errors=1)
        assert result.stdout.str().count(" fake SendX -") == 7
        # With several workers the order of the tests is another one each time.
        for name, lines in {
            "test_plain": [
                "It holds 1 contact; the latest:",
                f"  Contact(id='{FIRST_ID}', email='jane@example.com', tags={{'new', 'vip'}})",
                "It has taken in no event.",
                "It has received 1 request; the latest:",
                "  <POST */contact/identify {*} -> 200, applied>",
            ],
            "TestClass.test_method": ["It holds no contact.", "It has received no request."],
            "TestCase.test_unittest": ["It holds no contact.", "  <POST */track *404>"],
            "test_pytest_asyncio": ["It holds 1 contact; the latest:"],
            "test_anyio[trio]": ["It holds 1 contact; the latest:"],
            "test_asked_for_late": ["It holds no contact."],
            "ERROR at teardown of test_at_the_end": ["It holds no contact."],
        }.items():
            _, found, rest = result.stdout.str().partition(f"_ {name} _")
            assert found, name
            report, _, _ = rest.partition("\n___")
            pytest.LineMatcher(report.splitlines()).fnmatch_lines([SECTION, *lines])

    def test_a_failing_setup_shows_it_too(self, pytester: pytest.Pytester) -> None:
        result = run(
            pytester,
            """
            import pytest

            @pytest.fixture
            def seeded(fake_sendx, sendx_client):
                sendx_client.track_contact({"email": "jane@example.com"})

            def test_it(seeded):
                pass
            """,
            "-n0",
        )
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines([SECTION, "It holds no contact.", "  <POST *track*404>"])

    def test_others_show_nothing(self, pytester: pytest.Pytester) -> None:
        result = run(
            pytester,
            """
            import pytest

            def test_passes(fake_sendx):
                pass

            def test_is_skipped(fake_sendx):
                pytest.skip("not today")

            @pytest.mark.xfail(strict=True)
            def test_is_expected_to_fail(fake_sendx):
                assert False

            def test_fails_without_it():
                assert False
            """,
            "-n0",
            "-rA",
        )
        result.assert_outcomes(passed=1, skipped=1, xfailed=1, failed=1)
        result.stdout.no_fnmatch_line("*fake SendX*")

    def test_no_fake_is_kept_when_a_test_is_over(self, pytester: pytest.Pytester) -> None:
        passes(
            pytester,
            """
            import gc
            from sendx_async.testing import FakeSendX

            def test_one(fake_sendx):
                pass

            def test_two():
                gc.collect()
                assert not [each for each in gc.get_objects() if type(each) is FakeSendX]
            """,
            count=2,
            in_process=False,  # where no other test has left one
        )


def test_what_differs_between_contacts_is_shown(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        from sendx_async.testing import Contact

        def test_equal(fake_sendx, sendx_client):
            sendx_client.identify_contact(
                {"email": "jane@example.com", "tags": ["vip", "new"], "custom_fields": {"Age": 27}}
            )
            assert fake_sendx.contacts == {
                "jane@example.com": Contact(
                    email="jane@example.com", tags=["new", "vip"], custom_fields={"Age": "27"}
                )
            }

        def test_different(fake_sendx, sendx_client):
            sendx_client.identify_contact({"email": "jane@example.com", "tags": ["vip"]})
            expected = Contact(email="jane@example.com", tags={"new"}, first_name="Jane")
            assert fake_sendx.contact("jane@example.com") == expected
        """,
        "-n0",
        "-vv",
    )
    result.assert_outcomes(passed=1, failed=1)
    output = result.stdout.str()
    held = f"Contact(id='{FIRST_ID}', email='jane@example.com', tags={{'vip'}})"
    expected = "Contact(email='jane@example.com', first_name='Jane', tags={'new'})"
    assert f"{held} == {expected}" in output
    assert "['first_name', 'tags']" in output.partition("Differing attributes:")[2]


def test_a_fake_describes_the_latest_of_everything(
    fake_sendx: FakeSendX, sendx_client: TrackingClient
) -> None:
    for number in range(12):
        email = f"visitor{number}@example.com"
        sendx_client.identify_contact({"email": email})
        sendx_client.track_custom_event(
            {"identifier": email, "name": "came", "data": {"n": number}}
        )
    text = fake_sendx.describe()
    assert (
        "It holds 12 contacts; the latest:\n  Contact(id='contact_0000000000000000000003'," in text
    )
    assert "It has taken in 12 events; the latest:\n  ReceivedEvent(kind='custom'," in text
    assert "name='came', data={'n': 11})\nIt has received 24 requests; the latest:\n" in text
    assert len(text.splitlines()) == 33
