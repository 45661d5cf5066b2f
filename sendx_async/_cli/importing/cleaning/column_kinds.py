"""What a column's name says about its values, where a spreadsheet may have changed them."""

import re
from typing import Final

_CAPITAL_WITHIN: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_WORD: Final = re.compile(r"[^\W\d_]+")

# Words in English, German, French, Spanish, Portuguese, Italian and Dutch.
_CODES: Final = re.compile(
    r"zip|zipcode|plz|postleitzahl|post(?:al|code)\w*|cep|cap|cp|"
    r"\w*(?:barcode|strichcode)|ean|upc|gtin|isbn"
)
_PHONES: Final = re.compile(
    r"\w*(?:phone|telefoon|tel[eé]fon[oe]?)\w*|tel|\w*fax|mobile?|mobilnummer|mobiel|handy\w*|"
    r"m[oó]vil|cellulare|celular|portable|gsm|sms|whatsapp"
)
_DATES: Final = re.compile(
    r"date|dates|\w*datum|fecha|birthday|geburtstag|cumpleaños|anniversaire|naissance|nacimiento|"
    r"nascimento|nascita|created|updated|since|joined|seit"
)

_PLACES: Final = re.compile(
    r"countr(?:y|ies)|\w*land|region[e]?|región|région|regio|regiao|região|state|province|provincia|"
    r"provincie|provinz|kanton|pa[iíy]s|paese|code|kürzel|territory|continent|kontinent|market|"
    r"iso\w*|nation|staat|estado|département"
)
NAMIBIA: Final = "NA"
"""A null mark in many tables; where places stand it is Namibia, North America or Naples."""


def has_places(name: str) -> bool:
    """Return whether a column's name says that it has codes of countries or regions."""
    return _has_word(_PLACES, name)


def has_codes(name: str) -> bool:
    """Return whether a column's name says that it has postal codes or barcodes."""
    return _has_word(_CODES, name)


def has_phones(name: str) -> bool:
    """Return whether a column's name says that it has phone numbers."""
    return _has_word(_PHONES, name)


def has_dates(name: str) -> bool:
    """Return whether a column's name says that it has dates."""
    return _has_word(_DATES, name)


def _has_word(words: re.Pattern[str], name: str) -> bool:
    apart = _CAPITAL_WITHIN.sub(" ", name)
    return any(words.fullmatch(word.casefold()) for word in _WORD.findall(apart))
