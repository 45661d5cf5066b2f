"""A preset laid upon the columns of one file: what each of them is for."""

import itertools
import re
from collections.abc import Container, Iterable, Mapping, Sequence

import attrs

from sendx_async._cli.importing.recognising.column_names import fields_of, fits, folded
from sendx_async._cli.importing.recognising.consent import may_be_consent
from sendx_async._cli.importing.recognising.preset import Preset, Rule

_ANY = "*"
_NAMELESS = re.compile(r"#[0-9]+")  # what a column without a name is called
_DOTTED = re.compile(r"(?:[\w$-]+\.)+([^.\s][^.]*)")  # traits.plan, and not "Approx. age"


@attrs.frozen(kw_only=True)
class FittedRule:
    """A rule, and the column of the file that it is about."""

    column: str
    rule: Rule


@attrs.frozen(kw_only=True)
class FittedPreset:
    """What a preset says of each column of one file.

    A column that a rule is about may be a field or a custom field as well.

    Attributes:
        preset: Which preset.
        fields: The columns that hold a field of a contact, or ``full_name`` where first and last
            name have none; the first one with a value counts, of ``tags`` and ``lists`` all.
        custom: The title of its custom field, for each column that is one, in the file's order.
        left_out: The columns that are neither, in the file's order.
        rules: Which rows may be sent, by the columns that the file has.
        missing: Rules that are required and whose columns the file lacks.
        prefixes: What is taken off in front of a column's values.
        titles: What the preset calls the custom field of a column.
    """

    preset: Preset
    fields: Mapping[str, tuple[str, ...]]
    custom: Mapping[str, str]
    left_out: tuple[str, ...]
    rules: tuple[FittedRule, ...]
    missing: tuple[Rule, ...]
    prefixes: Mapping[str, str]
    titles: Mapping[str, str]

    def title_of(self, name: str) -> str:
        """Return the title of a column that becomes a custom field: ``plan`` of ``traits.plan``."""
        dotted = _DOTTED.fullmatch(name)
        return self.titles.get(name) or " ".join((dotted[1] if dotted else name).split())


def fitted(preset: Preset, names: Sequence[str]) -> FittedPreset:
    """Return what a preset says of a file with these columns.

    Args:
        preset: Of the service that the file is from.
        names: The file's columns; each only once.
    """
    table = _Table(names)
    # What is named in full isn't lost to a pattern; and what a rule is about, or has no name, is
    # no custom field by one.
    named = table.named(itertools.chain(preset.keep, *preset.columns.values()))
    spared = {name for name in names if _NAMELESS.fullmatch(name)}.union(named)
    spared.update(*map(table.fitting, preset.leave))
    fields: dict[str, tuple[str, ...]] = {}
    taken: set[str] = set()
    asking = spared.union(filter(may_be_consent, names))
    for field, wanted in preset.columns.items():
        # A question about mail isn't one for the address, unless there is no other.
        found = table.each_fitting(wanted, asking) or table.each_fitting(wanted, spared)
        if columns := tuple(name for name in dict.fromkeys(found) if name not in taken):
            fields[field] = columns
            taken.update(columns)
    if len({"first_name", "last_name"} & fields.keys()) == 1:
        _settle_name(fields, names)
    if {"first_name", "last_name"} <= fields.keys():
        # A field of its own for what both say already is worth nothing.
        redundant = fields.pop("full_name", ())
        taken.difference_update(redundant)
        spared.update(redundant)
    rules: list[FittedRule] = []
    missing: list[Rule] = []
    for rule in preset.rules:
        about = [found for each in rule.columns if (found := table.fitting(each))]
        if about:
            ruled = itertools.chain(*about) if rule.is_for_each else about[0]
            rules += [FittedRule(column=name, rule=rule) for name in dict.fromkeys(ruled)]
        elif rule.is_required:
            missing.append(rule)
    spared.update(each.column for each in rules)
    kept = {name for each in preset.keep for name in table.fitting(each, spared)} - taken
    made = FittedPreset(
        preset=preset,
        fields=fields,
        custom={},
        left_out=tuple(name for name in names if name not in taken and name not in kept),
        rules=tuple(rules),
        missing=tuple(missing),
        prefixes=table.values(preset.prefixes),
        titles=table.values(preset.titles),
    )
    return attrs.evolve(made, custom=_titled(made, [name for name in names if name in kept]))


def _settle_name(fields: dict[str, tuple[str, ...]], names: Sequence[str]) -> None:
    """Settle what a full name is: a "Nom" beside a "Prénom" is the last name, for example."""
    meant = dict(zip(names, fields_of(names), strict=True))
    for name in fields.get("full_name", ()):
        field = meant[name]
        if field in {"first_name", "last_name"} and field not in fields:
            fields[field] = (name,)
            fields["full_name"] = tuple(each for each in fields["full_name"] if each != name)
            return


class _Table:
    """The columns of a file, found by what a preset calls them."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._by_folded: dict[str, str] = {}
        for name in names:
            self._by_folded.setdefault(folded(name), name)

    def named(self, wanted: Iterable[str]) -> list[str]:
        """Return the columns that are named in full."""
        return [name for each in wanted if _ANY not in each for name in self.fitting(each)]

    def fitting(self, wanted: str, spared: Container[str] = ()) -> list[str]:
        """Return the columns that a name or a pattern stands for, in the file's order.

        Args:
            wanted: The name, or the pattern.
            spared: What a pattern doesn't take.
        """
        if _ANY in wanted:
            return [name for name in self._names if name not in spared and fits(wanted, name)]
        name = wanted if wanted in self._names else self._by_folded.get(folded(wanted))
        return [] if name is None else [name]

    def each_fitting(self, wanted: Iterable[str], spared: Container[str]) -> list[str]:
        """Return the columns that each of these stands for, in their order."""
        return [name for each in wanted for name in self.fitting(each, spared)]

    def values(self, by_name: Mapping[str, str]) -> dict[str, str]:
        """Return what is said of columns by what the file calls them."""
        return {name: value for each, value in by_name.items() for name in self.fitting(each)}


def _titled(fit: FittedPreset, columns: Sequence[str]) -> dict[str, str]:
    """Return the title of each column's custom field; none stands twice."""
    titled: dict[str, str] = {}
    used: set[str] = set()
    for column in columns:
        title = fit.title_of(column)
        titled[column] = column if folded(title) in used else title
        used.add(folded(titled[column]))
    return titled
