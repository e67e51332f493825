"""The restore picker: a cursor among the restore points that a replica holds."""
