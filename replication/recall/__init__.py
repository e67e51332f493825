"""What was lost, brought back: rows of a moment into the database that goes on."""
