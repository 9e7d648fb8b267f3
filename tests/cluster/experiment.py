"""What the tests of whole experiments share: hosts with known power, the product's commands on the head,
and the truth beside its numbers."""

import sys
import time
from collections import namedtuple
from pathlib import Path

import me_test
from cluster import HostSpec, zone

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "scripts" / "python"))
import machine_energy  # noqa: E402

TICK_S = 0.001  # the rig's counters move once a millisecond
READING_S = 0.0005  # two edges, each half of the longest reading that the sampler takes
# Unix time of the samples against CLOCK_MONOTONIC of the rig: one machine, one offset.
UNIX_MINUS_MONO_NS = time.time_ns() - time.monotonic_ns()


def read(cluster, name="exp1"):
    return machine_energy.read(Path(cluster.work, name, f"{name}.h5"))


def runs(result, machine_id):
    """The repeats of a machine, in order."""
    rows = result.repeats[(result.repeats.machine_id == machine_id) & (result.repeats.phase == "run")]
    return rows.sort_values("repeat")


def launch(cluster, *words, name="exp1", check=True, timeout=120):
    """. gen.hosts.d/env && mpirun -hostfile gen.hosts me_bench NAME WORDS"""
    command = " ".join(["mpirun -hostfile gen.hosts me_bench", name, *words])
    return cluster.head.sh(f". gen.hosts.d/env && {command}", check=check, timeout=timeout)


def check_energy(row, power_w, seconds):
    """Energy = power x duration to one tick and the reading's own time; mean power to 0.1 %, or a tick where
    that is more."""
    assert row.exit_status == 0 and row.note == ""
    assert seconds <= row.duration_s < seconds + 5
    assert abs(row.energy_j - power_w * row.duration_s) <= power_w * (TICK_S + READING_S)
    assert abs(row.mean_power_w - power_w) <= max(0.001, TICK_S / row.duration_s) * power_w


def check_samples(cluster, host, result, machine_id, repeat=1, range_uj=262143328850, directory="intel-rapl:0"):
    """Every sample in the file is what the meter held at that moment, to two ticks and the reading's own time."""
    series = result.series(machine_id, repeat)["package-0"].dropna()  # slow sources have samples of their own
    power_w = float(host.meter_state()[directory]["power_uw"]) / 1e6
    assert len(series) >= 10
    off = []
    for stamp, value in zip(series.index.astype("int64"), series):
        true_uj = host.energy_uj(directory, int(stamp) - UNIX_MINUS_MONO_NS) % range_uj
        error = abs(value - true_uj)
        off.append(min(error, range_uj - error) / 1e6 / power_w)  # as seconds of its power
    # The clocks' offset is known to the drift between two looks at them, some tens of microseconds.
    assert sorted(off)[len(off) // 2] <= 2 * TICK_S, max(off)
    assert max(off) <= 0.05, max(off)


# -- trouble ----------------------------------------------------------------------------------------

MACHINES = ("n1", "n2", "n3")
SHORT_THEN_LONG = "sh -c '[ $ME_REPEAT = 1 ] && exec sleep 0.5; sleep 61 & exec sleep 62'"
RUN_2 = "sleep 62"
Journal = namedtuple("Journal", "run_id machine_id samples ended spans")  # spans: (phase, repeat, seconds, joules)


def three():
    return [HostSpec("n1", [zone(power=50)]), HostSpec("n2", [zone(power=80)]), HostSpec("n3", [zone(power=120)])]


def start(cluster, name, command=SHORT_THEN_LONG, repeats=2, options="", before="", until=MACHINES, line=RUN_2):
    """mpirun in the background, once all of `until` are in the second repeat for a moment."""
    words = f"mpirun -hostfile gen.hosts me_bench {name} --repeats {repeats} {options} -- {command}"
    run = cluster.head.popen(["bash", "-c", f". gen.hosts.d/env; {before} exec {words}"])
    if until:
        if not me_test.wait_until(lambda: all(line in cluster[n].processes().values() for n in until), 30):
            me_test.kill_group(run)
            raise AssertionError(f"{name} did not come to its second repeat: {run.communicate()}")
        time.sleep(0.3)  # some of it is measured
    return run


def alone(host, begin, number):
    """Signals the one process of the host whose command line begins so."""
    found = [pid for pid, line in host.processes().items() if line.startswith(begin)]
    assert len(found) == 1, (begin, found)
    host.run(["kill", f"-{int(number)}", str(found[0])], check=True)


def ours(cluster, names=("head", *MACHINES)):
    """What runs on the machines that a run can have started."""
    words = ("sleep ", "me_bench", "orted", "mpirun", "me run", "me_watcher", "me_kernel")
    hosts = [cluster.head if name == "head" else cluster[name] for name in names]
    return [(host.name, line) for host in hosts for line in host.processes().values()
            if any(word in line for word in words)]


def nothing_runs(cluster, names=("head", *MACHINES)):
    return not ours(cluster, names)


def status(result, machine_id):
    return result.machines.set_index("machine_id").status[machine_id]


def journals(host):
    """The journals of the last run that left any on the host, read by the record decoder."""
    folder = host.path("/root/.local/state/machine-energy")
    files = sorted(folder.glob("*.mej"), key=lambda path: path.stat().st_mtime)
    last = files[-1].name.split("-")[0] if files else ""
    found = []
    for path in files:
        if not path.name.startswith(last):
            continue
        said = me_test.run([me_test.program("tests/read_journal"), path], check=True).out.split()
        spans = [span.split("/") for span in said[3:]]
        found.append(Journal(last, int(said[0]), int(said[1]), said[2] == "1",
                             [(phase, int(repeat), float(s), float(j)) for phase, repeat, s, j in spans]))
    return found
