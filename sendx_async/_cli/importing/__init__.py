"""What ``sendx import`` is made of: reading a file, sending its rows, keeping a log."""
