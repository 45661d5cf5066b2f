"""The clients, asynchronous and synchronous, and their streams."""
