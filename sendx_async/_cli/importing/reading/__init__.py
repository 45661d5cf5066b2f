"""The bytes of a file become records: compression, encoding, dialect, and each kind of table."""
