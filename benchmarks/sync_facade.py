"""The synchronous client where it meets the operating system: exit, fork and Ctrl-C."""

import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable

from _measure import Finding, options, report
from _server import Server, running_server

LIMIT_SECONDS = 10.0

_CLIENT = """
import os, sys, time
from sendx_async import IdentifyRequest, TrackingClient
client = TrackingClient("benchmark-key", base_url=sys.argv[1])
request = IdentifyRequest("a@b.co")
"""
_EXIT = """
client.identify_contact(request)
print("ready", flush=True)
"""
_FORK = """
client.identify_contact(request)
sys.stdout.flush()
if os.fork() == 0:
    start = time.perf_counter()
    client.identify_contact(request)
    print(time.perf_counter() - start, flush=True)
    os._exit(0)
os.wait()
"""
# The process outlives Ctrl-C, so that it isn't its end that closes the connection.
_INTERRUPT = """
try:
    client.identify_contact(request)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    sys.stdin.read()
"""


def _start(body: str, base_url: str) -> "subprocess.Popen[str]":
    program = textwrap.dedent(_CLIENT + body)
    command = [sys.executable, "-W", "ignore", "-c", program, base_url]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"nothing happened within {LIMIT_SECONDS:.0f} s")
        time.sleep(0.005)


def exit_without_close(server: Server) -> float:
    """Seconds from the last line of a program that never closes its client to its end."""
    with _start(_EXIT, server.url("ok")) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        start = time.perf_counter()
        _end(child)
        return time.perf_counter() - start


def first_call_after_fork(server: Server) -> float:
    """Seconds for the first call in the child of a process that has already made one."""
    with _start(_FORK, server.url("ok")) as child:
        return float(_end(child))


def interrupted_request(server: Server) -> float:
    """Seconds from Ctrl-C until the server sees the request's connection closed."""
    with _start(_INTERRUPT, server.url("silence")) as child:
        try:
            _wait_until(lambda: server.counters().waiting == 1)
            start = time.perf_counter()
            child.send_signal(signal.SIGINT)
            _wait_until(lambda: server.counters().waiting == 0)
            seconds = time.perf_counter() - start
            assert child.stdout is not None
            assert child.stdout.readline() == "interrupted\n"
            assert child.poll() is None, "the process must still be alive"
            return seconds
        finally:
            child.kill()


def _end(child: "subprocess.Popen[str]") -> str:
    """Wait for the child, end it when it hangs, and return what it has printed."""
    try:
        printed, _ = child.communicate(timeout=LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        raise
    assert child.returncode == 0, f"the child ended with status {child.returncode}"
    return printed


def main() -> None:
    arguments = options(__doc__, default_rounds=5)
    goals: dict[Callable[[Server], float], tuple[str, tuple[str, float]]] = {
        exit_without_close: ("interpreter exit without close", ("<", 2)),
        first_call_after_fork: ("first call after os.fork", ("<", 2)),
        interrupted_request: ("Ctrl-C until the server sees the request end", ("<", 2)),
    }
    with running_server() as server:
        findings = [
            Finding(name, [measure(server) for _ in range(arguments.rounds)], "s", goal)
            for measure, (name, goal) in goals.items()
        ]
    report("The synchronous client", findings, json_file=arguments.json)


if __name__ == "__main__":
    main()
