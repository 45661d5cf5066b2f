"""The pytest fixtures that come with the package, used by a test suite of their own."""

import subprocess
import sys

import pytest

pytest_plugins = ["pytester"]


def passes(pytester: pytest.Pytester, code: str, *, count: int) -> None:
    pytester.makepyfile(code)
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
