"""What is to be done around forks."""

import os
from collections.abc import Callable


def around_forks(**hooks: Callable[[], object]) -> None:
    """Have functions called around each fork, as `os.register_at_fork` does, if there are forks."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(**hooks)
