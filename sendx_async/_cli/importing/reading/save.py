"""JSON values read one after the other out of a text that comes in pieces.

Each value is read by the standard library's decoder, out of a window upon the text. The usual
library for streams of JSON, ijson, gives less: half of a surrogate pair becomes ``?`` without a
word, of a name that stands twice the first value is lost, digits are not kept as they are written,
one byte that means nothing ends the file, and arrays that are nested too deep end the process.
"""

import json
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, cast

import attrs

_LONGEST_VALUE = 1_000_000
_LONGEST_TOKEN = 16  # of those that have no quotes: -Infinity, or an escape that is cut off
_SPACE = re.compile(r"[ \t\r\n]*")
_LINE_ENDS = re.compile(r"\s*[\r\n]\s*")  # a JSON string has none


class NamedTwiceError(ValueError):
    """A JSON object has a name twice."""


class TextIsCutError(Exception):
    """The text goes on in its file."""


class UnreadableError(Exception):
    """Nothing can be read from some place on; its text says why, and where that is."""


class TooLongError(UnreadableError):
    """A value is too long to be held."""


@attrs.frozen
class JsonValue:
    """A value, as it stands in its text.

    Attributes:
        found: What it is; None if there is a problem.
        text: It as it is written, in one line.
        problem: Why it can't be used.
    """

    found: object
    text: str
    problem: str | None = None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise NamedTwiceError(next(name for name in names if names.count(name) > 1))
    return made


def _number(digits: str) -> Decimal:
    # 27.0 is 27: pandas makes such numbers of whole ones in a column that has an empty cell.
    return Decimal(digits.removesuffix(".0"))


DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=_number)
"""Numbers keep their digits, and no name may stand twice in an object."""

# Takes whatever is JSON, so that its end is known.
_TOLERANT = json.JSONDecoder(parse_float=str, parse_int=str)


def problem_of(error: ValueError | RecursionError) -> str:
    """Return why `DECODER` could not read a value, for people."""
    if isinstance(error, NamedTwiceError):
        return f"names {error.args[0]!r} twice"
    if isinstance(error, RecursionError):
        return "is nested too deep"
    return "has a number that is too long"


class JsonText:
    """A text of JSON, read from its beginning.

    Args:
        pieces: The text, in pieces of any length.
        is_cut: Whether it ends before its file does; that raises a `TextIsCutError` then.
    """

    def __init__(self, pieces: Iterable[str], *, is_cut: bool = False) -> None:
        self._pieces = filter(None, pieces)
        self._is_cut = is_cut
        self._text = ""
        self._at = 0
        self._lines = 0  # in front of the window
        self._characters = 0  # of the window's first line, in front of the window

    def peek(self) -> str:
        """Return the next character that isn't white space; an empty text at the end."""
        while True:
            self._at = cast("re.Match[str]", _SPACE.match(self._text, self._at)).end()
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def take(self, wanted: str) -> bool:
        """Pass over a character, if it comes next; return whether it did."""
        if self.peek() != wanted:
            return False
        self._at += 1
        return True

    def expect(self, wanted: str) -> None:
        """Pass over a character that must come next.

        Raises:
            UnreadableError: Another one does.
        """
        if not self.take(wanted):
            raise self._unreadable()

    def value(self) -> JsonValue:
        """Return the next value, and pass over it.

        Raises:
            UnreadableError: Nobody knows where it ends.
        """
        value, end = self._whole()
        self._at = end
        return value

    def items(self) -> Iterator[JsonValue]:
        """Return the values of an array whose first bracket was passed over.

        Raises:
            UnreadableError: It isn't written as an array is.
        """
        if self.take("]"):
            return
        yield self.value()
        while not self.take("]"):
            self.expect(",")
            yield self.value()

    def names(self) -> Iterator[str]:
        """Return the names in an object that isn't empty, and whose first brace was passed over.

        Whoever asks for the next name must have passed over this one's value.

        Raises:
            UnreadableError: It isn't written as an object is.
        """
        yield self._name()
        while not self.take("}"):
            self.expect(",")
            yield self._name()

    def _name(self) -> str:
        if self.peek() != '"':
            raise self._unreadable()
        name = cast("str", self.value().found)
        self.expect(":")
        return name

    def ahead(self) -> object:
        """Return the next value, which stays the next one.

        Raises:
            TooLongError: It can't be held as a whole.
            UnreadableError: Nobody knows where it ends.
        """
        return self._whole()[0].found

    def _whole(self) -> tuple[JsonValue, int]:
        """Return the next value, and where it ends in the window."""
        self.peek()
        while True:
            try:
                found, end, problem = _decoded(self._text, self._at)
            except json.JSONDecodeError as error:
                rest = self._text[error.pos :].strip()
                is_open = error.msg.startswith("Unterminated")
                if not is_open and len(rest) >= _LONGEST_TOKEN:
                    raise self._unreadable(error.pos) from None
                if len(self._text) - self._at >= _LONGEST_VALUE:
                    raise TooLongError(
                        f"more than {_LONGEST_VALUE:,} characters long, from {self._place()} on"
                    ) from None
                if not self._more():
                    is_open = is_open or not rest or rest.isalnum()
                    at = len(self._text) if is_open else error.pos
                    raise self._unreadable(at) from None
                continue
            except RecursionError:
                raise UnreadableError(f"nested too deep at {self._place()}") from None
            # The digits of a number may go on in the next piece.
            if self._text[end - 1] in '}]"' or end < len(self._text) or not self._more():
                text = self._text[self._at : end]
                if "\n" in text or "\r" in text:
                    text = _LINE_ENDS.sub(" ", text)
                return JsonValue(found, text, problem), end

    def _more(self) -> bool:
        """Add the next piece to the window; return whether there was one."""
        piece = next(self._pieces, "")
        if piece:
            self._lines, self._characters = self._passed(self._at)
            self._text = self._text[self._at :] + piece
            self._at = 0
        elif self._is_cut:
            raise TextIsCutError
        return bool(piece)

    def _passed(self, at: int) -> tuple[int, int]:
        """Return how many lines end in front of a place, and how far in its line it is."""
        if lines := self._text.count("\n", 0, at):
            return self._lines + lines, at - self._text.rfind("\n", 0, at) - 1
        return self._lines, self._characters + at

    def _place(self, at: int | None = None) -> str:
        lines, characters = self._passed(self._at if at is None else at)
        return f"line {lines + 1:,}, character {characters + 1:,}"

    def _unreadable(self, at: int | None = None) -> UnreadableError:
        """Return what is said if there is no JSON at this place, or at the next one."""
        at = self._at if at is None else at
        if at >= len(self._text):
            return UnreadableError(
                f"cut off: the file ends at {self._place(at)}; was it copied, or exported, to its "
                "end?"
            )
        return UnreadableError(f"broken at {self._place(at)}")


def _decoded(text: str, at: int) -> tuple[object, int, str | None]:
    """Return the value that begins there, where it ends, and why it can't be used."""
    try:
        return *DECODER.raw_decode(text, at), None
    except json.JSONDecodeError:
        raise
    except ValueError as error:
        _, end = _TOLERANT.raw_decode(text, at)
        return None, end, problem_of(error)
