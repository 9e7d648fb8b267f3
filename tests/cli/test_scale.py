"""Many ranks on this machine, each with a boot id and a meter of its own."""
import os
import pathlib
import sys

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["ME_BUILD"])
sys.path.insert(0, str(TOP / "tests" / "lib"))
sys.path.insert(0, str(TOP / "scripts" / "python"))
import me_test  # noqa: E402
import machine_energy  # noqa: E402

MANY = 256
# What Open MPI needs to start so many on one machine is most of the time; small segments of shared memory halve it.
LIGHT = ["--mca", "pml", "ob1", "--mca", "btl", "self,vader", "--mca", "btl_vader_segment_size", "262144",
         "--mca", "btl_vader_single_copy_mechanism", "none", "--mca", "coll", "basic,self,libnbc"]


def machine(root, number):
    """A recorded machine with a meter that shows 50 W and its number."""
    for name, text in (("proc/sys/kernel/random/boot_id", f"00000000-0000-4000-8000-{number:012d}"),
                       ("sys/class/hwmon/hwmon0/name", "power_meter"),
                       ("sys/class/hwmon/hwmon0/power1_average", f"{50 + number}000000"),
                       ("sys/class/hwmon/hwmon0/power1_average_interval", "20")):
        path = root / str(number) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")


@pytest.fixture
def env(tmp_path):
    return {**os.environ, "PATH": f"{BUILD}:{os.environ['PATH']}", "XDG_STATE_HOME": str(tmp_path / "state"),
            "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


def test_256_machines(env, tmp_path):
    for number in range(MANY):
        machine(tmp_path / "roots", number)
    rank = f"ME_ROOT={tmp_path}/roots/$OMPI_COMM_WORLD_RANK exec me_bench exp1 --progress none -- sleep 0.3"
    done = me_test.run(["mpirun", "--oversubscribe", *LIGHT, "-n", str(MANY), "sh", "-c", rank], env=env, cwd=tmp_path,
                       timeout=250)
    assert done.rc == 0, done.err
    result = machine_energy.read(tmp_path / "exp1")
    assert list(result.machines.machine_id) == list(range(MANY)) and set(result.machines.status) == {"ok"}
    assert result.machines.boot_id.nunique() == MANY
    assert result.attrs["status"] == "complete" and len(result.repeats) == MANY
    watts = result.repeats.mean_power_w - result.repeats.machine_id
    assert watts.between(49.99, 50.01).all()  # each from its own meter
    assert result.series_keys == [(number, 1) for number in range(MANY)]
    # All clocks are one: what was measured is as near to 0 as it says. Of so many on two cores not each is answered in time.
    machines = result.machines
    for when in "start", "end":
        offset, bound = machines[f"clock_offset_{when}_s"], machines[f"clock_bound_{when}_s"]
        assert ((offset.abs() <= bound + 1e-6) | offset.isna()).all() and offset[0] < 1e-3
    assert not list((tmp_path / "state").rglob("*.mej")) and len(list((tmp_path / "exp1").iterdir())) == 2
