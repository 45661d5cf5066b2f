"""The command ``import``: contacts out of a CSV or NDJSON file, or from standard input."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from sendx_async._cli._options import BaseUrl, Json
from sendx_async._cli._output import complain, errors_as_json, is_terminal, say, tell
from sendx_async._core.errors import ConfigurationError

_Format = Literal["csv", "ndjson"]
_Names = list[str]


def import_file(
    *,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="CSV or NDJSON; - for standard input.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Look at the whole file, and send nothing.")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on where an earlier import of the same file stopped."),
    ] = False,
    rejects: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where rejected rows go, with the reason. Default: beside FILE, NAME.rejects.csv.",
        ),
    ] = None,
    column: Annotated[
        _Names,
        typer.Option(
            metavar="NAME=FIELD",
            help="Take a column as a field: email, first_name, last_name, company, tags, lists, "
            "new_email. Needed only where its name doesn't tell.",
        ),
    ] = [],  # noqa: B006 - typer copies it
    field: Annotated[
        _Names, typer.Option(metavar="NAME", help="Send a column as a custom field.")
    ] = [],  # noqa: B006 - likewise
    all_fields: Annotated[
        bool, typer.Option("--all-fields", help="Send every other column as a custom field.")
    ] = False,
    ignore: Annotated[_Names, typer.Option(metavar="NAME", help="Leave a column out.")] = [],  # noqa: B006 - likewise
    ignore_rest: Annotated[
        bool, typer.Option("--ignore-rest", help="Leave every other column out.")
    ] = False,
    separator: Annotated[
        str, typer.Option(metavar="TEXT", help="What stands between the tags of a cell.")
    ] = ",",
    tag: Annotated[
        _Names, typer.Option(metavar="TAG", help="Give each contact this tag as well.")
    ] = [],  # noqa: B006 - likewise
    list_: Annotated[
        _Names, typer.Option("--list", metavar="ID", help="Put each contact on this list as well.")
    ] = [],  # noqa: B006 - likewise
    format_: Annotated[
        _Format | None,
        typer.Option("--format", help="What the file is. Default: what its name says."),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Such as cp1252. Default: what its first bytes say, UTF-8."
        ),
    ] = None,
    delimiter: Annotated[
        str | None,
        typer.Option(
            metavar="C", help="Between cells; \\t for a tab. Default: what the header has."
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            metavar="N", help="Requests a second, of up to 25 contacts. Default: no limit."
        ),
    ] = None,
    concurrency: Annotated[
        int, typer.Option(metavar="N", min=1, max=100, help="Requests under way at once.")
    ] = 8,
    patience: Annotated[
        float, typer.Option(metavar="SECONDS", help="How long an outage of SendX is waited out.")
    ] = 300.0,
    progress_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where it is kept how far the import came. Default: FILE.sendx-progress.",
        ),
    ] = None,
    base_url: BaseUrl = None,
    as_json: Json = False,
) -> int:
    """Import contacts from a CSV or NDJSON file.

    The first row of CSV names the columns: email, and any of first_name, last_name, company, tags,
    lists, new_email; case, blanks and underscores don't matter. Contacts travel 25 to a request.
    A row that can't be sent, or that SendX refuses, goes to a file of its own with the reason, in a
    form that can be mended and imported again; all others are delivered. However the import is
    ended, --resume goes on where it stopped, and sends no finished row again.

    Exit status: 0 all delivered, 1 some rows rejected, 2 nothing can be sent as it stands, 3 SendX
    failed for too long, 130 or 143 stopped by Ctrl-C or SIGTERM.
    """
    from sendx_async._cli.importing import run  # noqa: PLC0415 - --help does without
    from sendx_async._cli.importing.mapping.columns import Columns  # noqa: PLC0415 - likewise
    from sendx_async._cli.importing.options import FileOptions, ImportOptions  # noqa: PLC0415 - likewise
    from sendx_async._cli.importing.reporting import summary  # noqa: PLC0415 - likewise
    from sendx_async._core.options import make_base_url  # noqa: PLC0415 - likewise

    with errors_as_json(as_json):
        options = ImportOptions(
            source=FileOptions(
                file=file,
                format=format_,
                encoding=encoding,
                delimiter=_delimiter(delimiter),
                columns=Columns(
                    renamed=dict(_split(each) for each in column),
                    custom=tuple(field),
                    all_custom=all_fields,
                    ignored=tuple(ignore),
                    ignores_rest=ignore_rest,
                    separator=separator,
                    tags=tuple(tag),
                    lists=tuple(list_),
                ),
            ),
            base_url=make_base_url(base_url),
            is_dry_run=dry_run,
            resumes=resume,
            rejects=rejects,
            checkpoint=progress_file,
            rate=rate,
            concurrency=concurrency,
            patience=patience,
            is_watched=is_terminal() and not as_json,
        )
        report = run.run(options, tell)
    in_form = summary.as_json if as_json else summary.in_sentences
    try:
        say(in_form(options, report))
    except (OSError, SystemExit) as error:  # the latter if nobody reads it any more
        # What became of the rows matters more: whoever reads the code may do it all again.
        reason = error.strerror if isinstance(error, OSError) else "nobody reads it"
        complain(f"the result can't be written: {reason}")
    if stopped := summary.error_in_words(report):
        complain(stopped)
    return summary.exit_code(report)


def _split(text: str) -> tuple[str, str]:
    name, equals, field = text.rpartition("=")
    if not equals or not name:
        raise ConfigurationError(f"--column {text!r} must be NAME=FIELD, such as Mail=email")
    return name, field


def _delimiter(text: str | None) -> str | None:
    text = "\t" if text in {"\\t", "tab"} else text
    if text is not None and (len(text) != 1 or text in '"\r\n'):
        raise ConfigurationError(
            f"--delimiter {text!r} must be one character, other than a quote; \\t for a tab"
        )
    return text
