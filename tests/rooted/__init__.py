"""Root in a folder of somebody else, who puts links and pipes where our files are."""
