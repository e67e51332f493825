"""Promise 3 where a snapshot is all that a replica has of a generation: the history that follows it must be its own.

A loss of power may take the newest commits from the WAL and from the shadow WAL alike, when neither was synced, and a
backup of a whole machine may set both back. Nothing in the local files then tells of the commits that were lost.
"""

import shutil

import pytest

from replication.errors import StorageError
from replication.local.files import REMEMBERED_NAME
from tests.foreign import Shell
from tests.replica.bench import Bench


@pytest.mark.parametrize("known_here", [True, False], ids=["remembered", "from the note"])
@pytest.mark.parametrize("commits_after", [0, 1, 8], ids=["shorter", "a little longer", "longer"])
def test_a_snapshot_of_commits_that_were_lost_is_not_gone_on_with(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, known_here: bool, commits_after: int
) -> None:
    files, meta, saved = (bench.path, bench.path.with_name("app.db-wal")), bench.folder / "meta", bench.folder / "saved"
    bench.commit(9000)
    saved.mkdir()
    for file in files:
        shutil.copy2(file, saved)
    shutil.copytree(meta, saved / "meta")
    kept = len(bench.states)

    # Pages that no later commit writes to.
    bench.write("UPDATE t SET b = randomblob(8000)")
    bench.commit()
    replica = bench.replica()
    monkeypatch.setattr(replica.client, "write_segment", _away)
    with pytest.raises(StorageError):
        replica.sync()

    bench.app.close()
    bench.database.close()
    known = (meta / REMEMBERED_NAME).read_bytes()
    shutil.rmtree(meta)
    shutil.copytree(saved / "meta", meta)
    if known_here:
        (meta / REMEMBERED_NAME).write_bytes(known)
    for file in files:
        file.write_bytes((saved / file.name).read_bytes())
        # The disk has the times, too, that it had then.
        shutil.copystat(saved / file.name, file)
    bench.path.with_name("app.db-shm").unlink(missing_ok=True)
    bench.app = Shell(bench.path).open(autocheckpoint=False)
    assert bench.app.sha256() == bench.states[kept - 1]

    def go_on() -> None:
        for _ in range(commits_after):
            bench.write("INSERT INTO t(b) VALUES(randomblob(3000))")

    bench.restart(go_on)
    bench.settle()
    assert "commits that this database does not have" in bench.reasons()[-1]
    assert bench.restored() == bench.app.sha256()


def _away(*_: object, **__: object) -> int:
    raise StorageError("away")
