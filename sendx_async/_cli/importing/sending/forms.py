"""How and where rows that are set aside are written, to be read as those of their own file."""

from pathlib import Path

import attrs

from sendx_async._cli.importing.options import FileOptions
from sendx_async._cli.importing.reading.encoding import Encoding
from sendx_async._cli.importing.reading.opening import Source

_MARKED = Encoding("utf-8", bom=True, is_wide=False)
_JSON_LINES = (".ndjson", ".jsonl", ".ldjson")
_CELLS = (".csv", ".tsv", ".tab", ".txt")


@attrs.frozen(kw_only=True)
class Form:
    """How rows are written; the options that their own file was read with fit it as well.

    Attributes:
        encoding: How text is.
        header: The names of the columns as they stand in the rows' own file; None for JSON.
        delimiter: What stands between cells.
        escape: What stands before a quote within quotes; None if quotes are doubled.
        quotes_all: Whether each cell stands in quotes.
        nulls: Cells that mean in their own file that there is nothing.
        is_made: Whether the rows' own file is no text, so that cells are made of its values.
    """

    encoding: Encoding
    header: tuple[str, ...] | None
    delimiter: str = ","
    escape: str | None = None
    quotes_all: bool = False
    nulls: frozenset[str] = frozenset()
    is_made: bool = False


def form_of(source: Source, options: FileOptions) -> Form:
    """Return the form in which rows of a file are set aside.

    What was told by the look of the whole file can't be told by a few of its rows. So where no
    option says it, they are written in such a way that it needs no telling.

    Args:
        source: The rows' own file.
        options: How it was to be read.
    """
    encoding, dialect, titles = source.encoding, source.table.dialect, source.table.titles
    is_made = dialect is None and titles is not None
    if encoding.is_wide or encoding.is_guessed or is_made:
        # One that is wide needs a mark at the beginning that each addition would repeat; one that
        # was guessed may be guessed otherwise; and where there is none, spreadsheets look for it.
        encoding = _MARKED
    if dialect is None:
        return Form(encoding=encoding, header=titles, is_made=is_made)
    return Form(
        encoding=encoding,
        header=titles,
        delimiter=dialect.delimiter,
        escape=options.escape,
        # Databases write tabs and no quotes, so nothing in quotes is taken for theirs.
        quotes_all=dialect.delimiter == "\t",
        nulls=dialect.nulls,
    )


def rejects_path(source: Source, file: str) -> Path:
    """Return where rejected rows go if nobody says it: beside their file.

    Args:
        source: The file.
        file: Its path.
    """
    is_json = source.table.titles is None
    if source.size is None:
        return Path("stdin.rejects.ndjson" if is_json else "stdin.rejects.csv")
    path = Path(file)
    if source.compression is not None:
        path = path.with_suffix("")
    suffix = path.suffix
    if is_json:
        suffix = suffix if suffix.lower() in _JSON_LINES else ".ndjson"
    elif source.table.dialect is None or (
        source.compression is not None and suffix.lower() not in _CELLS
    ):
        suffix = ".csv"
    return path.with_name(f"{path.stem}.rejects{suffix}")
