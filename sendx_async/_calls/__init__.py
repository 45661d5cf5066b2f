"""One call of a client's method: when it begins, its attempts, its deadline, sharing a request."""
