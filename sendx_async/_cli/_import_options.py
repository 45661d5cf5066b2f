"""What can be written behind ``sendx import``: each option's type, name and help.

It is a file of its own because they are many; ``_import.py`` says what is done with them.
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

_Texts = list[str] | None

Files = Annotated[
    _Texts,
    typer.Argument(metavar="FILE", help="Files of contacts, one or more; - for standard input."),
]

# What is done.
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be sent, and send nothing.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Send what is shown without a question.")]
ShowValues = Annotated[
    bool, typer.Option("--show-values", help="Show addresses in errors as they are.")
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on where an earlier import of the same file stopped.")
]
UndoTags = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Take back the tags that an import with --log FILE has given."
    ),
]

# Which columns, as what.
From = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="NAME", help="The service that has written the file, such as mailchimp."
    ),
]
Mapping = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Options out of a TOML file; those given here come first."),
]
SaveMapping = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="With --dry-run: write what was decided to a file for --mapping."
    ),
]
Column = Annotated[
    _Texts,
    typer.Option(
        metavar="NAME=FIELD",
        help="Take a column as a field: email, first_name, last_name, full_name, company, tags, "
        "lists, new_email. #3 is the third column.",
    ),
]
Field = Annotated[
    _Texts,
    typer.Option(metavar="NAME[=TITLE]", help="Send a column as a custom field, called TITLE."),
]
AllFields = Annotated[
    bool, typer.Option("--all-fields", help="Send every other column as a custom field.")
]
Ignore = Annotated[_Texts, typer.Option(metavar="NAME", help="Leave a column out.")]
IgnoreRest = Annotated[bool, typer.Option("--ignore-rest", help="Leave every other column out.")]
SplitNames = Annotated[
    bool,
    typer.Option("--split-names", help="Make first and last name of a column of full names."),
]

# Which rows.
Only = Annotated[
    _Texts,
    typer.Option(
        metavar="COLUMN=VALUE",
        help="Send only rows with this value; COLUMN= for an empty one. Several for one column: "
        "any of them.",
    ),
]
Skip = Annotated[
    _Texts, typer.Option(metavar="COLUMN=VALUE", help="Leave out rows with this value.")
]
Everyone = Annotated[
    bool, typer.Option("--everyone", help="Also send people who are unsubscribed or said no.")
]
SkipEmpty = Annotated[bool, typer.Option("--skip-empty", help="Leave out rows without an address.")]
Duplicates = Annotated[
    Literal["last", "first", "reject"] | None,
    typer.Option(
        "--duplicates", help="Which row of an address counts. Default: each, one after the other."
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Send the first N contacts; --resume goes on."),
]

# What cells mean, and what contacts get besides.
Null = Annotated[
    _Texts,
    typer.Option(metavar="TEXT", help="A cell with exactly this text is empty, such as NULL."),
]
Separator = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="Between the tags of a cell. Default: a comma."),
]
Tag = Annotated[_Texts, typer.Option(metavar="TAG", help="Give each contact this tag as well.")]
TagPrefix = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="In front of each tag that comes from the file."),
]
List_ = Annotated[
    _Texts,
    typer.Option("--list", metavar="ID", help="Put each contact on this list (list_...) as well."),
]
Increments = Annotated[
    bool,
    typer.Option("--increments", help="Let ++5 and --5 add to a number field, and subtract."),
]

# How the file is written.
Format = Annotated[
    Literal["csv", "ndjson", "json", "xlsx", "parquet"] | None,
    typer.Option("--format", help="What the file is. Default: what its first bytes say."),
]
Encoding = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Such as cp1252. Default: what its bytes say."),
]
Delimiter = Annotated[
    str | None,
    typer.Option(metavar="C", help="Between cells; \\t for a tab. Default: what fits the rows."),
]
Escape = Annotated[
    str | None,
    typer.Option(
        metavar="C", help="In front of a quote within quotes, such as \\. Default: it is doubled."
    ),
]
SkipLines = Annotated[
    int | None,
    typer.Option(metavar="N", min=0, help="Lines that stand in front of the header."),
]
Names = Annotated[
    str | None,
    typer.Option(
        "--columns", metavar="A,B,C", help="The columns' names, of a file without a header."
    ),
]
Sheet = Annotated[
    str | None, typer.Option(metavar="NAME", help="The sheet of a workbook that has several.")
]

# How it goes, and what is written.
Rejects = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Where rejected rows go, with the reason. Default: beside FILE, NAME.rejects.csv.",
    ),
]
MaxRejects = Annotated[
    str | None,
    typer.Option(metavar="N|N%", help="Stop when more rows than this are rejected."),
]
Skipped = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Where rows go that are left out, with the reason."),
]
Log = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Where each delivered contact goes, for --undo-tags."),
]
Rate = Annotated[
    float | None,
    typer.Option(metavar="N", help="Requests a second, of up to 25 contacts. Default: no limit."),
]
Concurrency = Annotated[
    int, typer.Option(metavar="N", min=1, max=100, help="Requests under way at once.")
]
Patience = Annotated[
    float, typer.Option(metavar="SECONDS", help="How long an outage of SendX is waited out.")
]
ProgressFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Keeps how far the import came. Default: FILE.sendx-progress.",
    ),
]
