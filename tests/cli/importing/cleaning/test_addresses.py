"""The address of a cell, out of what stands around it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendx_async._cli.importing.cleaning.addresses import read_address
from sendx_async._cli.importing.cleaning.notes import CellError, Note
from sendx_async._cli.importing.cleaning.texts import CellReader
from sendx_async._core.addresses import check_address

from .samples import rows_of

TWO = "two addresses"
NONE = "none"  # a mark for it
CORE = "core"  # what no address can be, by the contact's own check

ADDRESSES: dict[str, tuple[str, Note | None] | str] = {
    "blanks": ("lead.blank@example.com", None),
    "nbsp at end": ("nbsp@example.com", None),
    "zero width at end": ("zwsp@example.com", Note.INVISIBLE),
    "bom in front": ("bomstart@example.com", Note.INVISIBLE),
    "display": ("display@example.com", Note.WRAPPED_ADDRESS),
    "angle": ("angle@example.com", Note.WRAPPED_ADDRESS),
    "mailto": ("mailto@example.com", Note.WRAPPED_ADDRESS),
    "upper": ("UPPER@EXAMPLE.COM", None),
    "lower dup": ("upper@example.com", None),
    "two ;": TWO,
    "two ,": TWO,
    "two /": TWO,
    "dot at end": ("dot.end@example.com", Note.WRAPPED_ADDRESS),
    "comma at end": ("comma.end@example.com", Note.WRAPPED_ADDRESS),
    "single quotes": ("quote@example.com", Note.WRAPPED_ADDRESS),
    "no tld": ("no-tld@example", None),
    "double dot": ("double..dot@example.com", None),
    "space": "white space",
    "two at": CORE,
    "none": NONE,
    "na": NONE,
    "nan": NONE,
    "comma domain": CORE,
    "unicode local": ("ümlaut@example.com", None),
    "idn": ("idn@exämple.com", None),
    "plus": ("plus+tag@example.com", None),
    "comment": "'(' before the @",
    "markdown": ("md@example.com", Note.WRAPPED_ADDRESS),
    "soft hyphen": ("softhyphen@example.com", Note.INVISIBLE),
    "ctrl": ("ctrl@example.com", Note.INVISIBLE),
    "no local": CORE,
    "dot domain": CORE,
    "two at b": CORE,
    "p:": "':' before the @",
    "formula": ("=cmd@example.com", None),
    "defused formula": ("=cmd2@example.com", Note.GUARD),
}

reader = CellReader(nulls=frozenset(), asks_about_nulls=True)


@pytest.mark.parametrize("row", rows_of("addresses.csv"), ids=lambda row: row["first_name"])
def test_what_becomes_of_addresses_as_they_are_found_in_tables(row: dict[str, str]) -> None:
    expected = ADDRESSES[row["first_name"]]
    notes: list[Note] = []
    text = reader(row["email"], notes)
    assert text
    if expected is NONE:
        assert notes == [Note.MAYBE_NULL]
    elif expected is CORE:
        assert check_address(read_address(text, notes))
    elif isinstance(expected, str):
        with pytest.raises(CellError) as caught:
            read_address(text, notes)
        assert expected in str(caught.value)
        assert "example" not in str(caught.value)
    else:
        address, note = expected
        assert read_address(text, notes) == address
        assert check_address(address) is None
        assert notes == ([] if note is None else [note])


@pytest.mark.parametrize(
    "text",
    ["MAILTO:a@b.co", "mailto:a@b.co?subject=Hi", "<mailto:a@b.co>", '"a@b.co"',
     "\u201ca@b.co\u201d",
     "„a@b.co“", "«a@b.co»", '"Abel, Ada" <a@b.co>', "Ada O'Neil <a@b.co>;", "a@b.co;,.",
     "a@b.co <a@b.co>", "A@B.co <a@b.co>", "a@b.co. <a@b.co>", "'a@b.co' <a@b.co>",
     "'Ada' <'a@b.co'>",
     "[a@b.co](mailto:a@b.co)",
     "< a@b.co >."],
)  # fmt: skip
def test_what_stands_around_an_address_is_taken_off(text: str) -> None:
    notes: list[Note] = []
    assert read_address(text, notes) == "a@b.co"
    assert notes == [Note.WRAPPED_ADDRESS]


@pytest.mark.parametrize(
    "text",
    ["o'neil@b.co", "a/b@b.co", "a@localhost", "x=y@b.co", '"a b"@b.co', '"a,b"@b.co',
     "a@[127.0.0.1]", "юлия@b.co",
     "{a}@b.co"],
)  # fmt: skip
def test_an_address_that_may_be_one_is_left_alone(text: str) -> None:
    if " " in text:
        with pytest.raises(CellError, match="white space"):
            read_address(text, [])
        return
    notes: list[Note] = []
    assert read_address(text, notes) == text
    assert notes == []


@pytest.mark.parametrize(
    "text",
    ["a@b.co c@d.co", "a@b.co,c@d.co", "a@b.co;c@d.co", "a@b.co|c@d.co", "a@b.co & c@d.co",
     "a@b.co and c@d.co", "Ada <a@b.co>, Bob <c@d.co>", "a@b.co <c@d.co>", "<a@b.co><c@d.co>",
     "a@b.co; a@b.co", "a@b.co,A@B.CO."],
)  # fmt: skip
def test_two_addresses_are_refused_for_that(text: str) -> None:
    with pytest.raises(CellError, match="has two addresses"):
        read_address(text, [])


def test_the_first_of_several_is_taken_where_a_separator_is_known() -> None:
    notes: list[Note] = []
    assert read_address("a@b.co ::: c@d.co", notes, separator=":::") == "a@b.co"
    assert notes == [Note.FIRST_ADDRESS]
    assert read_address("a@b.co", [], separator=":::") == "a@b.co"
    assert read_address("a@b.co :::", [], separator=":::") == "a@b.co"
    assert read_address(":::", [], separator=":::") == ":::"


@pytest.mark.parametrize(
    "text", ["p:a@b.co", "(x)a@b.co", "a;b@b.co", "x,a@b.co", '"a@b.co', "'a@b.co", "\\a@b.co"]
)
def test_leftovers_before_the_at_are_refused(text: str) -> None:
    with pytest.raises(CellError, match="before the @, where none can stand"):
        read_address(text, [])


@pytest.mark.parametrize(
    "text", ["nobody", "ask Ada", "a@", "@b.co", "...", "<>", "''", '"', "a@@b.co", "<a@b.co"]
)
def test_what_no_address_can_be_is_left_to_the_check_of_the_contact(text: str) -> None:
    assert check_address(read_address(text, []))


def test_what_is_far_too_long_is_left_to_the_check_of_the_contact() -> None:
    text = ("a@b.co " * 200).strip()
    assert read_address(text, []) == text
    assert check_address(text)


@given(
    st.text(st.sampled_from("ab@.co <>()[]:;,'\"mailto/"), min_size=1).map(str.strip).filter(bool)
)
def test_an_address_is_found_whole_or_not_at_all(text: str) -> None:
    try:
        address = read_address(text, [])
    except CellError:
        return
    assert address in text
    assert read_address(address, []) == address
