"""The command ``import``: contacts out of whatever file people have, or from standard input."""

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sendx_async._cli import _import_options as given
from sendx_async._cli._options import BaseUrl, Json
from sendx_async._cli._output import (
    agrees,
    can_answer,
    complain,
    errors_as_json,
    is_terminal,
    propose,
    say,
    tell,
)
from sendx_async._core.errors import ConfigurationError

if TYPE_CHECKING:
    from sendx_async._cli.importing.mapping.mapping_file import Document
    from sendx_async._cli.importing.options import ImportOptions, MostRejects
    from sendx_async._cli.importing.reporting.summary import ImportReport

_LOG_OF_AN_IMPORT: "Document" = {"format": "ndjson", "encoding": "utf-8"}
_MOST_REJECTS = re.compile(r"([0-9]{1,12})|([0-9]{1,2}(?:\.[0-9]{1,6})?)%", re.ASCII)


def import_file(
    *,
    files: given.Files = None,
    dry_run: given.DryRun = False,
    yes: given.Yes = False,
    show_values: given.ShowValues = False,
    resume: given.Resume = False,
    undo_tags: given.UndoTags = None,
    from_: given.From = None,
    mapping: given.Mapping = None,
    save_mapping: given.SaveMapping = None,
    column: given.Column = None,
    field: given.Field = None,
    all_fields: given.AllFields = False,
    ignore: given.Ignore = None,
    ignore_rest: given.IgnoreRest = False,
    split_names: given.SplitNames = False,
    only: given.Only = None,
    skip: given.Skip = None,
    everyone: given.Everyone = False,
    skip_empty: given.SkipEmpty = False,
    duplicates: given.Duplicates = None,
    limit: given.Limit = None,
    null: given.Null = None,
    separator: given.Separator = None,
    tag: given.Tag = None,
    tag_prefix: given.TagPrefix = None,
    list_: given.List_ = None,
    increments: given.Increments = False,
    format_: given.Format = None,
    encoding: given.Encoding = None,
    delimiter: given.Delimiter = None,
    escape: given.Escape = None,
    skip_lines: given.SkipLines = None,
    columns: given.Names = None,
    sheet: given.Sheet = None,
    rejects: given.Rejects = None,
    max_rejects: given.MaxRejects = None,
    skipped: given.Skipped = None,
    log: given.Log = None,
    rate: given.Rate = None,
    concurrency: given.Concurrency = 8,
    patience: given.Patience = 300.0,
    progress_file: given.ProgressFile = None,
    base_url: BaseUrl = None,
    as_json: Json = False,
) -> int:
    """Import contacts from files: what they hold is shown, and sent if you agree.

    The first row of a table names its columns. Those of addresses, names, companies and tags are
    known by many names; others are sent as custom fields (--field) or left out (--ignore), as you
    say. An export of a service that is known needs no more than --from. Rows of people who must not
    be mailed are left out by --from, --only and --skip.

    Contacts travel 25 to a request. A row that can't be sent, or that SendX refuses, goes to a file
    of its own with the reason, in a form that can be mended and imported again; all others are
    delivered. However the import is ended, --resume goes on where it stopped, and sends no finished
    row again.

    Exit status: 0 all delivered, 1 some rows rejected, 2 nothing can be sent as it stands, 3 SendX
    failed for too long, 130 or 143 stopped by Ctrl-C or SIGTERM.
    """
    from sendx_async._cli.importing.mapping import mapping_file  # noqa: PLC0415 - --help does without
    from sendx_async._cli.importing.options import FileOptions, ImportOptions  # noqa: PLC0415 - likewise
    from sendx_async._core.options import make_base_url  # noqa: PLC0415 - likewise

    with errors_as_json(as_json):
        decided = mapping_file.document(
            {
                "from": from_,
                "column": _pairs(column),
                "field": _titles(field),
                "all-fields": all_fields,
                "ignore": ignore,
                "ignore-rest": ignore_rest,
                "split-names": split_names,
                "only": only,
                "skip": skip,
                "everyone": everyone,
                "skip-empty": skip_empty,
                "duplicates": duplicates,
                "null": null,
                "separator": separator,
                "tag": tag,
                "tag-prefix": tag_prefix,
                "list": list_,
                "increments": increments,
                "format": format_,
                "encoding": encoding,
                "delimiter": _delimiter(delimiter),
                "escape": escape,
                "skip-lines": skip_lines,
                "columns": _names(columns),
                "sheet": sheet,
            }
        )
        if mapping is not None:
            decided = mapping_file.merged(_read(mapping), decided)
        if save_mapping is not None and not dry_run:
            raise ConfigurationError("--save-mapping goes with --dry-run, which sends nothing")
        if save_mapping is not None and save_mapping.is_file():
            raise ConfigurationError(
                f"{save_mapping} exists: delete it, or give --save-mapping another file"
            )
        if undo_tags is not None:
            _check_undoing(files, {**decided, "log": log, "save-mapping": save_mapping})
            files, decided = [str(undo_tags)], _LOG_OF_AN_IMPORT
        is_watched = is_terminal() and not as_json
        asked = [
            ImportOptions(
                source=FileOptions.of(file, decided),
                base_url=make_base_url(base_url),
                is_dry_run=dry_run,
                undoes_tags=undo_tags is not None,
                is_agreed=yes,
                shows_values=show_values,
                resumes=resume,
                rejects=rejects,
                skipped=skipped,
                checkpoint=progress_file,
                log=log,
                adds_to_log=bool(place),
                save_mapping=save_mapping,
                limit=limit,
                most_rejects=_most_rejects(max_rejects),
                duplicates=decided.get("duplicates"),
                rate=rate,
                concurrency=concurrency,
                patience=patience,
                is_watched=is_watched,
                is_asked=is_watched and can_answer() and not (yes or dry_run),
            )
            for place, file in enumerate(_different(files or ()))
        ]
        _check_alone(
            len(asked),
            {
                "--rejects": rejects,
                "--skipped": skipped,
                "--progress-file": progress_file,
                "--save-mapping": save_mapping,
            },
        )
        return _import_all(asked, as_json=as_json)


def _import_all(asked: "Sequence[ImportOptions]", *, as_json: bool) -> int:
    """Import one file after the other, and return the status of the one that went worst."""
    from sendx_async._cli.importing import run  # noqa: PLC0415 - --help does without
    from sendx_async._cli.importing.reporting import summary  # noqa: PLC0415 - likewise

    status = 0
    for options, report in run.run(asked, tell, agrees):
        _tell_result(options, report, as_json=as_json)
        status = max(status, summary.exit_code(report))
    return status


def _tell_result(options: "ImportOptions", report: "ImportReport", *, as_json: bool) -> None:
    from sendx_async._cli.importing.reporting import summary  # noqa: PLC0415 - --help does without

    in_form = summary.as_json if as_json else summary.in_sentences
    try:
        say(in_form(options, report))
    except (OSError, SystemExit) as error:  # the latter if nobody reads it any more
        # What became of the rows matters more: whoever reads the code may do it all again.
        reason = error.strerror if isinstance(error, OSError) else "nobody reads it"
        complain(f"the result can't be written: {reason}")
    for problem in report.problems:
        tell(problem)
    if stopped := summary.error_in_words(report):
        complain(stopped)
        propose(report.stopped_by)


def _check_undoing(files: Sequence[str] | None, others: Mapping[str, object]) -> None:
    if files:
        raise ConfigurationError("--undo-tags FILE takes no other files: its log says which")
    for option, value in others.items():
        if value is not None:
            raise ConfigurationError(
                f"--{option} can't go with --undo-tags, which takes back what a log tells"
            )


def _different(files: Sequence[str]) -> Sequence[str]:
    """Return the files, of which there must be one, and none twice.

    Raises:
        ConfigurationError: There are none, or one is named twice.
    """
    if not files:
        raise ConfigurationError(
            "no file was named: write sendx import FILE, or - for standard input"
        )
    known: dict[object, str] = {}
    for place, file in enumerate(files):
        if file in files[:place]:
            raise ConfigurationError(f"{file} is named twice")
        if (other := known.setdefault(_identity(file), file)) != file:
            raise ConfigurationError(f"{other} and {file} are the same file: name it once")
    return files


def _identity(file: str) -> object:
    """Return what a file has in common with itself under another name, such as a link."""
    try:
        found = Path(file).stat()
    except OSError:
        return file  # what is wrong with it is told when it is opened
    return found.st_dev, found.st_ino


def _check_alone(count: int, of_one_file: dict[str, Path | None]) -> None:
    for option, path in of_one_file.items():
        if count > 1 and path is not None:
            raise ConfigurationError(
                f"{option} {path} belongs to one file, and {count} are named: leave it out, or "
                "import them one after the other"
            )


def _pairs(texts: Sequence[str] | None) -> dict[str, str]:
    """Read what ``--column`` was given."""
    pairs: dict[str, str] = {}
    for text in texts or ():
        name, equals, field = text.rpartition("=")
        if not equals or not name:
            raise ConfigurationError(f"--column {text!r} must be NAME=FIELD, such as Mail=email")
        _add("--column", pairs, name, field)
    return pairs


def _titles(texts: Sequence[str] | None) -> dict[str, str]:
    """Read what ``--field`` was given: without a title it is called as its column."""
    titles: dict[str, str] = {}
    for text in texts or ():
        name, _, title = text.rpartition("=")
        if not title.strip():
            raise ConfigurationError(
                f"--field {text!r} must be NAME or NAME=TITLE, such as Beruf=Role"
            )
        # A column's name may begin with the sign.
        _add("--field", titles, *((name, title.strip()) if name else (text, text)))
    return titles


def _add(option: str, pairs: dict[str, str], name: str, value: str) -> None:
    if pairs.setdefault(name, value) != value:
        raise ConfigurationError(
            f"{option} is given twice for {name!r}, with {pairs[name]} and {value}: keep one"
        )


def _names(text: str | None) -> list[str] | None:
    """Read what ``--columns`` was given; one without a name is called by its number."""
    if text is None:
        return None
    row = [name for each in csv.reader([text], skipinitialspace=True) for name in each]
    if not any(name.strip() for name in row):
        raise ConfigurationError("--columns must be names with commas between, such as email,Plan")
    return [name.strip() or f"#{number}" for number, name in enumerate(row, 1)]


def _read(path: Path) -> "Document":
    from sendx_async._cli.importing.mapping import mapping_file  # noqa: PLC0415 - --help does without

    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is no TOML: that is always UTF-8") from None
    return mapping_file.read(text, str(path))


def _delimiter(text: str | None) -> str | None:
    return "\t" if text in {"\\t", "tab"} else text


def _most_rejects(text: str | None) -> "MostRejects | None":
    from sendx_async._cli.importing.options import MostRejects  # noqa: PLC0415 - --help does without

    if text is None:
        return None
    if (found := _MOST_REJECTS.fullmatch(text.replace(" ", ""))) is None:
        raise ConfigurationError(
            f"--max-rejects {text!r} must be a number of rows, such as 100, or a share of them, "
            "such as 5%"
        )
    return MostRejects(number=float(found[1] or found[2]), is_percent=found[1] is None)
