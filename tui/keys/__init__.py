"""The keys: help, the palette, and the user's own."""
