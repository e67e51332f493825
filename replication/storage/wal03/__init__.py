"""The layout of Litestream 0.3: its names, what its objects say of themselves, and a client that reads and writes."""
