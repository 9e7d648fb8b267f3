"""What the tests of whole experiments share: hosts with known power, the product's commands on the head,
and the truth beside its numbers."""

import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "scripts" / "python"))
import machine_energy  # noqa: E402

TICK_S = 0.001  # the rig's counters move once a millisecond
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
    """Energy = power x duration to one tick at each edge; mean power to 0.1 %."""
    assert row.exit_status == 0 and row.note == ""
    assert seconds <= row.duration_s < seconds + 5
    assert abs(row.energy_j - power_w * row.duration_s) <= power_w * TICK_S * 2
    assert abs(row.mean_power_w - power_w) <= 0.001 * power_w


def check_samples(cluster, host, result, machine_id, repeat=1, range_uj=262143328850, directory="intel-rapl:0"):
    """Every sample in the file is what the meter held at that moment, to two ticks and the reading's own time."""
    series = result.series(machine_id, repeat)
    power_w = float(host.meter_state()[directory]["power_uw"]) / 1e6
    assert len(series) >= 10
    off = []
    for stamp, value in zip(series.index.astype("int64"), series["package-0"]):
        true_uj = host.energy_uj(directory, int(stamp) - UNIX_MINUS_MONO_NS) % range_uj
        error = abs(value - true_uj)
        off.append(min(error, range_uj - error) / 1e6 / power_w)  # as seconds of its power
    # The clocks' offset is known to the drift between two looks at them, some tens of microseconds.
    assert sorted(off)[len(off) // 2] <= 2 * TICK_S, max(off)
    assert max(off) <= 0.05, max(off)
