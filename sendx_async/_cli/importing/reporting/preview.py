"""What a look at a file has found, for people and for programs."""

import json
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from sendx_async._cli._output import printable
from sendx_async._cli.importing.checking.column_facts import ColumnFacts
from sendx_async._cli.importing.checking.doubts import Doubt
from sendx_async._cli.importing.checking.look import Counted, Look, TableFacts
from sendx_async._core.converter import converter

_WIDTH = 80
_SAMPLE_WIDTH = 22
_NAMED = 10  # tags, fields and lines; programs get all
_SIGNS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


def in_lines(name: str, look: Look, doubts: Iterable[Doubt] = ()) -> str:
    """Return what a person is shown before anything is sent.

    Args:
        name: The file, as people call it.
        look: What was found.
        doubts: What the person has to decide about.
    """
    parts = [
        _file(name, look),
        _columns(look.columns, look.plan.decided.ruled),
        _contacts(look),
        _created("Tags", look.tags, more=look.more_tags),
        _created("Custom fields", look.fields),
        _cells(look.columns),
        _rows("Left out", look.skipped),
        _rows("Can't be sent", look.refused),
        _in_doubt(doubts),
        _sum(look),
    ]
    lines = [line for part in parts for line in part]
    return "\n".join(printable(line, instead=" ") for line in lines)


def as_json(look: Look, doubts: Iterable[Doubt] = ()) -> dict[str, Any]:
    """Return the same for a program, and all of it; the arguments are those of `in_lines`."""
    table = look.table
    return {
        "format": table.format,
        "compression": table.compression,
        "encoding": table.encoding,
        "encoding_is_guessed": table.is_guessed,
        "delimiter": table.delimiter,
        "header_line": table.header_line,
        "lines_before": list(table.before),
        "whole_file": look.is_whole,
        "rows": look.rows,
        "good": look.good,
        "rejected": look.rejected,
        "doubtful": look.doubtful,
        "people": look.people,
        "columns": [
            {
                **_column_as_json(column),
                "chooses_rows": column.decision.name in look.plan.decided.ruled,
            }
            for column in look.columns
        ],
        "contacts": [converter().unstructure(contact) for contact in look.contacts],
        "tags": dict(look.tags),
        "more_tags": look.more_tags,
        "custom_fields": dict(look.fields),
        "skipped": {reason: each.count for reason, each in look.skipped.items()},
        "refused": [
            {"reason": reason, "rows": each.count, "first_rows": list(each.rows)}
            for reason, each in look.refused.items()
        ],
        "doubts": [
            {"text": each.text, "options": list(each.options), "yes": each.is_agreed_by_yes}
            for each in doubts
        ],
    }


def _column_as_json(column: ColumnFacts) -> dict[str, Any]:
    decision = column.decision
    return {
        "name": decision.name,
        "becomes": decision.becomes,
        "title": decision.title,
        "why": decision.why,
        "samples": list(column.samples),
        "filled_percent": column.percent,
        "notes": {note.name.lower(): count for note, count in column.notes.items()},
    }


def _file(name: str, look: Look) -> Iterator[str]:
    table = look.table
    yield f"{name}: {_written(table)}"
    if table.before:
        where = "line" if len(table.before) == 1 else "lines"
        yield f"Passed over in front of the header: {len(table.before)} {where}"
        for line in table.before[:_NAMED]:
            yield _cut("  " + line.strip())


def _written(table: TableFacts) -> str:
    guess = ", a guess" if table.is_guessed else ""
    facts = [table.format, f"encoding {table.encoding}{guess}"]
    if table.compression is not None:
        facts.insert(1, table.compression)
    if table.delimiter is not None:
        facts.append(f"delimiter {_SIGNS.get(table.delimiter, repr(table.delimiter))}")
    if table.header_line is not None:
        facts.append(f"header in line {table.header_line}")
    return ", ".join(facts)


def _columns(columns: Iterable[ColumnFacts], ruled: Container[str]) -> Iterator[str]:
    yield ""
    yield "Columns:"
    for column in columns:
        decision = column.decision
        becomes = decision.becomes
        if decision.name in ruled:
            becomes = "tells which rows are sent" + (f", {becomes}" if column.is_sent else "")
        if decision.title is not None and decision.title != decision.name:
            becomes += f" {decision.title!r}"
        why = f" ({decision.why})" if decision.why else ""
        yield _cut(f"  {decision.name} -> {becomes}{why}, {column.percent} % full")
        if column.samples:
            yield _cut("      " + " | ".join(_cut(each, _SAMPLE_WIDTH) for each in column.samples))


def _contacts(look: Look) -> Iterator[str]:
    if look.contacts:
        yield ""
        yield "The first contacts, as they would be sent:"
    for contact in look.contacts:
        # Whole: this is what a person agrees to.
        wire = converter().unstructure(contact)
        text = json.dumps(wire, ensure_ascii=False)
        yield "  " + (text if text.isprintable() else json.dumps(wire))


def _created(what: str, counts: Mapping[str, int], *, more: bool = False) -> Iterator[str]:
    if not counts:
        return
    yield ""
    left = len(counts) - _NAMED
    yield f"{what} that SendX would create if it doesn't have them:"
    for name, count in list(counts.items())[:_NAMED]:
        yield _cut(f"  {name}: {_contacts_of(count)}")
    if left > 0 or more:
        least = "more than " if more else ""
        yield f"  and {least}{max(left, 0)} others; --json lists more of them"


def _contacts_of(count: int) -> str:
    return "1 contact" if count == 1 else f"{count:,} contacts"


def _cells(columns: Iterable[ColumnFacts]) -> Iterator[str]:
    found = [
        f"  {column.decision.name}: {note.of_cells(count)}"
        for column in columns
        for note, count in column.notes.items()
    ]
    if found:
        yield ""
        yield "Cells:"
        yield from found


def _rows(what: str, reasons: Mapping[str, Counted]) -> Iterator[str]:
    if reasons:
        yield ""
        yield f"{what}:"
    for reason, each in reasons.items():
        rows = "1 row" if each.count == 1 else f"{each.count:,} rows"
        places = ", ".join(map(str, each.rows)) + (" ..." if each.count > len(each.rows) else "")
        yield f"  {rows} ({places}): {reason}"


def _in_doubt(doubts: Iterable[Doubt]) -> Iterator[str]:
    said = [f"  {each.text}" for each in doubts]
    if said:
        yield ""
        yield "In doubt:"
        yield from said


def _sum(look: Look) -> Iterator[str]:
    yield ""
    which = "" if look.is_whole else "of the rows looked at, "
    people = "1 person" if look.people == 1 else f"{look.people:,} people"
    skipped = sum(each.count for each in look.skipped.values())
    yield (
        f"In all: {which}{look.good:,} of {look.rows:,} rows can be sent, to {people}; "
        f"{skipped:,} left out, {look.rejected:,} can't be sent."
    )


def _cut(text: str, width: int = _WIDTH) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."
