"""Empty stores to run the contract over: a module for each kind, named as the kind is.

Each has STORES, by name: a function that gets pytest's request, an empty folder and an ExitStack, and returns one
that opens the same empty store anew with each call. What it starts ends with the stack.
"""
