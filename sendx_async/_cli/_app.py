"""All commands, and how one is run."""

import io
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
import typer.main

from sendx_async._cli import _calls, _check, _exit_codes, _outbox, _output, _sandbox
from sendx_async._cli._import import import_file
from sendx_async._core.masking import mask_addresses
from sendx_async._version import __version__

_NAME = "sendx"
_ASKS_FOR_COMPLETION = "_SENDX_COMPLETE"
# What all usage errors inherit from: its name and module differ among the versions of typer.
_UsageError: Any = next(each for each in typer.BadParameter.__mro__ if each.__base__ is Exception)


def run(arguments: Sequence[str] | None) -> int:
    """Run the command that the arguments name.

    Args:
        arguments: What follows the program's name; None for what the process was given.

    Returns:
        The exit code.

    Raises:
        SendXError: The command failed.
        OSError: A file can't be used.
        KeyboardInterrupt: After Ctrl-C.
    """
    command = typer.main.get_command(_make_app())
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if _ASKS_FOR_COMPLETION in os.environ:
            command.main(given, prog_name=_NAME)
        # `command.main` would have a status and words of its own for Ctrl-C and closed pipes.
        with command.make_context(_NAME, given) as context:
            status: int | None = command.invoke(context)
    except typer.Exit as ended:
        return ended.exit_code
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else _exit_codes.DONE
    except _UsageError as error:
        _show(error)
        return _exit_codes.USAGE
    return status or _exit_codes.DONE


def _show(error: Any) -> None:
    # It would write to stderr itself, fail where there is none, and repeat whatever was given.
    text = io.StringIO()
    error.show(file=text)
    for line in text.getvalue().splitlines():
        _output.tell(mask_addresses(line))


def _make_app() -> typer.Typer:
    app = typer.Typer(
        rich_markup_mode=None,  # help with rich would take several times as long
        pretty_exceptions_enable=False,
        invoke_without_command=True,
        epilog="The API key is taken from SENDX_API_KEY. Without it, it is asked for.",
    )
    app.callback()(_root)
    _calls.add_to(app)
    app.command(epilog=_check.HOW_SURE)(_check.check)
    app.command("import")(import_file)
    app.command()(_sandbox.sandbox)
    app.add_typer(_outbox.make_app(), name="outbox")
    return app


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it
    if wanted:
        _output.say(f"sendx-async {__version__}")
        raise typer.Exit


def _root(
    context: typer.Context,
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Tools for the SendX tracking API."""
    if context.invoked_subcommand is None:
        _output.say(context.get_help())
