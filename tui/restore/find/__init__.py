"""Find the commit before something went, came or changed."""
