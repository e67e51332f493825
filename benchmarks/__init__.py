"""Speed, measured side by side with Litestream 0.3.13 on the same work in one run."""
