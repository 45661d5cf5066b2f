"""Greenlets of one thread that make the first calls of a process, as in a gunicorn worker."""

import subprocess
import sys

import pytest

from sendx_async.testing import FakeSendX

pytest.importorskip("gevent", reason="it has no wheel for this interpreter")

pytestmark = pytest.mark.slow

PROGRAM = """
import os, sys
moment, key, url = sys.argv[1:]

def patch():
    from gevent import monkey
    monkey.patch_all()

if moment == "before the import":
    patch()
from sendx_async import TrackingClient
client = TrackingClient(key, base_url=url)
if moment == "after a fork" and (child := os.fork()):  # as `gunicorn --preload` does
    sys.exit(os.waitpid(child, 0)[1])
if moment != "before the import":
    patch()

import collections, gevent, threading

def call(number):
    try:
        return type(client.identify_contact({"email": f"c{number}@example.com"})).__name__
    except Exception as error:
        return f"{type(error).__name__}: {error}"

greenlets = [gevent.spawn(call, number) for number in range(12)]
gevent.joinall(greenlets, raise_error=True)
print(dict(collections.Counter(each.value for each in greenlets)))
print([each.name for each in threading.enumerate()].count("sendx_async"), flush=True)
os._exit(0)
"""


@pytest.mark.parametrize("moment", ["before the import", "after the import", "after a fork"])
def test_greenlets_that_make_the_first_calls_share_one_loop(
    fake_sendx: FakeSendX, moment: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, moment, fake_sendx.api_key, fake_sendx.url],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.stdout.splitlines() == ["{'IdentifyResponse': 12}", "1"], done.stderr
    assert len(fake_sendx.contacts) == 12
