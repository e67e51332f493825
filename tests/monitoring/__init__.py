"""Metrics, health and heartbeat: what other programs see of an engine."""
