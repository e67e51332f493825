"""One destination of one database: uploads, snapshots, retention and validation."""
