"""Several engines as one, each over a relay in a thread: names, commands, jobs, and a host that is silent."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from replication.config import HostConfig
from replication.config.hosts_section import named_host
from replication.control import requests as ask
from replication.control.commands import carry_out
from replication.control.connection import Process
from replication.control.far import FarClient, Route
from replication.errors import EngineError, NoEngineError, NoJobError, NotAllowedError, UsageError
from replication.recall.wanted import Pick
from replication.status import DatabaseStatus
from tests.control.relayed import explain, far_client
from tests.control.serving import Served, served
from tests.foreign import Shell
from tests.interchange.program import wait_until
from tests.tui import fake
from tui.dashboard.columns import header, host_width, in_order, row
from tui.session.attached import Attached
from tui.session.hosts import Hosts
from tui.session.place import HostPlace, Place, gone_news, place_words
from tui.session.ssh import command, why
from tui.session.toasts import news, trouble_of
from tui.text.cells import cut_path, cut_start
from tui.text.naming import far, output_beside, short_name, split
from tui.text.states import SILENT, UNKNOWN, database_state, in_trouble
from tui.text.style import Style

STYLE = Style(False, False, 1000.0)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Served, Served, Hosts]]:
    """web1 and web2, and one that cannot be reached: web3."""
    with ExitStack() as stack:
        found = []
        for name in ("web1", "web2"):
            (tmp_path / name).mkdir()
            found.append(stack.enter_context(served(tmp_path / name)))
        nobody = FarClient(Route("web3", lambda: Process(["sh", "-c", "echo no route >&2; exit 255"]), explain))
        engines = {f"web{n}": Attached(far_client(at.server.path), 0.0) for n, at in enumerate(found, 1)}
        hosts = stack.enter_context(closing(Hosts(engines | {"web3": Attached(nobody, 0.0)})))
        hosts.start()
        names = [far(f"web{n}", at.name) for n, at in enumerate(found, 1)]
        wait_until(
            "all are heard of",
            lambda: list(by_path(hosts)) == [*names, "web3:"] and bool(hosts.place.hosts[2].place.gone),
        )
        yield found[0], found[1], hosts


def by_path(hosts: Hosts) -> dict[str, DatabaseStatus]:
    return {item.path: item for item in hosts.status().databases}


def test_a_command_goes_to_the_host_of_its_database(two: tuple[Served, Served, Hosts], tmp_path: Path) -> None:
    one, other, hosts = two
    first, second = far("web1", one.name), far("web2", other.name)
    assert list(by_path(hosts)) == [first, second, "web3:"]
    hosts.pause(second)
    wait_until("it is shown", lambda: by_path(hosts)[second].state == "paused")
    assert (one.engine.status().databases[0].state, by_path(hosts)[first].state) == ("ok", "ok")
    assert hosts.resume(second) == ()
    wait_until("it goes on", lambda: by_path(hosts)[second].state == "ok")
    hosts.sync_now(first)
    assert len(hosts.snapshot(first)) == 1
    assert [item.outcome for item in hosts.verify(second, threading.Event())] == ["ok"]
    # A restore is written there, by whichever name its path has; its job is known by host and id.
    output = tmp_path / "restored.db"
    result = carry_out(hosts, ask.Restore(database=second, output=far("web2", str(output))))
    assert str(result.output) == far("web2", str(output))
    assert Shell(output).rows("SELECT a FROM t") == [[1]]
    jobs = {job.id: job for job in hosts.jobs()}
    [restored] = [job for job in jobs.values() if job.do == "restore"]
    assert (restored.id[:5], restored.database) == ("web2:", second)
    assert hosts.cancel(restored.id).state == "done"
    # What one job began another goes on with, on the same host.
    points = carry_out(hosts, ask.Points(database=first))
    [listed] = [job for job in hosts.jobs() if job.do == "points"]
    question = ask.PlanPoint(points=listed.id, position=str(one.engine.status().databases[0].position))
    assert points.replica == "replica"
    assert carry_out(hosts, question).fetch
    hosts.forget(listed.id)
    with pytest.raises(NoJobError):
        carry_out(hosts, question)


def test_rows_come_back_on_the_host_that_they_are_of(two: tuple[Served, Served, Hosts]) -> None:
    _, other, hosts = two
    database, position = far("web2", other.name), str(other.engine.status().databases[0].position)
    Shell(other.path).run("DELETE FROM t")
    asked = ask.PreviewBack(database=database, position=position, picks=(Pick("t"),))
    assert carry_out(hosts, asked).preview.report.inserted == 1
    [preview] = [job for job in hosts.jobs() if job.do == "preview-back"]
    brought = carry_out(hosts, ask.BringBack(preview=preview.id, database=database))
    assert brought.report.inserted == 1
    assert carry_out(hosts, ask.History(database=database, replica="replica")) is None
    [history] = [job for job in hosts.jobs() if job.do == "history"]
    [entry] = carry_out(hosts, ask.Entries(history=history.id, position=str(brought.before), limit=1))
    assert entry.tables[0].rows == -1
    assert Shell(other.path).rows("SELECT a FROM t") == [[1]]


def test_what_is_for_nobody_is_refused_in_words(two: tuple[Served, Served, Hosts]) -> None:
    _, _, hosts = two
    with pytest.raises(NoEngineError, match="web3 does not answer: it ended with 255: no route"):
        hosts.pause("web3:")
    with pytest.raises(NoEngineError, match="web3 is not connected, so nothing was done"):
        hosts.pause("web3:/srv/app.db")
    with pytest.raises(EngineError, match="web4 is none of the hosts"):
        hosts.pause("web4:/srv/app.db")
    with pytest.raises(EngineError, match="is on web2, and the database is on web1"):
        hosts.begin(ask.Restore(database="web1:/a", output="web2:/b"))
    with pytest.raises(NotAllowedError, match="several engines"):
        hosts.stop()
    # All that answer, without a word of the one that does not.
    hosts.sync_now()


def test_events_of_all_are_one_list_in_the_order_of_time(two: tuple[Served, Served, Hosts]) -> None:
    one, other, hosts = two
    hosts.events_since(0)
    one.engine.events.emit("info", "news of one", one.name)
    wait_until("it came", lambda: "news of one" in [event.message for event in hosts.events_since(0)])
    other.engine.events.emit("info", "news of the other", other.name)
    wait_until("it came", lambda: "news of the other" in [event.message for event in hosts.wait_events(0, 0.01)])
    events = hosts.events_since(0)
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert [(event.message, event.database) for event in events[-2:]] == [
        ("news of one", far("web1", one.name)),
        ("news of the other", far("web2", other.name)),
    ]
    assert hosts.events_since(events[-1].number) == []


def test_a_silent_host_stands_first_and_says_since_when() -> None:
    silent = fake.database("web2:", state="unknown", error="Connection refused", last_sync=820.0, replicas=())
    lost = fake.database("web2:/srv/app.db", state="unknown", error="not known")
    well, bad = fake.database("web1:/srv/app.db"), fake.failing("web3:/srv/bad.db")
    assert (database_state(silent), database_state(lost)) == (SILENT, UNKNOWN)
    shown = in_order([well, lost, bad, silent])
    assert [item.path for item in shown[:2]] == ["web2:", "web3:/srv/bad.db"]
    assert [item.path for item in shown if in_trouble(item)] == ["web2:", "web3:/srv/bad.db"]
    hosts = host_width(shown)
    assert header(80, hosts=hosts).plain.startswith(" STATE      HOST DATABASE ")
    assert row(silent, 80, STYLE, hosts=hosts).plain == f"{' ✖ silent   web2 for 3m: Connection refused':80}"
    assert row(well, 80, STYLE, hosts=hosts).plain.startswith(" ● ")
    assert " web1 /srv/app.db " in row(well, 80, STYLE, hosts=hosts).plain
    assert host_width([fake.database("/srv/app.db")]) == 0
    # That a host is silent is one piece of news, and none for each of its databases.
    status = fake.FakeControl(well, fake.database("web2:/srv/app.db")).status()
    gone = fake.FakeControl(well, lost, silent).status()
    assert news(trouble_of(status), trouble_of(gone), gone) == news(trouble_of(gone), trouble_of(status), status) == []


def test_the_screen_says_which_host_is_silent_and_that_it_is_back() -> None:
    def hosts(*places: Place) -> Place:
        return Place("hosts", hosts=tuple(HostPlace(f"web{n}", place) for n, place in enumerate(places, 1)))

    well, gone = Place("service", 812), Place("service", 812, gone=820.0, why="it is cut")
    assert place_words(hosts(well, well), STYLE) == "2 hosts answering"
    assert place_words(hosts(well, gone, Place("service")), STYLE) == (
        "web2 silent for 3m, 1 being connected to, 1 host answering"
    )
    assert gone_news(hosts(well, well), hosts(well, gone)) == (("web2 does not answer: it is cut", "error"),)
    assert gone_news(hosts(well, gone), hosts(well, well)) == (("web2 answers again", "information"),)
    assert gone_news(hosts(gone), hosts(gone)) == ()


def test_databases_of_hosts_are_told_apart_where_paths_are_cut() -> None:
    assert split("web1:/srv/a:b.db") == ("web1", "/srv/a:b.db")
    assert split("/srv/a:b.db") == ("", "/srv/a:b.db")
    assert short_name("web1:/srv/app.db") == "web1:app.db"
    assert short_name("/srv/app.db") == "app.db"
    assert cut_path("web1:/srv/long/way/down/app.db", 20) == "web1:…/down/app.db"
    assert cut_start("web1:/srv/long/way/down/app.db", 15) == "web1:…wn/app.db"
    assert str(output_beside("web1:/srv/app.db", "/tmp/a.db")) == "web1:/tmp/a.db"
    assert str(output_beside("web1:/srv/app.db", "web1:/tmp/a.db")) == "web1:/tmp/a.db"
    for text in ("a.db", "web2:/tmp/a.db", "/tmp/"):
        with pytest.raises(UsageError, match="no whole path of a file on web1"):
            output_beside("web1:/srv/app.db", text)


def test_ssh_asks_nothing_and_takes_no_name_for_an_option() -> None:
    words = command(HostConfig("web1", config="/etc/it's.yml"), read_only=True)
    assert {"BatchMode=yes", "ClearAllForwardings=yes", "ForwardAgent=no"} < set(words)
    assert words[-3:] == ["--", "web1", """litestream-tui relay -config '/etc/it'"'"'s.yml' -read-only"""]
    for name in ("-oProxyCommand=x", "a b", "", "web1:22", "ssh://web1"):
        with pytest.raises(UsageError, match="is no name of a host"):
            named_host(name)
    assert command(named_host("app@web1", "sudo -n lt"))[-2:] == ["app@web1", "sudo -n lt relay"]


@pytest.mark.parametrize(
    ("code", "said", "words"),
    [
        (
            255,
            "ssh: connect to host web1 port 22: Connection refused\n",
            "Connection refused by host web1 port 22; nothing",
        ),
        (
            255,
            "app@web1: Permission denied (publickey).\n",
            "app@web1: Permission denied (publickey); log in with ssh web1",
        ),
        (
            255,
            "No ED25519 host key is known for web1\nHost key verification failed.\n",
            "Host key verification failed; its",
        ),
        (
            255,
            "ssh: Could not resolve hostname web1: Name or service not known",
            "Could not resolve hostname web1: Name",
        ),
        (255, "", "the ssh connection ended"),
        (127, "bash: line 1: litestream-tui: command not found\n", "litestream-tui is not found there: install it"),
        (
            2,
            "litestream-tui: 'relay' is not a verb of litestream-tui; there are …\n",
            "older than this one, and has no",
        ),
        (3, "litestream-tui: config file not found: /etc/litestream.yml; name one\n", "config file not found: /etc/"),
        (0, "", "the relay there has ended"),
        (-9, "", "ssh was ended by signal 9"),
    ],
)
def test_what_is_wrong_is_said_in_words(code: int, said: str, words: str) -> None:
    assert words in why(HostConfig("web1"), code, said)
