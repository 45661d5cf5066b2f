"""The command ``sendx``: runs what the arguments say, and turns every error into one line."""

from collections.abc import Sequence

_OF_THE_EXTRA = {"typer", "click"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: What follows the program's name; by default what the process was given.

    Returns:
        The exit code: 0 when it is done; 1 if SendX refused it, or something is amiss; 2 for
        wrong usage, settings or input, and for a key that isn't accepted; 3 if SendX can't be
        reached or fails, so that it may work later; 130 after Ctrl-C, 143 after SIGTERM.
    """
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        from sendx_async._cli import _exit_codes, _output  # noqa: PLC0415 - see in _run

        _output.tell("Interrupted.")
        return _exit_codes.INTERRUPTED


def _run(arguments: Sequence[str] | None) -> int:
    # All is imported where Ctrl-C is waited for already, so that it never shows a traceback.
    from sendx_async._cli import _exit_codes, _output  # noqa: PLC0415
    from sendx_async._core.errors import SendXError  # noqa: PLC0415

    try:
        from sendx_async._cli import _app  # noqa: PLC0415 - it needs the extra `cli`
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _OF_THE_EXTRA:
            raise
        _output.complain("the command sendx needs typer: pip install 'sendx-async[cli]'")
        return _exit_codes.USAGE
    try:
        return _app.run(arguments)
    except SendXError as error:
        _output.complain(_output.error_in_words(error))
        _output.propose(error)
        return _exit_codes.code_of_error(error)
    except BrokenPipeError:
        return _output.give_up_stdout()
    except OSError as error:
        _output.complain(_output.file_error_in_words(error))
        return _exit_codes.USAGE
