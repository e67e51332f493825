"""What other programs may see of an engine: metrics and health over HTTP, and a heartbeat."""
