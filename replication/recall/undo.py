"""What there was before rows were brought back, as a restore knows it: the commit that ours came after.

The WAL tells where our commit begins, and the local folder which index that life of the WAL is. Only what both agree
on is told.
"""

from replication.config import DatabaseConfig
from replication.local.shadow_wal import ShadowWAL
from replication.offline import look
from replication.permissions import Ownership
from replication.position import Position
from replication.sqlite.format import FRAME_HEADER_SIZE, WAL_HEADER_SIZE
from replication.sqlite.transaction import Made


def position_before(config: DatabaseConfig, made: Made) -> Position | None:
    """Where the commit ends that ours came after; None if the local folder does not tell."""
    local = look(config)
    position, before, after = local.position, made.before, made.after
    if position is None or local.salts is None or before is None or after is None:
        return None
    if before.frames and local.salts == before.salts:
        end = WAL_HEADER_SIZE + before.frames * (FRAME_HEADER_SIZE + made.page_size)
        return Position(position.generation, position.index, end)
    if local.salts == after.salts and position.index:
        # Ours is the first of its life, and the one before ended with all that was copied of it.
        end = ShadowWAL(config.meta_path, Ownership()).size(position.generation, position.index - 1)
        return Position(position.generation, position.index - 1, end) if end else None
    return None
