"""Workloads that behave badly: each ends clean, is reported, and leaves nothing running."""
import os
import pathlib
import re
import signal
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from torture import python, sh  # noqa: E402

MIB = 1 << 20
# In memory of its own and of a given size: what me_bench writes while it runs.
SMALL_DISK = "mkdir -p state && mount -t tmpfs -o size={} none state && exec \"$@\""


def small_disk(folder, size):
    """Runs behind a mount that nobody else sees and that goes with the last process in it."""
    apart = ["unshare", "-m", "--propagation", "private"] if os.geteuid() == 0 else ["unshare", "-rm"]
    return {"before": [*apart, "sh", "-c", SMALL_DISK.format(size), "sh"], "env": {"XDG_STATE_HOME": f"{folder}/state"}}


@pytest.mark.parametrize("how, status", [("exit 7", 7), ("exit 255", 255), ("kill -SEGV $$", 256 + signal.SIGSEGV),
                                         ("kill -KILL $$", 256 + signal.SIGKILL), ("kill -TERM $$", 256 + signal.SIGTERM)])
def test_exit_status(tmp_path, how, status):
    run = sh(tmp_path, how)
    assert run.rc == 1 and run.repeat.exit_status == status and not run.left, run
    said = f"status {status}" if status < 256 else f"signal {status - 256}"
    assert said in run.said, run


def test_timeout_of_the_willing(tmp_path):
    run = sh(tmp_path, "trap 'echo end a >&3; exit 3' TERM; echo begin a >&3; sleep 60 & wait", "--timeout", "1")
    assert run.rc == 1 and not run.left, run
    assert run.note == "timeout after 1 s" and run.repeat.exit_status == 3 and run.regions["a"].calls == 1, run


def test_timeout_of_the_unwilling(tmp_path):
    """It ignores SIGTERM, as do its children, of which one has left the group."""
    run = sh(tmp_path, "trap '' TERM HUP INT; echo begin a >&3; (setsid sleep 61 &) ; sleep 62 & while :; do sleep 1; done",
             "--timeout", "1")
    assert run.rc == 1 and not run.left, run
    assert run.note == "timeout after 1 s; region was not ended: a" and run.repeat.exit_status == 256 + signal.SIGKILL, run
    assert run.repeat.duration_s < 5


def test_a_daemon(tmp_path):
    run = python(tmp_path, """
import os, time
if not os.fork():
    os.setsid()
    if os.fork(): os._exit(0)
    os.chdir("/")
    os.closerange(0, 100)
    time.sleep(600)
os.wait()
time.sleep(0.3)
""")
    assert run.rc == 0 and not run.left and run.note == "1 process left behind was ended", run
    assert run.repeat.duration_s < 5


def test_children_left_behind(tmp_path):
    run = sh(tmp_path, "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 600 & done; exit 0")
    assert run.rc == 0 and not run.left and run.note == "10 processes left behind were ended", run


def test_closes_its_standard_files(tmp_path):
    run = sh(tmp_path, "echo before; echo begin a >&3; exec 0<&- 1>&- 2>&-; sleep 0.3; echo end a >&3; exit 4")
    assert run.rc == 1 and run.repeat.exit_status == 4 and run.out == b"before\n" and not run.left, run
    assert run.regions["a"].duration_s >= 0.3


def test_two_hundred_processes(tmp_path):
    """A bounded fork bomb: children of children that ignore SIGTERM, some in sessions of their own."""
    run = python(tmp_path, """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
made, left = os.pipe()
def grow(n):
    for i in range(n):
        if not os.fork():
            if i % 2: os.setsid()
            os.write(left, b"x")
            grow(n - 1 - i) if n < 6 else grow(3)
            time.sleep(600)
for i in range(22):
    if not os.fork():
        os.write(left, b"x")
        grow(3)
        time.sleep(600)
count = 0
while count < 176: count += len(os.read(made, 4096))
""")
    found = re.fullmatch(r"(\d+) processes left behind were ended", run.note)
    assert run.rc == 0 and not run.left and found, run
    assert 150 <= int(found.group(1)) <= 200, run


def test_forks_while_it_is_ended(tmp_path):
    """Each process is replaced by a new one in a session of its own, a few hundred times a second, for 20 s at most."""
    run = python(tmp_path, """
import os, time
end = time.monotonic() + 20
while time.monotonic() < end:
    if os.fork(): os._exit(0)
    os.setsid()
    time.sleep(0.002)
""")
    assert run.rc == 0 and not run.left, run
    assert run.repeat.duration_s < 5


def test_fills_the_disk(tmp_path):
    """A disk smaller than what is kept of an output."""
    run = sh(tmp_path, "echo begin a >&3; head -c 100M /dev/zero; status=$?; echo end a >&3; exit $status",
             **small_disk(tmp_path, "5m"))
    assert run.rc == 1 and run.repeat.exit_status == 1 and not run.left, run
    assert run.note.startswith("the disk is full at "), run
    assert run.regions["a"].calls == 1 and len(run.out) >= MIB


def test_prints_more_than_the_disk_holds(tmp_path):
    """A gigabyte through 128 MiB of disk, to the last line, by a program that is faster than any disk."""
    run = python(tmp_path, """
import sys
line = "".join(f"{i:015d}\\n" for i in range(65536))            # a MiB
for i in range(1024):
    sys.stdout.write(f"{i:015d}\\n" + line[16:])
sys.stdout.write("the end\\n")
""", **small_disk(tmp_path, "128m"))
    assert run.rc == 0 and run.repeat.exit_status == 0 and not run.left, run
    assert run.out.startswith(b"000000000000000\n") and run.out.endswith(b"the end\n")
    said = re.search(rb"\n\[me_bench: (\d+) bytes left out here\]\n", run.out)
    assert said and int(said.group(1)) == 1024 * MIB + 8 - 8 * MIB, said
    assert len(run.out) == 8 * MIB + len(said.group(0))


def test_prints_without_end(tmp_path):
    """Both streams, as fast as it can, for two seconds: little of the disk is taken at any moment."""
    most, over = [0], threading.Event()
    state = tmp_path / "state"

    def look():
        while not over.wait(0.01):
            files = [path for path in state.rglob("*") if path.suffix in (".out", ".err")]
            try:
                most[0] = max(most[0], sum(path.stat().st_blocks * 512 for path in files))
            except FileNotFoundError:
                pass

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        run = sh(tmp_path, "cat /dev/zero >&2 & exec cat /dev/zero", "--timeout", "2",
                 env={"XDG_STATE_HOME": str(state)})
    finally:
        over.set()
        watcher.join()
    left_out = [int(re.search(rb"\n\[me_bench: (?:about )?(\d+) bytes left out here\]\n", log).group(1))
                for log in (run.out, run.errout)]
    print(f"\n{sum(left_out) / 1e9:.2f} GB printed, at most {most[0] / MIB:.0f} MiB of it on the disk")
    assert run.rc == 1 and run.note == "timeout after 2 s" and not run.left, run
    assert len(run.out) < 9 * MIB and len(run.errout) < 9 * MIB
    assert 0 < most[0] < sum(left_out) / 2
    assert not list(state.rglob("*.out"))


def test_slow_output_is_kept_whole(tmp_path):
    run = sh(tmp_path, "for i in 1 2 3 4 5; do echo $i; echo e$i >&2; sleep 0.1; done")
    assert run.rc == 0 and run.out == b"1\n2\n3\n4\n5\n" and run.errout == b"e1\ne2\ne3\ne4\ne5\n" and run.note == "", run


def test_killed_from_outside(tmp_path):
    """mpirun dies without a word: the workload and all of its children go with it."""
    def kill(process):
        begin = time.monotonic()
        while not (tmp_path / "started").exists() and time.monotonic() < begin + 30:
            time.sleep(0.02)
        process.kill()

    run = sh(tmp_path, "sleep 601 & sleep 602 & touch started; wait", meanwhile=kill)
    assert run.rc == -signal.SIGKILL and not run.left, run
