"""What ``sendx import`` is made of: reading a file, sending its rows, and keeping the books."""
