"""What becomes of each column, and contacts made of rows."""
