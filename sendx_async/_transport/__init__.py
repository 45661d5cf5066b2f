"""Bytes: sockets, HTTP/1.1, a pool of connections, and the application's own httpx client."""
