"""The codecs that a replica can have, a line each; a new one is a module of its own and a line here."""

from replication.storage.codec import Codec, Plain

DEFAULT_CODEC: Codec = Plain()
"""The codec of every replica for which the configuration names no other."""
