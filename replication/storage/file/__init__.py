"""Replicas in a folder of this machine."""
