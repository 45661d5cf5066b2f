"""What a check of a run finds: each kind of mistake has a function that looks for it."""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import attrs

EvidenceT = TypeVar("EvidenceT")


@attrs.frozen
class Violation:
    """Something that must not be."""

    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


def violations(
    checks: Mapping[str, Callable[[EvidenceT], Iterator[str]]],
    evidence: EvidenceT,
    *,
    about: str = "",
) -> list[Violation]:
    """Return everything that is wrong, by the name of the check that found it."""
    return [
        Violation(kind, f"{about}{text}")
        for kind, find in checks.items()
        for text in find(evidence)
    ]
