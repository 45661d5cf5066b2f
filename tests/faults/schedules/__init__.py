"""Random streams against a server that fails at random, and what must hold of every one of them.

A `Schedule` says what is sent and what goes wrong, `carry_out` does it, and `check` compares what
the client said with what the server saw.
"""

from .check import check
from .faults import QUICK_FAULTS, SLOW_FAULTS
from .plan import Absence, Ending, Planned, Schedule, Trouble, make_schedule
from .run import Record, carry_out
from .watch import Attempt, Exchange

__all__ = [
    "QUICK_FAULTS",
    "SLOW_FAULTS",
    "Absence",
    "Attempt",
    "Ending",
    "Exchange",
    "Planned",
    "Record",
    "Schedule",
    "Trouble",
    "carry_out",
    "check",
    "make_schedule",
]
