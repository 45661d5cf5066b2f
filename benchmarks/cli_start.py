"""Start of the command: how long a process of `sendx` takes to answer, alternating.

What a bare interpreter takes is measured as well; it is part of the rest. The commands call
nobody: one shows help, one the version, and one is refused because a value can't be sent, for which
all that sends is loaded.
"""

import subprocess
import sys
import time
from functools import partial

from _measure import Finding, environment_with_bytecode, options, report, rounds

NOTHING = ("-c", "pass")
COMMAND = ("-m", "sendx_async")
HELP = (*COMMAND, "--help")
HELP_OF_ONE = (*COMMAND, "import", "--help")
VERSION = (*COMMAND, "--version")
REFUSED = (*COMMAND, "identify", "no address")
GOAL = ("<=", 300.0)
CONTENDERS = {
    "python -c pass": NOTHING,
    "sendx --help": HELP,
    "sendx import --help": HELP_OF_ONE,
    "sendx --version": VERSION,
    "sendx identify, refused": REFUSED,
}


def milliseconds(arguments: tuple[str, ...]) -> float:
    """How long the process takes, from its start to its end."""
    command, environment = [sys.executable, *arguments], environment_with_bytecode()
    before = time.perf_counter()
    subprocess.run(command, env=environment, capture_output=True, check=False)
    return (time.perf_counter() - before) * 1000


def main() -> None:
    arguments = options(__doc__, default_rounds=20)
    for command in CONTENDERS.values():
        milliseconds(command)  # compiles the modules
    times = rounds(
        {name: partial(milliseconds, command) for name, command in CONTENDERS.items()},
        count=arguments.rounds,
    )
    goals = {"sendx --help": GOAL}
    findings = [Finding(name, times[name], "ms", goals.get(name)) for name in CONTENDERS]
    report("Start of the command", findings, json_file=arguments.json)


if __name__ == "__main__":
    main()
