"""Testing without a SendX account: a fake server, and pytest fixtures that come with it.

The names are loaded when first used, since pytest loads this package in every test run.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sendx_async.testing._fake import FakeSendX
    from sendx_async.testing._instant_clock import InstantClock
    from sendx_async.testing._log import ReceivedRequest
    from sendx_async.testing._serving import Connections
    from sendx_async.testing._state import Contact, ReceivedEvent

__all__ = [
    "Connections",
    "Contact",
    "FakeSendX",
    "InstantClock",
    "ReceivedEvent",
    "ReceivedRequest",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - see the module's docstring

    module = "_instant_clock" if name == "InstantClock" else "_fake"
    return getattr(import_module(f"{__name__}.{module}"), name)


def __dir__() -> list[str]:
    return __all__
