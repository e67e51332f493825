"""The verbs of the command line, one module each (the listings share one)."""
