"""What to do when something fails, and what may be sent next: pure, the clock passed in."""
