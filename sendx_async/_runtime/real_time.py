"""The time as it is, also where a test has frozen it.

Such tests put functions in the place of those of the module `time`, wherever they find them. A wait
for a server would then never end, and what was measured before would be off by decades. So what
limits or measures a wait goes by `monotonic`. What asks for the date goes by `time.time`, and may
be frozen.
"""

import importlib.util
from collections.abc import Callable
from importlib.machinery import BuiltinImporter, ModuleSpec
from typing import cast

# A copy of the module that nobody else has. To keep the functions as they are on import isn't
# enough: time may be frozen already when this is imported.
_SPEC = cast("ModuleSpec", BuiltinImporter.find_spec("time"))
_TIME = importlib.util.module_from_spec(_SPEC)
BuiltinImporter.exec_module(_TIME)

monotonic: Callable[[], float] = _TIME.monotonic
"""Returns what `time.monotonic` does where nobody has replaced that."""

system_time: Callable[[], float] = _TIME.time
"""Returns what `time.time` does where nobody has replaced that; for comparing with times of files.

time-machine moves this one, too: it changes the function itself.
"""
