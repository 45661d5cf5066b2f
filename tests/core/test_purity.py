"""The core and the policies do no I/O at import; `nox -s lint` holds who imports whom."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import sendx_async

pytestmark = pytest.mark.slow

PACKAGE = Path(sendx_async.__file__).parent
PURE = sorted(
    f"sendx_async.{package}.{path.stem}"
    for package in ("_core", "_policy")
    for path in (PACKAGE / package).glob("[!_]*.py")
)
IO_LIBRARIES = {
    "aiohttp", "anyio", "asyncio", "certifi", "concurrent", "h11", "httpcore", "httpx", "idna",
    "multiprocessing", "requests", "sniffio", "sqlite3", "ssl", "subprocess", "trio", "uvloop",
}  # fmt: skip
OPTIONAL = {
    "cattrs", "fastapi", "opentelemetry", "procrastinate", "pytest", "rich", "starlette", "typer",
    "uvicorn",
}  # fmt: skip

# The audit hook sees each file that is opened, each socket and each process.
LOAD = """
import sys
before = set(sys.modules)
import json, os, threading
done = []
def watch(event, args):
    if event == "open":
        path, flags = str(args[0]), args[2]
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
        is_code = path.endswith((".py", ".pyc", ".so", ".pyd"))
        if not is_code and "pycache" not in path:
            done.append(["write" if writes else "read", path])
    elif event.startswith(("socket.", "subprocess.", "os.system", "os.fork", "os.putenv")):
        done.append([event, ""])
# What the standard library and the dependencies do at import is theirs.
import attrs, cattrs.gen, difflib, email.utils, ipaddress, json.decoder, logging, urllib.parse
environment = dict(os.environ)
sys.addaudithook(watch)
import importlib
importlib.import_module(sys.argv[1])
print(json.dumps({
    "loaded": sorted(set(sys.modules) - before), "done": done,
    "threads": threading.active_count(), "environment": environment == dict(os.environ),
}))
"""


def run(code: str, *arguments: str) -> str:
    # Without coverage, which loads half of the standard library into every process.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("COV")}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True, text=True, check=False, timeout=150, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_loads_no_io_and_does_none(module: str) -> None:
    seen = json.loads(run(LOAD, module))
    assert not IO_LIBRARIES & set(seen["loaded"])
    assert not OPTIONAL - {"cattrs"} & set(seen["loaded"])
    assert seen["done"] == []
    assert seen["threads"] == 1
    assert seen["environment"]


def test_importing_the_package_loads_next_to_nothing() -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        "import sendx_async\n"
        "print(*sorted({module.__name__ for name, module in sys.modules.items()"
        " if name not in before}))"
    )
    loaded = set(run(code).split())
    assert not loaded & (IO_LIBRARIES | OPTIONAL)
    assert {name for name in loaded if name.startswith("sendx_async")} == {
        "sendx_async", "sendx_async._version",
    }  # fmt: skip


def test_a_request_can_be_made_without_http() -> None:
    code = (
        "import sys; import sendx_async\n"
        "sendx_async.IdentifyRequest('a@b.co'); sendx_async.RetryPolicy(); sendx_async.Timeout()\n"
        "sendx_async.ApiError\n"
        "print(*sorted(sys.modules))"
    )
    assert not set(run(code).split()) & (IO_LIBRARIES | OPTIONAL)


def test_the_asynchronous_client_loads_no_more_than_it_needs() -> None:
    code = "import sendx_async, sys; sendx_async.AsyncTrackingClient; print(*sys.modules)"
    loaded = set(run(code).split())
    assert "httpx" in loaded
    by_httpx_if_installed = {"rich", "trio"}
    needless = OPTIONAL | {"sqlite3", "sendx_async._clients.sync_client", "sendx_async.testing"}
    assert not loaded & (needless - {"cattrs"} - by_httpx_if_installed)
