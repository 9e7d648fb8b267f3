"""Checks that behave badly, before the run: nothing of them is left, however it ends."""
import os
import pathlib
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import me_test  # noqa: E402

DAEMON = """#!/bin/sh
case "$*" in *--check) setsid sleep 774 </dev/null >/dev/null 2>&1 & echo ready; exit 0;; esac
exec true
"""
HANGS = """#!/bin/sh
trap '' TERM INT HUP
sleep 775 & touch begun; sleep 776; sleep 777
"""


@pytest.fixture
def env(tmp_path):
    for name in ("home", "work"):
        (tmp_path / name).mkdir()
    (tmp_path / "work" / "train.py").write_text("def train(): pass\n")
    return {"PATH": f"{me_test.build_dir()}:/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path / "home"),
            "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "ME_TEST_MARK": str(tmp_path)}


def start(env, tmp_path, script):
    python = tmp_path / "python"
    python.write_text(script)
    python.chmod(0o755)
    return subprocess.Popen(["mpirun", "-n", "1", "me_bench", "exp", "--sources", "model", "--train-func", "train.py:train",
                             "--python", python], env=env, cwd=tmp_path / "work", text=True, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)


def left(tmp_path):
    return me_test.leftovers(marker=str(tmp_path).encode())


def finish(run, tmp_path):
    try:
        said, _ = run.communicate(timeout=60)
        assert me_test.wait_until(lambda: not left(tmp_path), 5), (said, left(tmp_path))
        return said
    finally:
        me_test.kill_group(run)
        for pid, _ in left(tmp_path):
            os.kill(pid, signal.SIGKILL)


def test_a_daemon_of_the_check(env, tmp_path):
    """As a user's file may start a server when it is imported."""
    run = start(env, tmp_path, DAEMON)
    said = finish(run, tmp_path)
    assert "no region train was marked" in said, said


def test_the_rank_is_killed_during_the_check(env, tmp_path):
    run = start(env, tmp_path, HANGS)
    begun = lambda: list((tmp_path / "home").glob(".local/state/machine-energy/me-*/begun"))  # noqa: E731
    assert me_test.wait_until(begun, 30)
    ranks = [pid for pid, line in left(tmp_path) if line.startswith("me_bench")]
    assert len(ranks) == 1, left(tmp_path)
    os.kill(ranks[0], signal.SIGKILL)
    finish(run, tmp_path)
    assert run.returncode == 1  # the guard in front of it tells what failed in our own codes
