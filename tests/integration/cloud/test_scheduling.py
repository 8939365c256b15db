"""Who is served next: the rules of the queue in a real Redis, and real workers that keep them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from oppcloud_worker.messages import Cause, RunOutcome, RunRequest
from oppcloud_worker.remote import keys, pending, presence, runs
from oppcloud_worker.remote.presence import SlotInfo
from oppcloud_worker.ticket import Needs, Ticket

from pytest_oppcloud.cloud import experience
from pytest_oppcloud.cloud.campaign import Submission
from pytest_oppcloud.cloud.executor import fixed_name
from pytest_oppcloud.cloud.expectation import Seen

from .conftest import KEY, shell

if TYPE_CHECKING:
    from pathlib import Path

    import redis

    from .conftest import Client, Processes, Project, Server, Workers

Script = Callable[..., RunRequest]
WaitFor = Callable[[Callable[[], object], float, str], None]

GIB = 2**30


@dataclass
class Desk:
    """Slots and sessions without processes: what they say to the queue, and what it answers."""

    connection: redis.Redis
    #: The last job of each slot, as a slot remembers it.
    last: dict[str, str] = field(default_factory=dict)

    def offer(self, session: str, *names: str, **values: Any) -> None:
        """Have runs of `session` wait."""
        self.connection.set(keys.lease(session), b"1")
        tickets = [Ticket(session=session, run=name, queue="oppcloud", request=shell(""), **values) for name in names]
        runs.enqueue(self.connection, tickets, key=KEY)

    def take(self, slot: str = "w-1", memory: int = 0, image: str = "") -> str | None:
        """Have an idle slot of a worker ask for its next run; return session and name of it."""
        info = SlotInfo(name=slot, worker=slot[:-2], host="", pid=1, memory=memory, image=image)
        pipeline = self.connection.pipeline()
        presence.announce(pipeline, "oppcloud", info)
        pipeline.execute()
        job_id = pending.take(self.connection, "oppcloud", info, done=self.last.pop(slot, ""))
        if job_id is None:
            return None
        self.last[slot] = job_id
        return " ".join(job_id.split("-")[:2])

    def take_all(self, slot: str = "w-1", **values: Any) -> list[str]:
        """Have one slot run everything; return it in order."""
        found = []
        while (run := self.take(slot, **values)) is not None:
            found.append(run)
        return found

    def rung(self, slot: str) -> bool:
        """Tell whether the bell of `slot` was rung."""
        return bool(self.connection.exists(keys.bell(slot)))


@pytest.fixture
def desk(server: Server) -> Iterator[Desk]:
    yield Desk(server.connection)
    # RQ's list is in step with what waits.
    listed = server.connection.lrange("rq:queue:oppcloud", 0, -1)
    classes = server.connection.scan_iter("oppcloud:*:waiting:oppcloud:*")
    assert sorted(listed) == sorted(job_id for key in classes for job_id in server.connection.zrange(key, 0, -1))


def test_the_longest_run_comes_first_and_the_first_come_among_equals(desk: Desk) -> None:
    desk.offer("s", "short", "next", expected=1.0)
    desk.offer("s", "long", expected=100.0)
    desk.offer("s", "unknown")

    assert desk.take_all() == ["s long", "s short", "s next", "s unknown"]


def test_what_is_handed_back_comes_before_all_others(desk: Desk) -> None:
    desk.offer("s", "short", expected=1.0)
    assert desk.take() == "s short"
    desk.offer("s", "long", expected=100.0)
    lost = Ticket(session="s", run="short", queue="oppcloud", request=shell(""), expected=1.0)
    runs.settle(desk.connection, lost, RunOutcome(cause=Cause.WORKER_LOST), key=KEY)

    assert pending.taken(desk.connection, "oppcloud") == {}
    assert desk.take("w-2") == "s short"
    assert pending.taken(desk.connection, "oppcloud") == {"s-short-2": "w-2"}


def test_sessions_take_turns_whatever_their_size(desk: Desk) -> None:
    desk.offer("large", *(f"r{index}" for index in range(100)), expected=50.0)
    desk.offer("small", "a", "b")

    # One slot alternates; of three, none of the sessions has more than one more than the other.
    assert [f"{desk.take()}"[:5] for _ in range(4)] == ["large", "small", "large", "small"]
    assert desk.take() is not None
    desk.offer("later", "a", "b")
    assert desk.take("w-2") == "later a"
    assert desk.take("w-3", memory=1) in {"large r3", "later b"}


def test_a_session_of_higher_priority_is_served_first(desk: Desk) -> None:
    desk.offer("first", "a", "b")
    desk.offer("urgent", "a", "b", priority=5)
    desk.offer("patient", "a", priority=-1)

    assert desk.take_all() == ["urgent a", "urgent b", "first a", "first b", "patient a"]


def test_what_a_session_has_left_is_counted_by_its_memory(desk: Desk) -> None:
    desk.offer("s", "large", "large2", "large3", expected=5.0, needs=Needs(memory=5 * GIB))
    desk.offer("s", "small", "small2", expected=1.0)
    desk.offer("other", "large", needs=Needs(memory=5 * GIB))
    assert {desk.take("w-1", memory=8 * GIB), desk.take("w-2", memory=8 * GIB)} == {"s large", "s small"}
    assert pending.unfinished(desk.connection, "oppcloud", "s") == [
        pending.Unfinished(memory=0, waiting=1, taken=1),
        pending.Unfinished(memory=5 * GIB, waiting=2, taken=1),
    ]
    assert pending.unfinished(desk.connection, "oppcloud", "nobody") == []


def test_memory_is_counted_over_all_slots_of_a_worker(desk: Desk) -> None:
    desk.offer("s", "huge", expected=9.0, needs=Needs(memory=9 * GIB))
    desk.offer("s", "large", "large2", expected=5.0, needs=Needs(memory=5 * GIB))
    desk.offer("s", "small", expected=1.0)

    assert desk.take("small-1", memory=8 * GIB) == "s large"
    # What is left there is too little for the other large one, and the huge one would never fit.
    assert desk.take("small-2", memory=8 * GIB) == "s small"
    assert desk.take("small-3", memory=8 * GIB) is None
    assert desk.take("big-1", memory=64 * GIB) == "s huge"
    assert desk.take("small-1", memory=8 * GIB) == "s large2"


def test_smaller_runs_leave_room_for_a_large_one_in_one_worker(desk: Desk) -> None:
    desk.offer("s", *(f"small{index}" for index in range(20)), expected=1.0, needs=Needs(memory=2 * GIB))
    for slot in ("w-1", "w-2", "w-3", "w-4", "v-1", "v-2", "v-3", "v-4"):
        assert desk.take(slot, memory=8 * GIB) is not None
    desk.offer("s", "large", expected=9.0, needs=Needs(memory=6 * GIB))
    desk.offer("s", "tiny", expected=0.5)

    # There is always one that would fit where another has ended, so that the large one would wait for all of them.
    assert desk.take("w-1", memory=8 * GIB) == "s tiny"
    assert desk.take("w-2", memory=8 * GIB) is None
    assert desk.take("v-1", memory=8 * GIB) == "s small8"
    assert desk.take("w-3", memory=8 * GIB) == "s large"
    assert desk.take("v-2", memory=8 * GIB) == "s small9"


def test_no_slot_is_idle_for_a_large_run_that_gets_its_room_anyway(desk: Desk) -> None:
    desk.offer("s", "large1", "large2", expected=9.0, needs=Needs(memory=6 * GIB))
    desk.offer("s", "small1", "small2", "small3", expected=1.0, needs=Needs(memory=1 * GIB))

    taken = [desk.take(slot, memory=8 * GIB) for slot in ("w-1", "w-2", "w-3", "w-4")]
    assert taken == ["s large1", "s small1", "s small2", None]
    assert desk.take("w-2", memory=8 * GIB) == "s small3"
    assert desk.take("w-1", memory=8 * GIB) == "s large2"


def test_room_that_is_kept_in_vain_is_given_away(desk: Desk) -> None:
    desk.offer("s", "small1", "small2", "small3", expected=1.0, needs=Needs(memory=2 * GIB))
    assert desk.take("w-1", memory=4 * GIB) == "s small1"
    assert desk.take("v-1", memory=4 * GIB) == "s small2"
    desk.offer("s", "large", expected=9.0, needs=Needs(memory=4 * GIB))
    assert desk.take("w-2", memory=4 * GIB) is None
    # Another worker has all of its room free sooner.
    assert desk.take("v-1", memory=4 * GIB) == "s large"

    assert desk.rung("w-2")
    assert desk.take("w-2", memory=4 * GIB) == "s small3"


def test_memory_that_is_free_again_wakes_the_slots_of_its_worker(desk: Desk) -> None:
    desk.offer("s", "one", "two", needs=Needs(memory=6 * GIB))
    assert desk.take("w-1", memory=8 * GIB) == "s one"
    assert desk.take("w-2", memory=8 * GIB) is None
    assert desk.take("v-1", memory=1 * GIB) is None
    one = Ticket(session="s", run="one", queue="oppcloud", request=shell(""), needs=Needs(memory=6 * GIB))
    runs.settle(desk.connection, one, RunOutcome(cause=Cause.COMPLETED), key=KEY)

    assert (desk.rung("w-2"), desk.rung("v-1")) == (True, False)
    assert desk.take("w-2", memory=8 * GIB) == "s two"


def test_a_run_goes_to_the_image_that_it_needs(desk: Desk) -> None:
    desk.offer("s", "inet", expected=5.0, needs=Needs(image="registry.example/inet:4.5"))
    desk.offer("s", "any")

    assert desk.take_all("plain-1") == ["s any"]
    assert desk.take_all("other-1", image="registry.example/inet:4.4") == []
    assert desk.take_all("inet-1", image="registry.example/inet:4.5") == ["s inet"]


def test_as_many_slots_are_woken_as_there_are_new_runs(desk: Desk) -> None:
    slots = [f"w-{index}" for index in range(5)]
    for slot in slots:
        assert desk.take(slot, memory=8 * GIB) is None
    assert desk.take("inet-1", image="inet") is None
    desk.offer("s", "one", "two")
    rung = [slot for slot in [*slots, "inet-1"] if desk.rung(slot)]
    assert len(rung) == 2

    # One of them ends before it hears it: another takes its place.
    pipeline = desk.connection.pipeline()
    presence.withdraw(pipeline, "oppcloud", rung[0])
    pipeline.execute()
    assert len([slot for slot in [*slots, "inet-1"] if desk.rung(slot)]) == 2
    # One that can take it is woken, not one that cannot; one that is dead is no longer there.
    desk.connection.delete(*(keys.slot(slot) for slot in slots))
    desk.offer("s", "three", needs=Needs(image="inet"))
    desk.offer("s", "four", "five", "six")
    assert desk.rung("inet-1")
    assert len([slot for slot in slots if desk.rung(slot)]) <= 2


def test_a_slot_that_was_not_told_is_given_the_same_run_again(desk: Desk) -> None:
    desk.offer("s", "one", "two")
    assert desk.take() == "s one"
    # The answer never came: for the slot, nothing has happened.
    desk.last.clear()

    assert desk.take() == "s one"
    assert desk.take() == "s two"


def test_a_small_session_does_not_wait_for_a_large_one(
    client: Client,
    make_client: Callable[..., Client],
    workers: Workers,
    server: Server,
    script: Script,
    tmp_path: Path,
    wait_for: WaitFor,
) -> None:
    log, small = tmp_path / "log", make_client()
    client.submit(*(script(f"echo large >> {log}", name=f"large {index}") for index in range(100)))
    wait_for(lambda: len(runs.queued(server.connection, "oppcloud")) == 100, 30, "the large session waits")
    requests = [script(f"echo small >> {log}; echo done", name=f"small {index}") for index in range(10)]
    small.submit(*requests)
    wait_for(lambda: len(runs.queued(server.connection, "oppcloud")) == 110, 30, "the small session waits")
    # One slot: of several, one that is held up lets the others go ahead with what is not its session.
    workers.start()

    assert [small.executor.result(request).stdout for request in requests] == ["done\n"] * 10
    assert log.read_text().split()[:20] == ["large", "small"] * 10


def test_an_idle_worker_does_not_poll(
    client: Client, workers: Workers, server: Server, script: Script, wait_for: WaitFor
) -> None:
    workers.start(slots=2)

    seen: set[str] = set()

    def sleep() -> bool:
        """Tell whether each slot has said nothing for three seconds at a time; whoever polls never does."""
        waiting = [entry for entry in server.connection.client_list() if entry["cmd"] == "blpop"]
        seen.update(entry["name"] for entry in waiting if int(entry["idle"]) >= 3)
        return len(seen) == 2

    wait_for(sleep, 30, "both slots wait for their bell")
    assert client.run(script("echo woken")).stdout == "woken\n"
    seen.clear()
    wait_for(sleep, 30, "both slots wait for their bell again")


@pytest.mark.slow
def test_workers_hand_back_the_run_of_a_dead_one_without_its_client(
    server: Server, workers: Workers, processes: Processes, tmp_path: Path, wait_for: WaitFor
) -> None:
    log = tmp_path / "log"
    request = shell(f"echo started >> {log}; test $(wc -l < {log}) -gt 1 || sleep 60; echo survived")
    # A session whose client is away for long.
    server.connection.set(keys.lease("away"), b"1")
    runs.enqueue(server.connection, [Ticket(session="away", run="r1", queue="oppcloud", request=request)], key=KEY)
    workers.start()
    wait_for(log.exists, 60, "the simulation runs")
    processes.kill("-m oppcloud_worker")
    workers.start()

    wait_for(lambda: runs.outcomes(server.connection, "away", ["r1"], key=KEY), 90, "an outcome")
    outcome = runs.outcomes(server.connection, "away", ["r1"], key=KEY)["r1"]
    assert (outcome.stdout, outcome.attempt) == ("survived\n", 2)
    assert pending.taken(server.connection, "oppcloud") == {}


def test_a_run_that_no_worker_fits_is_said_in_time(
    make_client: Callable[..., Client], workers: Workers, script: Script
) -> None:
    # It is there before anybody waits for it, who would not wait for long.
    workers.serve("--memory", "2", OPPCLOUD_IMAGE="inet:4")
    client = make_client(patience=1.0)
    huge, foreign, small = (script("echo done", name=name) for name in ("huge", "foreign", "small"))
    client.executor.submit(
        [
            Submission(request=huge, content=None, needs=Needs(memory=3 * GIB)),
            Submission(request=foreign, content=None, needs=Needs(image="inet:5")),
            Submission(request=small, content=None, needs=Needs(memory=2 * GIB, image="inet:4")),
        ]
    )

    assert client.executor.result(small).stdout == "done\n"
    for request, need in ((huge, "3 GiB of memory"), (foreign, "the image inet:5")):
        outcome = client.executor.result(request)
        assert outcome.cause is Cause.NO_WORKER
        assert f"it needs {need}" in outcome.message
        assert "1 with 2 GiB and the image inet:4" in outcome.message


def test_a_run_out_of_memory_is_given_more(client: Client, workers: Workers, script: Script, tmp_path: Path) -> None:
    workers.start("--memory", "3")
    mark = tmp_path / "mark"
    request = script(f"test -e {mark} || {{ touch {mark}; echo Cannot allocate memory >&2; exit 1; }}; echo survived")
    client.executor.submit([Submission(request=request, content=None, needs=Needs(memory=GIB))])

    assert client.executor.result(request).stdout == "survived\n"
    assert "2 GiB are set aside for it now" in client.notices[0]
    mark.unlink()
    request = replace(request, name="larger")
    client.executor.submit([Submission(request=request, content=None, needs=Needs(memory=2 * GIB))])
    # No more than the worker has.
    assert client.executor.result(request).attempt == 2
    assert "3 GiB are set aside for it now" in client.notices[1]


def test_a_session_begins_with_what_took_longest_last_time(project: Project) -> None:
    project.write("[Config Some]\n**.value = ${v=1..4}\n")
    project.record()
    # With the cache that other tests do without.
    project.pytester.makeini("[pytest]\n")
    options = ("-v", "--oppcloud", "--oppcloud-workers=1", "--opp-config=Some")
    first = project.run(*options)
    first.assert_outcomes(passed=4)
    (file,) = project.pytester.path.glob(f".pytest_cache/d/oppcloud/{experience.FILE_NAME}")
    seen = experience.read(file)
    assert len(seen) == 4
    names = [line.split(" ")[0] for line in first.outlines if " PASSED " in line]
    # As if they had taken so long: neither the order of the ini file nor the reverse of it.
    order = sorted(names, key=lambda name: "3142".index(name[name.index("v=") + 2]))
    experience.add(
        file, {fixed_name(name): Seen(wall_time=9.0 - index, peak_memory=0) for index, name in enumerate(order)}
    )

    second = project.run(*options)
    assert [line.split(" ")[0] for line in second.outlines if " PASSED " in line] == order


def test_a_slot_that_dies_between_taking_and_starting_loses_no_run(
    client: Client, desk: Desk, workers: Workers, server: Server, script: Script, wait_for: WaitFor
) -> None:
    request = script("echo survived")
    client.submit(request)
    wait_for(lambda: server.connection.llen("rq:queue:oppcloud"), 30, "the run waits")
    assert desk.take("dead-1") is not None
    # Nobody was told, and the slot is not heard of again.
    server.connection.delete(keys.slot("dead-1"))
    workers.start()

    outcome = client.executor.result(request)
    assert (outcome.stdout, outcome.attempt) == ("survived\n", 2)
    assert client.dispatcher.statistics.lost == {"WORKER_LOST": 1}


def test_an_idle_worker_ends_at_once_when_it_is_told_to(workers: Workers, server: Server, wait_for: WaitFor) -> None:
    worker = workers.start(slots=2)
    wait_for(lambda: server.connection.hlen("oppcloud:idle:oppcloud") == 2, 60, "both slots are idle")
    worker.terminate()
    _, said = worker.communicate(timeout=60)

    # A slot that goes on waiting is killed.
    assert (worker.returncode, b"SIGKILL" in said) == (0, False), said
    assert not server.connection.exists("oppcloud:idle:oppcloud", "oppcloud:slots:oppcloud")
