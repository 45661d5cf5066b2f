"""The course of an import: all files are looked at, then one after the other is sent."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from sendx_async._cli.importing.checking.doubts import Doubt, DoubtfulFileError
from sendx_async._cli.importing.delivering import deliver
from sendx_async._cli.importing.first_look import FirstLook, look_at
from sendx_async._cli.importing.mapping import mapping_file
from sendx_async._cli.importing.options import ImportOptions
from sendx_async._cli.importing.reading.opening import Source
from sendx_async._cli.importing.reporting import preview, proposal
from sendx_async._cli.importing.reporting.summary import ImportReport
from sendx_async._cli.importing.undoing import undo
from sendx_async._core.errors import ConfigurationError

_QUESTION = "Send this? [y/N] "


def run(
    asked: Sequence[ImportOptions], tell: Callable[[str], None], agrees: Callable[[str], bool]
) -> Iterator[tuple[ImportOptions, ImportReport]]:
    """Import files, or only look at them, as the options say.

    Args:
        asked: What is asked for, for each file; they differ in the file alone.
        tell: Shows a person something.
        agrees: Asks a person a question, and returns whether the answer is yes.

    Returns:
        What came of each file, as soon as it is known; after one that was stopped there are no
        others.

    Raises:
        ConfigurationError: A file can't be begun, or gone on with.
        OSError: A file can't be read or written.
    """
    if asked[0].undoes_tags:
        yield asked[0], undo(asked[0])
        return
    with contextlib.ExitStack() as later:
        if asked[0].is_dry_run:
            yield from _dry_run(asked, later)
            return
        to_do: list[tuple[ImportOptions, Source | None]] = []
        looks: list[FirstLook] = []
        for options in _left(asked, tell):
            pipe = None
            if not options.resumes:
                first, pipe = _looked_at(options, later, is_one=len(asked) == 1)
                looks.append(first)
            to_do.append((options, pipe))
        is_agreed = _is_agreed(asked[0], looks, tell, agrees)
        limit = asked[0].limit
        for options, pipe in to_do:
            agreed = attrs.evolve(options, is_agreed=is_agreed, limit=limit)
            if pipe is not None:
                report = deliver(agreed, pipe)
            else:
                with Source(options.source.file, options.source.reading) as source:
                    report = deliver(agreed, source)
            if limit is not None:
                limit -= report.sent  # it is one for all files
            yield options, report
            if report.stopped_by is not None:
                return


def _dry_run(
    asked: Sequence[ImportOptions], later: contextlib.ExitStack
) -> Iterator[tuple[ImportOptions, ImportReport]]:
    for options in asked:
        first, _ = _looked_at(options, later, is_one=len(asked) == 1)
        report = _report(first)
        if options.save_mapping is not None and report.stopped_by is None:
            _save_mapping(options.save_mapping, first)
        yield options, report


def _looked_at(
    options: ImportOptions, later: contextlib.ExitStack, *, is_one: bool
) -> tuple[FirstLook, Source | None]:
    """Look at a file; return it opened as well if it can't be opened again."""
    try:
        source = Source(options.source.file, options.source.reading)
        later.callback(source.close)
        is_whole = options.is_dry_run or (options.is_asked and source.size is not None)
        first = look_at(options, source, is_whole=is_whole)
    except ConfigurationError as error:
        if is_one:
            raise
        raise ConfigurationError(f"{options.name}: {error}") from None
    if source.size is None:
        return first, source
    source.close()
    return first, None


def _save_mapping(path: Path, first: FirstLook) -> None:
    table = first.look.table
    decided = mapping_file.saved(
        first.options.source.document,
        first.look.plan,
        encoding=table.encoding if table.is_guessed else None,
    )
    path.write_text(mapping_file.to_toml(decided, first.options.name), encoding="utf-8")


def _left(asked: Sequence[ImportOptions], tell: Callable[[str], None]) -> Sequence[ImportOptions]:
    """Return what is still to do: of several files the first ones may be finished.

    They are imported in order, so they are where an earlier call was stopped in a later one; and
    those behind that are not begun.
    """
    if len(asked) == 1 or not asked[0].resumes:
        return asked
    stopped = next(
        (
            place
            for place, each in enumerate(asked)
            if Path(f"{each.source.file}.sendx-progress").exists()
        ),
        None,
    )
    if stopped is None:
        return asked  # which says that there is nothing to go on with
    for options in asked[:stopped]:
        tell(f"{options.name} is finished, and passed over.")
    return [asked[stopped], *(attrs.evolve(each, resumes=False) for each in asked[stopped + 1 :])]


def _is_agreed(
    options: ImportOptions,
    looks: Sequence[FirstLook],
    tell: Callable[[str], None],
    agrees: Callable[[str], bool],
) -> bool:
    """Return whether doubtful values are sent as they are shown.

    Raises:
        ConfigurationError: Something is in doubt that isn't decided, or a person says no.
    """
    is_asked = options.is_asked and bool(looks)  # what is gone on with was agreed to then
    if is_asked:
        for first in looks:
            tell(preview.in_lines(first.options.name, first.look, first.doubts))
    can_agree = is_asked or options.is_agreed
    stopped = [
        (first, doubts)
        for first in looks
        if (doubts := [each for each in first.doubts if not (can_agree and each.is_agreed_by_yes)])
    ]
    if stopped:
        raise _error(stopped)
    if is_asked and not agrees(_QUESTION):
        raise ConfigurationError("nothing was sent, since the answer wasn't yes")
    return can_agree


def _error(stopped: Sequence[tuple[FirstLook, Sequence[Doubt]]]) -> DoubtfulFileError:
    """Return the error that names all that is to be decided, of all files."""
    files = [_details(first, doubts) for first, doubts in stopped]
    details = files[0] if len(files) == 1 else {**files[0], "files": files}
    commands = [proposal.in_words(way) for each in files for way in each["proposals"]]
    return DoubtfulFileError(" ".join(each["message"] for each in files), details, commands)


def _details(first: FirstLook, doubts: Sequence[Doubt]) -> dict[str, Any]:
    options = first.options
    texts = "; ".join(each.text for each in doubts)
    can_agree = all(each.is_agreed_by_yes for each in doubts)
    way = ". Or send all as it is with --yes: --dry-run shows it" if can_agree else ""
    ways = proposal.proposed(options.source, doubts)
    return {
        "file": options.source.file,
        "message": f"{options.name} can't be imported as it stands: {texts}{way}",
        "proposal": ways[0] if len(ways) == 1 else None,
        "proposals": ways,
        "preview": preview.as_json(first.look, first.doubts),
    }


def _report(first: FirstLook) -> ImportReport:
    """Return what a dry run tells."""
    options, look = first.options, first.look
    doubts = [each for each in first.doubts if not (options.is_agreed and each.is_agreed_by_yes)]
    return ImportReport(
        good=look.good,
        rejected=look.rejected,
        rejects=first.rejects,
        skipped={reason: each.count for reason, each in look.skipped.items()},
        skips=first.skips,
        rows=look.rows,
        seconds=first.seconds,
        people=look.people,
        preview=preview.in_lines(options.name, look),
        facts=preview.as_json(look, first.doubts),
        problems=first.problems,
        stopped_by=_error([(first, doubts)]) if doubts else None,
    )
