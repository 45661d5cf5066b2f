"""A durable outbox: requests are in a file when `Outbox.put` returns, and delivered from there."""

import sys

from sendx_async.outbox._dead_letters import FailedDelivery
from sendx_async.outbox._events import OutboxEvent
from sendx_async.outbox._maintenance import OutboxStats
from sendx_async.outbox._outbox import Outbox

__all__ = ["FailedDelivery", "Outbox", "OutboxEvent", "OutboxStats"]

# Pickles that were made before these modules were renamed name them.
for _moved in ("_aside", "_stats"):
    sys.modules[f"{__name__}.{_moved}"] = sys.modules[__name__]
