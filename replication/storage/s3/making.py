"""A client for one server, with whose keys it signs. What speaks the protocol is loaded here, at first use."""

from typing import TYPE_CHECKING

from replication.storage.s3.shared import Connection

if TYPE_CHECKING:
    from replication.storage.s3.client import S3Client


def make_client(connection: Connection) -> "S3Client":
    from replication.storage.s3.address import parse_server
    from replication.storage.s3.client import S3Client
    from replication.storage.s3.connections import Connections
    from replication.storage.s3.network import find_proxy, tls_context
    from replication.storage.s3.sign import Keys

    url, path_style = connection.endpoint, connection.force_path_style
    if url is None:
        from replication.storage.s3.aws import endpoint_of

        url, path_style = endpoint_of(connection.region), bool(path_style)
    server = parse_server(url)
    if connection.credentials is None:
        from replication.storage.s3.aws import find_keys

        keys = find_keys()
    else:
        known = Keys(*connection.credentials)

        def keys() -> Keys:
            return known

    tls = tls_context(connection.skip_verify) if server.tls else None
    connections = Connections(server, connection.timeouts, tls, find_proxy(server))
    return S3Client(server, connection.region, path_style is not False, keys, connections)
