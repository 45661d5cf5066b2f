"""A real `sendx import` that is killed again and again, and what must hold all the same.

`rows` makes a file, `run` imports it, kills and resumes, and `check` compares the file with what
came to the server.
"""
