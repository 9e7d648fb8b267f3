"""me_bench as people start it: by mpirun on this machine. No config, so every node is a machine."""
import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

BUILD = pathlib.Path(os.environ["ME_BUILD"])
TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "scripts" / "python"), str(TOP / "tests" / "lib")]
import machine_energy  # noqa: E402
from me_test import wait_until  # noqa: E402


@pytest.fixture
def env(tmp_path):
    names = ("PATH", "LANG")
    clean = {name: os.environ[name] for name in names if name in os.environ}
    clean["PATH"] = f"{BUILD}:{clean['PATH']}"
    clean["HOME"] = str(tmp_path)
    clean["OMPI_ALLOW_RUN_AS_ROOT"] = clean["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1"
    return clean


def mpirun(env, tmp_path, *args, ranks=1, timeout=60, **more):
    argv = ["mpirun", "--oversubscribe", "-n", str(ranks), "me_bench", *args]
    return subprocess.run(argv, env=env, cwd=tmp_path, timeout=timeout, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, **more)


def processes_with(marker):
    """Process ids whose command line holds the marker."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if marker.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            pass
    return found


def test_several_ranks_of_one_machine_count_once(env, tmp_path):
    done = mpirun(env, tmp_path, "exp", "--", "sleep", "0.5", ranks=3)
    assert done.returncode == 0, done.stderr
    result = machine_energy.read(tmp_path / "exp" / "exp.h5")
    assert len(result.machines) == 1
    runs = result.repeats[result.repeats.phase == "run"]
    assert len(runs) == 1
    assert result.machines.status[0] == "ok"


def test_modelled_energy_says_so(env, tmp_path):
    if list(pathlib.Path("/sys/class/powercap").glob("*/energy_uj")):
        env["ME_TEST_NOTE"] = "this machine has counters"
    done = mpirun(env, tmp_path, "exp", "--sources", "model", "--", "sleep", "0.3")
    assert done.returncode == 0, done.stderr
    report = subprocess.run(["me", "report", "exp"], env=env, cwd=tmp_path, capture_output=True, text=True)
    assert report.returncode == 0
    assert "modelled" in report.stdout
    result = machine_energy.read(tmp_path / "exp" / "exp.h5")
    assert set(result.summary["class"]) == {"modelled"}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_stop_keeps_what_was_measured(env, tmp_path, how):
    seconds = f"97.{os.getpid() % 1000:03d}{int(how):02d}"  # a sleep that is ours alone
    argv = ["mpirun", "--oversubscribe", "-n", "1", "me_bench", "exp", "--repeats", "3", "--", "sh", "-c",
            f"[ $ME_REPEAT = 1 ] && exec sleep 0.3; exec sleep {seconds}"]
    run = subprocess.Popen(argv, env=env, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert wait_until(lambda: any(p != run.pid for p in processes_with(f"sleep\0{seconds}")), 20), "never started"
        run.send_signal(how)
        said, _ = run.communicate(timeout=30)
    finally:
        run.kill()
    assert run.returncode != 0
    assert not processes_with(f"sleep\0{seconds}")
    result = machine_energy.read(tmp_path / "exp" / "exp.h5")
    assert result.attrs["status"] == "interrupted", said
    runs = result.repeats[result.repeats.phase == "run"].sort_values("repeat")
    assert list(runs.exit_status)[0] == 0 and runs.energy_j.iloc[0] > 0, "the ended repeat is whole"
    assert len(runs) == 2 and runs.note.iloc[1] == "interrupted"
    assert result.summary.n[0] == 1


def test_the_workload_is_followed_while_it_runs(env, tmp_path):
    burn = "timeout 1.5 sh -c 'while :; do :; done'; dd if=/dev/zero of=file bs=64k count=32 conv=fsync; exit 0"
    done = mpirun(env, tmp_path, "exp", "--repeats", "2", "--idle", "0.6", "--cooldown", "0.4", "--", "sh", "-c", burn)
    assert done.returncode == 0, done.stderr
    result = machine_energy.read(tmp_path / "exp" / "exp.h5")
    ours = result.activities[result.activities.channel.str.startswith("workload-")]
    columns = {"workload-cpu": "cpu_s", "workload-switches": "context_switches", "workload-faults": "page_faults",
               "workload-read": "read_bytes", "workload-written": "written_bytes"}
    assert set(ours.channel) == set(columns)
    assert set(result.channels[result.channels.channel.isin(columns)].source) == {"system"}
    for _, run in result.repeats[result.repeats.phase == "run"].iterrows():
        rows = ours[(ours.phase == "run") & (ours["repeat"] == run["repeat"])].set_index("channel")
        for channel, column in columns.items():
            value = rows.value[channel] * (1e-9 if column == "cpu_s" else 1)
            assert 0.5 * run[column] - 1 <= value <= 1.1 * run[column] + 1, (channel, value, run[column])
        assert 0.1 < rows.value["workload-cpu"] * 1e-9 <= os.cpu_count() * run.duration_s + 0.1
    assert (ours[ours.phase == "idle"].value == 0).all()


def test_what_the_workload_prints_goes_to_the_logs(env, tmp_path):
    done = mpirun(env, tmp_path, "exp", "--warmup", "1", "--", "sh", "-c", "echo out $ME_REPEAT; echo bad >&2")
    assert done.returncode == 0, done.stderr
    logs = tmp_path / "exp" / "logs"
    assert (logs / "machine0-repeat1.out").read_text() == "out 1\n"
    assert (logs / "machine0-repeat1.err").read_text() == "bad\n"
    assert (logs / "machine0-warmup1.out").read_text() == "out 1\n"
    assert "out 1" not in done.stdout + done.stderr


def test_the_workload_is_not_pinned_with_its_rank(env, tmp_path):
    done = mpirun(env, tmp_path, "exp", "--", "nproc")
    assert done.returncode == 0, done.stderr
    cores = (tmp_path / "exp" / "logs" / "machine0-repeat1.out").read_text().strip()
    assert cores == str(len(os.sched_getaffinity(0)))


def test_no_launcher_variable_and_no_journal_is_left(env, tmp_path):
    done = mpirun(env, tmp_path, "exp", "--", "env")
    assert done.returncode == 0, done.stderr
    seen = (tmp_path / "exp" / "logs" / "machine0-repeat1.out").read_text()
    assert "ME_MARK_FD=" in seen and "OMPI_COMM_WORLD" not in seen and "PMIX_" not in seen
    assert not list(tmp_path.rglob("*.mej")) and not list(tmp_path.rglob("*.tmp*"))


def test_progress_is_plain_lines_without_a_terminal(env, tmp_path):
    done = mpirun(env, tmp_path, "exp", "--repeats", "2", "--", "sleep", "0.4")
    lines = [line for line in done.stderr.splitlines() if " run " in line]
    assert len(lines) >= 2 and "1/2" in lines[0] and " W " in lines[0] and "\033" not in done.stderr


def test_progress_is_redrawn_on_a_terminal(env, tmp_path):
    command = "mpirun -n 1 me_bench exp -- sleep 1"
    done = subprocess.run(["script", "-qec", command, "/dev/null"], env=env, cwd=tmp_path, capture_output=True,
                          text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert "\033[1A" in done.stdout and "\033[K" in done.stdout, done.stdout


def test_an_existing_experiment_is_never_overwritten(env, tmp_path):
    assert mpirun(env, tmp_path, "exp", "--", "true").returncode == 0
    before = (tmp_path / "exp" / "exp.h5").read_bytes()
    refused = mpirun(env, tmp_path, "exp", "--", "true")
    assert refused.returncode == 2 and "--append" in refused.stderr and "--force" in refused.stderr
    assert (tmp_path / "exp" / "exp.h5").read_bytes() == before
    assert mpirun(env, tmp_path, "exp", "--append", "--repeats", "2", "--", "true").returncode == 0
    result = machine_energy.read(tmp_path / "exp" / "exp.h5")
    assert sorted(result.repeats[result.repeats.phase == "run"].repeat) == [1, 2, 3]
    assert mpirun(env, tmp_path, "exp", "--force", "--", "true").returncode == 0
    assert len(list(tmp_path.glob("exp.old-*"))) == 1


def test_what_failed_has_the_number_it_has_in_the_result(env, tmp_path):
    """A warm-up is no repeat, and repeats that were appended do not begin at 1 again."""
    first = "test -e done || { touch done; exit 3; }"
    assert mpirun(env, tmp_path, "exp", "--warmup", "1", "--", "sh", "-c", first).returncode == 1
    assert machine_energy.read(tmp_path / "exp" / "exp.h5").machines.iloc[0].reason == \
        "warmup 1: the workload exited with status 3"
    fails = "exit $(cat status 2>/dev/null || echo 0)"
    assert mpirun(env, tmp_path, "two", "--repeats", "2", "--", "sh", "-c", fails).returncode == 0
    (tmp_path / "status").write_text("5")
    assert mpirun(env, tmp_path, "two", "--append", "--", "sh", "-c", fails).returncode == 1
    result = machine_energy.read(tmp_path / "two" / "two.h5")
    assert result.machines.iloc[0].reason == "repeat 3: the workload exited with status 5"


def test_a_name_with_a_slash_is_a_folder_there(env, tmp_path):
    (tmp_path / "deep").mkdir()
    assert mpirun(env, tmp_path, "deep/exp", "--", "true").returncode == 0
    assert (tmp_path / "deep" / "exp" / "exp.h5").exists()


def test_region_energy_is_a_part_of_the_repeat(env, tmp_path):
    script = "sleep 0.3; echo begin train >&$ME_MARK_FD; sleep 0.6; echo end train >&$ME_MARK_FD; sleep 0.3"
    assert mpirun(env, tmp_path, "exp", "--sources", "model", "--", "sh", "-c", script).returncode == 0
    result = machine_energy.read(tmp_path / "exp" / "exp.h5")
    region, repeat = result.regions.iloc[0], result.repeats[result.repeats.phase == "run"].iloc[0]
    assert region.region == "train" and region.calls == 1
    assert 0.6 <= region.duration_s < repeat.duration_s - 0.5
    assert 0 < region.energy_j < repeat.energy_j


def test_json_report_is_json(env, tmp_path):
    assert mpirun(env, tmp_path, "exp", "--", "true").returncode == 0
    done = subprocess.run(["me", "report", "exp", "--format", "json"], env=env, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0
    assert json.loads(done.stdout)["summary"][0]["n"] == 1
