"""Plans made of what was decided: one for each header, with a closure for each of its columns."""

import functools
from collections.abc import Iterable, Sequence

import attrs

from sendx_async._cli.importing.cleaning.addresses import read_address
from sendx_async._cli.importing.cleaning.column_kinds import NAMIBIA, has_places
from sendx_async._cli.importing.cleaning.lists import split_list
from sendx_async._cli.importing.cleaning.notes import CellError
from sendx_async._cli.importing.cleaning.null_marks import MAYBE_NULLS, SPREADSHEET_ERRORS
from sendx_async._cli.importing.cleaning.texts import CellReader
from sendx_async._cli.importing.mapping import conditions, steps
from sendx_async._cli.importing.mapping.columns import LISTS, Columns
from sendx_async._cli.importing.mapping.conditions import RowRule
from sendx_async._cli.importing.mapping.decisions import (
    BY_NAME,
    CUSTOM_FIELD,
    CUSTOM_FIELDS,
    LEFT_OUT,
    UNDECIDED,
    UNNAMED,
    Decided,
    Decision,
    decide,
)
from sendx_async._cli.importing.mapping.doubts import (
    consent_undecided,
    consents,
    twice,
    undecided,
)
from sendx_async._cli.importing.mapping.header import Header
from sendx_async._cli.importing.mapping.plan import Plan
from sendx_async._cli.importing.mapping.problems import Problem, Refusal
from sendx_async._cli.importing.reading.records import Record
from sendx_async._cli.importing.recognising.recognition import address_column

_DECIDED = {"--column", "--field", "--ignore", BY_NAME}
_PLANS_KEPT = 256  # of JSON objects with the same names


class Plans:
    """The plans of a file whose rows need not have the same columns, as in JSON.

    Args:
        columns: What the user has decided.
        is_json: Whether values come from JSON.
        nulls: What means that a cell is empty in the file's dialect.
        files: What the file is called: of some services that tells who is in it. One within a zip
            has a name as well.
        sample: The first records: their cells tell which column has the addresses, where no name
            does.
        is_look: Whether columns that nobody has decided about are passed over, to show what the
            others come to; else no row that has one is sent.

    Attributes:
        nulls: What means that a cell is empty; of one with an address more does.
    """

    def __init__(
        self,
        columns: Columns,
        *,
        is_json: bool,
        nulls: frozenset[str] = frozenset(),
        files: Sequence[str] = (),
        sample: Sequence[Record] = (),
        is_look: bool = False,
    ) -> None:
        self._columns = columns
        self._is_json = is_json
        self._files = files
        self._sample = sample
        self._is_look = is_look
        self._preset = columns.load_preset()
        nulls |= frozenset(columns.nulls)
        if self._preset is not None:
            nulls |= self._preset.nulls
        self.nulls = nulls | SPREADSHEET_ERRORS
        # Bound once: a call of the object itself takes longer.
        self._read = CellReader(nulls=nulls, asks_about_nulls=True).__call__
        self._read_place = CellReader(
            nulls=nulls, asks_about_nulls=True, texts=frozenset({NAMIBIA})
        ).__call__
        # What may mean nothing can't be an address.
        self._read_address = CellReader(nulls=nulls | MAYBE_NULLS, asks_about_nulls=False).__call__
        self._read_rule = CellReader(nulls=nulls, asks_about_nulls=False)
        self._plans: dict[tuple[str, ...], Plan] = {}

    def of(self, names: tuple[str, ...]) -> Plan:
        """Return what is done with rows that have these columns."""
        plan = self._plans.get(names)
        if plan is None:
            plan = self._made(names)
            if len(self._plans) < _PLANS_KEPT:
                self._plans[names] = plan
        return plan

    @functools.cached_property
    def _seen(self) -> Sequence[str]:
        """The columns of the first records."""
        return tuple(dict.fromkeys(name for each in self._sample for name in each.names))

    @functools.cached_property
    def _by_cells(self) -> str | None:
        """The column that has the addresses, if only its cells tell."""
        names = self._seen
        header = Header(names, has_numbers=not self._is_json)
        decided = decide(self._columns, header, is_json=self._is_json)
        if any(each.becomes == "email" for each in decided.decisions):
            return None
        free = {each.name for each in decided.decisions if each.why not in _DECIDED}
        rows = (dict(zip(each.names, each.values, strict=False)) for each in self._sample)
        found = address_column(
            names, ([row.get(name) if name in free else None for name in names] for row in rows)
        )
        return None if found is None else names[found]

    def _made(self, names: tuple[str, ...]) -> Plan:
        header = Header(names, has_numbers=not self._is_json)
        decided = decide(self._columns, header, is_json=self._is_json, by_cells=self._by_cells)
        plan = Plan(
            columns=self._columns,
            decided=decided,
            is_json=self._is_json,
            width=len(names),
            rules=(
                *self._rules_of_options(header, decided),
                *self._rules_of_preset(header, decided),
            ),
            steps=tuple(
                (each.index, step)
                for each in sorted(decided.decisions, key=lambda each: each.rank)
                if (step := self._step(each)) is not None
            ),
            adds_more=bool(self._columns.tags or self._columns.lists or self._columns.splits_names),
            refusal=None,
        )
        return plan if self._is_look else attrs.evolve(plan, refusal=self._refusal(plan))

    def _refusal(self, plan: Plan) -> Refusal | None:
        """Return why rows with such columns can't be sent before somebody decides about them."""
        said = [twice(*pair) for pair in plan.decided.twice]
        if names := [each.name for each in plan.decisions if each.becomes == UNDECIDED]:
            said.append(undecided(names))
        if self._is_json and self._sample:  # else all columns were asked about before
            said += [
                consent_undecided(each.name, consent)
                for each, consent in consents(plan, ())
                if each.name not in self._seen
            ]
        return Refusal(tuple(Problem(None, None, each) for each in said)) if said else None

    def _rules_of_options(self, header: Header, decided: Decided) -> list[RowRule]:
        columns = self._columns
        lists = {each.index for each in decided.decisions if each.becomes in LISTS}

        def about(column: str) -> tuple[int | None, conditions.Split | None]:
            index = _index(header, column)
            return index, self._items if index in lists else None

        wanted: dict[str | None, list[conditions.Condition]] = {}
        for each in columns.only:
            wanted.setdefault(header.find(each.column) or each.column, []).append(each)
        rules = [
            conditions.only(index, each, self._said, split)
            for each in wanted.values()
            for index, split in [about(each[0].column)]
        ]
        return rules + [
            conditions.skip(index, each, self._said, split)
            for each in columns.skip
            for index, split in [about(each.column)]
        ]

    def _rules_of_preset(self, header: Header, decided: Decided) -> list[RowRule]:
        if decided.fit is None or self._columns.takes_everyone:
            return []
        if reasons := list(filter(None, map(decided.fit.preset.refusal_of, self._files))):
            return [RowRule(None, _refuse, reasons[0])]
        # Whoever says what a column must have knows better than the preset.
        named = {header.find(each.column) for each in self._columns.only}
        rules = [
            RowRule(header.index(each.column), each.rule.allows, each.rule.reason)
            for each in decided.fit.rules
            if each.column not in named
        ]
        return rules + [RowRule(None, each.allows, each.reason) for each in decided.fit.missing]

    def _said(self, text: str) -> str | None:
        return self._read_rule(text, [])

    @property
    def _separator(self) -> str:
        return self._columns.separator or ("," if self._preset is None else self._preset.separator)

    def _items(self, text: str) -> Iterable[str]:
        """Return the tags of a cell; of one that can't be read, which is refused, none."""
        try:
            return split_list(self._said(text) or "", [], separator=self._separator, is_given=True)
        except CellError:
            return ()

    def _step(self, decision: Decision) -> steps.Step | None:
        becomes, prefix, columns = decision.becomes, decision.prefix, self._columns
        if becomes in {LEFT_OUT, UNDECIDED}:
            return None
        if becomes == UNNAMED:
            return None if self._is_look else steps.must_be_empty(decision.name)
        if becomes in LISTS:
            preset = self._preset
            return steps.list_step(
                becomes,
                self._read,
                separator=self._separator,
                is_given=preset is not None or columns.separator is not None,
                prefix=columns.tag_prefix if becomes == "tags" else "",
                own="" if preset is None else preset.own_tags,
            )
        if becomes == CUSTOM_FIELDS:
            return steps.object_step(self._read, allows_increments=columns.allows_increments)
        if becomes == CUSTOM_FIELD:
            return steps.custom_step(
                str(decision.title),
                self._read_place if has_places(decision.name) else self._read,
                prefix=prefix,
                allows_increments=columns.allows_increments,
                passes_over=decision.why.startswith("--from "),
            )
        if becomes in {"email", "new_email"}:
            several = None if self._preset is None else self._preset.address_separator
            finish = functools.partial(
                read_address, separator=several if becomes == "email" else None
            )
            return steps.text_step(becomes, self._read_address, prefix=prefix, finish=finish)
        return steps.text_step(becomes, self._read, prefix=prefix)


def _refuse(_: object) -> bool:
    return False


def _index(header: Header, name: str) -> int | None:
    found = header.find(name)
    return None if found is None else header.index(found)
