"""Trouble in the middle of real runs on three machines: what is left, what is told, what is kept."""

import os
import re
import signal
import time
from pathlib import Path

import me_test
import pytest
from cluster import Cluster, HostSpec, User
from experiment import (MACHINES, RUN_2, alone, check_energy, journals, launch, nothing_runs, ours, read, runs, start,
                        status, three)

SECRET = "s3cret " + os.urandom(6).hex()


def prepare(c, machines=None, **top):
    """me hosts. mpirun gives its ranks two seconds between SIGTERM and SIGKILL, and sleeps so long four times over
    whatever its ranks do: half of it makes these tests short, and harder to pass."""
    machines = machines or [c[name].machine(number, login="key") for number, name in enumerate(MACHINES, 1)]
    config = c.write_config(machines, **top)
    c.head.run(["me", "hosts", config], check=True, timeout=120)
    hasten(c)
    return config


def hasten(c):
    c.head.sh("sed -i \"s/sigkill_timeout='2'/sigkill_timeout='1'/\" gen.hosts.d/env", check=True)


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    """Three machines, ready. The tests come one after another over what the one before has left: the next run
    works without cleaning up."""
    with Cluster(tmp_path_factory.mktemp("trouble"), three()) as c:
        prepare(c)
        yield c


@pytest.fixture
def ended(ground):
    """After the test no process of ours is on any machine. The journals before it are another test's."""
    hasten(ground)
    for name in MACHINES:
        ground[name].run(["rm", "-rf", "/root/.local/state/machine-energy"], check=True)
    yield
    assert me_test.wait_until(lambda: nothing_runs(ground), 15), ours(ground)


def check_survivors(c, name, lost=()):
    """What those who were not lost measured before and during the trouble is in the result."""
    result = read(c, name)
    assert result.attrs["status"] == "interrupted"
    for number, power_w in enumerate((50, 80, 120), 1):
        rows = runs(result, number)
        if number in lost:
            assert status(result, number) == "lost"
            continue
        assert status(result, number) == "interrupted"
        check_energy(rows.iloc[0], power_w, 0.5)
        assert rows.note.iloc[1] == "interrupted"
        assert abs(rows.energy_j.iloc[1] - power_w * rows.duration_s.iloc[1]) <= power_w * 0.002


def check_journals(c, names):
    """The first repeat, which had ended, can be read from the journal on each of these machines."""
    for name in names:
        power_w = {"n1": 50, "n2": 80, "n3": 120}[name]
        found = journals(c[name])
        assert len(found) == 1, (name, found)
        spans = found[0].spans
        assert spans[0][:2] == ("run", 1) and spans[0][2] >= 0.5
        assert abs(spans[0][3] - power_w * spans[0][2]) <= power_w * 0.002
        assert found[0].samples >= 5


# -- one process ends -------------------------------------------------------------------------------


def test_sigterm_to_mpirun(ground, ended):
    run = start(ground, "term")
    begun = time.monotonic()
    ground.head.signal(run, signal.SIGTERM)
    out, err = run.communicate(timeout=30)
    print(f"mpirun ended {time.monotonic() - begun:.1f} s after SIGTERM")
    assert run.returncode != 0, out + err
    check_survivors(ground, "term")
    assert not any(journals(ground[name]) for name in MACHINES)


def test_a_rank_is_killed(ground, ended):
    """The others go on to their end."""
    command = "sh -c '[ $ME_REPEAT = 1 ] && exec sleep 0.5; sleep 61 & exec sleep 3.62'"
    run = start(ground, "killed-rank", command, options="--lost-after 3", line="sleep 3.62")
    alone(ground["n2"], "me_bench ", signal.SIGKILL)
    out, err = run.communicate(timeout=40)
    assert run.returncode == 1 and Path(ground.work, "killed-rank", "killed-rank.h5").exists(), out + err
    result = read(ground, "killed-rank")
    assert [status(result, number) for number in (1, 2, 3)] == ["ok", "lost", "ok"]
    for number, power_w in ((1, 50), (3, 120)):
        rows = runs(result, number)
        check_energy(rows.iloc[0], power_w, 0.5)
        assert rows.duration_s.iloc[1] >= 3.62
        assert abs(rows.energy_j.iloc[1] - power_w * rows.duration_s.iloc[1]) <= power_w * 0.002
    assert "10.77.0.12: lost: " in err and "to fetch it: me recover killed-rank" in err
    check_journals(ground, ["n2"])
    assert not journals(ground["n1"]) and not journals(ground["n3"])


def test_a_daemon_is_killed(ground, ended):
    """Open MPI ends the run, and what was measured is kept."""
    run = start(ground, "killed-orted")
    alone(ground["n2"], "orted ", signal.SIGKILL)
    out, err = run.communicate(timeout=40)
    assert run.returncode != 0, out + err
    # A rank without its daemon may still have come to its end in order.
    lost = status(read(ground, "killed-orted"), 2) == "lost"
    check_survivors(ground, "killed-orted", lost=[2] if lost else [])
    if lost:
        assert "10.77.0.12: lost: " in err
        check_journals(ground, ["n2"])


def test_one_workload_is_killed_and_one_zone_vanishes(ground, ended):
    command = "sh -c '[ $ME_REPEAT = 1 ] && exec sleep 0.5; [ $ME_MACHINE_ID = 2 ] && exec sleep 62; exec sleep 2.62'"
    run = start(ground, "two-faults", command, until=["n3"], line="sleep 2.62")
    ground["n3"].meter("intel-rapl:0 vanish")
    try:
        alone(ground["n2"], "sleep 62", signal.SIGKILL)
        out, err = run.communicate(timeout=40)
    finally:
        ground["n3"].meter("intel-rapl:0 appear")
    assert run.returncode == 1, out + err
    result = read(ground, "two-faults")
    assert result.attrs["status"] == "failed"
    assert [status(result, number) for number in (1, 2, 3)] == ["ok", "failed", "failed"]
    assert "signal 9" in result.machines.reason[1] and "reading" in result.machines.reason[2]
    assert runs(result, 2).exit_status.iloc[1] == 256 + 9
    check_energy(runs(result, 1).iloc[1], 50, 2.62)
    rows = runs(result, 3)
    check_energy(rows.iloc[0], 120, 0.5)
    assert rows.energy_j.isna().iloc[1] and "failed" in rows.note.iloc[1]


def test_rank_0_is_killed(ground, ended):
    """Nobody is left who could write the result: the journals hold it."""
    run = start(ground, "head")
    alone(ground.head, "me_bench ", signal.SIGKILL)
    run.communicate(timeout=40)
    assert run.returncode != 0
    assert me_test.wait_until(lambda: nothing_runs(ground), 15), ours(ground)
    assert not Path(ground.work, "head", "head.h5").exists()
    check_journals(ground, MACHINES)
    said = launch(ground, "--", "sleep", "0.5", name="head")  # the same name: no result stands there
    assert "the run before was cut off and is not recovered" in said.err
    check_energy(runs(read(ground, "head"), 2).iloc[0], 80, 0.5)
    assert len(list(Path(ground.work, "head").glob("plan-*.json"))) == 1


def test_a_run_before_the_last_is_recovered_too(ground, ended):
    """It was cut off and never recovered, and its experiment begun anew: its repeats go behind those of the new run."""
    command = "sh -c '[ $ME_REPEAT = 1 ] || [ -e /tmp/quick ] && exec sleep 0.5; exec sleep 62'"
    run = start(ground, "before", command)
    alone(ground.head, "me_bench ", signal.SIGKILL)
    run.communicate(timeout=40)
    assert me_test.wait_until(lambda: nothing_runs(ground), 15), ours(ground)
    for name in MACHINES:
        ground[name].sh("touch /tmp/quick", check=True)
    said = launch(ground, "--repeats 2", "--", command, name="before")
    assert "the run before was cut off and is not recovered" in said.err
    said = ground.head.run(["me", "recover", "before"], timeout=60)
    assert said.rc == 1 and "another run of it was cut off" in said.err, said
    result = read(ground, "before")
    for number, power_w in ((1, 50), (2, 80), (3, 120)):
        rows = runs(result, number)
        assert list(rows["repeat"]) == [1, 2, 3] and rows.start_unix_ns.iloc[2] < rows.start_unix_ns.iloc[0]
        for row in rows.itertuples():
            check_energy(row, power_w, 0.5)
    assert not list(Path(ground.work, "before").glob("plan-*.json"))
    for name in MACHINES:
        ground[name].sh("rm /tmp/quick", check=True)
        assert not list(ground[name].path("/root/.local/state/machine-energy").glob("*.mej"))


def test_mpirun_is_killed(ground, ended):
    """Rank 0 may still write what it gets to hear; what is not in it is in the journals."""
    run = start(ground, "mpirun")
    alone(ground.head, "mpirun ", signal.SIGKILL)
    run.communicate(timeout=40)
    assert run.returncode != 0
    assert me_test.wait_until(lambda: nothing_runs(ground), 15), ours(ground)
    ground.head.run(["me", "recover", "mpirun"], timeout=60)
    for number, power_w in ((1, 50), (2, 80), (3, 120)):
        check_energy(runs(read(ground, "mpirun"), number).iloc[0], power_w, 0.5)


# -- a machine goes ---------------------------------------------------------------------------------

# Settings of Open MPI 4 that bound how long a silent daemon is waited for (its own: 300 + 9 x 20 s).
KEEPALIVE = ("export OMPI_MCA_oob_tcp_keepalive_time=3 OMPI_MCA_oob_tcp_keepalive_intvl=1 "
             "OMPI_MCA_oob_tcp_keepalive_probes=3; ")


def test_the_cable_is_pulled(ground, ended):
    run = start(ground, "cable", before=KEEPALIVE)
    ground["n2"].link(False)
    begun = time.monotonic()
    out, err = run.communicate(timeout=60)
    print(f"mpirun ended {time.monotonic() - begun:.1f} s after the cable was pulled")
    assert run.returncode != 0, out + err
    check_survivors(ground, "cable", lost=[2])
    # The machine nobody reaches ends by itself, for its daemon sees that the head is gone.
    assert me_test.wait_until(lambda: nothing_runs(ground), 30), ours(ground)
    check_journals(ground, ["n2"])
    ground["n2"].link(True)
    assert launch(ground, "--", "true", name="cable-again", check=False).rc == 0


def test_a_silent_machine_is_lost_and_the_others_go_on(ground, ended):
    """Nothing tells us but its silence: a machine that hangs."""
    command = "sh -c '[ $ME_REPEAT = 1 ] && exec sleep 0.5; [ $ME_REPEAT = 2 ] && exec sleep 3.62; exec sleep 0.5'"
    run = start(ground, "hangs", command, repeats=3, options="--lost-after 2", until=MACHINES, line="sleep 3.62")
    alone(ground["n2"], "me_bench ", signal.SIGSTOP)
    try:
        assert me_test.wait_until(Path(ground.work, "hangs", "hangs.h5").exists, 30)
    finally:
        alone(ground["n2"], "me_bench ", signal.SIGCONT)
    out, err = run.communicate(timeout=40)
    assert run.returncode != 0, out + err
    result = read(ground, "hangs")
    assert [status(result, number) for number in (1, 2, 3)] == ["ok", "lost", "ok"]
    for number, power_w in ((1, 50), (3, 120)):
        for row, seconds in zip(runs(result, number).itertuples(), (0.5, 3.62, 0.5), strict=True):
            check_energy(row, power_w, seconds)


def test_a_machine_without_power(tmp_path):
    with Cluster(tmp_path / "c", three()) as c:
        prepare(c)
        run = start(c, "power")
        c["n2"].kill()
        out, err = run.communicate(timeout=40)
        assert run.returncode != 0, out + err
        check_survivors(c, "power", lost=[2])
        assert me_test.wait_until(lambda: nothing_runs(c, ("head", "n1", "n3")), 15), ours(c)


# -- Ctrl-C -----------------------------------------------------------------------------------------


def me_run(c, name, *more):
    words = "sh -c '[ $ME_REPEAT = 1 ] && exec sleep 0.5; sleep 61 & exec sleep 62'"
    return c.head.popen(["bash", "-c", f"exec me run config.json {name} --repeats 2 {' '.join(more)} -- {words}"])


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_during_me_run(ground, ended, times):
    run = me_run(ground, f"ctrl-c-{times}")
    assert me_test.wait_until(lambda: all(RUN_2 in ground[n].processes().values() for n in MACHINES), 30)
    time.sleep(0.3)  # some of it is measured
    begun = time.monotonic()
    for number in range(times):
        time.sleep(0.1 * number)
        ground.head.signal(run, signal.SIGINT, group=True)
    out, err = run.communicate(timeout=40)
    print(f"me run ended {time.monotonic() - begun:.1f} s after the first Ctrl-C of {times}")
    assert run.returncode != 0 and "INTERRUPTED" in out, out + err
    check_survivors(ground, f"ctrl-c-{times}")


@pytest.mark.parametrize("program", ["me", "mpirun"])
@pytest.mark.parametrize("when", ["ssh ", "me_bench "])
def test_ctrl_c_while_ranks_still_start(ground, ended, program, when):
    name = f"early-{program}-{when.strip()}"
    run = me_run(ground, name) if program == "me" else start(ground, name, until=[])
    where = ground.head if when == "ssh " else ground["n3"]
    assert me_test.wait_until(lambda: any(line.startswith(when) for line in where.processes().values()), 30, 0.002)
    ground.head.signal(run, signal.SIGINT, group=True)
    out, err = run.communicate(timeout=40)
    assert run.returncode != 0, out + err
    assert me_test.wait_until(lambda: nothing_runs(ground), 15), ours(ground)
    if Path(ground.work, name, f"{name}.h5").exists():
        assert read(ground, name).attrs["status"] == "interrupted"


# -- no room, no meter, no command ------------------------------------------------------------------


def test_no_room_for_the_result(ground, ended):
    folder = Path(ground.work, "full")
    ground.head.sh("mkdir full && mount -t tmpfs -o size=64k tmpfs full && head -c 56k /dev/zero > full/x", check=True)
    said = launch(ground, "--", "sh", "-c", "'echo hello; sleep 0.5'", name="full", check=False)
    assert said.rc == 1, said.err
    lines = [line for line in said.err.splitlines() if line.startswith("me_bench: ")]
    assert len(lines) == 1 and "No space left" in lines[0] and "full/full.h5" in lines[0], said.err
    run_id = re.search(r"~/.local/state/machine-energy/([0-9a-f]+)-\*.mej", lines[0]).group(1)
    assert not ground.head.sh("find full -name '*.h5*'").out
    for name in MACHINES:
        assert [journal.run_id for journal in journals(ground[name])] == [run_id]
    check_journals(ground, MACHINES)
    ground.head.sh("umount full && rmdir full", check=True)
    assert not folder.exists()


def test_no_room_on_a_machine(ground, ended):
    ground["n2"].sh("cat /dev/zero > /root/fill")
    try:
        said = launch(ground, "--repeats 2", "--", "sh", "-c", "'sleep 1; head -c 200000 /dev/zero || true'",
                      name="nospace", check=False)
    finally:
        ground["n2"].run(["rm", "/root/fill"], check=True)
    assert said.rc == 0, said.err
    assert re.search(r"me_bench: .*\.mej: the journal is incomplete: No space left", said.err)
    rows = runs(read(ground, "nospace"), 2)
    assert len(rows) == 2
    assert list(rows.note) == ["the disk is full at /root/.local/state/machine-energy"] * 2
    assert abs(rows.mean_power_w.iloc[0] - 80) <= 0.08
    assert not journals(ground["n2"])


def test_no_meter_on_one_machine_and_no_command_on_another(tmp_path):
    hosts = three()
    hosts[0].hide = ("factor",)
    with Cluster(tmp_path / "c", hosts) as c:
        prepare(c)
        said = launch(c, "--sources powercap", "--", "factor", "15", check=False)
        assert said.rc == 2 and "10.77.0.11 (machine 1): cannot run 'factor'" in said.err
        assert "1 of 3 machines cannot run it; nothing was touched" in said.err
        assert not Path(c.work, "exp1").exists()
        c["n2"].meter("intel-rapl:0 fault EACCES 1000000")
        said = launch(c, "--sources powercap", "--", "sh", "-c", "'exec factor 15'", check=False)
        assert said.rc == 1 and "10.77.0.12: failed: no energy source can be read" in said.err
        result = read(c)
        assert [status(result, number) for number in (1, 2, 3)] == ["failed", "failed", "ok"]
        assert Path(c.work, "exp1", "logs", "machine3-repeat1.out").read_text() == "15: 3 5\n"
        assert len(runs(result, 3)) == 1 and not len(runs(result, 2))


# -- passwords --------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", ["me", "mpirun"])
def test_a_password_from_the_environment_stays_with_who_was_given_it(tmp_path, program):
    hosts = three()
    hosts[0].users = [User("root", SECRET, key=False)]
    with Cluster(tmp_path / "c", hosts) as c:
        by_variable = dict(c["n1"].machine(1, login="none"), MACHINE_PASSWORD_ENV="LAB_PW")
        config = c.write_config([by_variable, c["n2"].machine(2), c["n3"].machine(3, login="key")], run_local=True)
        line = {"me": "exec me run config.json exp1 -- {}",
                "mpirun": "me hosts config.json && . gen.hosts.d/env && exec mpirun -hostfile gen.hosts me_bench exp1 -- {}"}
        command = "sh -c 'env; cat /proc/*/environ 2>/dev/null >/dev/null; exec sleep 2.62'"
        run = c.head.popen(["bash", "-c", line[program].format(command)], env={"LAB_PW": SECRET})
        everywhere = [c.head, *c.hosts.values()]
        assert me_test.wait_until(lambda: all("sleep 2.62" in h.processes().values() for h in everywhere), 60)
        # Who started it was given the variable: the shell (now mpirun) and what inherits from it; with me run,
        # me alone. The workload never sees it, nor any process on another machine.
        for host in everywhere:
            shown = [who for _, _, who in me_test.find_in_processes(SECRET, str(host.path("/proc")))]
            allowed = {"me": ("me run",), "mpirun": ("mpirun", "me_guard", "me_bench", "ssh ")}[program] if host is c.head else ()
            assert [line for line in shown if not line.startswith(allowed)] == []
            assert not any("sleep" in line and line.startswith("sleep") for line in shown)
        out, err = run.communicate(timeout=60)
        assert run.returncode == 0, out + err
        for number in range(4):
            log = Path(c.work, "exp1", "logs", f"machine{number}-repeat1.out").read_text()
            assert "ME_MACHINE_ID=" in log and "LAB_PW" not in log
        places = [c.work] + [place for host in everywhere for place in host.writable()]
        for secret in (SECRET, c["n2"].users["root"].password):
            found = me_test.find_bytes(places, secret, but=[config])
            assert [path for path in found if "/ground/" not in path] == []
            assert secret not in out + err


# -- ranks and machines -----------------------------------------------------------------------------


def test_two_ranks_of_one_machine_by_hand(tmp_path):
    """A hostfile that a person wrote: a container of n1 and two slots on n1 are one machine."""
    hosts = three()
    hosts[0].containers = [HostSpec("box", port=2223)]
    with Cluster(tmp_path / "c", hosts) as c:
        Path(c.work, "mine").write_text("localhost slots=1\nn1 slots=2\nbox slots=1\nn2 slots=1\n")
        said = c.head.sh(f"mpirun -hostfile mine --mca plm_rsh_agent 'ssh -F {c.ssh_config}' --mca btl_tcp_if_include "
                         f"10.77.0.0/24 {c.build}/me_bench exp1 --sources powercap -- sh -c 'echo $ME_MACHINES; sleep 1'",
                         timeout=60)
        result = read(c)
        assert sorted(result.machines.name) == ["head", "n1", "n2"], said.err
        for row in result.repeats.itertuples():
            name = result.machines.set_index("machine_id").name[row.machine_id]
            check_energy(row, {"n1": 50, "n2": 80}[name], 1)
        assert Path(c.work, "exp1", "logs", "machine1-repeat1.out").read_text() == "3\n"
        # The same with what `me hosts` wrote, and a slot too many.
        prepare(c, [c["n1"].machine(1, login="key"), c["n2"].machine(2, login="key")])
        c.head.sh("sed -i 's/^me-0001 slots=1/me-0001 slots=2/' gen.hosts", check=True)
        launch(c, "--", "sleep", "1", name="exp2")
        result = read(c, "exp2")
        assert list(result.machines.machine_id) == [1, 2] and len(result.repeats) == 2
        check_energy(runs(result, 1).iloc[0], 50, 1)


def by_hand(c, words, name):
    return c.head.sh(f". gen.hosts.d/env && mpirun -hostfile {words} me_bench {name} -- sleep 0.5", timeout=60)


def test_fewer_and_more_ranks_than_machines(ground, ended):
    said = by_hand(ground, "gen.hosts -n 2", "fewer")
    assert said.rc == 1, said.err
    result = read(ground, "fewer")
    assert [status(result, number) for number in (1, 2, 3)] == ["ok", "lost", "lost"]
    assert "no rank was started there" in result.machines.reason[1]
    check_energy(runs(result, 1).iloc[0], 50, 0.5)
    said = by_hand(ground, "gen.hosts -n 6 --oversubscribe", "more")
    assert said.rc == 0, said.err
    result = read(ground, "more")
    assert list(result.machines.status) == ["ok"] * 3 and len(result.repeats) == 3
    said = by_hand(ground, "gen.hosts -n 1", "one")
    assert said.rc == 2 and "ME_HOSTS_DIR" in said.err and not Path(ground.work, "one").exists()


def test_a_hostfile_that_is_not_of_its_folder(ground, ended):
    """Somebody added a machine by hand, or the config changed: the hostfile names one that `me hosts` has not seen."""
    hostfile = Path(ground.work, "gen.hosts").read_text()
    Path(ground.work, "other.hosts").write_text(hostfile + "me-0009 slots=1\n")
    said = by_hand(ground, "other.hosts", "stale")
    assert said.rc != 0 and "me-0009 is not a machine of this hostfile" in said.err
    assert not Path(ground.work, "stale").exists()


def test_repeats_added_by_a_second_run(ground, ended):
    for more in ("", "--append"):
        launch(ground, more, "--repeats 2", "--", "sleep", "0.5", name="grows")
    result = read(ground, "grows")
    starts = []
    for number, power_w in ((1, 50), (2, 80), (3, 120)):
        rows = runs(result, number)
        assert list(rows.repeat) == [1, 2, 3, 4] and rows.start_unix_ns.is_monotonic_increasing
        for row in rows.itertuples():
            check_energy(row, power_w, 0.5)
            assert len(result.series(number, row.repeat)) >= 5
        starts.append(rows.start_unix_ns)
    skews = [max(s.iloc[n] for s in starts) - min(s.iloc[n] for s in starts) for n in range(4)]
    print("skew of the start in ms:", [round(skew / 1e6, 2) for skew in skews])
    assert list(result.summary.n) == [4, 4, 4]
    before = Path(ground.work, "grows", "grows.h5").read_bytes()
    said = launch(ground, "--append", "--", "sleep", "2", name="grows", check=False)
    assert said.rc == 2 and "--append must run the same again" in said.err
    assert "10.77." not in said.err, "it is refused before anything ran"
    assert Path(ground.work, "grows", "grows.h5").read_bytes() == before


def test_a_slow_meter_at_the_start_is_no_loss(ground, ended):
    """Meters that take longer to open than --lost-after: their machines are there, and are heard all the while."""
    launch(ground, "--lost-after 1 --sources powercap,external --external 'W,interval=1.5 sleep 63' -- sleep 0.5",
           name="slow-start")
    result = read(ground, "slow-start")
    for number, power_w in enumerate((50, 80, 120), 1):
        assert status(result, number) == "ok"
        check_energy(runs(result, number).iloc[0], power_w, 0.5)
