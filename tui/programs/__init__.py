"""How other programs are started on this machine: what the demo, the peers of the tests and the benchmarks share."""
