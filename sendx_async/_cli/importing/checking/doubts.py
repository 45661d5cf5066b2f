"""What keeps a file from being sent as it stands, each with the options that decide about it."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from sendx_async._cli.importing.checking.column_facts import ColumnFacts
from sendx_async._cli.importing.checking.look import Look
from sendx_async._cli.importing.cleaning.notes import Note
from sendx_async._cli.importing.mapping.doubts import doubts, listed
from sendx_async._cli.importing.options import FileOptions
from sendx_async._cli.importing.recognising.preset import Preset
from sendx_async._core.errors import ConfigurationError

_SEPARATORS = ";|,"
_MOST_NULLS = 5
_OPTION = {Note.MAYBE_NULL: "--null TEXT", Note.MAYBE_LIST: "--separator"}


@attrs.frozen(kw_only=True)
class Doubt:
    """Something that a person has to decide about.

    Attributes:
        text: What it is, and which options decide about it.
        is_agreed_by_yes: Whether ``--yes`` decides about it as well.
        options: Arguments that decide about it the likeliest way; none if nobody can tell which.
        choices: Where several ways are as likely, the arguments of each.
    """

    text: str
    is_agreed_by_yes: bool
    options: tuple[str, ...] = ()
    choices: tuple[tuple[str, ...], ...] = ()


class DoubtfulFileError(ConfigurationError):
    """A file isn't sent as it stands, since a person has to decide about something.

    Args:
        message: What.
        details: What programs are told besides.
        commands: What a person may type instead.
    """

    def __init__(
        self, message: str, details: Mapping[str, Any] | None = None, commands: Sequence[str] = ()
    ) -> None:
        super().__init__(message)
        self.details = dict(details or {})
        self.commands = tuple(commands)


def doubts_of(
    look: Look, options: FileOptions, proposed: Preset | None, *, other: Preset | None
) -> tuple[Doubt, ...]:
    """Return what keeps a file from being sent.

    Args:
        look: What a look at it has found.
        options: How it was looked at.
        proposed: The service by whose preset it was, though nobody has asked for that.
        other: The service that it is from, where another one was named.
    """
    plan = look.plan
    found = [] if proposed is None else [_of_export(look, proposed)]
    if other is not None:
        found.append(
            Doubt(
                text=f"it looks like an export of {other.title}: say --from {other.name} instead "
                f"of --from {options.columns.preset}",
                is_agreed_by_yes=True,
            )
        )
    values = {column.decision.index: column.values for column in look.columns}
    seen = [values.get(index, ()) for index in range(len(look.names))]
    if look.names:  # else no row of JSON could be read, and each says why
        found += [
            Doubt(
                text=each.text,
                is_agreed_by_yes=False,
                options=each.options,
                choices=each.choices,
            )
            for each in doubts(plan, seen)
        ]
    by_cells = plan.address_by_cells
    if by_cells is not None:
        found.append(
            Doubt(
                text=f"the column {by_cells!r} isn't called so, but its cells look like addresses: "
                f"if they are, say {_pasted('--column', f'{by_cells}=email')}",
                is_agreed_by_yes=True,
                options=("--column", f"{by_cells}=email"),
            )
        )
    encoding = look.table.encoding
    if look.table.is_guessed and encoding != "utf-8" and options.columns.preset is None:
        found.append(
            Doubt(
                text=f"the file isn't UTF-8, and its bytes look like {encoding}: say so with "
                f"--encoding {encoding}",
                is_agreed_by_yes=True,
                options=("--encoding", encoding),
            )
        )
    for column in look.columns:
        if column.is_sent:
            found += _of_cells(column)
    return tuple(found)


def _of_export(look: Look, preset: Preset) -> Doubt:
    ruled = look.plan.decided.ruled
    chosen = [each.decision.name for each in look.columns if each.decision.name in ruled]
    left = [
        each.decision.name
        for each in look.columns
        if not each.is_sent and each.decision.name not in ruled
    ]
    does = [f"sends rows by what {listed(chosen)} says"] if chosen else []
    does += [f"leaves out {listed(left)}"] if left else []
    leaves = f", which {', and '.join(does)}" if does else ""
    return Doubt(
        text=f"it is an export of {preset.title}: import it with --from {preset.name}{leaves}",
        is_agreed_by_yes=False,
        options=("--from", preset.name),
    )


def _of_cells(column: ColumnFacts) -> Iterator[Doubt]:
    name = column.decision.name
    for note, count in column.notes.items():
        if not note.is_doubt:
            continue
        arguments = _arguments(note, column)
        said = note.of_cells(count)
        if arguments:
            said = said.replace(_OPTION[note], _pasted(*arguments))
        yield Doubt(
            text=f"in the column {name!r} {said}",
            is_agreed_by_yes=True,
            options=arguments,
        )


def _arguments(note: Note, column: ColumnFacts) -> tuple[str, ...]:
    noted = column.noted.get(note, ())
    if note is Note.MAYBE_NULL:
        return tuple(
            argument
            for text in noted[:_MOST_NULLS]
            # Else it may be taken for an option.
            for argument in ((f"--null={text}",) if text.startswith("-") else ("--null", text))
        )
    if note is Note.MAYBE_LIST:
        # The one that stands in most of them.
        likely = max(_SEPARATORS, key=lambda sign: sum(sign in text for text in noted))
        return ("--separator", likely)
    return ()


def _pasted(*arguments: str) -> str:
    return shlex.join(arguments)
