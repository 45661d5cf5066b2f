"""Bodies that a server has compressed, although nothing asked it to: read within a limit.

httpx's own decoders inflate whatever has arrived at once: 64 KiB of it can become 64 MiB.
"""

import zlib
from collections.abc import Sequence

_ZLIB, _RAW, _GZIP = zlib.MAX_WBITS, -zlib.MAX_WBITS, zlib.MAX_WBITS | 16
# Some servers leave zlib's header out of what they call "deflate".
_WAYS_TO_READ = {b"gzip": (_GZIP,), b"x-gzip": (_GZIP,), b"deflate": (_ZLIB, _RAW)}


def decoded(body: bytes, headers: Sequence[tuple[bytes, bytes]], *, most: int) -> bytes | None:
    """Return a body as it was before the server compressed it.

    Args:
        body: What came, or the beginning of it.
        headers: The answer's.
        most: The most bytes to make of it.

    Returns:
        At most so many bytes; None if they were compressed in a way that the standard library
        can't read, such as ``br``, or twice, or are damaged.
    """
    codings = b",".join(value for name, value in headers if name.lower() == b"content-encoding")
    coding = codings.strip().lower()
    if coding in {b"", b"identity"} or not body:
        return body
    for window in _WAYS_TO_READ.get(coding, ()):
        try:
            return zlib.decompressobj(window).decompress(body, most)
        except zlib.error:
            continue
    return None
