"""Event loops: which one runs here, and one that runs in a thread."""
