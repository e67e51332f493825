"""What we know of SQLite's files and locks: WAL bytes, checksums, connections that pin."""
