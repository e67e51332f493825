"""A destination in the layout of Litestream 0.3: segments, snapshots, proofs and retention of generations."""
