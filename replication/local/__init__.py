"""What the local folder of a database holds between two runs: its shadow WAL, and notes for the next run."""
