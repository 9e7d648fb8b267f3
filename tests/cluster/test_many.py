"""Many machines: entries that lead to one host, since each has a login, a check and a round of its own all the same."""
import re
import sys
from pathlib import Path

import pytest
from cluster import Cluster, HostSpec, zone

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts" / "python"))
import machine_energy  # noqa: E402

MANY = 150  # more than the connections that are kept from round to round


def test_many_machines_within_few_descriptors(tmp_path):
    with Cluster(tmp_path / "c", [HostSpec("n1", [zone(power=50)])]) as c:
        machines = [{**c["n1"].machine(number), "name": f"entry{number}"} for number in range(1, MANY + 1)]
        config = c.write_config(machines, run_local=False)
        said = c.head.sh(f"ulimit -n 128; me hosts {config}", check=True)
        assert said.out.count("the same machine as entry1 (machine_id 1)") == MANY - 1, said.out
        names = re.findall(r"^(me-\d+) ", c.head.sh("cat gen.hosts", check=True).out, re.M)
        assert names == ["me-0001"]
        c.head.sh(". gen.hosts.d/env && mpirun -hostfile gen.hosts me_bench exp1 --progress none -- sleep 0.3", check=True)
        c.head.sh(f"ulimit -n 64; me clean {config}", check=True)


def test_samples_that_stay_on_their_machines(tmp_path):
    """The hosts do not see the head's folder: each keeps its file, which is read once it is copied beside the result."""
    with Cluster(tmp_path / "c", [HostSpec("n1", [zone(power=50)]), HostSpec("n2", [zone(power=80)])]) as c:
        config = c.write_config([c["n1"].machine(1), c["n2"].machine(2)], run_local=False)
        c.head.run(["me", "hosts", config], check=True)
        c.head.sh(". gen.hosts.d/env && mpirun -hostfile gen.hosts me_bench exp1 --series local --progress none -- sleep 0.5",
                  check=True)
        result = machine_energy.read(Path(c.work, "exp1"))
        assert list(result.machines.status) == ["ok", "ok"] and result.series_keys == [(1, 1), (2, 1)]
        assert not Path(c.work, "exp1", "series").exists() and not list(Path(c.work, "exp1").glob(".*"))
        with pytest.raises(FileNotFoundError, match="not there: copy it there"):
            result.series(1, 1)
        for number, name in ((1, "n1"), (2, "n2")):
            host, path = result.machines.series_file[number - 1].split(":")
            assert host == name
            c.head.sh(f"mkdir -p exp1/series && ssh -F gen.hosts.d/ssh_config me-000{number} cat {path} >exp1/series/{Path(path).name}",
                      check=True)
            assert c[name].sh("ls ~/.local/state/machine-energy", check=True).out.split() == [Path(path).name]  # and no journal
        frame = result.series(2, 1, head_clock=True)
        joules = (frame["package-0"].iloc[-1] - frame["package-0"].iloc[0]) * 1e-6
        assert abs(joules - result.repeats.energy_j[1]) < 1e-3
        # One clock serves all hosts of the ground: what was measured is as near to 0 as it says.
        assert (result.repeats.clock_offset_s.abs() <= result.repeats.clock_bound_s + 1e-6).all()
        assert (result.repeats.clock_bound_s < 0.05).all()
        c.head.sh("me report exp1", check=True)
