"""A moment, and how long ago it was, also if this process or its machine has stood still since."""

import time

import attrs

from sendx_async._runtime.real_time import monotonic, system_time

_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", None)  # of Linux; it goes on while the machine sleeps


def _read_clocks() -> tuple[float, ...]:
    since_boot = () if _BOOTTIME is None else (time.clock_gettime(_BOOTTIME),)
    return (monotonic(), system_time(), *since_boot)


@attrs.frozen
class Moment:
    """A moment, by every clock that there is: each of them may stand still, or be set back."""

    _clocks: tuple[float, ...] = attrs.field(factory=_read_clocks, init=False)

    def elapsed(self) -> float:
        """Return how many seconds have passed, by the clock that says most."""
        pairs = zip(_read_clocks(), self._clocks, strict=True)
        return max(now - then for now, then in pairs)
