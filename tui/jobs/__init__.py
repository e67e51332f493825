"""The jobs of the engine: what was begun by this screen or another, and what came of it."""
