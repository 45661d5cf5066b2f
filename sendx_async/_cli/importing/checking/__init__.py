"""A file looked at before anything is sent."""
