"""Cells read as they were meant."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sendx_async._cli.importing.cleaning.notes import CellError, Note
from sendx_async._cli.importing.cleaning.null_marks import MAYBE_NULLS, SPREADSHEET_ERRORS
from sendx_async._cli.importing.cleaning.texts import CellReader, check_quotes
from sendx_async._core.increments import is_increment

from .samples import rows_of

asking = CellReader(nulls=frozenset({"\\N"}), asks_about_nulls=True)
agreed = CellReader(nulls=frozenset({"\\N"}), asks_about_nulls=False)


def read(text: str, reader: CellReader = asking) -> tuple[str | None, list[Note]]:
    notes: list[Note] = []
    return reader(text, notes), notes


@pytest.mark.parametrize(
    "text",
    ["Ada", "Ada Abel", "ada+x@example.com", "O'Neil", "'t Hart", "'n Sync", "'quoted'", "'01067'",
     "'", "=1+1", "-5", "+49 151", "--bold--", "-- none --", "++ plus", "Null", "Nil", "Na", "Nan",
     "No", "1e+05", "1e-05", "1.5E-07", "1234567890123", "R&E+5", "Björn", "Zoë\u2019s",
     "CAFÉ\N{EN DASH}BAR",
     "SÃO", "Â", "10\xa0000\xa0€", "東京", "👍🏽", "❤️", "葛󠄀城", 'say "hi"', '="a', 'a="b"', "."],
)  # fmt: skip
def test_a_text_without_anything_around_it_is_left_alone(text: str) -> None:
    assert read(text) == (text, [])


@pytest.mark.parametrize("text", ["", " ", "\xa0", "\t\r\n", "\u3000 "])
def test_a_cell_of_white_space_says_nothing(text: str) -> None:
    assert read(text) == (None, [])


@pytest.mark.parametrize(
    "text, value, note",
    [
        ("  Ada\xa0", "Ada", None),
        ("Ada\u2003\n", "Ada", None),
        ("Ada ", "Ada", None),
        ("Ada\0\0", "Ada", Note.INVISIBLE),
        ("A\u034fda", "Ada", Note.INVISIBLE),
        ("\ufeffAda", "Ada", Note.INVISIBLE),
        ("\u200b \ufeffAda\u2060", "Ada", Note.INVISIBLE),
        ("A\u00add\u200ba", "Ada", Note.INVISIBLE),
        ("\u202eAda\u202c", "Ada", Note.INVISIBLE),
        ("A\x07da\x1b", "Ada", Note.INVISIBLE),
        ("\u3164", None, Note.INVISIBLE),
        ("likes\ntea", "likes tea", Note.LINE_BREAK),
        ("likes \r\n\r\n tea", "likes tea", Note.LINE_BREAK),
        ("likes\ttea", "likes tea", Note.LINE_BREAK),
        ("likes\u2028tea\x85", "likes tea", Note.LINE_BREAK),
        ("'=1+1", "=1+1", Note.GUARD),
        ("'+49151", "+49151", Note.GUARD),
        ("'-5", "-5", Note.GUARD),
        ("'@ada", "@ada", Note.GUARD),
        ("'01067", "01067", Note.GUARD),
        ("'++5", "++5", Note.GUARD),
        ('="01067"', "01067", Note.GUARD),
        ('="say ""hi"" "', 'say "hi"', Note.GUARD),
        ("'=\"01067\"", "01067", Note.GUARD),
        ('=""', None, Note.GUARD),
        ("\\N", None, Note.NULL),
        (" \\N ", None, Note.NULL),
        ("#N/A", None, Note.NULL),
        ("#DIV/0!", None, Note.NULL),
        ("#BEZUG!", None, Note.NULL),
        ("#¿NOMBRE?", None, Note.NULL),
        ("NULL", "NULL", Note.MAYBE_NULL),
        ("n/a", "n/a", Note.MAYBE_NULL),
        ("-", "-", Note.MAYBE_NULL),
        ("--------", "--------", Note.MAYBE_NULL),
        ("\N{EM DASH}", "\N{EM DASH}", Note.MAYBE_NULL),
        ("0000-00-00 00:00:00", "0000-00-00 00:00:00", Note.MAYBE_NULL),
        ("1.23457E+12", "1.23457E+12", Note.SHORT_NUMBER),
        ("1,23457E+12", "1,23457E+12", Note.SHORT_NUMBER),
        ("-1E+05", "-1E+05", Note.SHORT_NUMBER),
        ("Ã©", "Ã©", Note.MOJIBAKE),
        ("BjÃ¶rn", "BjÃ¶rn", Note.MOJIBAKE),
        ("â€™", "â€™", Note.MOJIBAKE),
        ("ZoÃ«â€™s", "ZoÃ«â€™s", Note.MOJIBAKE),
        ("Ã\xa0", "Ã", Note.MOJIBAKE),
        ("æ\x9d±äº¬", "æ±äº¬", Note.MOJIBAKE),
        ("Bj\ufffdrn", "Bj\ufffdrn", Note.LOST_LETTER),
    ],
)  # fmt: skip
def test_what_was_added_is_taken_off_and_noted(
    text: str, value: str | None, note: Note | None
) -> None:
    found, notes = read(text)
    assert found == value
    assert notes == [] if note is None else note in notes


def test_a_cell_may_have_several_notes_each_once() -> None:
    assert read('\u200b\'="a\nb"') == ("a b", [Note.INVISIBLE, Note.LINE_BREAK, Note.GUARD])
    assert read('\'="NULL"') == ("NULL", [Note.GUARD, Note.MAYBE_NULL])
    assert read('="\\N"') == (None, [Note.GUARD, Note.NULL])


def test_a_null_mark_that_looks_like_a_guard_counts_as_it_is_written() -> None:
    reader = CellReader(nulls=frozenset({"'0"}), asks_about_nulls=True)
    assert read("'0", reader) == (None, [Note.NULL])


@pytest.mark.parametrize("mark", sorted(MAYBE_NULLS))
def test_whoever_has_agreed_gets_texts_like_null_marks_as_they_are(mark: str) -> None:
    assert read(mark, agreed) == (mark, [])
    assert read(mark) == (mark, [Note.MAYBE_NULL])


def test_errors_of_spreadsheets_are_never_values() -> None:
    assert {read(mark, agreed)[0] for mark in SPREADSHEET_ERRORS} == {None}


VARIANTS = "\ufe0e\ufe0f\U000e0100\U000e01ef"
ZERO_WIDTH = "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad\u061c\u3164\U000e0041"
odd = st.text(st.sampled_from(" '\"=+-@0aE\n\t\0\x1f\x85\xa0Ã©" + ZERO_WIDTH + VARIANTS))
cells = odd | st.text() | st.sampled_from(["NULL", "\\N", "#N/A", "1.2E+12", "Ã©", "-"])
plain = st.from_regex(r"[A-Za-z0-9][\w .,@+-]*", fullmatch=True).map(str.strip)


@given(cells)
@example("\ufeff \n\u200b'=\"\0'0\"")
def test_nothing_that_is_read_has_control_or_zero_width_characters(text: str) -> None:
    value, _ = read(text)
    assert value is None or value
    for character in value or "":
        assert unicodedata.category(character) != "Cc"
        assert character not in ZERO_WIDTH


@given(cells)
def test_reading_again_changes_nothing(text: str) -> None:
    value, _ = read(text)
    if value is not None:
        assert read(value)[0] == value


@given(cells)
def test_a_cell_without_a_note_is_itself_without_white_space(text: str) -> None:
    value, notes = read(text)
    if not notes:
        assert (value or "") == text.strip()


@given(plain)
def test_plain_texts_come_back_as_they_are(text: str) -> None:
    assert read(text)[0] == text


@given(st.text(st.characters(min_codepoint=0x00A1, max_codepoint=0x023F), min_size=1))
def test_utf8_read_in_a_wrong_encoding_is_noticed(text: str) -> None:
    for encoding in ("latin-1", "cp1252"):
        try:
            broken = text.encode().decode(encoding)
        except UnicodeDecodeError:
            continue
        assert Note.MOJIBAKE in read("x" + broken + "x")[1]


@pytest.mark.parametrize("text", ["a", "a\nb", "a@b.co\nAda"])
def test_a_cell_of_several_lines_may_be_meant(text: str) -> None:
    check_quotes(text)


def test_a_quote_that_was_not_closed_is_noticed() -> None:
    with pytest.raises(CellError, match="is a quote not closed"):
        check_quotes("Ada\nb@c.co,Bob\n")


def test_what_is_put_right_is_no_doubt() -> None:
    assert {note for note in Note if not note.is_doubt} == {
        Note.GUARD, Note.INVISIBLE, Note.LINE_BREAK, Note.WRAPPED_ADDRESS, Note.FIRST_ADDRESS,
        Note.NULL, Note.SEVERAL,
    }  # fmt: skip


NUMBERS = {  # what is sent (as it is, or what else), left out (None), in doubt, or refused
    "n1@example.com": {
        "Phone": "sent", "Zip": "sent", "Sci": "sent", "Barcode": Note.SHORT_NUMBER,
        "Excel err": None, "Date": "sent", "Serial": "sent", "Signed": "sent",
    },
    "n2@example.com": {
        "Phone": "refused", "Zip": "sent", "Sci": Note.SHORT_NUMBER, "Barcode": "sent",
        "Excel err": None, "Date": "sent", "Serial": "sent", "Signed": "refused",
    },
    "n3@example.com": {
        "Phone": Note.MAYBE_NULL, "Zip": "sent", "Sci": Note.MAYBE_NULL, "Barcode": Note.MAYBE_NULL,
        "Excel err": None, "Date": "sent", "Serial": None, "Signed": "refused",
    },
    "n4@example.com": {
        "Phone": "sent", "Zip": "sent", "Sci": Note.MAYBE_NULL, "Barcode": Note.MAYBE_NULL,
        "Excel err": None, "Date": None, "Serial": None, "Signed": "refused",
    },
    "n5@example.com": {
        "Phone": "sent", "Zip": "sent", "Sci": Note.MAYBE_NULL, "Barcode": Note.MAYBE_NULL,
        "Excel err": Note.MAYBE_NULL, "Date": None, "Serial": None, "Signed": "sent",
    },
    "n6@example.com": {
        "Phone": "0049151", "Zip": "01067", "Sci": Note.MAYBE_NULL, "Barcode": Note.MAYBE_NULL,
        "Excel err": None, "Date": None, "Serial": None, "Signed": "+49151",
    },
    "n7@example.com": {
        "Phone": Note.MAYBE_NULL, "Zip": "sent", "Sci": "sent", "Barcode": "sent",
        "Excel err": None, "Date": None, "Serial": None, "Signed": "sent",
    },
}  # fmt: skip


def test_what_becomes_of_numbers_as_they_are_found_in_tables() -> None:
    found: dict[str, dict[str, str | Note | None]] = {}
    for row in rows_of("numbers.csv"):
        became = found.setdefault(row.pop("email"), {})
        for name, text in row.items():
            value, notes = read(text)
            doubts = [note for note in notes if note.is_doubt]
            if doubts:
                (became[name],) = doubts
            elif value is not None and is_increment(value):
                became[name] = "refused"
            else:
                became[name] = "sent" if value == text else value
    assert found == NUMBERS
