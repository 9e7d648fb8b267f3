"""Trouble before anything is measured: while files go to the machines, and while they are asked whether they can run it."""

import signal
import time
from pathlib import Path

import me_test
import pytest
from cluster import Cluster
from experiment import MACHINES, alone, launch, nothing_runs, ours, three
from test_trouble import KEEPALIVE, prepare

CHECKS = """#!/bin/sh
case "$*" in *--check) trap '' TERM INT; sleep 63 & sleep 62; exit 0;; esac
exec true
"""
FOLDERS = "ls -d ~/.local/state/machine-energy/me-* /tmp/me-* 2>/dev/null || true"
CHECKED = "sleep 62"


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    folder = tmp_path_factory.mktemp("before")
    python = folder / "share" / "python"
    python.parent.mkdir()
    python.write_text(CHECKS)
    python.chmod(0o755)
    with Cluster(folder / "c", three(), share=[python.parent]) as c:
        prepare(c)
        c.python = python
        work = Path(c.work)
        (work / "train.py").write_text("def train(): pass\n")
        (work / "large").write_bytes(bytes(range(256)) * 4 * 204800)  # 200 MiB
        yield c


@pytest.fixture
def ended(ground):
    for name in MACHINES:
        ground[name].sh("rm -rf ~/.local/state/machine-energy /tmp/me-*")
    yield
    assert me_test.wait_until(lambda: nothing_runs(ground), 15), ours(ground)
    assert launch(ground, "--with", "train.py", "--", "cat", "train.py", name=f"next-{time.time_ns()}").rc == 0


def start(ground, name, words, until, before=""):
    run = ground.head.popen(["bash", "-c", f". gen.hosts.d/env; {before} exec mpirun -hostfile gen.hosts me_bench {name} {words}"])
    if not me_test.wait_until(lambda: all(until(ground[n]) for n in MACHINES), 30, 0.002):
        me_test.kill_group(run)
        raise AssertionError(f"{name} did not get so far: {run.communicate()}")
    return run


def start_check(ground, name, before=""):
    run = start(ground, name, f"--train-func train.py:train --python {ground.python}",
                lambda host: CHECKED in host.processes().values(), before)
    time.sleep(0.3)
    return run


def folders(ground):
    return {name: ground[name].sh(FOLDERS).out.split() for name in MACHINES}


def finish(ground, run, name, folders_may_stay, may_have_begun=False):
    begun = time.monotonic()
    out, err = run.communicate(timeout=60)
    print(f"{name}: mpirun ended after {time.monotonic() - begun:.1f} s with {run.returncode}; folders {folders(ground)}")
    assert run.returncode != 0, out + err
    assert may_have_begun or not Path(ground.work, name).exists()
    assert me_test.wait_until(lambda: nothing_runs(ground), 15), ours(ground)
    stay = {n for n, found in folders(ground).items() if found}
    assert stay <= set(folders_may_stay), (stay, err)
    return err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_mpirun_is_asked_to_end_during_the_check(ground, ended, number):
    name = f"asked-{int(number)}"
    run = start_check(ground, name)
    alone(ground.head, "mpirun ", number)
    finish(ground, run, name, [])


@pytest.mark.parametrize("what", ["me_bench", "orted", "mpirun"])
def test_a_process_is_killed_during_the_check(ground, ended, what):
    name = f"killed-{what}"
    run = start_check(ground, name)
    alone(ground.head if what == "mpirun" else ground["n2"], what + " ", signal.SIGKILL)
    finish(ground, run, name, [] if what == "mpirun" else ["n2"])


def test_rank_0_is_killed_during_the_check(ground, ended):
    run = start_check(ground, "rank0")
    alone(ground.head, "me_bench ", signal.SIGKILL)
    finish(ground, run, "rank0", [])


def test_the_check_is_killed_on_one_machine(ground, ended):
    run = start_check(ground, "check-killed")
    alone(ground["n2"], "sleep 62", signal.SIGKILL)
    alone(ground["n1"], "/bin/sh " + str(ground.python), signal.SIGKILL)
    time.sleep(1)
    alone(ground.head, "mpirun ", signal.SIGINT)
    finish(ground, run, "check-killed", [])


def test_the_cable_is_pulled_during_the_check(ground, ended):
    run = start_check(ground, "cable", KEEPALIVE)
    ground["n2"].link(False)
    try:
        finish(ground, run, "cable", ["n2"])
    finally:
        ground["n2"].link(True)


@pytest.mark.parametrize("what", ["me_bench", "orted", "mpirun"])
def test_a_process_is_killed_while_the_files_travel(ground, ended, what):
    """Open MPI may end those who were just speaking to it; their folders go a day later. Without mpirun the ranks
    may come to the begin of the run before they notice."""
    name = f"travel-{what}"
    run = start(ground, name, "--with large -- true", lambda host: host.sh("ls ~/.local/state/machine-energy/me-*/large").rc == 0)
    alone(ground.head if what == "mpirun" else ground["n2"], what + " ", signal.SIGKILL)
    finish(ground, run, name, MACHINES, may_have_begun=what == "mpirun")
