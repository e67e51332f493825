"""What a screen or a program may ask of an engine: one interface, in its process or as a client of a running one."""

from replication.control.control import BY_HAND as BY_HAND
from replication.control.control import Control as Control
