"""What engines do by themselves, on which run_docker rests: pull, meter, rights, troubles of the registry. The product on
them is in test_docker.py."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import cgroups
import me_test
from cluster import ENGINE_PROGRAMS, MPI_PROGRAMS, Cluster, HostSpec, User, zone
from engine import SUDO_DOCKER, Engine, Registry
from image import Image, architecture

HERE = Path(__file__).resolve().parent
NAMES = ("n1", "n2", "n3")
ENERGY = "/host/sys/class/powercap/intel-rapl:0/energy_uj"
# The machine's meters under /host, its network and its name; no rights beside those of the user inside.
MACHINE = ("--network", "host", "--uts", "host", "-v", "/sys:/host/sys:ro", "-v", "/proc:/host/proc:ro",
           "--cap-drop", "ALL", "--security-opt", "no-new-privileges")


def account_sets():
    return [User("root"), User("lab.user"), User("in.group", groups=("docker",))]


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    hosts = [HostSpec(name, [zone(power=power), zone("intel-rapl:0:0", "core", 20, mode="0400")], engine=True,
                      hide=MPI_PROGRAMS, users=account_sets(),
                      files={"/etc/sudoers": SUDO_DOCKER} if name == "n2" else {})
             for name, power in zip(NAMES, (50, 80, 120))]
    hosts.append(HostSpec("bare", hide=ENGINE_PROGRAMS))
    hosts.append(HostSpec("small", engine=True))
    with Cluster(tmp_path_factory.mktemp("engines") / "c", hosts) as c:
        c.image = Image(Path(c.work, "image"), labels={"org.opencontainers.image.title": "me_bench"})
        c.registry = Registry(c.head)
        c.me = c.registry.push(c.image, "me:1")
        c.engines = {name: Engine(c[name], [c.registry]) for name in NAMES}
        with ThreadPoolExecutor() as pool:
            c.pulls = list(pool.map(lambda engine: engine.docker("pull", c.me, timeout=90), c.engines.values()))
        yield c


def inside(ground, name, script, *options):
    return ground.engines[name].docker("run", "--rm", *MACHINE, *options, ground.me, "sh", "-c", script)


def test_pulled_onto_three_machines(ground):
    assert [pull.rc for pull in ground.pulls] == [0, 0, 0], ground.pulls
    assert [engine.digest(ground.me) for engine in ground.engines.values()] == [ground.image.digest] * 3
    for engine in ground.engines.values():
        daemon, images = engine.memory_mib()
        assert daemon < 250 and 50 < images < 300
        said = engine.read("image", "inspect", "-f", "{{.Id}} {{.Architecture}} {{json .Config.Labels}}", ground.me)
        assert said == [f'{ground.image.id} {architecture()} {{"org.opencontainers.image.title":"me_bench"}}']


@pytest.mark.parametrize("user", ["0:0", "2000:2000"])
def test_container_reads_the_meter(ground, user):
    """Without any capability; what the machine sees at its real places comes through the binds, mounts below too."""
    host = ground["n1"]
    before = host.energy_uj()
    script = f"cat {ENERGY} /host/proc/sys/kernel/random/boot_id; hostname; grep Cap /proc/self/status"
    said = inside(ground, "n1", script, "--user", user)
    after = host.energy_uj()
    energy, boot_id, name, *capabilities = said.out.splitlines()
    assert before <= int(energy) <= after, said
    assert (boot_id, name) == (host.boot_id, "n1")
    assert len(capabilities) == 5 and all(int(line.split()[1], 16) == 0 for line in capabilities)
    probe = json.loads(inside(ground, "n1", "me probe --root /host --json", "--user", user).out)
    found = [source for source in probe["sources"] if source["name"] == "powercap"][0]
    assert "package-0" in [channel["name"] for channel in found["channels"]]
    assert probe["machine"]["boot_id"] == host.boot_id


def test_root_only_counter(ground):
    """With Linux's own mode of energy_uj root inside reads it, by being root; a capability reaches nobody else."""
    read_it = f"cat {ENERGY.replace('rapl:0', 'rapl:0:0')}"
    assert inside(ground, "n1", read_it).rc == 0
    for options in ((), ("--cap-add", "DAC_READ_SEARCH")):
        said = inside(ground, "n1", read_it, "--user", "2000:2000", *options)
        assert said.rc != 0 and "Permission denied" in said.err


def test_rights(ground):
    def docker(name, user, command="docker ps -q"):
        return ground.head.ssh(ground[name], [command], user=user)

    denied = docker("n1", "lab.user")
    assert denied.rc != 0 and "permission denied" in denied.err
    assert docker("n1", "lab.user", "sudo -n docker ps -q").rc != 0
    assert docker("n1", "in.group").rc == 0
    assert docker("n2", "lab.user").rc != 0
    assert docker("n2", "lab.user", "sudo -n docker ps -q").rc == 0
    assert docker("n2", "lab.user", "sudo -n id").rc != 0
    assert docker("bare", "root").rc == 127
    stopped = docker("small", "root")
    assert stopped.rc != 0 and "Cannot connect to the Docker daemon" in stopped.err


def test_registry_troubles(ground):
    engine, registry = ground.engines["n3"], ground.registry

    def pull(name):
        return engine.docker("pull", name)

    bare = Image(Path(ground.work, "bare"), programs=())
    other = Image(Path(ground.work, "other"), machine="arm64" if architecture() == "amd64" else "amd64")
    # Another architecture is pulled without a word; only the image tells.
    assert pull(registry.push(other, "me:other")).rc == 0
    assert engine.read("image", "inspect", "-f", "{{.Architecture}}", registry.name("me:other")) != [architecture()]
    said = engine.docker("run", "--rm", registry.push(bare, "me:bare"), "me_bench", "--version")
    assert said.rc == 127 and '"me_bench": executable file not found' in said.err
    # A tag can be given to another image; a digest cannot.
    moving = registry.push(ground.image, "moving:1")
    assert pull(moving).rc == 0 and engine.digest(moving) == ground.image.digest
    registry.push(bare, "moving:1")
    assert pull(moving).rc == 0 and engine.digest(moving) == bare.digest
    assert pull(registry.name("moving@" + ground.image.digest)).rc == 0
    missing = pull(registry.name("moving@sha256:" + 64 * "0"))
    assert missing.rc == 1 and "manifest unknown" in missing.err
    layer = Image(Path(ground.work, "forged"), more={"/etc/forged": (b"x", 0o644)})
    forged = registry.push(layer, "me:forged")
    registry.tamper(json.loads((layer.folder / "manifest.json").read_text())["layers"][1]["digest"])
    said = pull(forged)
    assert said.rc == 1 and "verification failed for digest" in said.err
    registry.stop()
    said = pull(moving)
    assert said.rc == 1 and "connection refused" in said.err
    registry.login = ("lab", "a secret")
    registry.start()
    said = pull(moving)
    assert said.rc == 1 and "no basic auth credentials" in said.err
    engine.docker("login", "-u", "lab", "--password-stdin", registry.address, stdin="a secret", check=True)
    assert pull(moving).rc == 0
    engine.docker("logout", registry.address, check=True)
    registry.stop()
    registry.login = None
    registry.start()


def test_disk_full(ground):
    with Engine(ground["small"], [ground.registry], size="60m") as engine:
        said = engine.docker("pull", ground.me)
        assert said.rc == 1 and "no space left on device" in said.err
        assert engine.read("images", "-q") == []


# -- the ground itself --------------------------------------------------------------------------------

def test_falls_whole(tmp_path):
    """Also with kill -9 of the test while a container runs."""
    script = f"""
import sys, time
sys.path[:0] = [{str(HERE)!r}, {str(HERE.parent / "lib")!r}]
from pathlib import Path
from cluster import Cluster, HostSpec
from engine import Engine, Registry
from image import Image
with Cluster({str(tmp_path / "c")!r}, [HostSpec("n1", engine=True)]) as c, Registry(c.head) as registry:
    me = registry.push(Image(Path(c.work, "image")), "me:1")
    engine = Engine(c["n1"], [registry])
    engine.docker("run", "-d", "--rm", "--network", "host", me, "sleep", "63", check=True)
    print(c.cgroup, *c.namespaces(), flush=True)
    time.sleep(60)
"""
    test = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    cgroup, *namespaces = test.stdout.readline().split()
    assert me_test.leftovers(namespaces) and cgroups.groups(cgroup)
    os.kill(test.pid, signal.SIGKILL)
    test.wait()
    assert me_test.wait_until(lambda: not me_test.leftovers(namespaces) and not cgroups.groups(cgroup), 10)
    assert me_test.mounts("/run/engine") == []
