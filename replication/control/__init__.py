"""What a screen or a program may ask of an engine: one interface, in its process or as a client of a running one.

contract.py   the interface; values.py and requests.py what passes it
local.py      in the engine's process; jobs.py its jobs, work.py what they do, changing.py what changes the engine
server.py     the same over a Unix socket, place.py where that is; client.py the other end of it
relay.py      the same over a pipe, for another host; far.py the other end of it, connection.py and frames.py between
"""

from replication.control.contract import Control as Control
from replication.control.contract import JobControl as JobControl
from replication.status import BY_HAND as BY_HAND
