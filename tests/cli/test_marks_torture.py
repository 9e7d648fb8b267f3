"""Marks as no manual has them: whatever comes through the pipe, the run survives, what was good counts, and the record
says what was wrong."""
import math
import pathlib
import re
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from torture import python, sh  # noqa: E402

MARK = "import os\ndef mark(line): os.write(3, line if isinstance(line, bytes) else line.encode())\n"


def survives(run, regions, note="", status=0):
    """The run came to its end, knows these regions and their calls, and has a note on just what was wrong."""
    assert run.rc == (1 if status else 0), run
    assert run.repeat.exit_status == status and run.repeat.energy_j > 0, run
    assert {name: row.calls for name, row in run.regions.items()} == regions, run
    told = re.sub(r"(; )?marks waited to be read: [^;]*", "", run.note)  # so it may be where others run too
    assert told == note, run
    assert not run.left, run
    for row in run.regions.values():
        assert 0 <= row.duration_s <= run.repeat.duration_s * row.calls, row


def test_nested_and_repeated(tmp_path):
    run = python(tmp_path, MARK + """
mark("begin outer\\n")
for i in range(10000):
    mark("begin outer/in\\n"); mark("begin deep\\n"); mark("end deep\\n"); mark("end outer/in\\n")
mark("end outer\\n")
""")
    survives(run, {"outer": 1, "outer/in": 10000, "deep": 10000})
    assert run.regions["outer"].duration_s >= run.regions["outer/in"].duration_s >= run.regions["deep"].duration_s


def test_a_flood_does_not_make_the_next_mark_late(tmp_path):
    """Marks come faster than edges can be read; what follows them must not wait until all of them have one."""
    run = python(tmp_path, MARK + """
import time
for i in range(100): mark("begin b\\nend b\\n" * 200)
mark("begin train\\n"); time.sleep(0.4); mark("end train\\n")
""")
    assert run.rc == 0 and run.regions["b"].calls == 20000, run
    assert 0.3 < run.regions["train"].duration_s < 0.7, run


def test_one_name_in_itself(tmp_path):
    """What is inside of it is part of it and no second call."""
    run = sh(tmp_path, "for m in 'begin a' 'begin a' 'end a' 'end a'; do echo $m >&3; sleep 0.1; done")
    survives(run, {"a": 1})
    assert run.regions["a"].duration_s >= 0.3


def test_crossed(tmp_path):
    run = sh(tmp_path, "for m in 'begin a' 'begin b' 'end a' 'end b'; do echo $m >&3; sleep 0.1; done")
    survives(run, {"a": 1, "b": 1})
    assert run.regions["a"].duration_s >= 0.2 and run.regions["b"].duration_s >= 0.2


@pytest.mark.parametrize("marks, regions, note", [
    (["end a"], {}, "end of a region that had not begun: a"),
    (["end a"] * 3 + ["end b"], {}, "end of a region that had not begun: a (and 3 more)"),
    (["begin a"], {"a": 1}, "region was not ended: a"),
    (["begin a"] * 3 + ["end a"], {"a": 1}, "region was not ended: a (and 1 more)"),
    (["begin a", "end a", "end a"], {"a": 1}, "end of a region that had not begun: a"),
    (["begin a", "end A"], {"a": 1}, "end of a region that had not begun: A; region was not ended: a"),
    (["work 1 x", "work 2 y", "work 3 z"], {}, "work in a second unit was left out: y (and 1 more)"),
    (["bgin a", "end a", "begin b", "work 1 x", "work 1 y"], {"b": 1},
     "a line that is no mark: bgin a; end of a region that had not begun: a; region was not ended: b; work in a second "
     "unit was left out: y"),
], ids=lambda value: value[0] if isinstance(value, list) else "")
def test_unbalanced(tmp_path, marks, regions, note):
    survives(sh(tmp_path, "".join(f"echo '{mark}' >&3; " for mark in marks)), regions, note)


def test_ten_thousand_stray_ends(tmp_path):
    run = python(tmp_path, MARK + "for i in range(10000): mark('begin a\\n'); mark('end a\\n'); mark('end b\\n')")
    survives(run, {"a": 10000}, "end of a region that had not begun: b (and 9999 more)")


def test_many_threads(tmp_path):
    run = python(tmp_path, """
import threading, machine_energy as me
def work(name):
    for i in range(500):
        with me.region(name), me.region("all"):
            me.work(1, "items")
threads = [threading.Thread(target=work, args=(f"thread-{i}",)) for i in range(16)]
for t in threads: t.start()
for t in threads: t.join()
""")
    own = {f"thread-{i}": 500 for i in range(16)}
    survives(run, {"all": run.regions["all"].calls, **own})  # calls inside of one another are one
    assert 500 <= run.regions["all"].calls <= 8000
    assert run.repeat.work == 8000 and run.repeat.work_unit == "items"


def test_child_and_grandchild(tmp_path):
    run = sh(tmp_path, "echo begin a >&3; sh -c 'echo begin b >&$ME_MARK_FD; "
                       "sh -c \"echo begin c >&3; echo end c >&3\"; echo end b >&3'; echo end a >&3")
    survives(run, {"a": 1, "b": 1, "c": 1})


def test_forks_go_on_marking(tmp_path):
    run = python(tmp_path, """
import os, subprocess, sys, machine_energy as me
inner = "import machine_energy as me\\nwith me.region('started'): pass"
with me.region("parent"):
    for i in range(4):
        if not os.fork():
            with me.region(f"fork/{i}"):
                pass
            os._exit(0)
    for i in range(4): os.wait()
    subprocess.run([sys.executable, "-c", inner], close_fds=False, check=True)
    subprocess.run([sys.executable, "-c", inner], check=True)   # without the pipe: does nothing
""")
    survives(run, {"parent": 1, "started": 1, **{f"fork/{i}": 1 for i in range(4)}})


def test_binary(tmp_path):
    run = sh(tmp_path, "echo begin a >&3; head -c 300000 /dev/urandom >&3; echo >&3; echo end a >&3; echo work 5 x >&3")
    assert run.note.startswith("a line that is no mark: ") and " more)" in run.note, run
    assert run.note.isprintable() and run.note.isascii()
    survives(run, {"a": 1}, run.note)
    assert run.repeat.work == 5


def test_a_line_of_a_megabyte(tmp_path):
    run = sh(tmp_path, "echo begin a >&3; head -c 1000000 /dev/zero | tr '\\0' x >&3; echo >&3; echo end a >&3")
    survives(run, {"a": 1}, "a line that is no mark: " + "x" * 47)


def test_half_a_line_at_the_end(tmp_path):
    survives(sh(tmp_path, "echo begin a >&3; echo end a >&3; printf 'begin tra' >&3"), {"a": 1},
             "a line that is no mark: begin tra")


def test_all_closed(tmp_path):
    run = python(tmp_path, """
import os, machine_energy as me
me.begin("a")
me.end("a")
os.closerange(0, 100)
assert me.active()
for i in range(3):
    with me.region("b"): me.work(1, "x"); me.metric("loss", 1)
assert not me.active()
assert os.open("/dev/null", os.O_RDWR) == 0
""")
    survives(run, {"a": 1})


def test_another_file_with_the_number(tmp_path):
    """Neither the header nor the module writes into it."""
    run = sh(tmp_path, "exec 3>mine; python3 -c 'import machine_energy as me; me.begin(\"a\"); print(me.active())'",
             env={"ME_TORTURE_WHERE": str(tmp_path)})
    survives(run, {})
    assert run.out == b"False\n" and (tmp_path / "mine").read_bytes() == b""


def test_marks_of_one_left_behind(tmp_path):
    """The workload has ended; what a child of it says later is not its work."""
    run = python(tmp_path, MARK + """
import time
mark("begin a\\n"); mark("end a\\n")
if not os.fork():
    parent = os.getppid()
    while os.getppid() == parent: pass
    time.sleep(0.01)
    while True: mark("begin b\\n")
""")
    survives(run, {"a": 1}, "1 process left behind was ended")


@pytest.mark.parametrize("line", ["begin a b", "begin ", "begin", "begin a;reboot", "begin $(reboot)", "begin ä",
                                  "begin \033[31m", "begin " + "x" * 48, "begin a\r", "begin a\0b", "BEGIN a", " begin a",
                                  "work 1 a b", "work -1 x", "metric a b 1", "metric ä 1", "metric loss one",
                                  "metric " + "x" * 48 + " 1", ""])
def test_names_that_are_none(tmp_path, line):
    cleaned = "".join(c if " " <= c <= "~" else "?" for c in line.encode().decode("latin-1"))[:47]
    run = python(tmp_path, MARK + f"mark({line.encode()!r} + b'\\n'); mark('begin ok\\n'); mark('end ok\\n')")
    survives(run, {"ok": 1}, f"a line that is no mark: {cleaned}")


def metrics_of(run):
    return {row.metric: row.value for row in run.result.metrics.itertuples()}


def test_metrics(tmp_path):
    """The last word counts, and what is no number is told as it is."""
    run = sh(tmp_path, "for m in 'accuracy 0.5' 'loss nan' 'accuracy 0.75' 'a/b -inf' 'c inf' 'd -2e-300'; do "
                       "echo metric $m >&3; done")
    survives(run, {})
    found = metrics_of(run)
    assert math.isnan(found.pop("loss"))
    assert found == {"accuracy": 0.75, "a/b": -math.inf, "c": math.inf, "d": -2e-300}


def test_too_many_metrics(tmp_path):
    run = python(tmp_path, MARK + "for i in range(3000): mark(f'metric m{i % 1500} {i}\\n')")
    survives(run, {}, "too many metrics; not all were recorded: m1000 (and 999 more)")
    assert metrics_of(run) == {f"m{i}": i + 1500 for i in range(1000)}


def test_a_flood_is_no_end_of_it(tmp_path):
    """Marks as fast as a shell's pipe takes them, and a time limit that still holds."""
    run = sh(tmp_path, "yes garbage >&3", "--timeout", "1")
    assert run.rc == 1 and not run.left and run.repeat.duration_s < 5, run
    assert run.note.startswith("timeout after 1 s; a line that is no mark: garbage (and "), run
