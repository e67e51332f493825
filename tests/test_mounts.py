"""On which file system a path lies, told without touching it."""

import os
from pathlib import Path

import pytest

from replication.mounts import MOUNTINFO, Mount, deepest, mount_of, parse

TEXT = """\
22 1 253:0 / / rw,relatime - ext4 /dev/vda rw
23 22 0:21 / /proc rw - proc proc rw
40 22 0:52 / /mnt/nas rw - nfs4 nas:/export rw
41 40 0:53 / /mnt/nas/b\\040c rw - nfs4 nas:/other rw
42 22 0:54 / /data rw - tmpfs none rw
43 42 0:55 / /data rw - tmpfs none rw
short line
"""


@pytest.mark.parametrize(
    ("path", "point", "minor"),
    [
        ("/mnt/nas", "/mnt/nas", 52),
        ("/mnt/nas/app", "/mnt/nas", 52),
        ("/mnt/nas/b c/app", "/mnt/nas/b c", 53),
        ("/data/app", "/data", 55),
    ],
)
def test_the_deepest_mount_above_it_counts_and_of_two_at_one_place_the_last(path: str, point: str, minor: int) -> None:
    assert deepest(path, parse(TEXT)) == Mount(point, os.makedev(0, minor))


@pytest.mark.parametrize("path", ["/srv/replica", "/mnt/nas2/app"])
def test_all_else_is_on_the_root(path: str) -> None:
    assert deepest(path, parse(TEXT)) == Mount("/", os.makedev(253, 0))


def test_where_nothing_is_known_all_is_one() -> None:
    assert deepest("/srv/replica", {}) == Mount("/", 0)


@pytest.mark.skipif(not MOUNTINFO.exists(), reason="there is no list of mounts")
def test_a_mount_of_this_machine_is_found(tmp_path: Path) -> None:
    assert mount_of(MOUNTINFO).point == "/proc"
    assert mount_of(tmp_path).device == tmp_path.stat().st_dev
