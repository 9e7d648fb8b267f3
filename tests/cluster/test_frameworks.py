"""Keras and PyTorch Lightning on two machines at once: what is compared is the energy of the training, and the
imports before it are not in it."""

import os
from pathlib import Path

import me_test
import pytest
from cluster import Cluster, HostSpec, zone
from experiment import READING_S, TICK_S, launch, read

POWER_W = {1: 50, 2: 80}
SAMPLES = 6000
EPOCHS = 3
# The marks' edges are read as they come, up to a tick late each.
EDGES_S = 2 * (TICK_S + READING_S)


def frameworks_dir():
    folder = Path(os.environ.get("ME_FRAMEWORKS_DIR") or Path.home() / ".local/share/machine-energy/frameworks")
    for name in ("keras", "pl"):
        assert (folder / name / "bin/python").exists(), f"{folder} has no {name}: run scripts/install-framework keras pl"
    return folder


def two(system_wide):
    """Both find the environments where all users of a machine may have them."""
    return [HostSpec(name, [zone(power=power)], binds={"/usr/local/share": system_wide})
            for name, power in (("n1", POWER_W[1]), ("n2", POWER_W[2]))]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frameworks")
    system_wide = folder / "share"
    (system_wide / "machine-energy").mkdir(parents=True)
    (system_wide / "machine-energy/frameworks").symlink_to(frameworks_dir())
    with Cluster(folder / "c", two(system_wide), share=[frameworks_dir(), system_wide]) as c:
        config = c.write_config([c["n1"].machine(1, login="key", name="small", grid_gco2_per_kwh=400),
                                 c["n2"].machine(2, login="key", name="large", grid_gco2_per_kwh=100)])
        c.hosts_said = c.head.run(["me", "hosts", config, "--framework", "keras,pl"], check=True, timeout=120)
        launch(c, "--framework", "keras,pl", "--samples", str(SAMPLES), timeout=300)
        c.report_said = c.head.run(["me", "report", "exp1"], check=True)
        yield c


def rows(done, machine_id, workload):
    """The run of a workload on a machine, and its regions by name."""
    result = read(done)
    runs = result.repeats[(result.repeats.machine_id == machine_id) & (result.repeats.phase == "run")
                          & (result.repeats.workload == workload)]
    assert len(runs) == 1
    run = runs.iloc[0]
    regions = result.regions[(result.regions.machine_id == machine_id) & (result.regions["repeat"] == run["repeat"])]
    return run, regions.set_index("region")


@pytest.mark.parametrize("workload", ["keras", "pl"])
@pytest.mark.parametrize("machine_id", [1, 2])
def test_the_training_is_power_times_duration_and_without_the_imports(done, machine_id, workload):
    run, regions = rows(done, machine_id, workload)
    train, imports = regions.loc["train"], regions.loc["import"]
    power_w = POWER_W[machine_id]
    assert run.exit_status == 0
    assert run.note == "" or run.note.startswith("marks waited"), "two machines share these cores"
    assert abs(train.energy_j - power_w * train.duration_s) <= power_w * EDGES_S
    assert abs(run.energy_j - power_w * run.duration_s) <= power_w * EDGES_S
    assert imports.duration_s > 0.3, "importing such a framework takes its time"
    assert train.duration_s <= run.duration_s - imports.duration_s
    assert run.energy_j - train.energy_j >= imports.energy_j - power_w * EDGES_S


@pytest.mark.parametrize("workload,floor", [("keras", 0.70), ("pl", 0.23)])
def test_the_training_is_what_is_compared(done, workload, floor):
    summary = read(done).summary
    summary = summary[summary.workload == workload].set_index("machine_id")
    assert sorted(summary.index) == [1, 2] and set(summary.region) == {"train"}
    for machine_id in (1, 2):
        _, regions = rows(done, machine_id, workload)
        row, train = summary.loc[machine_id], regions.loc["train"]
        assert row.energy_mean_j == train.energy_j and row.duration_mean_s == train.duration_s
        assert row.work_unit == "samples"
        assert row.j_per_work == pytest.approx(train.energy_j / (SAMPLES * EPOCHS), rel=1e-9)
        assert row.g_per_work == pytest.approx(row.carbon_mean_g / (SAMPLES * EPOCHS), rel=1e-9)
        assert row.accuracy > floor and 0 < row.loss < 2.3
    assert summary.place[1] == (1 if summary.energy_mean_j[1] < summary.energy_mean_j[2] else 2)
    assert summary.group[1] == summary.group[2]


def test_the_report_names_both(done):
    said = done.report_said.out
    assert "keras" in said and "pl" in said and "train" in said and "accuracy" in said


def test_a_machine_without_the_framework_is_a_line_before_the_run(done):
    said = done.head.run(["me", "hosts", "config.json", "--framework", "jax", "-o", "other.hosts"], timeout=120,
                         env={"ME_FRAMEWORKS_DIR": "/nowhere"})
    if (frameworks_dir() / "jax").exists():  # there it runs on both
        assert said.rc == 0
    bench = done.head.sh(". gen.hosts.d/env && mpirun -hostfile gen.hosts -x ME_FRAMEWORKS_DIR=/nowhere "
                         "me_bench exp2 --framework sklearn --python /usr/bin/python3", timeout=60)
    assert bench.rc == 2, bench
    assert "small (machine 1)" in bench.err and "large (machine 2)" in bench.err
    assert bench.err.count("sklearn is not installed for /usr/bin/python3: run scripts/install-framework sklearn") == 2
    assert not Path(done.work, "exp2").exists()
    assert me_test.wait_until(lambda: not [line for host in (done.head, done["n1"], done["n2"])
                                           for line in host.processes().values() if "me_bench" in line])
