"""Reports a client's calls to OpenTelemetry: a span and a duration for each, no personal data.

Give a client ``on_event=Telemetry()``. Needs the OpenTelemetry API, which the extra ``otel``
installs.
"""

try:
    from sendx_async.otel._telemetry import Telemetry
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] != "opentelemetry":
        raise
    raise ModuleNotFoundError(
        "sendx_async.otel needs opentelemetry-api: pip install 'sendx-async[otel]'"
    ) from error

__all__ = ["Telemetry"]
