"""Uploads: what is uploaded now, what waits and why, and what is done."""
