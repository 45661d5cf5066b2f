"""A durable outbox: requests are in a file when `Outbox.put` returns, and delivered from there."""

import sys

from sendx_async.outbox._dead_letters import FailedDelivery
from sendx_async.outbox._events import OutboxEvent
from sendx_async.outbox._outbox import Outbox
from sendx_async.outbox._stats import OutboxStats

__all__ = ["FailedDelivery", "Outbox", "OutboxEvent", "OutboxStats"]

# Pickles that were made before this module was renamed name it.
sys.modules[f"{__name__}._aside"] = sys.modules[__name__]
