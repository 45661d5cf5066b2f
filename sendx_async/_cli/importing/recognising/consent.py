"""Whether a column says who may be mailed, by its name and by what stands in it."""

import re
from collections.abc import Iterable

import attrs

from sendx_async._cli.importing.recognising import consent_words as words
from sendx_async._cli.importing.recognising.column_names import folded, without_accents
from sendx_async._cli.importing.recognising.consent_words import Kind
from sendx_async._cli.importing.recognising.refusals import lets_mail

_MOST_SEEN = 5
_MOST_KEPT = 1_000  # of a column's different values
_LONGEST_WORD = 40
_MOST_WORDS = 5  # of a name that isn't a question
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NO_LETTER = re.compile(r"[\W_]+")
_TIME = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*|\d{9,13}(\.\d+)?", re.DOTALL)


@attrs.frozen(kw_only=True)
class Consent:
    """What a column says of being mailed.

    Attributes:
        kind: What it holds.
        is_refusal: Whether a value says no (unsubscribed, bounced ...), and not yes.
        option: What decides about it: ``--only`` or ``--skip``.
        values: What was seen in it that the option should name; none, if nothing that was seen
            tells who may be mailed.
        seen: Some of its different values, for an error that proposes nothing.
    """

    kind: Kind
    is_refusal: bool
    option: str
    values: tuple[str, ...]
    seen: tuple[str, ...]

    def proposal(self, name: str) -> tuple[str, ...]:
        """Return the arguments that take only who may be mailed: ``--only``, ``Status=active``."""
        return tuple(
            argument for value in self.values for argument in (self.option, f"{name}={value}")
        )


def consent_of(name: str, values: Iterable[object]) -> Consent | None:
    """Return what a column says of being mailed; None if it says nothing of that.

    A name like "Unsubscribed" or "Email Marketing Consent" is enough. One like "Status" isn't:
    words of a mailing list must stand in it, such as "unsubscribed". Consent to SMS or calls isn't
    meant.

    Args:
        name: The column's name.
        values: What was seen in it; None and blanks are empty cells.
    """
    spoken = _spoken(name)
    if _has(spoken, words.OTHER_CHANNELS) and not _has(spoken, words.MAIL):
        return None
    for kind, names in words.REFUSALS.items():
        if _has(spoken, names):
            return _refusal(kind, _distinct(values))
    seen = _distinct(values)
    if _is_negated(spoken):
        # Which answer to a whole question says no, a person has to tell.
        is_question = "?" in name or len(name.split()) > _MOST_WORDS
        asked = _refusal("unsubscription", seen)
        return attrs.evolve(asked, values=()) if is_question else asked
    filled = {_answer(value) for value in seen if value}
    if _has(spoken, words.CONSENTS) or (
        filled
        and filled <= words.YES | words.NO
        and (
            _has(spoken, words.NEWSLETTERS)
            or _asks_for_wish(spoken)
            # Whatever is asked about mail; 1 may be a number of mails.
            or (filled & (words.ANSWERS | words.TRUTHS) and _has(spoken, words.MAIL))
        )
    ):
        return _consent(seen)
    if _has(spoken, words.STATUSES) and _is_of_mail(spoken, filled):
        return _found("status", seen, "--only", [v for v in seen if _word(v) in words.MAILED])
    return None


def may_be_consent(name: str) -> bool:
    """Return whether a column of this name may be one of consent, whatever stands in it."""
    spoken = _spoken(name)
    return _has(spoken, words.CONSENTS) or _asks_for_wish(spoken)


def _is_negated(spoken: str) -> bool:
    meant = (*words.MAIL, *words.NEWS, *words.CONSENTS, *words.CONTACTS)
    return _has(spoken, words.NEGATIONS) and _has(spoken, meant)


def _asks_for_wish(spoken: str) -> bool:
    return _has(spoken, words.WISHES) and _has(spoken, (*words.MAIL, *words.NEWS))


def _is_of_mail(spoken: str, filled: set[str]) -> bool:
    """Return whether a status is one of mailing."""
    if filled & words.MAIL_STATUSES:
        return True
    is_anybodys = spoken.rpartition(" ")[0].rpartition(" ")[2] in words.STATUSES or _has(
        spoken, words.STATUS_OWNERS
    )
    return bool(filled) and is_anybodys and filled <= words.STATUS_WORDS


def _refusal(kind: Kind, seen: list[str]) -> Consent:
    refusals = [value for value in seen if not lets_mail(value)]
    if refusals and {*map(_word, refusals)} <= words.YES:
        return _found(kind, seen, "--skip", refusals)
    # Dates, reasons and counts are too many to name, and others may follow.
    return _found(kind, seen, "--only", ["", *(v for v in seen if v and lets_mail(v))])


def _consent(seen: list[str]) -> Consent | None:
    filled = [value for value in seen if value]
    if filled and all(map(_TIME.fullmatch, filled)):
        # Who has no time never agreed. Of a full column nothing is to be decided.
        return _found("consent", seen, "--skip", [""]) if "" in seen else None
    agreed = words.YES | words.MAILED
    return _found("consent", seen, "--only", [v for v in filled if _answer(v) in agreed])


def _found(kind: Kind, seen: list[str], option: str, values: list[str]) -> Consent:
    return Consent(
        kind=kind,
        is_refusal=kind in words.REFUSALS,
        option=option,
        values=tuple(values),
        seen=tuple(seen[:_MOST_SEEN]),
    )


def _distinct(values: Iterable[object]) -> list[str]:
    """Return the different values, as text, in order; an empty cell is "", and comes last."""
    seen: dict[str, str] = {}
    for value in values:
        text = "" if value is None else str(value).strip()
        if isinstance(value, bool):
            text = text.lower()
        if len(seen) < _MOST_KEPT:
            seen.setdefault(text.casefold(), text)
    return sorted(seen.values(), key=lambda text: not text)


def _word(value: str) -> str:
    return _NO_LETTER.sub(" ", without_accents(value)) if len(value) < _LONGEST_WORD else value


def _answer(value: str) -> str:
    """Return the word that tells what an answer means: "yes" of "Yes, please"."""
    word = _word(value)
    first = word.strip().partition(" ")[0]
    return first if first in words.ANSWERS else word


def _spoken(name: str) -> str:
    """Return the words of a name between blanks: " has opted out of email hasoptedoutofemail "."""
    apart = _NO_LETTER.sub(" ", without_accents(_CAMEL.sub(" ", name))).strip()
    plain = _NO_LETTER.sub(" ", without_accents(name)).strip()
    return f" {apart} {plain} {folded(name)} "


def _has(spoken: str, names: Iterable[str]) -> bool:
    return any(
        ("" if name[0] == "*" else " ") + name.strip("*") + ("" if name[-1] == "*" else " ")
        in spoken
        for name in names
    )
