"""What changed between two moments: rows and schema, found by the pages that differ."""
