"""What the user has to decide about a file's columns before anything is sent, as text to paste."""

import difflib
import itertools
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from sendx_async._cli.importing.mapping.decisions import UNDECIDED, UNNAMED, Decision
from sendx_async._cli.importing.mapping.plan import Plan
from sendx_async._cli.importing.recognising.column_names import fits, nearest_field
from sendx_async._cli.importing.recognising.consent import Consent, consent_of
from sendx_async._cli.importing.recognising.preset import Preset

_MOST_SHOWN = 10

Seen = Sequence[Sequence[Any]]
"""Values that were seen, of each column by its place."""


@attrs.frozen
class Undecided:
    """Something that nobody has decided about.

    Attributes:
        text: What it is, and what to type.
        options: The arguments that decide about it the likeliest way; none if nobody can tell.
        choices: Where several ways are as likely, the arguments of each.
    """

    text: str
    options: tuple[str, ...] = ()
    choices: tuple[tuple[str, ...], ...] = ()


def doubts(plan: Plan, seen: Seen = ()) -> list[Undecided]:
    """Return each thing that nobody has decided about.

    Args:
        plan: What is done with the columns; of JSON, with those of all records that were seen.
        seen: Values that were seen, of each column by its place; nothing if none was looked at.
    """
    names = [each.name for each in plan.decisions]
    found = [Undecided(_absent(name, names)) for name in plan.decided.absent]
    if plan.address is None:
        found.append(Undecided(_without_addresses(names)))
    found += [Undecided(twice(*pair), ("--ignore", pair[1].name)) for pair in plan.decided.twice]
    of_consent = consents(plan, seen)
    # Whoever chooses rows by a column has decided about it.
    asked = {each.name for each, _ in of_consent}
    left = [each for each in plan.decisions if each.name not in asked]
    if nobodys := [each.name for each in left if each.becomes == UNDECIDED]:
        found.append(Undecided(undecided(nobodys), choices=_choices(nobodys)))
    found += [
        Undecided(_unnamed(each.name), ("--ignore", each.name))
        for each in left
        if each.becomes == UNNAMED and _has_value(each, seen)
    ]
    found += [
        Undecided(
            f"an export of {_title(plan)} has a column {rule.columns[0]!r}, which tells who "
            "may be mailed, and this file has none: export it again with that, or give --everyone "
            "if all may be mailed"
        )
        for rule in plan.decided.missing
    ]
    found += [
        Undecided(consent_undecided(each.name, consent), consent.proposal(each.name))
        for each, consent in of_consent
    ]
    return found


def consents(plan: Plan, seen: Seen) -> list[tuple[Decision, Consent]]:
    """Return the columns that tell who may be mailed, and by which no rows are chosen.

    A preset decides about the columns that it knows.
    """
    if plan.columns.takes_everyone:
        return []
    fit = plan.decided.fit
    known = () if fit is None else tuple(_known(fit.preset))
    found: list[tuple[Decision, Consent]] = []
    for each in plan.decisions:
        if each.name in plan.decided.ruled or any(fits(name, each.name) for name in known):
            continue
        values = seen[each.index] if each.index < len(seen) else ()
        if consent := consent_of(each.name, values):
            found.append((each, consent))
    return found


def _title(plan: Plan) -> str:
    fit = plan.decided.fit
    return "" if fit is None else fit.preset.title


def _known(preset: Preset) -> Iterator[str]:
    """Return what a preset calls the columns that it knows.

    A pattern of what is kept, or of a field, takes what nobody had in mind as well, such as a
    question about e-mails for an address.
    """
    taken = itertools.chain(preset.keep, *preset.columns.values())
    return itertools.chain(
        (name for name in taken if "*" not in name),
        preset.leave,
        *(rule.columns for rule in preset.rules),
    )


def quoted(option: str, *parts: str) -> str:
    """Return an option with its value, fit to be pasted into a shell: ``--field 'First Role'``."""
    return f"{option} {shlex.quote('='.join(parts))}"


def listed(names: Sequence[str]) -> str:
    """Return the names of columns for an error's text; not all, if there are many."""
    more = len(names) - _MOST_SHOWN
    return ", ".join(map(repr, names[:_MOST_SHOWN])) + (f" and {more} more" if more > 0 else "")


def _has_value(decision: Decision, seen: Seen) -> bool:
    values = seen[decision.index] if decision.index < len(seen) else ()
    return any(value is not None and str(value).strip() for value in values)


def _absent(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"its columns are {listed(names)}"
    return f"the file has no column {name!r}; {hint}"


def _without_addresses(names: Sequence[str]) -> str:
    return (
        "there is no column of addresses: name one email, or tell which it is with "
        f"--column NAME=email; the columns are {listed(names)}"
    )


def twice(first: Decision, second: Decision) -> str:
    """Return that two columns can't both be what they are to be."""
    return (
        f"the columns {first.name!r} and {second.name!r} are the same field, {first.target}: leave "
        f"one out, for example with {quoted('--ignore', second.name)}"
    )


def _choices(names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Return what may be done with columns that nobody has decided about."""
    # A name with a sign may be taken for an option, or for a name and its title.
    if len(names) == 1 and not (names[0].startswith("-") or "=" in names[0]):
        return ("--field", names[0]), ("--ignore", names[0])
    return ("--all-fields",), ("--ignore-rest",)


def undecided(names: Sequence[str]) -> str:
    """Return that nobody has decided about these columns, and how to."""
    hints = "".join(
        f"Did you mean {field} by {name!r}? "
        for name in names[:_MOST_SHOWN]
        if (field := nearest_field(name))
    )
    if len(names) == 1:
        what, them, all_fields = f"the column {listed(names)} is no field", "it", "a custom field"
        all_of_them, rest = quoted("--field", names[0]), quoted("--ignore", names[0])
    else:
        what, them, all_fields = (
            f"the columns {listed(names)} are no fields", "them", "custom fields"
        )  # fmt: skip
        all_of_them, rest = "--all-fields", "--ignore-rest"
        if len(names) <= _MOST_SHOWN:
            each = " ".join(quoted("--field", name) for name in names)
            all_of_them = f"--all-fields, some of them with {each}"
    return (
        f"{what} of a contact. {hints}Send {them} as {all_fields} with {all_of_them}, or leave "
        f"{them} out with {rest}"
    )


def _unnamed(name: str) -> str:
    return (
        f"the column {name} has values and no name: leave it out with {quoted('--ignore', name)}, "
        f"or send it with {quoted('--field', name, 'TITLE')}"
    )


def consent_undecided(name: str, consent: Consent) -> str:
    """Return that nobody has decided about a column that tells who may be mailed, and how to."""
    proposal = consent.proposal(name)
    pairs = zip(proposal[::2], proposal[1::2], strict=True)
    options = " ".join(quoted(option, value) for option, value in pairs)
    if not options:
        options = f"{quoted(consent.option, name, 'VALUE')}, where it has {listed(consent.seen)}"
    return (
        f"the column {name!r} tells who may be mailed: choose rows with {options}, or send all "
        "with --everyone"
    )
