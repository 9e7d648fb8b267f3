"""What a mark costs a Python program. Prints a line a case; run by scripts/bench."""
import os
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts" / "python"))
import machine_energy as me  # noqa: E402

MANY, ROUNDS, SPACED = 1000, 300, 2000
LINE = b"begin train/batch\n"


def bare_write():
    os.write(FD, LINE)


def with_region():
    with me.region("train/batch"):
        pass


def begin():
    me.begin("train/batch")


def metric():
    me.metric("accuracy", 0.8742)


@me.region("train/batch")
def decorated():
    pass


def nothing():
    pass


def many_ns(make, marks):
    means = []
    for _ in range(ROUNDS):  # short ones, so that most are not interrupted by what else runs here
        start = time.perf_counter_ns()
        for _ in range(MANY):
            make()
        means.append((time.perf_counter_ns() - start) / MANY)
    return statistics.median(means) / marks


def spaced_ns(make, marks):
    taken = []
    for _ in range(SPACED):
        time.sleep(0.001)
        start = time.perf_counter_ns()
        make()
        taken.append(time.perf_counter_ns() - start)
    return statistics.median(taken) / marks


def measure(what, make, marks=1):
    text = f"  {what:<52} {many_ns(make, marks):9.0f} ns"
    if me.active():
        text += f"   {spaced_ns(make, marks):9.0f} ns"
    print(text)


FD = int(os.environ.get("ME_MARK_FD", "-1"))
measure("Python: a call of an empty function", nothing)
if me.active():
    measure("Python: os.write() of a mark's bytes", bare_write)
measure("Python: with region(...), half of it", with_region, 2)
measure("Python: @region(...), half of a call", decorated, 2)
measure("Python: begin(...)", begin)
measure("Python: metric(...)", metric)
