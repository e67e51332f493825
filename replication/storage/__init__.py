"""Where replicas are kept: one contract for objects, a back end per kind of store, and the names in it."""
