"""A locale that cannot spell a name costs that name its letters where it is shown, and nothing else."""

import shutil
import subprocess
from pathlib import Path

import pytest

import peers
from tests.cli.program import Replicating, no_traceback, run, succeeds
from tests.foreign import Shell

ISO = "ISO-8859-1"
CASES = [
    *((ISO, name) for name in ("été.db", "日本.db", "plain.db")),
    *(("C", name) for name in ("été.db", "日本.db")),
    ("POSIX", "été.db"),
    # POSIX is another name of C.
    *(
        pytest.param(*case, marks=pytest.mark.explores)
        for case in (("C", "plain.db"), ("POSIX", "plain.db"), ("POSIX", "日本.db"))
    ),
]


@pytest.fixture(scope="session")
def locales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the locale en_US.ISO-8859-1, as few systems have it installed."""
    folder = tmp_path_factory.mktemp("locales")
    localedef = shutil.which("localedef")
    assert localedef is not None
    made = folder / "en_US.ISO-8859-1"
    subprocess.run([localedef, "-i", "en_US", "-f", "ISO-8859-1", made], check=False, capture_output=True)
    assert made.is_dir()
    return folder


def in_locale(name: str, locales: Path) -> dict[str, str]:
    if name == ISO:
        return peers.clean_environment(LOCPATH=str(locales), LC_ALL=f"en_US.{ISO}")
    return peers.clean_environment(LC_ALL=name)


@pytest.mark.parametrize(("locale", "name"), CASES)
def test_a_database_of_any_name(locale: str, name: str, locales: Path, tmp_path: Path) -> None:
    environment = in_locale(locale, locales)
    database, replica = tmp_path / "Müller" / name, tmp_path / "Müller" / f"{name} replica"
    database.parent.mkdir()
    Shell(database).run("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1)")
    config = tmp_path / "litestream.yml"
    config.write_text(f"dbs: [{{path: {database}, replicas: [{{path: {replica}}}]}}]", encoding="utf-8")
    with Replicating(tmp_path / "log", "-config", config, environment=environment) as replicate:
        replicate.wait_for("snapshot written")
        assert replicate.end() == 0
    assert list(replica.rglob("*.snapshot.lz4"))
    assert succeeds("databases", "-config", config, environment=environment).out.count("file") == 1
    succeeds("status", "-config", config, environment=environment)
    output = tmp_path / "Müller" / f"restored {name}"
    succeeds("restore", "-config", config, "-o", output, database, environment=environment)
    assert Shell(output).rows("SELECT a FROM t") == [[1]]


def test_what_cannot_be_shown_is_escaped(locales: Path, tmp_path: Path) -> None:
    environment = in_locale(ISO, locales)
    result = run("replicate", tmp_path / "日本.db", "nonsense 日本", environment=environment)
    assert result.code == 2
    no_traceback(result.err)
    assert "\\u65e5" in result.err
