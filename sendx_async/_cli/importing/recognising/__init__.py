"""What a table is: whose export, which column is which, and which one says who may be mailed."""
