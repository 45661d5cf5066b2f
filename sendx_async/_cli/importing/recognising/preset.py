"""What is known of one service's exports: data only, as its file in ``presets`` says it."""

from collections.abc import Mapping

import attrs


@attrs.frozen(kw_only=True)
class Rule:
    """Which rows of a preset's table may be sent, by one column.

    Attributes:
        columns: The column; the first of these that a file has.
        is_refusal: Whether the column says no (unsubscribed, bounced ...), and not yes.
        values: What a column that says yes must hold; of one that says no, what means nothing,
            besides an empty cell, "no", "false" and "0". Case doesn't matter.
        reason: What is said of a row that is left out, such as "unsubscribed".
        is_required: Whether a file without the column can't be imported before the user decides.
    """

    columns: tuple[str, ...]
    is_refusal: bool
    values: frozenset[str]
    reason: str
    is_required: bool = False


@attrs.frozen(kw_only=True)
class Preset:
    """How the exports of one service are read; names are told apart as `column_names.folded` does.

    A name with a ``*`` stands for each column that it fits, in the file's order.

    Attributes:
        name: What ``--from`` takes.
        title: What the service calls itself.
        signatures: Sets of column names; a file that has all of one is known by that.
        columns: For a field of a contact, or ``full_name``, the columns that may hold it; the first
            one with a value counts. For ``tags`` and ``lists`` all of them do.
        separator: What stands between the tags of a cell.
        keep: Columns that are worth a custom field.
        titles: Its name in SendX, where it isn't the column's (``plan`` of ``traits.plan``).
        leave: Columns that a pattern in ``keep`` or ``columns`` must not take.
        rules: Which rows may be sent.
        nulls: Texts that mean that a cell is empty, exactly as written.
        prefixes: What is taken off in front of a column's values, such as ``p:``.
        address_separator: What stands between the addresses of one cell, of which the first counts.
    """

    name: str
    title: str
    signatures: tuple[frozenset[str], ...]
    columns: Mapping[str, tuple[str, ...]]
    separator: str = ","
    keep: tuple[str, ...] = ()
    titles: Mapping[str, str] = attrs.field(factory=dict[str, str])
    leave: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    nulls: frozenset[str] = frozenset()
    prefixes: Mapping[str, str] = attrs.field(factory=dict[str, str])
    address_separator: str | None = None
