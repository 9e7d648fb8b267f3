"""Slurm on the hosts of a test cluster: slurmctld on the head, slurmd on every host, munge on all, as Debian has
them. The cluster is raised with shared_work, since Slurm's configuration and the experiments lie in work/.

    with Cluster(tmp_path / "c", three(), shared_work=True) as c, Slurm(c) as slurm:
        job = slurm.sbatch("-N3", script, "exp1")
        assert slurm.wait(job) == "COMPLETED"

Nothing of it outlives the cluster: all daemons hang from the hosts' PID namespaces."""

import os
import re
import secrets
import time
from pathlib import Path

import me_test

ENERGY = "/sys/devices/platform"  # where the plugin ibmaem finds its meter: aem.0/
PARTITIONS = ("PartitionName=main Nodes={nodes} Default=YES MaxTime=60 PriorityTier=2 OverSubscribe=NO\n"
              "PartitionName=low Nodes={nodes} MaxTime=60 PriorityTier=1 OverSubscribe=NO\n")
CONFIG = """ClusterName=rig
SlurmctldHost=head
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=cred_expire=5
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir=/run/slurmd
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=pmix
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=0,sched_interval=1,bf_interval=1,batch_sched_delay=0,requeue_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
ReturnToService=2
MinJobAge=300
KillWait={kill_wait}
SlurmctldTimeout=30
SlurmdTimeout=30
SlurmdParameters=config_overrides
AcctGatherEnergyType=acct_gather_energy/{energy}
AcctGatherNodeFreq={energy_freq}
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1,energy=1
{more}
"""


class Slurm:
    """Slurm that is up on a cluster. `energy`: the plugin none or ibmaem, which reads the meter that `watts` gives
    to hosts: {"n1": 50}. `cpus` of each node, whatever the machine has."""

    def __init__(self, cluster, cpus=0, kill_wait=30, energy="none", watts=None, more=""):
        self.cluster, self.head = cluster, cluster.head
        self.cpus = cpus or max(2, os.cpu_count())
        self.folder = Path(cluster.work, "slurm")
        self.conf = f"{self.folder}/slurm.conf"
        self.watts = watts or {}
        self.settings = {"folder": self.folder, "kill_wait": kill_wait, "energy": energy,
                         "energy_freq": 1 if energy != "none" else 0, "more": more}
        self.daemons = []

    def __enter__(self):
        (self.folder / "state").mkdir(parents=True)
        hosts = list(self.cluster.hosts.values())
        nodes = "".join(f"NodeName={host.name} NodeAddr={host.ip} CPUs={self.cpus} State=UNKNOWN\n" for host in hosts)
        names = ",".join(host.name for host in hosts)
        Path(self.conf).write_text(CONFIG.format(**self.settings) + nodes + PARTITIONS.format(nodes=names))
        key = secrets.token_bytes(64)
        for host in (self.head, *hosts):
            self.start_munge(host, key)
        for host in hosts:
            if host.name in self.watts:
                self.start_meter(host, self.watts[host.name])
        self.start(self.head, ["slurmctld", "-D", "-c"])
        for host in hosts:
            self.start(host, ["slurmd", "-D", "-N", host.name])
        if not me_test.wait_until(lambda: self.idle(len(hosts)), 30):
            raise RuntimeError(f"slurm did not come up: {self.run(['sinfo', '-N', '-l'])}\n{self.logs()}")
        return self

    def __exit__(self, *_):
        for host, process in reversed(self.daemons):
            host.signal(process, 9)
            process.communicate()

    def start(self, host, argv):
        log = open(self.folder / f"{argv[0]}.{host.name}.out", "wb")
        self.daemons.append((host, host.popen(argv, env={"SLURM_CONF": self.conf}, cwd="/", stdin=-3, stdout=log,
                                              stderr=log)))
        log.close()

    def start_munge(self, host, key):
        for path in ("/run/munge", "/var/log/munge"):
            host.path(path).mkdir(mode=0o755, exist_ok=True)
        path = host.path("/run/munge/key")
        path.write_bytes(key)
        path.chmod(0o400)
        self.start(host, ["munged", "--foreground", "--force", "--key-file=/run/munge/key", "--num-threads=2",
                          "--seed-file=/run/munge/seed", "--log-file=/var/log/munge/munged.log"])
        if not me_test.wait_until(lambda: host.path("/run/munge/munge.socket.2").exists()):
            raise RuntimeError(f"{host.name}: munged did not start")

    def start_meter(self, host, watts):
        """An IBM system director's meter, known to Slurm alone: its joules are no source of ours."""
        host.run([self.cluster.rig, "--background", "-f", f"aem.0/energy1_input,power={watts},unit=uJ", "-f",
                  f"aem.0/power1_average,power={watts},unit=uW", ENERGY], check=True)

    # -- commands -------------------------------------------------------------------------------------

    def run(self, argv, **options):
        """A command of Slurm's, or any other, on the head."""
        options["env"] = {"SLURM_CONF": self.conf, **options.get("env", {})}
        return self.head.run(argv, **options)

    def idle(self, count):
        return self.run(["sinfo", "-h", "-N", "-o", "%T", "-p", "main"]).out.split() == ["idle"] * count

    def sbatch(self, *words, env=None):
        """Its number."""
        said = self.run(["sbatch", "--parsable", "-o", f"{self.cluster.work}/slurm-%j.out", *words], check=True,
                        env=env or {}).out
        return int(said.split(";")[0])

    def show(self, job):
        """{key: value} of `scontrol show job`."""
        return dict(re.findall(r"(\w+)=(\S*)", self.run(["scontrol", "show", "job", str(job)]).out))

    def state(self, job):
        return self.show(job).get("JobState", "")

    def wait(self, job, timeout=60, states=("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "PREEMPTED", "NODE_FAIL")):
        """Its state at the end."""
        if not me_test.wait_until(lambda: self.state(job) in states, timeout, 0.1):
            raise AssertionError(f"job {job}: {self.show(job)}\n{self.said(job)}\n{self.logs()}")
        return self.state(job)

    def tasks(self, array):
        """The jobs that the tasks of an array are, once all have begun."""
        assert me_test.wait_until(lambda: "PENDING" not in self.queue(array), 20, 0.1), self.queue(array)
        return sorted({int(line.split()[0]) for line in self.queue(array).splitlines()})

    def queue(self, array):
        return self.run(["squeue", "-h", "-r", "-t", "all", "-j", str(array), "-o", "%A %T"]).out

    def hurry(self, job):
        """A requeued job begins when the credentials of its first life have run out; nobody need wait that long. Within
        the second in which they were revoked its nodes would refuse it."""
        assert me_test.wait_until(lambda: self.state(job) in ("PENDING", "RUNNING"), 20, 0.1)
        self.run(["scontrol", "update", f"JobId={job}", "StartTime=now+2"])

    def said(self, job):
        path = Path(self.cluster.work, f"slurm-{job}.out")
        return path.read_text() if path.exists() else ""

    def logs(self):
        return "\n".join(f"{path.name}:\n{path.read_text(errors='replace')[-3000:]}"
                         for path in sorted(self.folder.glob("*.log")))
