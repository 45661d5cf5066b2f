"""Whose export a table is, which row is its header, which column holds addresses."""

from sendx_async._cli.importing.recognising.preset import Preset
from sendx_async._cli.importing.recognising.recognition import (
    address_column,
    looks_like_header,
    recognise,
)


def preset(name: str, *signatures: tuple[str, ...]) -> Preset:
    return Preset(
        name=name, title=name, signatures=tuple(map(frozenset, signatures)), columns={"email": ()}
    )


PRESETS = (
    preset("letters", ("Email", "Joined On")),
    preset("forms", ("#", "Submit Date"), ("token", "answers.*")),
    preset("more-letters", ("Email", "Joined On", "Plan")),
)


def test_the_signature_with_most_names_tells_whose_export_it_is() -> None:
    def recognised(*names: str) -> str | None:
        found = recognise(names, PRESETS)
        return None if found is None else found.name

    assert recognised("EMAIL", "joined_on", "Name") == "letters"
    assert recognised("Email", "Plan", "Joined on") == "more-letters"
    assert recognised("Email", "Plan") is None
    assert recognised("#", "What's your name?", "submit date") == "forms"
    assert recognised("token", "answers.email") == "forms"
    assert recognised("token", "answers") is None


def test_known_names_make_a_header() -> None:
    assert looks_like_header(["Kundenliste Stand 27.11.2026", "", ""]) == 0
    assert looks_like_header(["Vorname", "Nachname", "E-Mail", "Abgemeldet", "Ort"]) == 4
    assert looks_like_header(["Ada", "Abel", "ada@example.com", "1", "#"]) == 0
    assert looks_like_header(["#", "Submit Date", "City"], PRESETS) == 2


def test_an_at_sign_in_the_first_cells_tells_the_column_of_addresses() -> None:
    names = ["Who", "Kontakt", "Betreuer", "Where"]
    rows: list[list[object]] = [
        ["Ada", "mailto:ada@example.com", "boss@example.com", "@home"],
        ["Bo @ Acme", "bo@example.com", "BOSS@example.com", None],
        ["Cy", " ", "boss@example.com", 3, "cy@example.com"],
        ["Di", "di@example.com; di2@example.com"],
    ]
    assert address_column(names, rows) == 1
    assert address_column(names, [row[:1] for row in rows]) is None
    assert address_column(names, []) is None
    assert address_column(["Note"], [["ask@example.com"], ["a"], ["b"]]) is None
