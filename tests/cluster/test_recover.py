"""What a run that was cut off has measured is in its result in the end: me recover, me run, --resume."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import me_test
import pytest
from cluster import Cluster
from experiment import (MACHINES, alone, check_energy, journals, launch, nothing_runs, ours, read, runs, start, status,
                        three)

STATE = "/root/.local/state/machine-energy"
POWERS = {1: 50, 2: 80, 3: 120}
# Of the first repeat all is known within half a second; the second one is what is cut off.
COMMAND = "sh -c '[ $ME_REPEAT = 1 ] && { echo one; exec sleep 0.5; }; sleep 61 & exec sleep 62'"
RUN_2 = "sleep 62"


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("recover"), three()) as c:
        config = c.write_config([c[name].machine(number, login="key") for number, name in enumerate(MACHINES, 1)])
        c.head.run(["me", "hosts", config], check=True, timeout=120)
        c.head.sh("sed -i \"s/sigkill_timeout='2'/sigkill_timeout='1'/\" gen.hosts.d/env", check=True)
        c.head.sh("sed -i 's/ServerAliveInterval 5/ServerAliveInterval 1/' gen.hosts.d/ssh_config", check=True)
        yield c


@pytest.fixture(autouse=True)
def clean(ground):
    """After each test nothing of it is on any machine that is reached."""
    yield
    assert me_test.wait_until(lambda: nothing_runs(ground), 15), ours(ground)
    for host in (ground.head, *ground.hosts.values()):
        assert left(host) == []


def left(host):
    folder = host.path(STATE)
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def recover(c, name, *words, **options):
    return c.head.run(["me", "recover", name, *words], timeout=60, **options)


def kill_head(c, name, run):
    """Rank 0 and mpirun are gone at a stroke; the ranks end by themselves."""
    alone(c.head, "me_bench ", signal.SIGKILL)
    alone(c.head, "mpirun ", signal.SIGKILL)
    run.communicate(timeout=40)
    assert me_test.wait_until(lambda: nothing_runs(c), 40), ours(c)
    assert sorted(os.listdir(Path(c.work, name))) == ["logs", "plan.json"]


def dump(path):
    """All but when it was written."""
    said = subprocess.run(["h5dump", path], capture_output=True, text=True, check=True).stdout
    return [line for line in said.splitlines()[1:] if not re.search(r'"\d{4}-\d\d-\d\dT[\d:]+Z"', line)]


def test_the_head_is_killed_and_all_is_recovered(ground):
    c = ground
    run = start(c, "head", COMMAND)
    kill_head(c, "head", run)
    plan = json.loads(Path(c.work, "head", "plan.json").read_text())
    assert Path(c.work, "head", "plan.json").stat().st_mode & 0o777 == 0o600
    assert plan["hosts_dir"] == str(Path(c.work, "gen.hosts.d"))
    for name in MACHINES:
        assert f"{plan['run_id']}-{name[1]}.mej" in left(c[name])
    said = recover(c, "head")
    assert said.rc == 1, said
    assert "recovered from the journals of 3 machines: interrupted" in said.err
    result = read(c, "head")
    for number, power_w in POWERS.items():
        rows = runs(result, number)
        check_energy(rows.iloc[0], power_w, 0.5)
        # Who had the time to end in order has what was cut off too, and says so.
        assert status(result, number) == "interrupted" and list(rows.note[1:]) in ([], ["interrupted"])
        assert Path(c.work, "head", "logs", f"machine{number}-repeat1.out").read_text() == "one\n"
    assert sorted(os.listdir(Path(c.work, "head"))) == ["head.h5", "logs", "plan.json"]
    before = Path(c.work, "head", "head.h5").read_bytes()
    said = recover(c, "head")
    assert "nothing to recover" in said.err
    assert Path(c.work, "head", "head.h5").read_bytes() == before


def test_gathered_and_recovered_are_the_same_file(ground):
    """The journals of a run that came to its end, and the file it wrote from memory."""
    c = ground
    run = start(c, "same", "sh -c 'echo $ME_MACHINE_ID; sleep 0.7; sleep 30 & echo begin x >&$ME_MARK_FD; sleep 0.1; "
                "echo end x >&$ME_MARK_FD; echo metric accuracy 0.5 >&$ME_MARK_FD'", options="--idle 0.3 --region x",
                until=[])
    kept = {}

    def keep():
        """A second name for each journal: when the first has gone, all of it is there."""
        for name in MACHINES:
            for path in c[name].path(STATE).glob("*.mej"):
                if path.name not in kept:
                    kept[path.name] = c[name].path(f"/root/{path.name}")
                    os.link(path, kept[path.name])
        return run.poll() is not None

    assert me_test.wait_until(keep, 60)
    out, err = run.communicate(timeout=10)
    assert run.returncode == 0, out + err
    copies = {name: path.read_bytes() for name, path in kept.items()}
    folder = Path(c.work, "same")
    gathered, logs = dump(folder / "same.h5"), sorted(os.listdir(folder / "logs"))
    assert len(logs) == 6
    (folder / "same.h5").unlink()
    shutil.rmtree(folder / "logs")
    assert len(copies) == 3
    Path(c.work, "old").mkdir()
    for name, content in copies.items():
        Path(c.work, "old", name).write_bytes(content)
    said = recover(c, "same", "--dir", "old")
    assert said.rc == 0, said
    assert dump(folder / "same.h5") == gathered
    assert sorted(os.listdir(folder / "logs")) == logs
    assert len(os.listdir(Path(c.work, "old"))) == 3, "what was given stays"
    # Of another run: it is not taken, and says so.
    (folder / "same.h5").unlink()
    wrong = next(iter(copies))
    plan = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").write_text(json.dumps({**plan, "run_id": "0123456789abcdef"}))
    Path(c.work, "old", "0123456789abcdef-1.mej").write_bytes(copies[wrong])
    said = recover(c, "same", "--dir", "old")
    assert said.rc == 1 and "left alone: it is of another run" in said.err and "nothing to recover" in said.err


def test_a_rank_is_killed_and_me_run_recovers_it(ground):
    """The others go on to their end, and what the dead one had measured is fetched."""
    c = ground
    words = "sh -c '[ $ME_REPEAT = 1 ] && exec sleep 0.5; exec sleep 2.62'"
    run = c.head.popen(["bash", "-c", f"exec me run config.json rank --repeats 2 --lost-after 3 -- {words}"])
    assert me_test.wait_until(lambda: all("sleep 2.62" in c[n].processes().values() for n in MACHINES), 30)
    alone(c["n2"], "me_bench ", signal.SIGKILL)
    out, err = run.communicate(timeout=40)
    assert run.returncode == 1, out + err
    assert "not all machines' results came back; fetching their journals" in err
    result = read(c, "rank")
    assert [status(result, number) for number in POWERS] == ["ok", "interrupted", "ok"]
    assert result.machines.reason[1] == "recovered from its journal, which ends early"
    for number, power_w in POWERS.items():
        rows = runs(result, number)
        check_energy(rows.iloc[0], power_w, 0.5)
        assert len(rows) == (1 if number == 2 else 2)
        assert len(result.series(number, 1)) >= 5
    assert "10.77.0.12" in out, "the report is of the recovered result"


def test_a_machine_that_is_not_reached_stays_lost_until_it_is(ground):
    c = ground
    run = start(c, "cable", COMMAND, options="--lost-after 3",
                before="export OMPI_MCA_oob_tcp_keepalive_time=3 OMPI_MCA_oob_tcp_keepalive_intvl=1 "
                "OMPI_MCA_oob_tcp_keepalive_probes=3; ")
    c["n2"].link(False)
    try:
        time.sleep(1)
        kill_head(c, "cable", run)
        said = recover(c, "cable", "--timeout", "2")
        assert said.rc == 1 and "10.77.0.12 (machine 2): not reached: " in said.err
        assert status(read(c, "cable"), 2) == "lost"
        check_energy(runs(read(c, "cable"), 3).iloc[0], 120, 0.5)
        assert me_test.wait_until(lambda: nothing_runs(c), 30), ours(c)
    finally:
        c["n2"].link(True)
    before = dump(Path(c.work, "cable", "cable.h5"))
    said = recover(c, "cable")
    assert said.rc == 1 and "recovered from the journals of 1 machine: interrupted" in said.err
    result = read(c, "cable")
    assert status(result, 2) == "interrupted"
    for number, power_w in POWERS.items():
        check_energy(runs(result, number).iloc[0], power_w, 0.5)
    assert before != dump(Path(c.work, "cable", "cable.h5"))


def test_not_while_it_runs(ground):
    c = ground
    run = start(c, "runs", "sleep 2.62", repeats=1, line="sleep 2.62")
    said = recover(c, "runs")
    assert said.rc == 2 and "its run goes on (process " in said.err
    out, err = run.communicate(timeout=30)
    assert run.returncode == 0, out + err
    said = recover(c, "runs")
    assert said.rc == 0 and "nothing to recover: no machine was lost, and no journal is left" in said.err
    said = recover(c, "never")
    assert said.rc == 2 and "no experiment of this name was begun here" in said.err


# -- --resume ---------------------------------------------------------------------------------------

# The second repeat is long until the machine may go on.
WAITS = "sh -c '[ $ME_REPEAT = 1 ] && exec sleep 0.5; [ -e /root/go ] && exec sleep 0.6; exec sleep 62'"


@pytest.fixture
def go(ground):
    """Called: from now on no repeat is long."""
    def all_may():
        for name in MACHINES:
            ground[name].run(["touch", "/root/go"], check=True)
    yield all_may
    for name in MACHINES:
        ground[name].run(["rm", "-f", "/root/go"], check=True)


def check_whole(c, name, seconds=(0.5, 0.6)):
    result = read(c, name)
    assert result.attrs["status"] == "complete", result.machines[["status", "reason"]]
    for number, power_w in POWERS.items():
        rows = runs(result, number)
        assert status(result, number) == "ok" and list(rows.repeat) == list(range(1, len(seconds) + 1))
        for row, length in zip(rows.itertuples(), seconds, strict=True):
            check_energy(row, power_w, length)
            assert len(result.series(number, row.repeat)) >= 5
            first = result.series(number, row.repeat).index.astype("int64")[0]
            assert abs(first - row.start_unix_ns) < 1e6, "the series is that of the repeat"
    return result


def test_resume_where_only_journals_are_left(ground, go):
    c = ground
    run = start(c, "again", WAITS)
    kill_head(c, "again", run)
    go()
    said = c.head.sh(". gen.hosts.d/env && mpirun -hostfile gen.hosts me_bench again --resume", timeout=60)
    assert said.rc == 0, said
    assert "recovered from the journals of 3 machines" in said.err
    check_whole(c, "again")
    before = Path(c.work, "again", "again.h5").read_bytes()
    said = c.head.run(["me", "run", "again", "--resume"], timeout=60)
    assert said.rc == 0 and "again: nothing is missing" in said.err, said
    assert Path(c.work, "again", "again.h5").read_bytes() == before
    for words, text in ((["--", "true"], 'the command\'s word "sh"'), (["--append"], "--resume: not together with --append")):
        said = c.head.sh(". gen.hosts.d/env && mpirun -hostfile gen.hosts me_bench again --resume " + " ".join(words))
        assert said.rc == 2 and text in said.err, said
    assert Path(c.work, "again", "again.h5").read_bytes() == before


def test_resume_measures_only_what_is_missing(ground, go):
    """One machine was lost in the second of three repeats; another one had ended all."""
    c = ground
    run = start(c, "some", WAITS.replace("62", "2.62"), options="--lost-after 3", line="sleep 2.62")
    alone(c["n2"], "me_bench ", signal.SIGKILL)
    run.communicate(timeout=40)
    assert [status(read(c, "some"), number) for number in POWERS] == ["ok", "lost", "ok"]
    starts = {number: list(runs(read(c, "some"), number).start_unix_ns) for number in POWERS}
    go()
    said = c.head.run(["me", "run", "some", "--resume"], timeout=60)
    assert said.rc == 0, said
    result = read(c, "some")
    assert list(result.machines.status) == ["ok"] * 3 and result.attrs["status"] == "complete"
    for number in (1, 3):
        assert list(runs(result, number).start_unix_ns) == starts[number], "they stood aside"
    check_energy(runs(result, 2).iloc[0], 80, 0.5)
    check_energy(runs(result, 2).iloc[1], 80, 0.6)
    assert runs(result, 2).start_unix_ns.iloc[0] < starts[1][1], "it is the one from the journal"


def test_resume_after_a_stop(ground, go):
    """What a stop has cut off is measured again, in its place."""
    c = ground
    run = start(c, "stopped", WAITS)
    c.head.signal(run, signal.SIGTERM)
    run.communicate(timeout=30)
    assert [list(runs(read(c, "stopped"), number).note) for number in POWERS] == [["", "interrupted"]] * 3
    go()
    said = c.head.run(["me", "run", "stopped", "--resume"], timeout=60)
    assert said.rc == 0, said
    check_whole(c, "stopped")
