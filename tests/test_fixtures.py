"""The pytest fixtures that come with the package, used by a test suite of their own."""

import subprocess
import sys

import pytest

pytest_plugins = ["pytester"]


def passes(pytester: pytest.Pytester, code: str, *, count: int) -> None:
    pytester.makepyfile(code)
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    # A process of its own, where the plugin is loaded through its entry point as with a user.
    result = pytester.runpytest_subprocess("-p", "no:randomly", "-p", "no:xdist", "-W", "error")
    result.assert_outcomes(passed=count)


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
            fake_sendx.respond(503, times=3)
            sendx_client.identify_contact({"email": "jane@example.com", "tags": ["vip"]})
            assert fake_sendx.contact("jane@example.com").tags == {"vip"}
            first, *_, last = fake_sendx.requests
            assert len(fake_sendx.requests) == 4
            assert last.at - first.at < 5

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
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=50
    )
    assert done.stdout.strip() == "[]"
