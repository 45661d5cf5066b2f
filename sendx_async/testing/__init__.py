"""Testing without a SendX account: a fake server, and pytest fixtures that come with it.

The names are loaded when first used, since pytest loads this package in every test run.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sendx_async.testing._fake import FakeSendX
    from sendx_async.testing._log import ReceivedRequest
    from sendx_async.testing._serving import Connections
    from sendx_async.testing._state import Contact, ReceivedEvent

__all__ = ["Connections", "Contact", "FakeSendX", "ReceivedEvent", "ReceivedRequest"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sendx_async.testing import _fake  # noqa: PLC0415 - see the module's docstring

    return getattr(_fake, name)


def __dir__() -> list[str]:
    return __all__
