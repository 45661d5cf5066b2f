"""Texts that stand for nothing: errors of spreadsheets, and what people and programs write."""

from typing import Final

# English; then German, French, Spanish, Portuguese, Italian and Dutch.
_ERRORS: Final = """
#N/A #REF! #VALUE! #NAME? #DIV/0! #NUM! #NULL! #SPILL! #CALC! #FIELD! #BLOCKED! #CONNECT! #UNKNOWN!
#GETTING_DATA #ERROR!
#NV #BEZUG! #WERT! #ZAHL! #ÜBERLAUF!
#VALEUR! #NOM? #NOMBRE! #NUL!
#¡REF! #¡VALOR! #¿NOMBRE? #¡DIV/0! #¡NUM! #¡NULO!
#VALOR! #NOME? #NÚM! #NULO!
#N/D #N/DISP #RIF! #VALORE!
#N/B #VERW! #WAARDE! #NAAM? #DEEL/0! #GETAL! #LEEG!
"""
SPREADSHEET_ERRORS: Final = frozenset(_ERRORS.split())
"""What a spreadsheet shows where a formula failed; never a value."""

# As they are written here only: "Null", "Nil", "Nan" and "Na" are people's names.
_WORDS: Final = """
NULL null None none nil n/a N/A n.a. N.A. NA nan NaN NaT <NA> undefined
(null) <null> [null] (none) <none> <nil> (blank) (empty)
0000-00-00 00/00/0000 0/0/00 0/0/0000
"""
_PHRASES: Final = ("0000-00-00 00:00:00", "(not set)", "[object Object]")
_LONGEST_LINE: Final = 20
_LINES: Final = (
    "\N{EN DASH}", "\N{EM DASH}", *("-" * length for length in range(1, _LONGEST_LINE + 1))
)  # fmt: skip
MAYBE_NULLS: Final = frozenset((*_WORDS.split(), *_PHRASES, *_LINES))
"""What may stand for nothing: the user has to say so."""
