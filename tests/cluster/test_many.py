"""Many machines: entries that lead to one host, since each has a login, a check and a round of its own all the same."""
import re

from cluster import Cluster, HostSpec, zone

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
