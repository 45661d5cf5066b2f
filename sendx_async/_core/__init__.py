"""Requests, answers, errors and options: pure values and functions, without any I/O."""
