"""A preset laid upon the columns of one file: what each of them is for."""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence

import attrs

from sendx_async._cli.importing.recognising.preset import Preset, Rule

_ANY = "*"
_PLAIN = re.compile(r"[\W_]+")
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
        fields: The columns that hold a field of a contact, or ``full_name``; the first one with a
            value counts, of ``tags`` and ``lists`` all.
        custom: The title of its custom field, for each column that is one, in the file's order.
        left_out: The columns that are neither, in the file's order.
        rules: Which rows may be sent, by the columns that the file has.
        missing: Rules that are required and whose columns the file lacks.
        prefixes: What is taken off in front of a column's values.
    """

    preset: Preset
    fields: Mapping[str, tuple[str, ...]]
    custom: Mapping[str, str]
    left_out: tuple[str, ...]
    rules: tuple[FittedRule, ...]
    missing: tuple[Rule, ...]
    prefixes: Mapping[str, str]


def fitted(preset: Preset, names: Sequence[str]) -> FittedPreset:
    """Return what a preset says of a file with these columns.

    Args:
        preset: Of the service that the file is from.
        names: The file's columns; each only once.
    """
    table = _Table(names, preset.leave)
    taken: set[str] = set()
    fields: dict[str, tuple[str, ...]] = {}
    # A column named in full isn't lost to a pattern of a field that comes before it.
    named = set(table.named(itertools.chain(preset.keep, *preset.columns.values())))
    for field, wanted in preset.columns.items():
        found = [
            name
            for each in wanted
            for name in table.fitting(each)
            if name not in taken and (_ANY not in each or name not in named)
        ]
        if found:
            fields[field] = tuple(dict.fromkeys(found))
            taken.update(found)
    # Nor does a pattern keep what only says who may be mailed.
    kept = {name for each in preset.keep for name in table.fitting(each)} - taken
    kept -= set(table.named(name for rule in preset.rules for name in rule.columns)) - named
    rules: list[FittedRule] = []
    missing: list[Rule] = []
    for rule in preset.rules:
        columns = [name for each in rule.columns for name in table.fitting(each)]
        if columns:
            rules.append(FittedRule(column=columns[0], rule=rule))
        elif rule.is_required:
            missing.append(rule)
    return FittedPreset(
        preset=preset,
        fields=fields,
        custom=_titled([name for name in names if name in kept], table.values(preset.titles)),
        left_out=tuple(name for name in names if name not in taken and name not in kept),
        rules=tuple(rules),
        missing=tuple(missing),
        prefixes=table.values(preset.prefixes),
    )


class _Table:
    """The columns of a file, found by what a preset calls them."""

    def __init__(self, names: Sequence[str], leave: tuple[str, ...]) -> None:
        self._names = names
        self._by_folded: dict[str, str] = {}
        for name in names:
            self._by_folded.setdefault(_folded(name), name)
        self._left = {name for each in leave for name in self._all_fitting(each)}

    def named(self, wanted: Iterable[str]) -> list[str]:
        """Return the columns that are named in full."""
        keys = [_folded(each) for each in wanted if _ANY not in each]
        return [self._by_folded[key] for key in keys if key in self._by_folded]

    def fitting(self, wanted: str) -> list[str]:
        """Return the columns that a name or a pattern stands for, in the file's order."""
        if _ANY not in wanted:
            return self.named([wanted])
        return [name for name in self._all_fitting(wanted) if name not in self._left]

    def values(self, by_name: Mapping[str, str]) -> dict[str, str]:
        """Return what is said of columns by what the file calls them."""
        return {name: value for each, value in by_name.items() for name in self.fitting(each)}

    def _all_fitting(self, wanted: str) -> list[str]:
        if _ANY not in wanted:
            return self.named([wanted])
        pattern = re.compile(".*".join(map(re.escape, wanted.casefold().split(_ANY))), re.DOTALL)
        return [name for name in self._names if pattern.fullmatch(name.casefold())]


def _titled(columns: Sequence[str], titles: Mapping[str, str]) -> dict[str, str]:
    """Return the title of each column's custom field; none stands twice."""
    titled: dict[str, str] = {}
    used: set[str] = set()
    for column in columns:
        dotted = _DOTTED.fullmatch(column)
        title = titles.get(column) or (dotted[1] if dotted else column)
        titled[column] = column if _folded(title) in used else title
        used.add(_folded(titled[column]))
    return titled


def _folded(name: str) -> str:
    return _PLAIN.sub("", name.casefold())
