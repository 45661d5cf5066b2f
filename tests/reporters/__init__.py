"""What crash reporters, logs and pretty printers collect by themselves: nothing personal."""
