"""Cells read as they were meant."""
