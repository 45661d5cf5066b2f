"""What the user has decided about the columns and rows of a file."""

from collections.abc import Mapping, Sequence

import attrs

from sendx_async._cli.importing.cleaning.lists import check_list_ids
from sendx_async._cli.importing.cleaning.notes import CellError
from sendx_async._cli.importing.mapping.conditions import Condition
from sendx_async._cli.importing.mapping.header import Header
from sendx_async._cli.importing.recognising import presets
from sendx_async._cli.importing.recognising.preset import Preset
from sendx_async._cli.importing.recognising.recognition import looks_like_header
from sendx_async._core.errors import ConfigurationError

LISTS = ("tags", "lists")
FIELDS = ("email", "first_name", "last_name", "full_name", "company", *LISTS, "new_email")


@attrs.frozen(kw_only=True)
class Columns:
    """What is to be done with the columns of a file, and which of its rows are sent.

    Attributes:
        preset: The service whose export the file is, by its name for ``--from``; None if none.
        renamed: The field for a column's name, where the name doesn't tell.
        custom: Columns that are custom fields, with what these are called.
        all_custom: Whether each other column is one.
        ignored: Columns to leave out.
        ignores_rest: Whether each other column is left out.
        splits_names: Whether full names become first and last names.
        only: What the rows have that are sent; several of one column: any of them.
        skip: What the rows have that are left out.
        takes_everyone: Whether people are sent, too, who must not be mailed.
        skips_empty: Whether rows without an address are left out, and not rejected.
        nulls: Texts that mean that a cell is empty.
        separator: What stands between the tags, or lists, of one cell; None for a comma.
        tags: Tags that each contact gets besides.
        tag_prefix: What is put in front of each tag out of the file.
        lists: Lists that each contact is put on besides.
        allows_increments: Whether ``++5`` adds, and is not refused.

    Raises:
        ConfigurationError: They make no sense; it names the option.
    """

    preset: str | None = None
    renamed: Mapping[str, str] = attrs.field(factory=dict[str, str])
    custom: Mapping[str, str] = attrs.field(factory=dict[str, str])
    all_custom: bool = False
    ignored: tuple[str, ...] = ()
    ignores_rest: bool = False
    splits_names: bool = False
    only: tuple[Condition, ...] = ()
    skip: tuple[Condition, ...] = ()
    takes_everyone: bool = False
    skips_empty: bool = False
    nulls: tuple[str, ...] = ()
    separator: str | None = None
    tags: tuple[str, ...] = ()
    tag_prefix: str = ""
    lists: tuple[str, ...] = ()
    allows_increments: bool = False

    def __attrs_post_init__(self) -> None:
        for column, field in self.renamed.items():
            if field not in FIELDS:
                raise ConfigurationError(
                    f"--column {column}={field}: {field!r} is no field; the fields are "
                    f"{', '.join(FIELDS)}. Use --field {column} for a custom field"
                )
        options = {"--column": self.renamed, "--field": self.custom, "--ignore": self.ignored}
        first: dict[str, str] = {}
        for option, names in options.items():
            for name in names:
                if first.setdefault(name, option) != option:
                    raise ConfigurationError(
                        f"{first[name]} and {option} both name {name!r}: keep one of them"
                    )
        if self.separator == "":
            raise ConfigurationError("--separator must not be empty")
        if self.all_custom and self.ignores_rest:
            raise ConfigurationError("--all-fields and --ignore-rest can't go together")
        if "" in self.nulls:
            raise ConfigurationError("--null must not be empty: empty cells are left out anyway")
        try:
            check_list_ids(self.lists)
        except CellError as error:
            raise ConfigurationError(f"--list {error}") from None
        self.load_preset()

    def load_preset(self) -> Preset | None:
        """Return what is known of the service that ``--from`` names.

        Raises:
            ConfigurationError: It names none that is known.
        """
        return None if self.preset is None else presets.load(self.preset)

    @property
    def names_nothing(self) -> bool:
        """Whether it isn't said what becomes of any column."""
        return not (
            self.preset
            or self.renamed
            or self.custom
            or self.all_custom
            or self.ignored
            or self.ignores_rest
        )

    @property
    def named(self) -> list[str]:
        """The columns that options name, each once."""
        conditions = [each.column for each in (*self.only, *self.skip)]
        return list(dict.fromkeys([*self.renamed, *self.custom, *self.ignored, *conditions]))

    def header_score(self, names: Sequence[str]) -> float:
        """Return how much a row looks like a header: how many names of columns are known in it."""
        preset = self.load_preset()
        header = Header(names, has_numbers=False)
        asked = sum(1 for name in self.named if header.find(name) is not None)
        return asked + looks_like_header(names, [] if preset is None else [preset])
