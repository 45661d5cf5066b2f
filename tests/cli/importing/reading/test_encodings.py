"""Which encoding a file is found to be in, and what is done with bytes that mean nothing in it."""

import codecs

import pytest

from sendx_async._cli.importing.reading.encoding import encoding_of
from sendx_async._core.errors import ConfigurationError
from sendx_async.testing import FakeSendX
from tests.cli.importing.conftest import Import

# ruff: noqa: RUF001 - letters that look like others are what is tested
from .conftest import EXPORTS, Open

NAMES = {
    "German": ("cp1252", "Zoë Weiß, Köln|Jürgen Müller, München|Käthe Schröder, Düsseldorf"),
    "French": ("cp1252", "Hélène Lefèvre, Orléans|François Béranger, Besançon|Anaïs Rémy, Mâcon"),
    "Spanish": ("cp1252", "José Núñez, Málaga|María Peña, Córdoba|Íñigo Ibáñez, León"),
    "Portuguese": ("cp1252", "João Conceição, São Paulo|Inês Araújo, Évora|Mário Simões, Brasília"),
    "Swedish": ("cp1252", "Åsa Öberg, Malmö|Håkan Sjöström, Göteborg|Björn Åkesson, Västerås"),
    "Icelandic": ("cp1252", "Þór Guðmundsson, Reykjavík|Ásta Jónsdóttir, Ísafjörður"),
    "one": ("cp1252", "São Paulo|Ann, Rome"),
    "a quote": ("cp1252", "O\u2019Neil, Cork|€ 5"),
    "of a Mac": ("mac_roman", "Hélène Lefèvre, Orléans|François Béranger, Besançon"),
    "of DOS": ("cp850", "Zoë Weiß, Köln|Jürgen Müller, München|Käthe Schröder, Düsseldorf"),
    "Polish": ("cp1250", "Łukasz Żak, Łódź|Małgorzata Wójcik, Gdańsk|Paweł Świątek, Kraków"),
    "Polish of Unix": ("iso8859_2", "Łukasz Żak, Łódź|Małgorzata Wójcik, Gdańsk|Paweł Świątek"),
    "Czech": ("cp1250", "Jiří Dvořák, Plzeň|Tomáš Růžička, Děčín|Lucie Šimková, Žďár"),
    "Hungarian": ("cp1250", "Gábor Szűcs, Győr|Ágnes Kovács, Székesfehérvár|Zoltán Tőkés, Buda"),
    "Lithuanian": ("cp1257", "Žydrūnas Šimkus, Šiauliai|Ąžuolas Čepaitis, Panevėžys"),
    "Turkish": ("cp1254", "Ayşe Yılmaz, İstanbul|Mehmet Güneş, Eskişehir|Doğan Işık, Muğla"),
    "Russian": ("cp1251", "Иван Петров, Москва|Ольга Кузнецова, Казань|Дмитрий Соколов, Самара"),
    "Russian of Unix": ("koi8_r", "Иван Петров, Москва|Ольга Кузнецова, Казань|Дмитрий Соколов"),
    "Greek": ("cp1253", "Γιώργος Παπαδόπουλος, Αθήνα|Μαρία Ιωάννου, Πάτρα|Ελένη Γεωργίου, Βόλος"),
    "Hebrew": ("cp1255", "יוסי כהן, תל אביב|רחל לוי, חיפה|משה מזרחי, ירושלים"),
    "Japanese": (
        "cp932",
        "山田太郎, 東京都|佐藤花子, 大阪府|タナカ ケンジ, 横浜市",
    ),
    "Chinese": ("gb18030", "张伟, 北京市|王芳, 上海市|李娜, 广州市|刘洋, 深圳市|陈静, 成都市"),
    "Korean": ("cp949", "김민준, 서울|이서연, 부산|박지훈, 대구|최수빈, 인천"),
}


@pytest.mark.parametrize("people", NAMES)
def test_an_encoding_is_guessed(people: str) -> None:
    encoding, names = NAMES[people]
    text = "email,name,city\n" + "".join(f"x@b.co,{name}\n" for name in names.split("|"))
    found = encoding_of(text.encode(encoding), None)
    assert text.encode(encoding).decode(found.name) == text
    assert (found.known, found.is_guessed, found.bom) == ("guessed", True, False)


def test_the_sample_of_outlook(open_export: Open) -> None:
    found = open_export("outlook_cp1252.csv")
    assert (found.encoding.name, found.encoding.is_guessed) == ("cp1252", True)
    text = (EXPORTS / "outlook_cp1252.csv").read_bytes().decode("cp1252")
    assert {"Zoë", "Weiß", "Köln"} <= {cell for row in found.rows for cell in row}
    assert all(record.text in text for record in found.records)


@pytest.mark.parametrize(
    "data, given, name, known",
    [
        (b"email\n", None, "utf-8", "plain"),
        ("Zoë\n".encode(), None, "utf-8", "plain"),
        ("Zoë\n".encode() * 9 + b"\xff", None, "utf-8", "plain"),
        ("Zoë\n".encode()[:3], None, "utf-8", "plain"),
        ("Zoë".encode("utf-8-sig"), None, "utf-8", "marked"),
        ("Zoë".encode("utf-16"), None, "utf-16", "marked"),
        ("Zoë".encode("utf-16-le"), None, "utf-16-le", "plain"),
        ("Zoë".encode("utf-16-be"), None, "utf-16-be", "plain"),
        ("Zoë".encode("cp1252"), "latin1", "iso8859-1", "given"),
        ("Zoë".encode("utf-8-sig"), "cp1252", "cp1252", "given"),
        ("Zoë".encode("utf-8-sig"), "UTF8", "utf-8", "marked"),
        ("Zoë".encode("utf-16-le"), "utf-16-le", "utf-16-le", "given"),
        # Nothing that anybody writes: bytes that mean nothing are kept.
        (bytes(range(128, 256)) * 2, None, "utf-8", "plain"),
        (b"", None, "utf-8", "plain"),
    ],
)
def test_how_an_encoding_is_known(data: bytes, given: str | None, name: str, known: str) -> None:
    found = encoding_of(data, given)
    assert (found.name, found.known) == (name, known)
    assert found.is_wide is name.startswith("utf-16")


def test_a_few_damaged_bytes_are_a_rejected_row(import_text: Import, fake_sendx: FakeSendX) -> None:
    text = "email,first_name\n" + "z@b.co,Zoë\n" * 9
    assert import_text(text.encode() + b"a@b.co,Zo\xeb\n").counts == (9, 1)
    assert fake_sendx.contact("z@b.co").first_name == "Zoë"


def test_a_guess_is_made_of_what_is_not_ascii(open_text: Open) -> None:
    rows = b"a@b.co,Ann\n" * 100_000
    found = open_text(b"email,first_name\n" + rows + "z@b.co,Zoë\n".encode("cp1252"))
    assert found.encoding.name == "cp1252"
    assert found.rows[-1] == ["z@b.co", "Zoë"]


def test_a_letter_may_stand_where_the_look_ends(open_text: Open) -> None:
    for shift in range(3):
        text = "email,first_name\n" + "x" * shift + "é" * 100 + "\n"
        rows = "a@b.co,Zoë\n" * (4_200_000 // 12)
        found = open_text(text + rows)
        assert found.encoding.known == "plain"
        assert found.rows[-1] == ["a@b.co", "Zoë"]


def test_bytes_that_a_wide_encoding_does_not_have(open_text: Open) -> None:
    rows = "email\n" + "a@b.co\n" * 600_000
    data = codecs.BOM_UTF16_LE + rows.encode("utf-16-le") + b"\0\xd8x\0"
    with pytest.raises(ConfigurationError, match=r"can't be read as utf-16: .* --encoding cp1252"):
        open_text(data)
