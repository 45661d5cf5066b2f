"""What is known of one service's exports: data only, as its file in ``preset_files`` says it."""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import PurePath

import attrs

from sendx_async._cli.importing.recognising.refusals import lets_mail


@attrs.frozen(kw_only=True)
class Rule:
    """Which rows of a preset's table may be sent, by one column.

    Attributes:
        columns: The column; the first of these that a file has.
        is_for_each: Whether each of these must allow a row, and not only the first.
        is_refusal: Whether the column says no (unsubscribed, bounced ...), and not yes.
        values: What a column that says yes must hold; of one that says no, what means nothing,
            besides what `lets_mail` takes for that. Case doesn't matter; a ``*`` stands for
            any characters.
        refused: What alone says no, if anything else may be sent; written as values are.
        reason: What is said of a row that is left out, such as "unsubscribed".
        is_required: Whether a file without the column can't be imported before the user decides.
    """

    columns: tuple[str, ...]
    is_refusal: bool
    is_for_each: bool = False
    values: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    reason: str
    is_required: bool = False
    _allowed: "re.Pattern[str]" = attrs.field(init=False, repr=False, eq=False)
    _refused: "re.Pattern[str]" = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_allowed", _any_of(self.values))
        object.__setattr__(self, "_refused", _any_of(self.refused))

    def allows(self, value: object) -> bool:
        """Return whether a row may be sent whose column has this value.

        Args:
            value: As it stands in the file; None for a row that ends before it, or lacks it.
        """
        is_empty = value is None or value == []
        text = "" if is_empty else str(value).strip().casefold()
        if self.refused:
            return self._refused.fullmatch(text) is None
        if self._allowed.fullmatch(text):
            return True
        return self.is_refusal and lets_mail(text)


def _any_of(texts: frozenset[str]) -> re.Pattern[str]:
    """Return what fits each of these texts, in which a ``*`` stands for any characters."""
    parts = (map(re.escape, text.strip().casefold().split("*")) for text in texts)
    # Nothing fits a pattern that is to be both at a place and not at it.
    return re.compile("|".join(".*".join(each) for each in parts) or r"(?!)", re.DOTALL)


@attrs.frozen(kw_only=True)
class Preset:
    """How the exports of one service are read; names are told apart as ``folded`` does.

    A name with a ``*`` stands for each column that it fits, in the file's order. It is compared
    as it is written, case aside.

    Attributes:
        name: What ``--from`` takes.
        title: What the service calls itself.
        signatures: Sets of column names; a file that has all of one is known by that.
        columns: For a field of a contact, or ``full_name``, the columns that may hold it; the first
            one with a value counts. For ``tags`` and ``lists`` all of them do.
        separator: What stands between the tags of a cell.
        own_tags: What a tag begins with that the service has set for itself, and that is none.
        keep: Columns that are worth a custom field.
        titles: Its name in SendX, where it isn't the column's (``plan`` of ``traits.plan``).
        leave: Columns that a pattern in ``keep`` or ``columns`` must not take.
        rules: Which rows may be sent.
        files: Patterns of the names of files none of whose rows may be sent, with the reason.
        nulls: Texts that mean that a cell is empty, exactly as written.
        prefixes: What is taken off in front of a column's values, such as ``p:``.
        address_separator: What stands between the addresses of one cell, of which the first counts.
    """

    name: str
    title: str
    signatures: tuple[frozenset[str], ...]
    columns: Mapping[str, tuple[str, ...]]
    separator: str = ","
    own_tags: str = ""
    keep: tuple[str, ...] = ()
    titles: Mapping[str, str] = attrs.field(factory=dict[str, str])
    leave: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    files: Mapping[str, str] = attrs.field(factory=dict[str, str])
    nulls: frozenset[str] = frozenset()
    prefixes: Mapping[str, str] = attrs.field(factory=dict[str, str])
    address_separator: str | None = None

    def refusal_of(self, file: str) -> str | None:
        """Return why no row may be sent of a file with this name; None if its rows tell.

        Args:
            file: Its name, with or without the folders in front.
        """
        name = PurePath(file).name.casefold()
        reasons = (reason for each, reason in self.files.items() if fnmatchcase(name, each))
        return next(reasons, None)
