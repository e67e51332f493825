"""Moments: the database as it was at any commit that a replica holds, read page by page without restoring it.

moments.py      the way in: timelines, searches and spans of a replica
contract.py     Moment and Timeline, which a layout gives; wal03/ is one layout
changes.py      where the answer to a question changed, among the commits of one timeline
questions.py    which questions there are: a table went, lost rows, a row changed, any SQL
log.py          what each commit did, with owners.py: which table a page belongs to
diff/           which rows differ between two moments
"""
