"""An outbox whose producers and drainers are killed at random, and what must hold all the same.

`run.carry_out` does what a plan says, and `check.check` compares what was put with what came to the
server. Nothing is imported here, since each process that is started pays for it.
"""
