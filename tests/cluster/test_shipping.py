"""The user's own training on several machines: files get there, the function runs, all goes away again."""
from pathlib import Path

import pytest

from cluster import Cluster, HostSpec, zone
from me_test import REPOSITORY
import sys

sys.path.insert(0, str(REPOSITORY / "scripts" / "python"))
import machine_energy  # noqa: E402

TRAIN = """import os, sys, time
import shipped.part

def train(seconds=1, **more):
    time.sleep(seconds)
    print(os.environ["ME_MACHINE_ID"], shipped.part.VALUE, sorted(more.items()), sys.argv[0].startswith(os.getcwd()))
    return {"samples": 100, "accuracy": 0.9}
"""
# What is left of the files anywhere a run may have put them.
LEFT = "ls -d ~/.local/state/machine-energy /tmp/me-* /dev/shm/me-* 2>/dev/null || true"


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    hosts = [HostSpec("n1", [zone(power=50)]), HostSpec("n2", [zone(power=80)]),
             HostSpec("n3", [zone(power=120)], hide=("python3",))]
    with Cluster(tmp_path_factory.mktemp("own") / "c", hosts) as c:
        work = Path(c.work)
        (work / "train.py").write_text(TRAIN)
        (work / "shipped").mkdir()
        (work / "shipped" / "part.py").write_text("VALUE = 'came along'\n")
        (work / "shipped" / "large").write_bytes(bytes(range(256)) * 4 * 40961)  # 40 MiB and a bit: many messages
        (work / "sum.sh").write_text("#!/bin/sh\necho \"$1 of $2: $(cksum <shipped/large)\"\n")
        (work / "sum.sh").chmod(0o755)
        yield c


def machines(ground, *names, **more):
    return [dict(ground[name].machine(int(name[1:])), **more.get(name, {})) for name in names]


def log(ground, name, number):
    return Path(ground.work, name, "logs", f"machine{number}-repeat1.out").read_text()


def nothing_left(ground):
    return not any(ground[name].sh(LEFT).out for name in ("n1", "n2", "n3"))


def test_a_function_on_two_machines(ground):
    config = ground.write_config(machines(ground, "n1", "n2", n2={"python": "/usr/bin/python3"}), run_local=False)
    said = ground.head.sh(f"me run {config} exp1 --train-func train.py:train --with shipped/ "
                          "--args '{\"seconds\": 1.5, \"b\": \"x y\"}'", check=False)
    assert said.rc == 0, said.err
    for number in (1, 2):
        assert log(ground, "exp1", number) == f"{number} came along [('b', 'x y')] True\n"
    result = machine_energy.read(Path(ground.work, "exp1"))
    train = result.regions[result.regions.region == "train"].set_index("machine_id")
    for number, watts in ((1, 50), (2, 80)):
        row = train.loc[number]
        assert 1.3 < row.duration_s < 10  # a begin may be read late on a busy machine
        assert abs(row.energy_j / row.duration_s - watts) < 0.1 * watts  # the meter's tick over 1.5 s
    assert set(result.summary.region) == {"train"} and set(result.summary.accuracy) == {0.9}
    assert nothing_left(ground)


def test_a_command_and_its_files(ground):
    config = ground.write_config(machines(ground, "n1", "n2"), run_local=False)
    said = ground.head.sh(f"me run {config} exp2 --with shipped --with sum.sh -- ./sum.sh %i %n", check=False)
    assert said.rc == 0, said.err
    right = ground.head.sh("cksum <shipped/large").out.strip()
    for number in (1, 2):
        assert log(ground, "exp2", number) == f"{number} of 2: {right}\n"
    assert nothing_left(ground)


def test_one_machine_without_python(ground):
    config = ground.write_config(machines(ground, "n1", "n3"), run_local=False)
    ground.head.sh(f"me hosts {config} --skip-failed", check=True)
    said = ground.head.sh(". gen.hosts.d/env; mpirun -hostfile gen.hosts me_bench exp3 --train-func train.py:train",
                          check=False)
    lines = [line for line in said.err.splitlines() if line.startswith("me_bench: ")]
    assert said.rc == 2, said.err
    assert len(lines) == 2 and "(machine 3): python3 is not in PATH; install it" in lines[0], lines
    assert lines[1] == "me_bench: 1 of 2 machines cannot run it; nothing was touched"
    assert not Path(ground.work, "exp3").exists()
    assert nothing_left(ground)
