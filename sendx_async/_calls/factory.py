"""What begins the calls of a client: what all its calls have in common, in one object."""

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Self, TypeVar

import attrs
import httpx

from sendx_async._calls.call import Call, Earlier
from sendx_async._calls.shared import Shared
from sendx_async._core.errors import ConfigurationError
from sendx_async._core.operations import PATHS, Operation
from sendx_async._core.options import PRODUCTION
from sendx_async._core.raw_request import RawRequest
from sendx_async._core.settings import Settings
from sendx_async._transport.exchange import Target
from sendx_async._transport.proxies import proxy_for

ResponseT = TypeVar("ResponseT")


def _targets_at(settings: Settings) -> dict[str, Target]:
    try:
        return {path: Target.at(settings.base_url + path) for path in PATHS}
    except (httpx.InvalidURL, ValueError):
        raise ConfigurationError(f"base_url must be a URL such as {PRODUCTION}") from None


@attrs.frozen
class CallFactory:
    """Begins calls with a client's settings.

    Args:
        shared: What the client and its copies have in common.
        settings: The settings of each call.
        targets: Where each operation with a model is posted, by its path. Default: at the settings'
            address.

    Raises:
        ConfigurationError: The settings' address is no URL, or the environment names a proxy for it
            that can't be used.
    """

    shared: Shared
    settings: Settings
    targets: Mapping[str, Target] = attrs.field(
        default=attrs.Factory(lambda self: _targets_at(self.settings), takes_self=True),
        kw_only=True,
    )

    def __attrs_post_init__(self) -> None:
        if not self.shared.is_borrowed:
            # Asked again when the first connection is made; but who makes a client reads its error.
            proxy_for(next(iter(self.targets.values())))

    def begin(
        self,
        operation: Operation[Any, ResponseT],
        request: Any,
        *,
        settings: Settings | None = None,
        replay_safe: bool | None = None,
        earlier: Earlier | None = None,
        pauses_end: float = math.inf,
        before_attempt: Callable[[], Awaitable[None]] | None = None,
        before_write: Callable[[], Awaitable[None]] | None = None,
    ) -> Call[ResponseT]:
        """Return a call whose time has begun, to be run; arguments as for `Call`.

        Args:
            operation: See there.
            request: See there.
            settings: Those of this call, for the same address. Default: the factory's own.
            replay_safe: See there.
            earlier: See there.
            pauses_end: See there.
            before_attempt: See there.
            before_write: See there.
        """
        return Call(
            self.shared,
            settings or self.settings,
            operation,
            request,
            self._target_of(operation, request),
            replay_safe=replay_safe,
            earlier=earlier,
            pauses_end=pauses_end,
            before_attempt=before_attempt,
            before_write=before_write,
        )

    def _target_of(self, operation: Operation[Any, Any], request: object) -> Target:
        if not isinstance(request, RawRequest):
            return self.targets[operation.path]
        base_url = self.settings.base_url
        return Target.at(base_url + request.path, shown=base_url + operation.path)

    def with_settings(self, settings: Settings) -> Self:
        """Return a factory with other settings, perhaps for another address.

        Raises:
            ConfigurationError: See above.
        """
        return type(self)(self.shared, settings)
