"""Meters that hang: a run stays stoppable, is not taken for lost, leaves nothing behind, and keeps what it has."""
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "lib"), str(TESTS.parent / "scripts" / "python")]
import me_test  # noqa: E402
import machine_energy  # noqa: E402

MARKER = "ME_TEST_HANGING"


@pytest.fixture
def env(tmp_path):
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    kept["PATH"] = f"{me_test.build_dir()}:{kept['PATH']}"
    yield {**kept, "HOME": str(tmp_path), "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
           MARKER: str(tmp_path)}
    marker = f"{MARKER}={tmp_path}".encode()
    assert me_test.wait_until(lambda: not me_test.leftovers(marker=marker)), me_test.leftovers(marker=marker)


def start(env, folder, *words, launcher=()):
    return subprocess.Popen([*launcher, "me_bench", "exp", "--progress", "none", *words], env=env, cwd=folder, text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def stop(process, number, within):
    begin = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - begin < within, err
    return err


def meter(folder, name, text):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def machine(folder):
    result = machine_energy.read(folder / "exp" / "exp.h5")
    return result, result.machines.iloc[0]


@pytest.mark.parametrize("launcher", [(), ("mpirun", "-n", "1")], ids=["alone", "mpirun"])
def test_stopped_while_a_meter_hangs_at_the_start(env, tmp_path, launcher):
    """40 s is how long this meter may take; mpirun kills what is not gone in a second."""
    asked = tmp_path / "asked"
    command = meter(tmp_path, "meter", f"touch {asked}; sleep 300")
    run = start(env, tmp_path, "--external", f"W,interval=20 {command}", "--", "sleep", "5", launcher=launcher)
    assert me_test.wait_until(asked.exists)
    err = stop(run, signal.SIGTERM if launcher else signal.SIGINT, 8)
    assert "interrupted: stopped before its end" in err and run.returncode != 0
    result, row = machine(tmp_path)
    assert row["status"] == "interrupted"


def test_a_slow_start_is_no_loss(env, tmp_path):
    """A rank whose meters take longer to open than --lost-after is there all the same."""
    command = meter(tmp_path, "meter", "sleep 300")
    run = start(env, tmp_path, "--lost-after", "1", "--external", f"W,interval=1.5 {command}", "--", "sleep", "0.2",
                launcher=("mpirun", "--oversubscribe", "-n", "2"))
    _, err = run.communicate(timeout=60)
    assert run.returncode == 0 and "lost" not in err, err


def test_stopped_while_a_meter_hangs_at_the_end(env, tmp_path):
    """The phase is over and in the file; the last reading is given up."""
    hangs, done = tmp_path / "hangs", tmp_path / "done"
    command = meter(tmp_path, "meter", f"test -e {hangs} && {{ touch {done}; sleep 300; }}; echo 200")
    run = start(env, tmp_path, "--external", f"W,interval=20 {command}", "--", "sh", "-c", f"sleep 0.3; touch {hangs}")
    assert me_test.wait_until(done.exists)
    time.sleep(0.3)
    err = stop(run, signal.SIGINT, 5)
    assert "interrupted" in err
    result, row = machine(tmp_path)
    assert row["status"] == "interrupted" and list(result.repeats["phase"]) == ["run"]


@pytest.mark.parametrize("whom", ["me_bench", "mpirun"])
def test_killed_while_a_meter_hangs(env, tmp_path, whom):
    """kill -9: the command, the runner and the workload go too (the fixture looks for them)."""
    asked = tmp_path / "asked"
    command = meter(tmp_path, "meter", f"test -e {asked} && {{ touch {asked}2; sleep 300; }}; touch {asked}; echo 200")
    launcher = ("mpirun", "-n", "1") if whom == "mpirun" else ()
    run = start(env, tmp_path, "--external", f"W {command}", "--", "sleep", "300", launcher=launcher)
    assert me_test.wait_until(pathlib.Path(f"{asked}2").exists)
    run.kill()
    run.communicate(timeout=30)


def test_why_nothing_was_measured_is_told(env, tmp_path):
    """A rank that fails before its first channel still says why."""
    (tmp_path / "empty").mkdir()
    run = start(env, tmp_path, "--root", tmp_path / "empty", "--", "true")
    _, err = run.communicate(timeout=30)
    assert run.returncode == 1 and "failed: no energy source can be read here" in err


def test_passwords_in_urls_are_not_kept(env, tmp_path):
    """The user's own words are kept, but not a password in them; the meter gets it all the same."""
    url, seen = "http://ann:hidden-word@pdu.invalid/7", tmp_path / "seen"
    command = meter(tmp_path, "meter", 'case "$1" in *hidden-word*) echo 200;; esac')
    done = me_test.run(["me_bench", "exp", "--progress", "none", "--external", f"W,interval=0.1 {command} {url}", "--",
                        "sh", "-c", f"echo {url} > {seen}; sleep 0.5"], env=env, cwd=tmp_path)
    assert done.rc == 0, done.err
    probe = me_test.run(["me", "probe", "--external", f"W false {url}"], env=env, cwd=tmp_path)
    report = me_test.run(["me", "report", "exp", "--format", "json"], env=env, cwd=tmp_path, check=True)
    assert "hidden-word" not in done.err + probe.out + probe.err + report.out
    assert "http://ann:*@pdu.invalid/7" in probe.out
    assert me_test.find_bytes([tmp_path], "hidden-word", but=[seen, command]) == []
    assert "hidden-word" in seen.read_text()
    result, _ = machine(tmp_path)
    assert abs(result.repeats["energy_j"].iloc[0] - 200 * result.repeats["duration_s"].iloc[0]) < 5
