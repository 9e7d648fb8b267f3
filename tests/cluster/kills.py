"""Kills of all kinds at random instants of a run on three machines, and what must be true afterwards. For a seed all is
the same but the instant's microseconds. test_torture.py runs some seeds, scripts/torture as many as wanted."""

import os
import random
import signal
import subprocess
import time
from collections import namedtuple
from pathlib import Path

import me_test
from cluster import Cluster
from experiment import MACHINES, nothing_runs, ours, read, runs, three

STATE = "/root/.local/state/machine-energy"
POWERS = {1: 50, 2: 80, 3: 120}
REPEATS, SECONDS = 4, 0.7
LOST_AFTER = 4
# A process of its own beside it, which must go too; and a line a repeat, which must be in the logs.
COMMAND = f"sh -c 'echo repeat $ME_REPEAT; sleep 63 & exec sleep {SECONDS}'"
# What a machine that is reached need not keep up with: Open MPI sees a dead line after so many seconds.
BOUND_S = 60
PARTS = ("rank", "workload", "guard", "daemon", "mpirun", "head", "me run", "head's link", "link", "host stopped",
         "head stopped", "rank stopped", "disk full")

Outcome = namedtuple("Outcome", "seed part where at_s what ended lost recovered resumed seconds wrong")


def raise_ground(folder):
    """Three machines, ready."""
    c = Cluster(folder, three()).up()
    config = c.write_config([c[name].machine(number, login="key") for number, name in enumerate(MACHINES, 1)])
    c.head.run(["me", "hosts", config], check=True, timeout=120)
    hasten(c)
    return c


def hasten(c):
    """Shorter waits of Open MPI and ssh than users have."""
    c.head.sh("sed -i \"s/sigkill_timeout='2'/sigkill_timeout='1'/; s/keepalive_time='10'/keepalive_time='3'/; "
              "s/keepalive_intvl='5'/keepalive_intvl='1'/\" gen.hosts.d/env && "
              "sed -i 's/ServerAliveInterval 5/ServerAliveInterval 1/' gen.hosts.d/ssh_config", check=True)


def begin(c, name, resume=False):
    words = [name, "--resume"] if resume else ["config.json", name, "--repeats", str(REPEATS), "--lost-after",
                                               str(LOST_AFTER), "--", COMMAND]
    # me run prepares the machines anew, with its own waits.
    # What stays behind must not keep us waiting by holding a pipe.
    return c.head.popen(["bash", "-c", f"exec me run {' '.join(words)} > {name}.said 2>&1"])


def find(host, *begins):
    return [pid for pid, line in host.processes().items() if line.startswith(begins)]


def kill(host, number, *begins):
    found = find(host, *begins)
    for pid in found:
        host.run(["kill", f"-{int(number)}", str(pid)])
    return found


OURS = ("me_bench", "me_guard", "orted", "mpirun", "me run", "sleep ", "sh -c export ME_MACHINE_ID", "me_watcher",
        "sh -c echo")


class Trouble:
    """One kill. undo() puts right what the test's ground needs, as a person would before the next run."""

    def __init__(self, c, rng):
        self.c, self.part = c, rng.choice(PARTS)
        self.name = rng.choice(MACHINES)
        self.host = c.head if self.part in ("mpirun", "head", "me run", "head stopped") else c[self.name]
        self.where = "head" if self.host is c.head else self.name
        self.undoes = []

    def make(self):
        host, c = self.host, self.c
        if self.part == "rank":
            return kill(host, signal.SIGKILL, "me_bench ")
        if self.part == "workload":
            return kill(host, signal.SIGKILL, f"sleep {SECONDS}")
        if self.part == "guard":
            return kill(host, signal.SIGKILL, "me_guard ")
        if self.part == "daemon":
            return kill(host, signal.SIGKILL, "orted ")
        if self.part == "mpirun":
            return kill(host, signal.SIGKILL, "mpirun ")
        if self.part == "head":  # rank 0
            return kill(host, signal.SIGKILL, "me_bench ")
        if self.part == "me run":
            return kill(host, signal.SIGKILL, "me run ")
        if self.part == "rank stopped":
            return kill(host, signal.SIGSTOP, "me_bench ")
        if self.part in ("host stopped", "head stopped"):
            found = kill(host, signal.SIGSTOP, *OURS)
            self.undoes.append(lambda: [host.run(["kill", "-CONT", str(pid)]) for pid in found])
            return found
        if self.part == "disk full":
            host.sh("mkdir -p /root/.local && cat /dev/zero > /root/.local/fill")
            self.undoes.append(lambda: host.run(["rm", "-f", "/root/.local/fill"]))
            return ["full"]
        hosts = [c[self.name]] if self.part == "link" else list(c.hosts.values())  # the head's: none reaches it
        for one in hosts:
            one.link(False)
            self.undoes.append(lambda one=one: one.link(True))
        return [one.name for one in hosts]

    def undo(self):
        for undo in self.undoes:
            undo()
        self.undoes = []


def left_over(c):
    found = []
    for host in (c.head, *c.hosts.values()):
        folder = host.path(STATE)
        found += [f"{host.name}:{path.name}" for path in folder.iterdir()] if folder.exists() else []
        found += [f"{host.name}:{path.name}" for path in host.path("/tmp").glob("me-[0-9a-f]*-[0-9]*-*")]
    return found


def check_result(c, name, wrong, at_least=None):
    """What is in the result is true: every repeat that has an energy has that of the meter. Returns the repeats that
    are whole: {machine: [numbers]}."""
    path = Path(c.work, name, f"{name}.h5")
    if not path.exists():
        return {}
    said = subprocess.run(["h5dump", path], capture_output=True, text=True, check=False)
    if said.returncode:
        wrong.append(f"h5dump: {said.stderr[-200:]}")
        return {}
    result, whole = read(c, name), {}
    for number, power_w in POWERS.items():
        whole[number] = []
        for row in runs(result, number).itertuples():
            if row.energy_j != row.energy_j:
                if not row.note:
                    wrong.append(f"machine {number} repeat {row.repeat}: no energy and no reason")
                continue
            if abs(row.energy_j - power_w * row.duration_s) > power_w * 0.004:
                wrong.append(f"machine {number} repeat {row.repeat}: {row.energy_j} J in {row.duration_s} s")
            if row.exit_status == 0 and not row.note.startswith("interrupted"):
                whole[number].append(row.repeat)
                if row.duration_s < SECONDS:
                    wrong.append(f"machine {number} repeat {row.repeat}: only {row.duration_s} s")
                log = Path(c.work, name, "logs", f"machine{number}-repeat{row.repeat}.out")
                if not log.exists() or log.read_text() != f"repeat {row.repeat}\n":
                    wrong.append(f"{log.name} is not there")
    for number, repeats in (at_least or {}).items():
        missing = set(repeats) - set(whole.get(number, []))
        if missing:
            wrong.append(f"machine {number}: repeats {sorted(missing)} had ended and are lost")
    return whole


def ended_repeats(c):
    """What the journals hold now, by machine: nothing of it may be lost from here on."""
    ended = {}
    for number, name in enumerate(MACHINES, 1):
        folder = c[name].path(STATE)
        for path in folder.glob(f"*-{number}.mej") if folder.exists() else ():
            said = me_test.run([me_test.program("tests/read_journal"), path])
            spans = [span.split("/") for span in said.out.split()[3:]] if said.rc == 0 else []
            ended[number] = [int(repeat) for phase, repeat, *_ in spans if phase == "run"]
    return ended


def finish(run, bound_s):
    """Its exit status, or None if it did not end in time."""
    try:
        run.wait(timeout=bound_s)
    except subprocess.TimeoutExpired:
        return None
    return run.returncode


def one(c, seed):
    """A run with one kill; then a recovery where that is a person's to start, and the rest by --resume. All in order:
    Outcome.wrong is empty."""
    rng, name, wrong = random.Random(seed), f"t{seed}", []
    trouble = Trouble(c, rng)
    begun = time.monotonic()
    run = begin(c, name)
    at_s = rng.uniform(0, REPEATS * (SECONDS + 0.05))
    plan = Path(c.work, name, "plan.json")
    me_test.wait_until(lambda: plan.exists() or run.poll() is not None, 30)
    if rng.random() < 0.15:  # while it still starts
        at_s = 0
    time.sleep(at_s)
    ended = ended_repeats(c)
    what = trouble.make()
    struck = time.monotonic()
    held_up = trouble.part in ("head stopped",)  # nothing of the head moves until a person helps
    if held_up:
        if not me_test.wait_until(lambda: nothing_runs(c, MACHINES), LOST_AFTER + 16):
            wrong.append(f"after the head's silence of {LOST_AFTER + 16} s there still run {ours(c, MACHINES)}")
        trouble.undo()
        os.kill(run.pid, signal.SIGCONT)  # nsenter stops with what it started
    rc = finish(run, BOUND_S)
    ended_s = time.monotonic() - struck
    if rc is None:
        wrong.append(f"did not end within {BOUND_S} s: {ours(c)}")
        me_test.kill_group(run)
        run.wait()
        kill(c.head, signal.SIGKILL, "mpirun ", "me_bench ", "me run ")
    trouble.undo()
    me_test.wait_until(lambda: not find(c.head, "mpirun ", "me_bench "), 30)  # me run alone was killed
    lost = count_missing(c, name)
    recovered = resumed = "-"
    if plan.exists():
        said = c.head.run(["me", "recover", name], timeout=120)
        recovered = said.rc
        if said.rc not in (0, 1):
            wrong.append(f"me recover: {said.rc}: {said.err[-300:]}")
        if not me_test.wait_until(lambda: nothing_runs(c), 15):
            wrong.append(f"still runs: {ours(c)}")
        whole = check_result(c, name, wrong, ended)
        lost = REPEATS * len(POWERS) - sum(map(len, whole.values()))
        said = c.head.run(["me", "run", name, "--resume"], timeout=120)
        resumed = said.rc
        whole = check_result(c, name, wrong, whole)
        good = {number: list(range(1, REPEATS + 1)) for number in POWERS}
        failed = trouble.part in ("workload", "disk full")  # a repeat that failed has ended, and is not run again
        if {n: sorted(r) for n, r in whole.items()} != good and not failed:
            wrong.append(f"after --resume {whole}: {said.err[-600:]}")
        if said.rc != 0 and not failed:
            wrong.append(f"--resume ended with {said.rc}: {said.err[-600:]}")
    if not me_test.wait_until(lambda: nothing_runs(c), 15):
        wrong.append(f"still runs: {ours(c)}")
    if left_over(c):
        wrong.append(f"left: {left_over(c)}")
    files = [str(path.relative_to(c.work)) for path in Path(c.work, name).rglob("*") if path.is_file()]
    odd = [path for path in files if "/logs/" not in path and Path(path).name not in (f"{name}.h5", "plan.json")]
    if odd:
        wrong.append(f"in the experiment's folder: {odd}")
    if wrong:
        clear(c)
    return Outcome(seed, trouble.part, trouble.where, at_s, what, "never" if rc is None else f"{rc} in {ended_s:.0f} s",
                   lost, recovered, resumed, time.monotonic() - begun, wrong)


def count_missing(c, name):
    return REPEATS * len(POWERS) - sum(map(len, check_result(c, name, []).values()))


def clear(c):
    """After a fault, so that the next seed shows its own."""
    for host in (c.head, *c.hosts.values()):
        kill(host, signal.SIGKILL, *OURS)
        host.run(["rm", "-rf", STATE])
    me_test.wait_until(lambda: nothing_runs(c), 10)


HEADLINE = (f"{'seed':>5}  {'killed':<13}{'where':<6}{'at s':>5}  {'run ended':<12}{'lost':>5}{'recover':>8}"
            f"{'resume':>7}{'s':>5}")


def line(outcome):
    o = outcome
    text = (f"{o.seed:>5}  {o.part:<13}{o.where:<6}{o.at_s:>5.2f}  {o.ended:<12}{o.lost:>5}{o.recovered!s:>8}"
            f"{o.resumed!s:>7}{o.seconds:>5.0f}")
    return text + "".join(f"\n       WRONG: {wrong[:700]}" for wrong in o.wrong)


def main(first, count, folder):
    """Prints the table; the exit status."""
    print(HEADLINE, flush=True)
    outcomes = []
    c = raise_ground(folder)
    try:
        for seed in range(first, first + count):
            outcomes.append(one(c, seed))
            print(line(outcomes[-1]), flush=True)
    finally:
        c.down()
    bad = [o.seed for o in outcomes if o.wrong]
    struck = sum(1 for o in outcomes if o.what)
    again = sum(outcome.lost for outcome in outcomes)
    print(f"{len(outcomes)} runs, in {struck} of them something was killed; {again} repeats had not ended and were measured "
          f"again;", f"faults in seeds {bad}" if bad else "no ended repeat was lost, nothing was left behind")
    return 1 if bad else 0
