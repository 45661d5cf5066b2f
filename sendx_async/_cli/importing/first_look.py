"""The look at one file before anything is sent, and what keeps the file from being sent."""

import contextlib
from collections.abc import Iterator

import attrs

from sendx_async._cli.importing.address_count import AddressCount
from sendx_async._cli.importing.checking.doubts import Doubt, doubts_of
from sendx_async._cli.importing.checking.look import Look, TableFacts
from sendx_async._cli.importing.checking.looking import Looking
from sendx_async._cli.importing.checking.row_maker import RowMaker
from sendx_async._cli.importing.checking.rows import Row
from sendx_async._cli.importing.checking.source_rows import SourceRows
from sendx_async._cli.importing.mapping.plans import Plans
from sendx_async._cli.importing.options import ImportOptions
from sendx_async._cli.importing.reading.opening import Source
from sendx_async._cli.importing.recognising.preset import Preset
from sendx_async._cli.importing.recognising.presets import all_presets
from sendx_async._cli.importing.recognising.recognition import recognise
from sendx_async._cli.importing.reporting.bar import progress_bar
from sendx_async._cli.importing.sending.opening import rows_file
from sendx_async._cli.importing.sending.rows_file import REJECTED, SKIPPED, RowsFile
from sendx_async._runtime.real_time import monotonic

_PROBLEMS_KEPT = 20
_REJECTS, _SKIPS = "rejects", "skips"


@attrs.frozen(kw_only=True)
class FirstLook:
    """What came of the look at a file.

    Attributes:
        options: What was asked for.
        look: What was found; of a service's export, with its preset.
        doubts: What keeps the file from being sent.
        problems: Why the first rows can't be sent that can't be, each with its row.
        rejects: Where rejected rows were written; None if they are nowhere.
        skips: Where skipped rows were, likewise.
        seconds: How long it took.
    """

    options: ImportOptions
    look: Look
    doubts: tuple[Doubt, ...]
    problems: tuple[str, ...]
    rejects: str | None
    skips: str | None
    seconds: float


def look_at(options: ImportOptions, source: Source, *, is_whole: bool) -> FirstLook:
    """Look at a file.

    Args:
        options: What was asked for.
        source: The opened file; if all of it is looked at it is read to its end.
        is_whole: Whether to look at all rows, and not only at the first ones.

    Raises:
        ConfigurationError: It can't be read in its encoding, or a file of rows can't be written.
        OSError: A file can't be read or written.
    """
    began = monotonic()
    preset = _exported_by(options, source)
    shown = options if preset is None else _with_preset(options, preset)
    problems: list[str] = []
    with contextlib.ExitStack() as later:
        addresses = later.enter_context(contextlib.closing(AddressCount()))
        files: dict[str, RowsFile] = {}
        if is_whole:
            found = later.enter_context(
                contextlib.closing(SourceRows(source, shown, sends_doubtful=True, is_look=True))
            )
            plans, rows, is_all = found.plans, iter(found), True
            if options.is_dry_run:
                files = _opened_files(options, source, later)
        else:
            plans, rows, is_all = _first_rows(shown, source)
        looking = Looking(plans, source.table.header, addresses)
        bar = later.enter_context(progress_bar(options, source, "good")) if is_whole else None
        for row in rows:
            looking.add(row)
            if row.problem is not None and len(problems) < _PROBLEMS_KEPT:
                problems.append(f"row {row.record.number}: {row.problem}")
            _keep(row, files)
            if bar is not None:
                bar.show(
                    position=row.position,
                    good=looking.good,
                    rejected=looking.rejected,
                    skipped=looking.skipped,
                )
        look = looking.found(TableFacts.of(source), is_whole=is_all)
    return FirstLook(
        options=options,
        look=look,
        doubts=doubts_of(look, shown.source, preset, other=_another_services(options, source)),
        problems=tuple(problems),
        rejects=_path(files, _REJECTS),
        skips=_path(files, _SKIPS),
        seconds=monotonic() - began,
    )


def _exported_by(options: ImportOptions, source: Source) -> Preset | None:
    """Return the service that a file is from, if nobody has said anything about its columns."""
    if not options.source.columns.names_nothing:
        return None
    return recognise(_names(source), all_presets())


def _another_services(options: ImportOptions, source: Source) -> Preset | None:
    """Return the service that a file is from, if it is another one than was said."""
    given = options.source.columns.load_preset()
    if given is None or recognise(_names(source), (given,)) is not None:
        return None
    return recognise(_names(source), all_presets())


def _names(source: Source) -> tuple[str, ...]:
    names = source.table.header
    if names is None:
        records = source.first_records().records
        names = tuple(dict.fromkeys(name for record in records for name in record.names))
    return names


def _with_preset(options: ImportOptions, preset: Preset) -> ImportOptions:
    columns = attrs.evolve(options.source.columns, preset=preset.name)
    return attrs.evolve(options, source=attrs.evolve(options.source, columns=columns))


def _first_rows(options: ImportOptions, source: Source) -> tuple[Plans, Iterator[Row], bool]:
    make = RowMaker(source, options, sends_doubtful=True, is_look=True, duplicates=None)
    first = source.first_records()
    rows = (make(place, record) for place, record in enumerate(first.records))
    return make.plans, rows, first.are_all


def _opened_files(
    options: ImportOptions, source: Source, later: contextlib.ExitStack
) -> dict[str, RowsFile]:
    """Open the files of rows that were asked for; a dry run makes no others."""
    files: dict[str, RowsFile] = {}
    for name, path, kind in (
        (_REJECTS, options.rejects, REJECTED),
        (_SKIPS, options.skipped, SKIPPED),
    ):
        if path is not None:
            files[name] = rows_file(path, kind, options, source)
            files[name].open()
            later.callback(files[name].close)
    return files


def _keep(row: Row, files: dict[str, RowsFile]) -> None:
    for name, reason in ((_REJECTS, row.problem), (_SKIPS, row.skipped)):
        if reason is not None and (file := files.get(name)) is not None:
            file.add(row.record, reason)
            file.write()


def _path(files: dict[str, RowsFile], name: str) -> str | None:
    file = files.get(name)
    return str(file.path) if file is not None and file.written.size else None
