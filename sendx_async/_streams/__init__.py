"""Many requests: where they come from, in which order they are sent, and what became of them."""
