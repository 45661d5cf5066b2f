"""A Python that has imported everything already, and forks itself for each command of a page.

A page's commands take a hundredth of a second to do, and half a second to import what does it. So
``programs`` holds stand-ins for ``python``, ``sendx`` and the like, to be put first into a PATH:
each hands its arguments, directory, environment and streams to this process, which forks a child
that goes on as the program would. Commands that go on until they are stopped start as ever.
"""

import ast
import contextlib
import gc
import importlib
import importlib.metadata
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

_NAMES = ["python", "sendx", "procrastinate"]
_STAND_IN = """#!{python} -IS
import os, socket, sys

with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [b"."], [0, 1, 2])
    server.sendall(repr((sys.argv, os.getcwd(), dict(os.environ))).encode())
    server.shutdown(socket.SHUT_WR)
    status = server.recv(9)
sys.exit(int(status))
"""
_IMPORTED_LATE = [
    "anyio._backends._asyncio", "anyio.pytest_plugin", "fastapi.testclient", "pytest",
    "pytest_asyncio", "pytest_timeout", "rich.progress", "typer.rich_utils", "uvicorn",
]  # fmt: skip


@contextlib.contextmanager
def programs(environment: Mapping[str, str]) -> Iterator[Path]:
    """Return the directory of the stand-ins, behind which such a process runs.

    Args:
        environment: What Python itself reads from it when it starts holds for each command.
    """
    # Not in pytest's own directory: the address of a socket has to be short.
    with tempfile.TemporaryDirectory(prefix="sendx-docs-") as directory:
        address = f"{directory}/socket"
        bin_directory = Path(directory, "bin")
        bin_directory.mkdir()
        for name in _NAMES:
            stand_in = bin_directory / name
            stand_in.write_text(_STAND_IN.format(python=sys.executable, address=address))
            stand_in.chmod(0o700)
        with subprocess.Popen(
            [sys.executable, __file__, address], env=dict(environment), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, text=True, start_new_session=True,
        ) as server:  # fmt: skip
            try:
                assert server.stdout is not None
                assert server.stdout.readline() == "ready\n"
                yield bin_directory
            finally:
                os.killpg(server.pid, signal.SIGKILL)  # with all that it has forked


def _import_everything() -> None:
    package = importlib.import_module("sendx_async")
    for found in pkgutil.walk_packages(package.__path__, "sendx_async."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    for name in _IMPORTED_LATE:
        importlib.import_module(name)
    gc.freeze()  # or each child would look through all of it, and so copy it


def _serve(address: str) -> list[str]:
    """Fork for each command, and return in the child what it is."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                break
            connection.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with connection:
        _, streams, _, _ = socket.recv_fds(connection, 1, 3)
        request = b"".join(iter(lambda: connection.recv(65536), b""))
        child = os.fork()
        if child:
            _, status = os.waitpid(child, 0)
            connection.sendall(f"{os.waitstatus_to_exitcode(status) % 256}".encode())
            os._exit(0)
    arguments, directory, environment = ast.literal_eval(request.decode())
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = environment["PYTHONPATH"].split(os.pathsep)
    return [Path(arguments[0]).name, *arguments[1:]]


def _run(program: str, *arguments: str) -> None:
    """Do what Python, or a program that a distribution brings, does with such arguments."""
    sys.argv[:] = [program, *arguments]
    match [program, *arguments]:
        case ["python", "-m", module, *_]:
            del sys.argv[:2]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        case ["python", "-c", code, *_]:
            del sys.argv[0], sys.argv[1]
            exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
        case ["python", file, *_]:
            del sys.argv[0]
            runpy.run_path(file, run_name="__main__")
        case _:
            (found,) = importlib.metadata.entry_points(group="console_scripts", name=program)
            sys.exit(found.load()())


if __name__ == "__main__":
    _import_everything()
    _run(*_serve(sys.argv[1]))
