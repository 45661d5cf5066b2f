"""The command line: reads the arguments and hands them to the command they name."""

import argparse
from collections.abc import Sequence

from sendx_async._cli import _outbox, _sandbox
from sendx_async._version import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: What follows the program's name; by default what the process was given.

    Returns:
        The exit status: 0 for success, 1 for a failure, 2 for wrong usage or a missing extra.
    """
    parser = argparse.ArgumentParser(prog="sendx", description="Tools for the SendX tracking API.")
    parser.add_argument("--version", action="version", version=f"sendx-async {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _sandbox.add_options(
        commands.add_parser("sandbox", help="run a fake SendX server on this machine")
    )
    _outbox.add_options(
        commands.add_parser(
            "outbox", help="drain an outbox, and look after what could not be delivered"
        )
    )
    options, rest = parser.parse_known_args(arguments)
    # argparse takes no positional argument behind an option that follows another one.
    if rest and not ("ids" in options and all(not each.startswith("-") for each in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    options.ids = [*vars(options).get("ids", []), *rest]
    if "run" not in options:
        parser.print_help()
        return 0
    status: int = options.run(options)
    return status
