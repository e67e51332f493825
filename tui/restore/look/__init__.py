"""Look before you restore: the tables of another moment beside today's."""
