"""Freezes workers at random moments, and sees who takes over, when, and what SendX gets to see."""
