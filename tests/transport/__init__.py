"""Tests of the asyncio sockets."""
