"""Rows sent, and what became of each kept."""
