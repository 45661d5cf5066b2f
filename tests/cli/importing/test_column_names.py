"""Which field a column holds, told by its name and the names beside it."""

import pytest

from sendx_async._cli.importing.recognising.column_names import (
    field_of,
    fields_of,
    fits,
    folded,
    nearest_field,
)
from sendx_async._cli.importing.recognising.column_words import (
    FALSE_FRIENDS,
    NAME_WORDS,
    SECOND_CHOICE,
    WORDS,
)


@pytest.mark.parametrize(
    "name, is_folded",
    [
        ("E-Mail-Adresse", "emailadresse"),
        (" First NAME ", "firstname"),
        ("prénom", "prenom"),
        ("Pre\u0301nom", "prenom"),
        ("traits.first_name", "traitsfirstname"),
        ("Straße", "strasse"),
        ("電話番号", "電話番号"),
        (" # ", "#"),
        ("", ""),
    ],
)
def test_case_blanks_punctuation_and_accents_do_not_matter(name: str, is_folded: str) -> None:
    assert folded(name) == is_folded


@pytest.mark.parametrize(
    "field, names",
    [
        (
            "email",
            (
                "email, E-Mail, EMAIL, Email Address, E-Mail-Adresse, Mailadresse, Adresse e-mail, "
                "Courriel, Correo, Dirección de correo electrónico, Endereço de e-mail, "
                "Correio eletrônico, Indirizzo e-mail, Posta elettronica, E-mailadres"
            ),
        ),
        (
            "first_name",
            (
                "first_name, firstName, FNAME, Given Name, Vorname, Prénom, prenom, Primer nombre, "
                "Primeiro nome, Voornaam"
            ),
        ),
        (
            "last_name",
            (
                "last_name, lastName, LNAME, Surname, Family Name, Nachname, Familienname, "
                "Nom de famille, Apellidos, Sobrenome, Cognome, Achternaam"
            ),
        ),
        (
            "full_name",
            (
                "Full name, Name, Nom, Nombre, Nome, Naam, Vollständiger Name, Nom complet, "
                "Nombre completo, Nombre y apellidos, Nome completo, Nominativo, Volledige naam"
            ),
        ),
        (
            "company",
            (
                "company, Organization, Organisation, Firma, Unternehmen, Société, Entreprise, "
                "Nom de l'entreprise, Empresa, Nombre de la empresa, Azienda, Ragione sociale, "
                "Bedrijf, Bedrijfsnaam"
            ),
        ),
        ("tags", "tags, Tag, Labels, Schlagwörter, Étiquettes, Etiquetas, Etichette, Trefwoorden"),
        ("lists", "lists, Listen, Listes, Listas, Elenchi, Lijsten"),
        ("new_email", "new_email, newEmail, Neue E-Mail-Adresse, Nuevo correo electrónico"),
        (
            None,
            (
                "Email 2, Email (2), Email status, Email opt-in, Marketing Consent, Phone, Role, "
                "Plan, Notes, Nickname, Company ID, Adresse, Last, First, Apelido, Sobrenombre, "
            ),
        ),
    ],
)
def test_a_name_tells_its_field_in_seven_languages(field: str | None, names: str) -> None:
    for name in names.split(", "):
        assert field_of(name) == field, name


@pytest.mark.parametrize(
    "header",
    [
        "E-Mail=email;Vorname=first_name;Name=last_name;Firma=company;Tag=-",
        "E-Mail=email;Vorname=first_name;Nachname=last_name;Name=full_name",
        "Email=email;Nom=last_name;Prénom=first_name;Nombre=-;Société=company",
        "Email=email;Nom=full_name",
        "Email=email;First Name=first_name;Name=full_name",
        "Email=email;Name=first_name;Surname=last_name;Tag=tags",
        "Correo=email;Nombre=first_name;Apellidos=last_name;Empresa=company;Firma=-",
        "Correo=email;Nombre=full_name;Firma=-",
        "Email=email;Nome=first_name;Cognome=last_name;Azienda=company;Firma=-;Tag=tags",
        "Nome=first_name;Sobrenome=last_name;Apelido=-",
        "Nome=first_name;Apelido=last_name",
        "Nome próprio=first_name;Apelido=last_name",
        "E-mailadres=email;Naam=last_name;Voornaam=first_name;Bedrijf=company",
        "E-mailadres=email;Naam=first_name;Achternaam=last_name",
        "email=email;first=first_name;last=last_name",
        "email=email;first name=first_name;first=-;last=-",
        "Work Email=email;Firma=company;Tag=tags",
        "Work Email=-;Email=email;Personal Email=-",
        "email=email;E-Mail=email",
    ],
)
def test_the_other_columns_tell_what_a_name_means(header: str) -> None:
    pairs = [pair.split("=") for pair in header.split(";")]
    fields = [None if field == "-" else field for _, field in pairs]
    assert fields_of([name for name, _ in pairs]) == fields


def test_a_word_is_written_down_once_for_a_language_and_means_one_field() -> None:
    fields: dict[str, set[str]] = {}
    for language in WORDS.values():
        keys = [folded(word) for words in language.values() for word in words]
        assert sorted(keys) == sorted(set(keys))
        for field, words in language.items():
            for word in words:
                fields.setdefault(folded(word), set()).add(field)
    assert {word: found for word, found in fields.items() if len(found) > 1} == {}
    second = {folded(word) for words in SECOND_CHOICE.values() for word in words}
    assert not fields.keys() & (second | NAME_WORDS.keys())
    assert fields.keys() | NAME_WORDS.keys() >= FALSE_FRIENDS.keys()


@pytest.mark.parametrize(
    "pattern, names, others",
    [
        ("First Name", "First Name|first_name|FIRST-NAME", "First Names|First"),
        ("traits.*", "traits.plan|Traits.Plan|traits.address.city", "traits|traitsfoo|x.traits.y"),
        ("properties.$*", "properties.$email", "properties.email"),
        ("*email*", "What's your email?|Which\nemail do you read?|EMAIL", "What's your name?"),
        ("E-mail * - Value", "E-mail 1 - Value|e-mail  12 -  value", "E-mail 1 - Label"),
        ("*é*", "prenome", "x"),
    ],
)
def test_a_pattern_stands_for_columns(pattern: str, names: str, others: str) -> None:
    assert all(fits(pattern, name) for name in names.split("|"))
    assert not any(fits(pattern, name) for name in others.split("|"))


def test_a_slip_of_the_pen_is_near_a_field() -> None:
    assert nearest_field("frist_name") == "first_name"
    assert nearest_field("emial") == "email"
    assert nearest_field("Role") is None
