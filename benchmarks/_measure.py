"""How the benchmarks measure and report: alternating rounds, medians with their spread, one table.

Two contenders are never compared across runs: a round measures each of them once, one after the
other, and a ratio is taken within its round, so that a slow moment of the machine hits both.
"""

import argparse
import json
import operator
import os
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import attrs

T = TypeVar("T")

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">=": operator.ge,
    "=": operator.eq,
}


@attrs.frozen
class Finding:
    """One line of a result: what was measured, in `unit`, and the goal if there is one."""

    what: str
    values: Sequence[float]
    unit: str = ""
    goal: tuple[str, float] | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def met(self) -> bool | None:
        if self.goal is None:
            return None
        comparison, limit = self.goal
        return _COMPARISONS[comparison](self.median, limit)

    def cells(self) -> tuple[str, str, str, str, str]:
        several = len(self.values) > 1
        spread = f"{_number(min(self.values))} .. {_number(max(self.values))}" if several else ""
        goal = f"{self.goal[0]} {_number(self.goal[1])}" if self.goal else ""
        met = {None: "", True: "yes", False: "NO"}[self.met]
        return self.what, f"{_number(self.median)} {self.unit}".strip(), spread, goal, met


def environment_with_bytecode() -> dict[str, str]:
    """The environment for a fresh interpreter that keeps what it compiles.

    Images of containers often forbid it, and each start would then compile every module again.
    """
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@attrs.frozen
class Cost:
    """What a block of calls, or of rows, cost, in seconds."""

    calls: int
    wall: float
    cpu: float
    peak_bytes: int = 0  # of the process, where that is asked for

    @property
    def calls_per_second(self) -> float:
        return self.calls / self.wall

    @property
    def wall_microseconds(self) -> float:
        """Time per call that passes for this process."""
        return self.wall / self.calls * 1e6

    @property
    def cpu_microseconds(self) -> float:
        """Processor time of the process per call."""
        return self.cpu / self.calls * 1e6

    @property
    def peak_megabytes(self) -> float:
        return self.peak_bytes / 1e6


def each_cost(costs: Mapping[str, list[Cost]], unit: str) -> list[Finding]:
    """How many a second there were of each, and what one of them took."""
    return [
        *(Finding(name, [c.calls_per_second for c in all_], unit) for name, all_ in costs.items()),
        *(
            Finding(name, [c.wall_microseconds for c in all_], "µs wall")
            for name, all_ in costs.items()
        ),
        *(
            Finding(name, [c.cpu_microseconds for c in all_], "µs CPU")
            for name, all_ in costs.items()
        ),
    ]


_HEADINGS = ("what", "median", "min .. max", "goal", "met")


def _number(value: float) -> str:
    return f"{value:.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.3g}"


def rounds(contenders: Mapping[str, Callable[[], T]], *, count: int) -> Mapping[str, list[T]]:
    """Run every contender once per round, `count` rounds, and return what each returned.

    The order is reversed in every other round, so that no contender always runs after the same one.
    """
    results: dict[str, list[T]] = {name: [] for name in contenders}
    for index in range(count):
        names = list(contenders) if index % 2 == 0 else list(contenders)[::-1]
        for name in names:
            results[name].append(contenders[name]())
    return results


def ratios(numerators: Iterable[float], denominators: Iterable[float]) -> list[float]:
    """The ratio of each round."""
    return [a / b for a, b in zip(numerators, denominators, strict=True)]


def table(findings: Sequence[Finding]) -> str:
    """The findings as aligned text."""
    rows = [_HEADINGS, *(finding.cells() for finding in findings)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def markdown(findings: Sequence[Finding]) -> str:
    """The findings as a Markdown table."""
    rows = [_HEADINGS, ("---",) * len(_HEADINGS), *(finding.cells() for finding in findings)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def save(findings: Sequence[Finding], path: Path) -> None:
    """Write the findings, with what follows from them, as JSON."""
    lines = [
        attrs.asdict(finding) | {"median": finding.median, "met": finding.met}
        for finding in findings
    ]
    path.write_text(json.dumps(lines, indent=2) + "\n")


def load(path: Path) -> list[Finding]:
    """Read findings that `save` wrote."""
    return [
        Finding(line["what"], line["values"], line["unit"], line["goal"] and tuple(line["goal"]))
        for line in json.loads(path.read_text())
    ]


def options(
    description: str | None, *, default_rounds: int = 7, directory: str | None = None
) -> argparse.Namespace:
    """The command line that all benchmarks share: `--rounds` and `--json FILE`.

    Args:
        description: What `--help` says.
        default_rounds: How many rounds there are if nobody says.
        directory: What the directory is that the command needs besides, if it needs one.
    """
    parser = argparse.ArgumentParser(description=description)
    if directory is not None:
        parser.add_argument("directory", type=Path, metavar="DIRECTORY", help=directory)
    parser.add_argument("--rounds", type=int, default=default_rounds, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here, too")
    return parser.parse_args()


def report(title: str, findings: Sequence[Finding], *, json_file: Path | None) -> None:
    """Print the findings, save them if asked, and end with status 1 if a goal was missed."""
    print(f"{title}\n\n{table(findings)}")
    if json_file is not None:
        save(findings, json_file)
    if any(finding.met is False for finding in findings):
        sys.exit(1)
