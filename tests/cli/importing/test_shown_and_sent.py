"""What a dry run shows is what the import of the same file sends, whatever the file holds."""

import csv
import io
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sendx_async.testing import FakeSendX
from tests.cli.conftest import Run
from tests.cli.processes import Said

pytestmark = pytest.mark.slow

EMAIL_NAMES = ("email", "E-Mail-Adresse", "Email Address", "Correo electrónico")
OTHER_NAMES = ("first_name", "Nachname", "Company", "Tags", "Plan", "PLZ", "Seats", "Größe", "")
NULLS = ("NULL", "\\N", "nan", "#N/A", "n/a", "-", "--", "None")
ODD = (
    "'=1+1", "'+49 30 123", '="01067"', "01067", "1067", "1.23457E+12", "45352", "++5", "--3",
    "x--",
    "MÃ¼ller", "O'Brien", "'t Hart", 'Jane "the first"', "a\u200bb", "a\tb", "two\nlines", "\ufffd",
    "{vip,new}", '["a", "b"]', '"a, b","c"', "a;b", "a|b", "[a", " padded ", "a,b, c",
)  # fmt: skip
RUBBISH = (
    "{}", " {} ", "mailto:{}", "Jane <{}>", "<{}>", '"{}"', "{}.", "{};", "{}\u200b", "{}, b@b.co",
    "not an address", "",
)  # fmt: skip

plain = st.text(st.characters(codec="cp1252", exclude_categories=["Cc", "Cs"]), max_size=8)
cells = st.one_of(plain, st.sampled_from(NULLS), st.sampled_from(ODD), st.just(""))
addresses = st.builds(
    lambda form, name: form.replace("{}", f"{name}@example.com"),
    st.sampled_from((*RUBBISH, *["{}"] * 12)),
    st.sampled_from(["a", "b", "c", "B", "Jörg", "d.e"]),
)


@attrs.frozen
class Table:
    """A file, and what stands in its cells."""

    name: str
    data: bytes
    header: list[str]
    rows: list[list[str]]


@st.composite
def tables(draw: st.DrawFn) -> Table:
    others = draw(st.lists(st.sampled_from(OTHER_NAMES), max_size=4, unique=True))
    header = [draw(st.sampled_from(EMAIL_NAMES)), *others]
    order = draw(st.permutations(range(len(header))))
    header = [header[index] for index in order]
    place = list(order).index(0)
    rows = draw(
        st.lists(
            st.tuples(addresses, st.lists(cells, min_size=len(others), max_size=len(others))),
            min_size=1,
            max_size=8,
        )
    )
    made = [[*values[:place], address, *values[place:]] for address, values in rows]
    form = draw(st.sampled_from(["csv", "csv", "csv", "ndjson", "json"]))
    if form == "csv":
        return draw(as_csv(header, made))
    header = [name or "blank" for name in header]
    objects = [dict(zip(header, row, strict=True)) for row in made]
    if form == "json":
        return Table("t.json", json.dumps(objects).encode(), header, made)
    lines = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in objects)
    return Table("t.ndjson", lines.encode(), header, made)


@st.composite
def as_csv(draw: st.DrawFn, header: list[str], rows: list[list[str]]) -> Table:
    text = io.StringIO(newline="")
    quoted = draw(st.booleans())
    writer = csv.writer(
        text,
        delimiter=draw(st.sampled_from(",;\t|")),
        quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL,
    )
    writer.writerows([header, *rows])
    encoding = draw(st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252"]))
    try:
        data = text.getvalue().encode(encoding)
    except UnicodeEncodeError:
        data = text.getvalue().encode()
    if encoding == "cp1252" and is_utf_8(data):
        data = text.getvalue().encode()  # nobody could tell
    return Table("t.csv", data, header, rows)


def is_utf_8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


OPTIONS = st.lists(
    st.sampled_from(
        [
            ("--ignore-rest",), ("--all-fields",), ("--null", "NULL"), ("--separator", ";"),
            ("--tag", "new"), ("--tag-prefix", "x-"), ("--increments",), ("--skip", "Plan=NULL"),
            ("--skip-empty",), ("--split-names",), ("--duplicates", "last"),
            ("--duplicates", "first"),            ("--duplicates", "reject"),
        ]
    ),
    max_size=3,
    unique_by=lambda option: option[0].replace("all-fields", "ignore-rest"),
)  # fmt: skip


@attrs.frozen
class Importer:
    """Looks at files and imports them; nothing is left from one to the next."""

    run: Run
    server: FakeSendX

    def shown(self, file: str, options: Sequence[str]) -> tuple[int, dict[str, Any]]:
        said = self.run("import", file, "--dry-run", "--json", *options)
        assert not self.server.requests
        return said.status, json.loads(said.out)

    def sent(self, file: str, options: Sequence[str]) -> tuple[Said, list[dict[str, Any]]]:
        self.server.reset()
        said = self.run("import", file, "--json", "--concurrency", "1", *options)
        bodies = [request.json for request in self.server.requests]
        sent = [each for body in bodies for each in (body if isinstance(body, list) else [body])]
        self.server.reset()
        Path(file).with_suffix(f".rejects{Path(file).suffix}").unlink(missing_ok=True)
        Path(file).with_suffix(".rejects.ndjson").unlink(missing_ok=True)
        return said, sent


def check(importer: Importer, table: Table, options: Sequence[str]) -> None:
    """Import a file as it stands, or as is proposed, and compare."""
    file = table.name
    Path(file).write_bytes(table.data)
    status, shown = importer.shown(file, options)
    said, sent = importer.sent(file, options)
    if status == 2:
        # Neither sends anything, and both say the same.
        assert (said.status, sent) == (2, [])
        refused = json.loads(said.out)
        assert refused["message"] == shown["message"]
        if not shown.get("preview"):
            return  # it can't be read at all
        assert refused["preview"]["doubts"] == shown["preview"]["doubts"]
        assert refused["proposal"] == shown["proposal"]
        if shown["proposal"] is not None:
            command, name, *proposed = shown["proposal"]
            assert (command, name) == ("import", file)
            options = proposed
        else:
            options = [
                *options,
                *({"--ignore-rest", "--all-fields"} & {*options} or {"--ignore-rest"}),
            ]
            options = [*dict.fromkeys(options), "--yes"]
        status, shown = importer.shown(file, options)
        said, sent = importer.sent(file, options)
        if status == 2:
            assert (said.status, sent) == (2, [])
            return
    assert said.status == status
    compare(shown, json.loads(said.out), sent)
    # An encoding that was proposed is a guess, which a person has seen and agreed to.
    if "--yes" not in options and "--encoding" not in options:
        nothing_is_made_up(table, shown["preview"], sent, options)


def compare(shown: dict[str, Any], report: dict[str, Any], sent: list[dict[str, Any]]) -> None:
    preview = shown["preview"]
    # Not always first: two rows of a contact never travel in one request.
    left = [*sent]
    for contact in preview["contacts"]:
        left.remove(contact)
    assert (shown["good"], shown["rejected"]) == (report["delivered"], report["rejected"])
    assert shown["good"] == len(sent)
    assert shown["skipped"] == report["skipped"]
    assert preview["people"] == len({each["email"].casefold() for each in sent})
    tags = Counter(tag for each in sent for tag in each.get("tags", []))
    assert preview["tags"] == dict(tags)
    fields = Counter(name for each in sent for name in each.get("customFields", {}))
    assert preview["custom_fields"] == dict(fields)
    assert preview["rows"] == preview["good"] + preview["rejected"] + sum(shown["skipped"].values())


def tidied(cell: str) -> str:
    """Return a cell without what is never sent: what can't be seen, and line breaks."""
    seen = "".join(each for each in cell if unicodedata.category(each) != "Cf" or each == "\u00ad")
    return re.sub(r"\s*[\t\r\n]\s*", " ", seen.replace("\u00ad", "")).strip()


def nothing_is_made_up(
    table: Table, preview: dict[str, Any], sent: list[dict[str, Any]], options: Sequence[str]
) -> None:
    """Whatever is sent stands in a cell, as it is, or the preview says what was taken off."""
    trimmed = {cell.strip() for row in table.rows for cell in row}
    tidy = [tidied(cell) for row in table.rows for cell in row]
    changed = sum(
        count
        for column in preview["columns"]
        for note, count in column["notes"].items()
        if note in {"guard", "invisible", "line_break"}
    )
    odd = 0
    for contact in sent:
        values = [contact.get(key) for key in ("firstName", "lastName", "company")]
        values += contact.get("customFields", {}).values()
        for value in values:
            if value is not None and value not in trimmed:
                odd += 1
                assert any(value in cell for cell in tidy), value
        added = {"new"} if "--tag" in options else set()
        for tag in {*contact.get("tags", [])} - added:
            own = tag.removeprefix("x-") if "--tag-prefix" in options else tag
            assert any(own in cell.replace('""', '"') for cell in tidy), tag
        assert any(contact["email"] in cell for cell in tidy)
    assert odd <= changed


@given(table=tables(), options=OPTIONS)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_arrives_is_what_was_shown(
    run: Run, fake_sendx: FakeSendX, table: Table, options: list[tuple[str, ...]]
) -> None:
    importer = Importer(run, fake_sendx)
    check(importer, table, [argument for option in options for argument in option])
