"""On which file system a replica's folder lies, told without touching it."""

import pytest

from replication.storage.file.mounts import MOUNTINFO, longest, mount_point, parse

TEXT = """\
22 1 253:0 / / rw,relatime - ext4 /dev/vda rw
23 22 0:21 / /proc rw - proc proc rw
40 22 0:52 / /mnt/nas rw - nfs4 nas:/export rw
41 40 0:53 / /mnt/nas/b\\040c rw - nfs4 nas:/other rw
short line
"""


@pytest.mark.parametrize(
    ("path", "mount"),
    [
        ("/srv/replica", "/"),
        ("/mnt/nas", "/mnt/nas"),
        ("/mnt/nas/app", "/mnt/nas"),
        ("/mnt/nas2/app", "/"),
        ("/mnt/nas/b c/app", "/mnt/nas/b c"),
    ],
)
def test_the_longest_mount_point_above_it_counts(path: str, mount: str) -> None:
    assert longest(path, parse(TEXT)) == mount


def test_where_nothing_is_known_all_is_one() -> None:
    assert longest("/srv/replica", ()) == "/"


@pytest.mark.skipif(not MOUNTINFO.exists(), reason="there is no list of mounts")
def test_a_mount_of_this_machine_is_found() -> None:
    assert mount_point(MOUNTINFO) == "/proc"
