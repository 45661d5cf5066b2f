"""The core does no I/O, imports no I/O library, and its modules depend on each other one way."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import sendx_async

PACKAGE = Path(sendx_async.__file__).parent
# In reading order: a module may import from those above it only.
PURE = (
    "_version", "_locks", "_masking", "_errors", "_validation", "_models", "_convert",
    "_operations", "_protocol", "_payload", "_retry", "_delivery", "_backlog", "_throttle",
    "_recovery",
    "_events", "_options", "_secret", "_settings",
)  # fmt: skip
CORE = (
    "_models", "_convert", "_operations", "_protocol", "_payload", "_errors", "_retry", "_delivery",
    "_backlog", "_options",
)  # fmt: skip
IO_LIBRARIES = {
    "aiohttp", "anyio", "asyncio", "certifi", "concurrent", "h11", "httpcore", "httpx", "idna",
    "multiprocessing", "requests", "sniffio", "sqlite3", "ssl", "subprocess", "trio",
    "uvloop", "sendx_async._attempt", "sendx_async._batching", "sendx_async._call",
    "sendx_async._client", "sendx_async._dispatcher", "sendx_async._http1",
    "sendx_async._http_client", "sendx_async._keeper", "sendx_async._leftovers",
    "sendx_async._loops", "sendx_async._network",
    "sendx_async._network_stream", "sendx_async._outcome", "sendx_async._pool",
    "sendx_async._portal", "sendx_async._source", "sendx_async._stream", "sendx_async._sync",
    "sendx_async._sync_stream", "sendx_async.fastapi", "sendx_async.otel", "sendx_async.outbox",
    "sendx_async.procrastinate", "sendx_async.testing",
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
        capture_output=True, text=True, check=False, timeout=50, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("module", CORE)
def test_a_module_of_the_core_loads_no_io_and_does_none(module: str) -> None:
    seen = json.loads(run(LOAD, f"sendx_async.{module}"))
    assert not IO_LIBRARIES & set(seen["loaded"])
    assert not OPTIONAL - {"cattrs"} & set(seen["loaded"])
    assert seen["done"] == []
    assert seen["threads"] == 1
    assert seen["environment"]


def imports_of(path: Path) -> set[str]:
    """Give the modules of this package that a module imports, at its top or anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            if node.module == "sendx_async":
                found.update(f"sendx_async.{alias.name}" for alias in node.names)
            else:
                found.add(node.module or "")
    return found


@pytest.mark.parametrize("module", PURE)
def test_the_pure_modules_import_only_those_before_them(module: str) -> None:
    imports = imports_of(PACKAGE / f"{module}.py")
    own = {name.split(".")[1] for name in imports if name.startswith("sendx_async.")}
    before = set(PURE[: PURE.index(module)])
    assert own <= before
    others = {name.split(".")[0] for name in imports} - {"sendx_async"}
    assert not others & (IO_LIBRARIES | OPTIONAL) - {"cattrs"}
    assert others <= set(sys.stdlib_module_names) | {"attrs", "cattrs"}


def test_nothing_imports_the_testing_tools_or_the_command() -> None:
    for path in PACKAGE.glob("_*.py"):
        if path.name not in {"__init__.py", "__main__.py"}:
            imported = {".".join(name.split(".")[:2]) for name in imports_of(path)}
            assert not imported & {"sendx_async.testing", "sendx_async._cli"}, path.name


def test_importing_the_package_loads_next_to_nothing() -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        "import sendx_async\n"
        "print(*sorted(set(sys.modules) - before))"
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
    needless = OPTIONAL | {"sqlite3", "sendx_async._sync", "sendx_async.testing"}
    assert not loaded & (needless - {"cattrs"} - by_httpx_if_installed)
