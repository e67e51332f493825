"""A replica in an S3 bucket: `storage.py` is the store, over `client.py`, the verbs of S3, and what those need."""
