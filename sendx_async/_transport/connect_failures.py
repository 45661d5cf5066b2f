"""Why no connection could be made, where that does not pass by itself: certain reasons only."""

import socket
import ssl
from collections.abc import Iterator

import httpx

# EAI_AGAIN is none of them: the name servers could not be asked, as while the network is down.
_NO_SUCH_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
# OpenSSL's words for an answer that isn't encrypted; they depend on its version and on the answer.
_NO_TLS = {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"}


def permanent_reason(error: Exception) -> str | None:
    """Return why no connection can be made before somebody acts, and what to do; None if it can.

    Args:
        error: What httpx raised, for whichever of its transports. One that has been given a mock's
            error, without a cause, may always pass.
    """
    if not isinstance(error, httpx.ConnectError):
        return None
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                "the server's certificate is not accepted: correct base_url, or trust the "
                "certificate's authority by SSL_CERT_FILE or by your http_client's verify"
            )
        if isinstance(cause, ssl.SSLError) and cause.reason in _NO_TLS:
            return "what listens there does not speak TLS: correct the port in base_url"
        if isinstance(cause, socket.gaierror) and cause.errno in _NO_SUCH_NAME:
            return (
                "no host has this name: correct base_url, or the proxy's name, or connect this "
                "machine to a network that knows it"
            )
        if isinstance(cause, UnicodeError):
            return "no host can have this name: correct base_url"
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield what has led to an error, the latest first, up to the first error of the system."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        if isinstance(cause, OSError) and type(cause) is not OSError:
            return  # what was being handled when it came is another matter
        cause = cause.__cause__ or cause.__context__
