"""What the README's table says of this library, a call by hand with httpx, and the official SDK."""
