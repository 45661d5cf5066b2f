"""What becomes of each column of a file, and why: of what the user, a preset and names say."""

from collections import Counter
from collections.abc import Mapping, Sequence

import attrs

from sendx_async._cli.importing.cleaning.texts import in_one_line
from sendx_async._cli.importing.mapping.columns import FIELDS, LISTS, Columns
from sendx_async._cli.importing.mapping.header import Header
from sendx_async._cli.importing.recognising.column_names import fields_of, folded
from sendx_async._cli.importing.recognising.fitting import FittedPreset, fitted
from sendx_async._cli.importing.recognising.preset import Rule

CUSTOM_FIELD = "custom field"
CUSTOM_FIELDS = "custom fields"
LEFT_OUT = "left out"
UNDECIDED = "undecided"
UNNAMED = "unnamed"
BY_NAME = "its name"
BY_CELLS = "its cells"

_OBJECT = "customfields"


@attrs.frozen(kw_only=True)
class Decision:
    """What becomes of one column.

    Attributes:
        index: Its place among all columns.
        name: Its name.
        becomes: A field of a contact, ``full_name``, or one of the constants of this module:
            ``custom field``, ``custom fields`` (an object of them), ``left out``, ``undecided``, or
            ``unnamed``: it has no name, so it may have no value either.
        title: What its custom field is called.
        why: What says so, such as ``--field`` or ``its name``.
        rank: Which column of a field counts, where several may have a value: the lowest.
        prefix: What is taken off in front of its values.
    """

    index: int
    name: str
    becomes: str
    title: str | None = None
    why: str = ""
    rank: int = 0
    prefix: str = ""

    @property
    def target(self) -> str | None:
        """What only one column can become; None if several can, or it becomes nothing."""
        if self.becomes == CUSTOM_FIELD:
            return f"custom field {self.title!r}"
        return None if self.becomes in _OF_MANY else self.becomes


_OF_MANY = (*LISTS, LEFT_OUT, UNDECIDED, UNNAMED)


@attrs.frozen(kw_only=True)
class Decided:
    """What becomes of all columns of a file.

    Attributes:
        decisions: One for each column, in the file's order.
        fit: What the preset says of them; None if there is no preset.
        absent: Columns that options name, and the file doesn't have.
        twice: Columns that can't both be what they are to be.
        ruled: Columns of which it is said which rows are sent.
        missing: Rules of the preset about who may be mailed, whose columns the file must have.
    """

    decisions: tuple[Decision, ...]
    fit: FittedPreset | None
    absent: tuple[str, ...]
    twice: tuple[tuple[Decision, Decision], ...]
    ruled: frozenset[str]
    missing: tuple[Rule, ...]


def decide(
    columns: Columns, header: Header, *, is_json: bool, by_cells: str | None = None
) -> Decided:
    """Decide what becomes of each column.

    Args:
        columns: What the user says.
        header: The columns.
        is_json: Whether values come from JSON.
        by_cells: The column that has the addresses, where only its cells tell; None for no such.
    """
    preset = columns.load_preset()
    fit = None if preset is None else fitted(preset, header.names)
    made = _of_options(columns, header)
    if by_cells is not None and header.find(by_cells) == by_cells and by_cells not in made:
        made[by_cells] = _decision(header, by_cells, "email", BY_CELLS)
    if fit is None:
        made |= _of_names(columns, header, made, is_json=is_json)
    else:
        made |= _of_preset(columns, fit, header, made)
    conditions = (*columns.only, *columns.skip)
    ruled = {name for each in conditions if (name := header.find(each.column)) is not None}
    made |= {
        name: _of_the_rest(columns, header, name, is_ruled=name in ruled)
        for name in header.names
        if name not in made
    }
    decisions = tuple(made[name] for name in header.names)
    return Decided(
        decisions=decisions,
        fit=fit,
        absent=tuple(name for name in columns.named if header.find(name) is None),
        twice=_twice(decisions),
        ruled=frozenset(ruled) | {each.column for each in (() if fit is None else fit.rules)},
        missing=() if fit is None or columns.takes_everyone else fit.missing,
    )


def _of_options(columns: Columns, header: Header) -> dict[str, Decision]:
    made: dict[str, Decision] = {}

    def add(asked: str, becomes: str, why: str, title: str | None = None) -> None:
        name = header.find(asked)
        if name is not None and name not in made:
            made[name] = _decision(header, name, becomes, why, title)

    for asked in columns.ignored:
        add(asked, LEFT_OUT, "--ignore")
    for asked, field in columns.renamed.items():
        is_custom = field == "full_name" and not columns.splits_names
        add(asked, CUSTOM_FIELD if is_custom else field, "--column")
    for asked, title in columns.custom.items():
        # Case doesn't matter, so the title isn't what was asked for, but what stands there.
        add(asked, CUSTOM_FIELD, "--field", None if title == asked else title)
    ignored = {each.name for each in made.values() if each.why == "--ignore"}
    for name in header.names:
        if header.title(name) in ignored:
            add(name, LEFT_OUT, "--ignore")
    return made


def _of_names(
    columns: Columns, header: Header, made: Mapping[str, Decision], *, is_json: bool
) -> dict[str, Decision]:
    """Return what columns are for by their names, where nothing was said about them."""
    titles = [header.title(name) for name in header.names]
    fields = fields_of(titles)
    # What was said about some columns tells of others: of a "Work Email" beside an "Address".
    meant = [
        _meant(made.get(name), title, field)
        for name, title, field in zip(header.names, titles, fields, strict=True)
    ]
    if meant != titles:
        fields = fields_of(meant)
    # Whoever has said which column is a field, and what the rest is, has said it of these.
    taken = {each.becomes for each in made.values()} if _says_all(columns) else set[str]()
    found: dict[str, Decision] = {}
    for name, field in zip(header.names, fields, strict=True):
        if name in made or (field in taken and field not in LISTS):
            continue
        if is_json and folded(name) == _OBJECT:
            found[name] = _decision(header, name, CUSTOM_FIELDS, BY_NAME)
        elif field == "full_name" and not columns.splits_names:
            found[name] = _decision(header, name, CUSTOM_FIELD, BY_NAME)
        elif field is not None:
            found[name] = _decision(header, name, field, BY_NAME)
    return found


def _says_all(columns: Columns) -> bool:
    return columns.all_custom or columns.ignores_rest


def _meant(decision: Decision | None, name: str, field: str | None) -> str:
    if decision is None or decision.becomes == field:
        return name
    return decision.becomes.replace("_", " ") if decision.becomes in FIELDS else ""


def _of_preset(
    columns: Columns, fit: FittedPreset, header: Header, made: Mapping[str, Decision]
) -> dict[str, Decision]:
    """Return what a preset makes of columns that nothing was said about."""
    taken = {each.becomes for each in made.values() if each.why != "--ignore"} - {*LISTS}
    titles = {each.title for each in made.values()}
    wanted: dict[str, tuple[str, str | None, int]] = {}
    for field, names in fit.fields.items():
        becomes, title = field, None
        if field == "full_name" and not columns.splits_names:
            becomes, title = CUSTOM_FIELD, fit.title_of(names[0])
        if field not in taken:
            wanted |= {name: (becomes, title, rank) for rank, name in enumerate(names)}
    wanted |= {
        name: (CUSTOM_FIELD, title, 0) for name, title in fit.custom.items() if title not in titles
    }
    if not columns.all_custom:
        wanted = dict.fromkeys(header.names, (LEFT_OUT, None, 0)) | wanted
    return {
        name: attrs.evolve(
            _decision(header, name, becomes, f"--from {fit.preset.name}", title),
            rank=rank,
            prefix=fit.prefixes.get(name, ""),
        )
        for name, (becomes, title, rank) in wanted.items()
        if name not in made
    }


def _of_the_rest(columns: Columns, header: Header, name: str, *, is_ruled: bool) -> Decision:
    if columns.ignores_rest:
        return _decision(header, name, LEFT_OUT, "--ignore-rest")
    if is_ruled and not columns.all_custom:
        return _decision(header, name, LEFT_OUT, "--only or --skip")
    if header.is_unnamed(name):
        return _decision(header, name, UNNAMED, "it has no name")
    if columns.all_custom:
        return _decision(header, name, CUSTOM_FIELD, "--all-fields")
    return _decision(header, name, UNDECIDED, "")


def _decision(
    header: Header, name: str, becomes: str, why: str, title: str | None = None
) -> Decision:
    if becomes == CUSTOM_FIELD:
        title = in_one_line(name if title is None else title)
    return Decision(index=header.index(name), name=name, becomes=becomes, title=title, why=why)


def _twice(decisions: Sequence[Decision]) -> tuple[tuple[Decision, Decision], ...]:
    """Return pairs of columns that would be the same, and of which none comes first."""
    found: list[tuple[Decision, Decision]] = []
    first: dict[tuple[str, int], Decision] = {}
    targets = Counter(each.target for each in decisions)
    for each in decisions:
        if each.target is None or targets[each.target] == 1:
            continue
        earlier = first.setdefault((each.target, each.rank), each)
        if earlier is not each:
            found.append((earlier, each))
    return tuple(found)
