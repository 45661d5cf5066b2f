"""Numbers in a spreadsheet, as people see them there: percent, and zeros in front."""

import re
from functools import lru_cache

from sendx_async._cli.importing.reading.cell_texts import number_text

_DIGITS = 15  # that a spreadsheet keeps
_GENERAL = "General"
_CONDITION = re.compile(r"\[[^\]]*\]")  # such as a colour, or a language
_QUOTED = re.compile(r'"[^"]*"|\\.')
_PADDED = re.compile(r'(?:0|\\.|"[^"]*"|[-+ ()/])+')
_PART = re.compile(r'"[^"]*"|\\.|.')


def formatted(value: float, number_format: str) -> str:
    """Return a number's text: with all its digits, and what a person needs of its format.

    ``25%`` is a percent, ``00000`` puts zeros in front, and ``+0`` a plus; points, thousands and
    currencies are left out.
    """
    text = number_text(value if isinstance(value, int) else float(f"{value:.{_DIGITS}g}"))
    if number_format == _GENERAL:
        return text
    form = _form(number_format)
    if form == "%":
        return number_text(float(f"{value * 100:.{_DIGITS}g}")) + "%"
    return _filled(form, text) if form and text.isdigit() else text


@lru_cache(maxsize=256)
def _form(number_format: str) -> str:
    """Return what is worth regard in a format: a percent sign, or zeros and what is among them."""
    section = _CONDITION.sub("", number_format).partition(";")[0]
    if "%" in _QUOTED.sub("", section):
        return "%"
    zeros = _QUOTED.sub("", section).count("0")
    is_worth = zeros > 1 or (zeros == 1 and "+" in section)
    return section if is_worth and _PADDED.fullmatch(section) else ""


def _filled(form: str, digits: str) -> str:
    zeros = _QUOTED.sub("", form).count("0")
    digits = digits.zfill(zeros)
    text, place = "", len(digits) - zeros
    for part in _PART.findall(form):
        if part != "0":
            text += part.strip('"') if len(part) != len("\\x") else part[-1]
            continue
        # All digits for which there is no zero stand at the first one.
        text += digits[:place] + digits[place] if place == len(digits) - zeros else digits[place]
        place += 1
    return text
