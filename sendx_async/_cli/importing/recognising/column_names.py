"""Which field of a contact a column holds, told by its name, in seven languages."""

import difflib
import functools
import re
import unicodedata
from collections.abc import Sequence

from sendx_async._cli.importing.recognising.column_words import (
    FALSE_FRIENDS,
    LAST_NAME_LANGUAGES,
    NAME_WORDS,
    SECOND_CHOICE,
    WORDS,
)

_NO_LETTER = re.compile(r"[\W_]+")
_BLANKS = re.compile(r"\s+")


@functools.lru_cache(maxsize=4096)  # names of columns, and of presets: few, and often asked for
def folded(name: str) -> str:
    """Return a name without what doesn't tell names apart: case, blanks, punctuation, accents.

    "E-Mail-Adresse" becomes ``emailadresse``. A name of punctuation alone, such as "#", stays.
    """
    return _NO_LETTER.sub("", without_accents(name)) or name.strip()


def fits(pattern: str, name: str) -> bool:
    """Return whether a name is the one that a preset means, or one of those.

    Args:
        pattern: A name, compared as `folded` does; or one with a ``*`` for any characters, where
            only case, accents and the number of blanks don't matter: ``traits.*``.
        name: The column's name.
    """
    if "*" not in pattern:
        return folded(pattern) == folded(name)
    return _regex(pattern).fullmatch(_BLANKS.sub(" ", without_accents(name)).strip()) is not None


def field_of(name: str) -> str | None:
    """Return the field that a column of this name holds, if no other column is known.

    Returns:
        One of ``email``, ``first_name``, ``last_name``, ``full_name``, ``company``, ``tags``,
        ``lists`` and ``new_email``; None if the name doesn't tell.
    """
    return fields_of([name])[0]


def fields_of(names: Sequence[str]) -> list[str | None]:
    """Return the field of each column of a table, as `field_of` does, but with the others in view.

    "Name" beside "Vorname" is the last name, "Nome" beside "Cognome" the first, and either is a
    full name where it stands alone. "Tag" is a day where other columns are German. "Work Email"
    holds the address unless a column is called "Email".
    """
    keys = [folded(name) for name in names]
    languages = {next(iter(spoken)) for key in keys if len(spoken := _languages_of(key)) == 1}
    fields = [_plain_field(key, languages) for key in keys]
    _settle_last_names(keys, fields)
    _settle_names(keys, fields, languages)
    for index, key in enumerate(keys):
        second = _SECOND.get(key)
        if second is not None and second not in fields:
            fields[index] = second
    return fields


def nearest_field(name: str) -> str | None:
    """Return the field whose name in English this name is nearly, for a hint; None if none."""
    close = difflib.get_close_matches(folded(name), _ENGLISH, n=1, cutoff=0.8)
    return _ENGLISH[close[0]] if close else None


def _plain_field(key: str, languages: set[str]) -> str | None:
    return None if FALSE_FRIENDS.get(key, _NONE) & languages else _FIELD_OF.get(key)


def _settle_last_names(keys: Sequence[str], fields: list[str | None]) -> None:
    """Settle what is a name only beside others: "First" and "Last", "Nome" and "Apelido"."""
    if "first" in keys and "last" in keys and not {"first_name", "last_name"} & set(fields):
        fields[keys.index("first")] = "first_name"
        fields[keys.index("last")] = "last_name"
    # In Brazil it is a nickname, and the last name is the "Sobrenome".
    is_portugal = "last_name" not in fields and ("nome" in keys or "first_name" in fields)
    if "apelido" in keys and is_portugal:
        fields[keys.index("apelido")] = "last_name"


def _settle_names(keys: Sequence[str], fields: list[str | None], languages: set[str]) -> None:
    has_first, has_last = "first_name" in fields, "last_name" in fields
    for index, key in enumerate(keys):
        if key not in NAME_WORDS or FALSE_FRIENDS.get(key, _NONE) & languages:
            continue
        if has_last and not has_first:
            fields[index] = "first_name"
        elif has_first and not has_last and _means_last_name(key, languages):
            fields[index] = "last_name"
        else:
            fields[index] = "full_name"


def _means_last_name(key: str, languages: set[str]) -> bool:
    spoken = set(NAME_WORDS[key].split())
    # "Name" is English as well, where it means the full name beside a "First name".
    return bool(LAST_NAME_LANGUAGES & (spoken if len(spoken) == 1 else spoken & languages))


def _languages_of(key: str) -> frozenset[str]:
    return _LANGUAGES_OF.get(key, _NONE)


def without_accents(name: str) -> str:
    """Return a text in lower case, its letters without accents."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    return "".join(each for each in decomposed if not unicodedata.combining(each))


@functools.lru_cache(maxsize=256)
def _regex(pattern: str) -> re.Pattern[str]:
    parts = _BLANKS.sub(" ", without_accents(pattern)).strip().split("*")
    return re.compile(".*".join(map(re.escape, parts)), re.DOTALL)


_NONE: frozenset[str] = frozenset()
_FIELD_OF = {
    folded(word): field
    for language in WORDS.values()
    for field, words in language.items()
    for word in words
}
_ENGLISH = {folded(word): field for field, words in WORDS["en"].items() for word in words}
_SECOND = {folded(word): field for field, words in SECOND_CHOICE.items() for word in words}


def _languages() -> dict[str, frozenset[str]]:
    spoken: dict[str, frozenset[str]] = {}
    for language, fields in WORDS.items():
        for words in fields.values():
            for word in words:
                key = folded(word)
                # What means something else elsewhere tells nothing of the language.
                if key not in FALSE_FRIENDS:
                    spoken[key] = spoken.get(key, _NONE) | {language}
    for word, languages in NAME_WORDS.items():
        spoken[word] = frozenset(languages.split())
    return spoken


_LANGUAGES_OF = _languages()
