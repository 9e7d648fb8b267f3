"""me_bench in Slurm's jobs: slurmctld, a slurmd on each of four hosts with a known power, munge, PMIx, all real. The
meter that Slurm's own plugin reads is me_rig's too, so that its figure and ours can be held against one truth."""

import json
import re
import time
from pathlib import Path

import me_test
import pytest
from cluster import Cluster, HostSpec, zone
from experiment import check_energy, check_samples, read, runs
from slurm import Slurm

WATTS = {"n1": 50, "n2": 80, "n3": 120, "n4": 200}
SCRIPT = me_test.REPOSITORY / "scripts" / "slurm" / "me_bench.sbatch"
SPIN = "sh -c 'i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done; grep Cpus_allowed_list /proc/self/status'"


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    hosts = [HostSpec(name, [zone(power=watts)]) for name, watts in WATTS.items()]
    with Cluster(tmp_path_factory.mktemp("slurm") / "c", hosts, shared_work=True) as cluster, \
            Slurm(cluster, cpus=2, energy="ibmaem", watts=WATTS) as slurm:
        # Slurm looks at time limits each half a minute: this one runs beside the other tests, the last test looks.
        slurm.limited = slurm.sbatch("-N1", "-w", "n4", "-t1", SCRIPT, "limit", "--repeats", "100", "--", "sleep", "1")
        yield slurm


def done(slurm, job, name, states="COMPLETED"):
    """The result, when the job has ended so."""
    state = slurm.wait(job)
    assert state == states, slurm.said(job)
    return read(slurm.cluster, name)


def by_name(result):
    return result.machines.set_index("name").machine_id


def check_power(result, names, seconds, count=1):
    """Each repeat of the machines against the truth."""
    ids = by_name(result)
    for name in names:
        rows = [row for row in runs(result, ids[name]).itertuples() if row.note == ""]
        assert len(rows) == count, result.repeats
        for row in rows:
            check_energy(row, WATTS[name], seconds)


def report(slurm, name):
    return re.sub(r"\s+", " ", slurm.run(["me", "report", name], check=True).out)


def test_the_script_measures_all_nodes_and_appends_when_submitted_again(slurm):
    words = ["-N3", "-w", "n1,n2,n3", SCRIPT, "exp1", "--repeats", "2", "--", "sleep", "1.5"]
    job = slurm.sbatch(*words)
    result = done(slurm, job, "exp1")
    assert result.attrs["status"] == "complete"
    assert list(result.machines.name) == list(result.machines.host) == ["n1", "n2", "n3"]
    assert list(result.machines.machine_id) == [0, 1, 2]  # as the ranks
    check_power(result, ("n1", "n2", "n3"), 1.5, 2)
    check_samples(slurm.cluster, slurm.cluster["n2"], result, 1)
    row = result.jobs.iloc[0]
    assert (row.job_id, row.cluster, row.partition, row.nodes) == (str(job), "rig", "main", "n[1-3]")
    assert (row.restarts, row.array_task, row.first_repeat, row.last_repeat) == (0, "", 1, 2)
    assert list(result.job_nodes.sharing) == ["no"] * 3 and list(result.job_nodes.cpu_count) == [2] * 3
    # Slurm's own plugin reads once a second: its joules are those of its span, give or take a second at either edge.
    assert row.energy_plugin == "acct_gather_energy/ibmaem" and row.energy_every_s == 1
    ours = result.repeats.energy_j.sum()
    assert row.energy_s >= 3 and ours <= (50 + 80 + 120) * row.energy_s
    assert abs(row.energy_j - 250 * row.energy_s) <= 250 * 1.2
    text = report(slurm, "exp1")
    assert f"{job}, cluster rig, partition main, nodes n[1-3]: repeats 1 to 2" in text
    assert f"Slurm's own figure (acct_gather_energy/ibmaem, whole nodes, read every 1 s): {row.energy_j:.5g} J" in text
    assert "SHARED" not in text

    # Again, on other nodes: repeats behind those that are there, machines by what they are, not by their rank.
    again = slurm.sbatch("-N2", "-w", "n2,n3", SCRIPT, "exp1", "--repeats", "1", "--", "sleep", "1.5")
    result = done(slurm, again, "exp1")
    assert list(result.machines.name) == ["n1", "n2", "n3"]
    check_power(result, ("n1",), 1.5, 2)
    check_power(result, ("n2", "n3"), 1.5, 3)
    assert list(result.jobs.job_id) == [str(job), str(again)] and list(result.jobs.first_repeat) == [1, 3]
    # Another work is refused before anything is run.
    other = slurm.sbatch("-N1", SCRIPT, "exp1", "--", "sleep", "0.1")
    done(slurm, other, "exp1", "FAILED")
    assert "must run the same again" in slurm.said(other)
    assert len(read(slurm.cluster, "exp1").jobs) == 2


def test_srun_with_more_tasks_than_nodes(slurm):
    said = slurm.run(["srun", "-N2", "-n3", "-w", "n1,n2", "--mpi=pmix", "me_bench", "more", "--", "sleep", "1"],
                     check=True).err
    assert said.count("1 of 3 tasks stands aside: one measures on each of the 2 machines") == 1
    result = read(slurm.cluster, "more")
    assert list(result.machines.name) == ["n1", "n2"]
    check_power(result, ("n1", "n2"), 1)


def test_mpirun_and_a_plan_from_the_folder(slurm):
    """No workload is named: what runs stands in plan.json; the line goes over its options."""
    plan = json.loads(read(slurm.cluster, "more").attrs["plan"])
    folder = Path(slurm.cluster.work, "planned")
    folder.mkdir()
    plan.update(command=["sh", "-c", "sleep 0.7; echo planned"], repeats=3)
    (folder / "plan.json").write_text(json.dumps(plan))
    script = Path(slurm.cluster.work, "mpirun.sh")
    script.write_text("#!/bin/sh\nexec mpirun me_bench planned --repeats 2\n")
    job = slurm.sbatch("-N2", "-n2", "-c2", "-w", "n2,n3", script)
    result = done(slurm, job, "planned")
    assert result.attrs["command"] == "'sh' '-c' 'sleep 0.7; echo planned'"
    check_power(result, ("n2", "n3"), 0.7, 2)
    row = result.jobs.iloc[0]
    assert row.job_id == str(job) and row.nodes == "n[2-3]" and (row.energy_j != row.energy_j)  # no step of its own
    assert (folder / "logs" / "machine1-repeat2.out").read_text() == "planned\n"


def test_two_jobs_on_one_node(slurm):
    """Each gets its own processor, and is told that the node's energy is not its alone."""
    jobs = {name: slurm.sbatch("-N1", "-n1", "-w", "n1", "--wrap", f"srun me_bench {name} -- {SPIN}")
            for name in ("left", "right")}
    results = {name: done(slurm, job, name) for name, job in jobs.items()}
    seen = set()
    for name, other in (("left", "right"), ("right", "left")):
        node, row = results[name].job_nodes.iloc[0], runs(results[name], 0).iloc[0]
        assert (node.sharing, node.shared_with, node.cpu_count, node.node_cpus) == ("yes", str(jobs[other]), 1, 2)
        check_energy(row, 50, 0.1)  # the node's
        assert 0.1 < row.cpu_share < 0.95
        busy = results[name].activities.query("channel == 'cpu-busy' and phase == 'run'").value.iloc[0]
        assert row.cpu_share == pytest.approx(min(1, row.cpu_s * 1e9 / busy))
        text = report(slurm, name)
        assert f"shared with {jobs[other]}; by CPU time its share was {100 * row.cpu_share:.0f} %" in text
        said = Path(slurm.cluster.work, name, "logs", "machine0-repeat1.out").read_text()
        seen.add(said.split()[1])
    assert len(seen) == 2 and all(cpu.isdigit() for cpu in seen), seen


def test_tasks_of_an_array_that_end_at_once(slurm):
    """Nobody says --append: the first that ends makes the experiment, the other adds to it."""
    gate = Path(slurm.cluster.work, "gate")
    job = slurm.sbatch("--array=1-2", "-N1", "-n1", "-c2", "-x", "n4", "--wrap",
                       f"srun me_bench arr -- sh -c 'touch {gate}$SLURM_ARRAY_TASK_ID; "
                       f"until [ -e {gate}1 -a -e {gate}2 ]; do sleep 0.01; done; sleep 1'")
    tasks = slurm.tasks(job)
    assert len(tasks) == 2
    for task in tasks:
        assert slurm.wait(task) == "COMPLETED", slurm.said(task)
    result = read(slurm.cluster, "arr")
    assert result.attrs["status"] == "complete"
    assert sorted(result.jobs.array_task) == ["1", "2"] and set(result.jobs.array_job) == {str(job)}
    assert sorted(result.jobs.first_repeat) == [1, 2] and len(result.machines) == 2
    for name, machine in by_name(result).items():
        (row,) = runs(result, machine).itertuples()
        assert abs(row.mean_power_w - WATTS[name]) <= 0.001 * WATTS[name]


def in_repeat(slurm, name, number, hosts):
    """Waits until the hosts are in that repeat for a moment."""
    def is_there():
        return all(f"sleep 1.{number}" in slurm.cluster[host].processes().values() for host in hosts)
    assert me_test.wait_until(is_there, 40), (name, slurm.logs())
    time.sleep(0.3)


def test_scancel_keeps_what_was_measured(slurm):
    job = slurm.sbatch("-N2", "-w", "n1,n2", SCRIPT, "cancelled", "--repeats", "3", "--", "sh", "-c",
                       "exec sleep 1.$ME_REPEAT")
    in_repeat(slurm, "cancelled", 2, ("n1", "n2"))
    slurm.run(["scancel", str(job)], check=True)
    assert slurm.wait(job) == "CANCELLED"
    assert me_test.wait_until(lambda: "interrupted; see" in slurm.said(job), 30), slurm.said(job)
    result = read(slurm.cluster, "cancelled")
    assert result.attrs["status"] == "interrupted" and set(result.machines.status) == {"interrupted"}
    check_power(result, ("n1", "n2"), 1.1)
    cut = result.repeats[result.repeats.repeat == 2]
    assert list(cut.note) == ["interrupted"] * 2 and (cut.duration_s < 1.2).all()
    assert (abs(cut.mean_power_w - [50, 80]) < 0.4).all()
    assert list(result.jobs.last_repeat) == [2]


def test_a_preempted_job_is_requeued_and_goes_on(slurm):
    job = slurm.sbatch("-N2", "-w", "n1,n2", "-p", "low", SCRIPT, "again", "--repeats", "3", "--", "sh", "-c",
                       "exec sleep 1.$ME_REPEAT")
    in_repeat(slurm, "again", 2, ("n1", "n2"))
    urgent = slurm.sbatch("-N1", "-n2", "-w", "n1", "-p", "main", "--wrap", "true")
    assert slurm.wait(urgent) == "COMPLETED"
    slurm.hurry(job)
    result = done(slurm, job, "again")
    assert "was requeued and goes on: 1 of its 3 repeats had been measured" in slurm.said(job)
    assert result.attrs["status"] == "complete" and set(result.machines.status) == {"ok"}
    ids = by_name(result)
    for name in ("n1", "n2"):
        rows = list(runs(result, ids[name]).itertuples())
        assert [row.note for row in rows] == ["", "interrupted", "", ""], slurm.said(job)
        assert [row.repeat for row in rows] == [1, 2, 3, 4]
        for row in (rows[0], *rows[2:]):
            check_energy(row, WATTS[name], 1.1)
    assert list(result.jobs.job_id) == [str(job)] * 2 and list(result.jobs.restarts) == [0, 1]
    assert "requeued once: repeats 3 to 4" in report(slurm, "again")


def test_a_requeued_job_that_had_measured_all(slurm):
    job = slurm.sbatch("-N1", "-n1", "-w", "n3", "--open-mode=append", "--wrap",
                       "srun me_bench all -- sleep 0.5 && [ -n \"$SLURM_RESTART_COUNT\" ] || sleep 60")
    assert me_test.wait_until(lambda: "complete; see" in slurm.said(job), 30), slurm.said(job)
    slurm.run(["scontrol", "requeue", str(job)], check=True)
    assert me_test.wait_until(lambda: slurm.state(job) == "PENDING", 20), slurm.show(job)
    slurm.hurry(job)
    result = done(slurm, job, "all")
    assert "1 of its 1 repeat had been measured" in slurm.said(job) and "nothing is missing" in slurm.said(job)
    assert len(result.jobs) == 1 and len(runs(result, 0)) == 1 and result.attrs["status"] == "complete"


def test_the_time_limit_is_told_before(slurm):
    """--signal of the script: the job ends by itself, with all that it measured."""
    assert slurm.wait(slurm.limited, 70) == "FAILED", slurm.said(slurm.limited)  # exit code 1: not all is measured
    result = read(slurm.cluster, "limit")
    assert result.attrs["status"] == "interrupted"
    rows = list(runs(result, 0).itertuples())
    assert len(rows) >= 2 and [row.note for row in rows[:-1]] == [""] * (len(rows) - 1)
    for row in rows[:-1]:
        check_energy(row, 200, 1)


def test_nothing_is_left(slurm):
    words = ("me_bench", "sleep 1", "me_kernel", "mpirun", "orted")
    for host in slurm.cluster.hosts.values():
        assert me_test.wait_until(
            lambda: not [line for line in host.processes().values() if any(word in line for word in words)]), host.name
        assert not list(host.path("/root/.local/state").glob("machine-energy/*.mej")), host.name
    assert not list(Path(slurm.cluster.work).glob("*/*.lock")) and not list(Path(slurm.cluster.work).glob("*/.*"))
