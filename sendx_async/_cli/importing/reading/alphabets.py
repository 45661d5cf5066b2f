"""The letters of languages beside A to Z: they tell encodings apart that differ in few bytes."""

import re
from collections import Counter

_WEST = (
    "äöüß", "éèêëàâçîïôûùüœæ", "áéíóúñü", "ãõáéíóúâêôçà", "åäöé", "åæøé", "àèéìòù", "ëïéèöüíó",
)  # fmt: skip
_ICELANDIC = "áðéíóúýþæö"
_MIDDLE = (
    "ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áéíóöőúüű", "ăâîşţșț", "äáčďéíľĺňóôŕšťúýž", "čćđšž",
)  # fmt: skip
_TURKISH = "çğ\u0131öşüâîi\u0307"  # dotless, and the dot that a large İ loses
_BALTIC = ("ąčęėįšųūž", "āčēģīķļņšūž", "äõöüšž")
_CYRILLIC = "абвгдежзийклмнопрстуфхцчшщъыьэюяёіїєґђјљњћџў"
_GREEK = "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋΐΰ"
_HEBREW = "אבגדהוזחטיךכלםמןנסעףפץצקרשת"
_ARABIC = "ءآأؤإئابةتثجحخدذرزسشصضطظعغفقكلمنهوىيپچژگ"
_PUNCTUATION = "\u2018\u2019\u201c\u201d„\u2013—…€°\u00b4"

_ALPHABETS = {
    "cp1252": (*_WEST, _ICELANDIC),
    "mac_roman": _WEST,
    "cp850": _WEST,
    "cp1250": _MIDDLE,
    "iso8859_2": _MIDDLE,
    "cp1254": (_TURKISH,),
    "cp1257": _BALTIC,
    "cp1251": (_CYRILLIC,),
    "iso8859_5": (_CYRILLIC,),
    "koi8_r": (_CYRILLIC,),
    "cp1253": (_GREEK,),
    "iso8859_7": (_GREEK,),
    "cp1255": (_HEBREW,),
    "cp1256": (_ARABIC,),
}

_LATIN = {"cp1252", "mac_roman", "cp850", "cp1250", "iso8859_2", "cp1254", "cp1257"}
_MIXED = 0.9  # of a list of people from all of the West, where one language is likelier

# Two scripts in one word are what a wrong encoding makes.
_WITHIN_A_WORD = re.compile(r"(?<=[a-zA-Z])[^\x00-\x7f]|[^\x00-\x7f](?=[a-zA-Z])")


def share_of_usual_letters(text: str, encoding: str) -> float:
    """Return how much of a text's letters, beside A to Z, one of an encoding's languages has."""
    letters = Counter(letter for letter in text.lower() if not letter.isascii())
    total = letters.total()
    alphabets = _ALPHABETS.get(encoding, ())
    shares = [
        sum(letters[letter] for letter in letters.keys() & {*alphabet, *_PUNCTUATION}) / total
        for alphabet in (*alphabets, "".join(alphabets))
    ]
    if encoding in _LATIN:
        return max(*shares[:-1], shares[-1] * _MIXED)
    apart = 1 - len(_WITHIN_A_WORD.findall(text)) / total
    return min(apart, shares[0]) if alphabets else apart
