"""run_docker: machines that have sshd and a container engine, and nothing else. The product's own commands on real
engines, images pulled from a real registry, joules of the machines; and nothing left, whatever happens."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import me_test
import pytest
from cluster import ENGINE_PROGRAMS, MPI_PROGRAMS, Cluster, HostSpec, User, zone
from engine import PREPARE, SUDO_DOCKER, Engine, Registry
from experiment import TICK_S, ours, read, runs
from image import Image, architecture

PODMAN = ("podman*",)  # what is tested here must not find it where this machine has it
NAMES, POWER = ("n1", "n2", "n3"), {0: 30, 1: 50, 2: 80, 3: 120}
OTHER = "arm64" if architecture() == "amd64" else "amd64"


def accounts():
    return [User("root"), User("lab.user"), User("in.group", groups=("docker",))]


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    """n1 is used as root; n2 by sudo, and its counter is root's alone; n3 as a member of the engine's group."""
    hosts = [HostSpec(name, [zone(power=POWER[i], mode="0400" if name == "n2" else "0444")], engine=True,
                      hide=MPI_PROGRAMS + PODMAN, users=accounts(), more_ports=[2223],
                      files={"/etc/sudoers": SUDO_DOCKER} if name == "n2" else {})
             for i, name in enumerate(NAMES, 1)]
    hosts += [HostSpec("bare", [zone()], hide=(*MPI_PROGRAMS, *ENGINE_PROGRAMS)),
              HostSpec("small", [zone()], engine=True, hide=PODMAN), HostSpec("asleep", [zone()], engine=True, hide=PODMAN)]
    head = HostSpec("head", [zone(power=POWER[0])], sshd=False, engine=True, hide=PODMAN)
    with Cluster(tmp_path_factory.mktemp("docker") / "c", hosts, head=head) as c, Registry(c.head) as registry:
        c.registry, c.image = registry, Image(Path(c.work, "image"))
        c.me = registry.push(c.image, "lab/me:1")
        with ThreadPoolExecutor() as pool:
            made = pool.map(lambda host: Engine(host, [registry]), (c.head, *(c[name] for name in NAMES)))
            c.engines = dict(zip(("head", *NAMES), made))
        yield c


def users(ground):
    return [ground["n1"].machine(1, login="key", name="n1"),
            ground["n2"].machine(2, login="key", name="n2", user="lab.user"),
            ground["n3"].machine(3, login="key", name="n3", user="in.group")]


def config(ground, machines, **keys):
    return ground.write_config(machines, **{"run_docker": True, "docker_image": ground.me, "run_local": False, **keys})


def hosts(ground, path, *words, rc=None):
    said = ground.head.run(["me", "hosts", path, *words, "--", "sleep", "1"], timeout=120)
    assert rc is None or said.rc == rc, said
    return said


def containers(ground):
    return {name: engine.containers() for name, engine in ground.engines.items() if engine.containers()}


def check_right(ground, name, ids, seconds):
    result = read(ground, name)
    machines = result.machines.set_index("machine_id")
    assert list(machines.status[list(ids)]) == ["ok"] * len(ids), machines.reason
    for i in ids:
        for row in runs(result, i).itertuples():
            assert row.exit_status == 0 and seconds <= row.duration_s < seconds + 5
            assert row.energy_j == pytest.approx(POWER[i] * row.duration_s, rel=1e-3, abs=POWER[i] * 1.5 * TICK_S)
        assert machines.engine[i].startswith("docker ") and machines.image[i] == ground.me
        assert machines.image_digest[i] == ground.image.digest
    return result


def test_an_experiment_in_containers(ground):
    """Pulled, run on three machines and this one, each to 0.1 %; while it runs the containers can be seen."""
    foreign = ground.engines["n1"]
    path = config(ground, users(ground), run_local=True)
    run = ground.head.popen(["me", "run", path, "exp1", "--repeats", "2", "--", "sleep", "1.7"])
    assert me_test.wait_until(lambda: all(any(line == "sleep 1.7" for line in ground[n].processes().values())
                                          for n in NAMES), 60, 0.05), run.communicate()
    named = {name: engine.containers() for name, engine in ground.engines.items()}
    assert [name.split("-")[:3] for name, in named.values()] == [["me", "exp1", str(i)] for i in range(4)], named
    inspect = json.loads("\n".join(foreign.read("inspect", *named["n1"])))[0]
    assert not inspect["HostConfig"]["Privileged"] and inspect["HostConfig"]["CapDrop"] == ["ALL"]
    assert not inspect["HostConfig"]["CapAdd"] and inspect["Image"] == ground.image.id
    assert all(not mount["RW"] for mount in inspect["Mounts"] if mount["Destination"].startswith("/host"))
    out, err = run.communicate(timeout=60)
    assert run.returncode == 0, (out, err)
    assert "docker 20" in err and ground.image.digest[:19] in err
    assert "Run in containers" in out and ground.image.digest in out
    result = check_right(ground, "exp1", (0, 1, 2, 3), 1.7)
    assert [host.boot_id for host in (ground.head, *(ground[n] for n in NAMES))] == list(result.machines.boot_id)
    assert containers(ground) == {} and ours(ground) == []
    for name in NAMES:
        assert not list(ground[name].path("/").glob("home/*/.local/state/machine-energy")), name
    # The same by the README's commands; and no other image is added to it.
    said = ground.head.sh(". gen.hosts.d/env && mpirun -hostfile gen.hosts me_bench exp1 --append -- sleep 1.7", timeout=60)
    assert said.rc == 0, said
    assert len(check_right(ground, "exp1", (0, 1, 2, 3), 1.7).repeats) == 12


def test_this_machine_alone(ground):
    said = ground.head.run(["me", "run", config(ground, [], run_local=True), "alone", "--", "sleep", "1"], timeout=60)
    assert said.rc == 0, said
    check_right(ground, "alone", (0,), 1)
    assert containers(ground) == {}


def test_two_ways_to_one_machine_count_once(ground):
    machines = [ground["n1"].machine(1, login="key", name="first"),
                {**ground["n1"].machine(2, login="key", name="again", user="in.group"), "MACHINE_PORT": 2223}]
    path = config(ground, machines)
    said = hosts(ground, path, rc=0)
    assert "the same machine as first" in said.out
    # And where nobody noticed before: both containers are started, one of them measures.
    text = Path(ground.work, "gen.hosts").read_text()
    Path(ground.work, "gen.hosts").write_text(text + "me-0002 slots=1\n")
    folder = Path(ground.work, "gen.hosts.d")
    plan = json.loads((folder / "machines.json").read_text())
    first, again = plan["machines"][1:]
    again.update(status="ok", reason="", **{key: first[key] for key in ("engine", "image", "image_digest")})
    (folder / "machines.json").write_text(json.dumps(plan))
    agent = (folder / "agent").read_text()
    arm = next(line for line in agent.splitlines() if line.startswith("me-0001)"))
    (folder / "agent").write_text(agent.replace(arm, arm + "\n" + arm.replace("me-0001)", "me-0002)").replace("id=1", "id=2")))
    ssh = (folder / "ssh_config").read_text()
    block = ssh[ssh.index("Host me-0001"):ssh.index("Host *")]
    (folder / "ssh_config").write_text(
        ssh.replace(block, block + block.replace("me-0001", "me-0002").replace("Port 2222", "Port 2223")))
    keys = (folder / "known_hosts").read_text()
    (folder / "known_hosts").write_text(keys + keys.replace("me-0001", "me-0002"))
    said = ground.head.sh(". gen.hosts.d/env && mpirun -hostfile gen.hosts me_bench twice -- sleep 1", timeout=60)
    result = read(ground, "twice")
    assert sorted(result.machines.status) == ["duplicate", "ok"], (said, result.machines)
    assert len(runs(result, 1)) + len(runs(result, 2)) == 1 and containers(ground) == {}


# -- troubles -----------------------------------------------------------------------------------------


def expect(ground, machine, *words, image=None, options=(), **keys):
    """me hosts refuses with one line that says so, and nothing is there afterwards that was not before."""
    before = {name: engine.read("images", "-q") for name, engine in ground.engines.items()}
    path = config(ground, [machine], **({"docker_image": image} if image else {}), **keys)
    said = hosts(ground, path, "-o", "trouble.hosts", *options, rc=3)
    assert len(said.err.splitlines()) == 1, said
    for word in words:
        assert word in said.err, said
    assert not list(Path(ground.work).glob("trouble*")) and containers(ground) == {}
    return {name: set(engine.read("images", "-q")) - set(before[name]) for name, engine in ground.engines.items()}


def test_no_engine(ground):
    expect(ground, ground["bare"].machine(1, login="key"), "no container engine", "apt-get install docker.io")


def test_engine_does_not_answer(ground):
    expect(ground, ground["asleep"].machine(1, login="key"), "docker does not answer", "Cannot connect", "systemctl start")


def test_no_rights(ground):
    expect(ground, ground["n1"].machine(1, login="key", user="lab.user"), "lab.user may not use docker",
           "permission denied", "usermod -aG docker lab.user")


def test_another_architecture(ground):
    image = Image(Path(ground.work, "other"), machine=OTHER)
    expect(ground, ground["n1"].machine(1, login="key"), f"is for linux/{OTHER}", "--platform",
           image=ground.registry.push(image, "me:other"))


def test_image_without_our_programs(ground):
    bare = Image(Path(ground.work, "bare"), programs=())
    expect(ground, ground["n1"].machine(1, login="key"), "has no me_bench", "scripts/docker/build",
           image=ground.registry.push(bare, "me:bare"))


def test_image_without_the_framework(ground):
    path = config(ground, [ground["n1"].machine(1, login="key")])
    said = ground.head.run(["me", "hosts", path, "--framework", "keras"], timeout=60)
    assert said.rc == 3 and "keras does not run in the image" in said.err and "scripts/docker/build keras" in said.err, said


def test_registry_down_and_locked(ground):
    machine, name = ground["n1"].machine(1, login="key"), ground.registry.name("lab/absent:1")
    expect(ground, machine, "manifest unknown", "--image-archive", image=name)
    ground.registry.stop()
    try:
        expect(ground, machine, "connection refused", "is the name right and the registry up?", image=name)
        # What is there already is not pulled again: a registry that is down stops nobody.
        hosts(ground, config(ground, [machine]), rc=0)
        ground.registry.login = ("lab", "a secret")
        ground.registry.start()
        expect(ground, machine, "no basic auth credentials", "docker login", image=name)
        # The login of the machine's own user serves, also by way of sudo.
        address = ground.registry.address
        for host, user in (("n1", "root"), ("n2", "lab.user")):
            # As `docker login` leaves it; that itself asks the engine, which lab.user may only by sudo.
            folder = ground[host].path(ground[host].users[user].home) / ".docker"
            folder.mkdir()
            (folder / "config.json").write_text(json.dumps(
                {"auths": {address: {"auth": me_test.run(["base64", "-w0"], stdin="lab:a secret").out}}}))
            ground[host].run(["chown", "-R", user, ground[host].users[user].home + "/.docker"], check=True)
            fresh = ground.registry.push(ground.image, f"lab/locked-{host}:1")
            hosts(ground, config(ground, [ground[host].machine(1, login="key", user=user)], docker_image=fresh), rc=0)
    finally:
        ground.registry.stop()
        ground.registry.login = None
        ground.registry.start()


def test_forged_layer(ground):
    image = Image(Path(ground.work, "forged"), more={"/etc/forged": (b"x", 0o644)})
    name = ground.registry.push(image, "me:forged")
    ground.registry.tamper(json.loads((image.folder / "manifest.json").read_text())["layers"][1]["digest"])
    expect(ground, ground["n1"].machine(1, login="key"), "verification failed for digest", image=name)


def test_disk_full(ground):
    with Engine(ground["small"], [ground.registry], size="60m") as engine:
        expect(ground, ground["small"].machine(1, login="key"), "no space left on device", "disk full there")
        assert engine.read("images", "-q") == []


def test_two_images_of_one_name(ground):
    """The tag was moved between two pulls: machines with different images are not compared."""
    moving = ground.registry.push(ground.image, "lab/moving:1")
    two = [ground["n1"].machine(1, login="key", name="n1"), ground["n2"].machine(2, login="key", user="lab.user", name="n2")]
    hosts(ground, config(ground, two[:1], docker_image=moving), rc=0)
    newer = Image(Path(ground.work, "newer"), more={"/etc/newer": (b"x", 0o644)})
    ground.registry.push(newer, "lab/moving:1")
    path = config(ground, two, docker_image=moving)
    said = hosts(ground, path, rc=3)
    assert f"its image {moving} is {newer.digest[:19]}, that of n1 is {ground.image.digest[:19]}" in said.err
    said = ground.head.run(["script", "-qec", f"me hosts {path} --pull -- true", "/dev/null"], timeout=60)
    assert said.rc == 0 and said.out.count(newer.digest[:19]) == 2, said
    assert "pulling the image: 0 of 2, 1 of " in said.out and " layers" in said.out  # for who sits at a terminal
    # By digest there is nothing to be moved.
    hosts(ground, config(ground, two, docker_image=ground.registry.name("lab/moving@" + ground.image.digest)), rc=0)


def test_archive(ground):
    """Without any registry: the archive of `docker save` goes over SFTP and is loaded; it does not stay."""
    engine = ground.engines["head"]
    engine.docker("pull", ground.me, check=True)
    engine.docker("save", "-o", "/tmp/me.tar", ground.me, check=True)
    machines = users(ground)
    for name in NAMES:
        ground.engines[name].docker("rmi", "-f", *set(ground.engines[name].read("images", "-aq")))
    ground.registry.stop()
    try:
        said = hosts(ground, config(ground, machines), "--image-archive", "/tmp/me.tar", rc=0)
        assert said.out.count(ground.image.id[:19]) == 3  # no registry has named it
        assert not any(list(ground[name].path("/").glob(f"{home}/.cache/machine-energy/*"))
                       for name in NAMES for home in ("root", "home/lab.user", "home/in.group"))
        said = ground.head.sh(". gen.hosts.d/env && mpirun -hostfile gen.hosts me_bench shipped -- sleep 0.5", timeout=60)
        assert said.rc == 0 and list(read(ground, "shipped").machines.image_digest) == [ground.image.id] * 3, said
        other = config(ground, machines[:1], docker_image="not/in:it")
        said = hosts(ground, other, "--image-archive", "/tmp/me.tar", rc=3)
        assert "no image not/in:it" in said.err
        Path(ground.work, "no.tar").write_text("no archive")
        said = hosts(ground, config(ground, machines[:1]), "--image-archive", "no.tar", rc=3)
        assert f"no image {ground.me}: " in said.err and len(said.err.splitlines()) == 1
        assert hosts(ground, other, "--image-archive", "absent.tar").rc == 2
    finally:
        ground.registry.start()


def test_check_changes_nothing(ground):
    fresh = ground.registry.push(ground.image, "lab/unseen:1")
    path = config(ground, [ground["n3"].machine(3, login="key", user="in.group")], docker_image=fresh)
    said = hosts(ground, path, "--check", rc=0)
    assert f"{fresh} will be pulled" in said.out
    assert fresh not in ground.engines["n3"].read("images", "--format", "{{.Repository}}:{{.Tag}}")


# -- killed in the middle -----------------------------------------------------------------------------


def find(host, begin):
    return [pid for pid, line in host.processes().items() if line.startswith(begin)]


def sshd_of_the_session(ground):
    """The two processes of the session in which the container's client runs."""
    def parent(pid):
        return int(me_test.read_proc(pid, "stat", str(ground["n1"].path("/proc"))).rsplit(b")", 1)[1].split()[1])
    pid, found = find(ground["n1"], "docker run")[0], []
    lines = ground["n1"].processes()
    while (pid := parent(pid)) > 1:
        if lines.get(pid, "").startswith("sshd: root"):
            found.append(pid)
    return ground["n1"], found


def frozen(host):
    """The daemon of Open MPI hears nothing any more: only the tether is left to end the container."""
    host.run(["kill", "-STOP", *map(str, find(host, "orted"))], check=True)
    return host, find(host, "docker run")


KILLS = {  # what is killed with SIGKILL, and where
    "mpirun": lambda ground: (ground.head, find(ground.head, "mpirun -hostfile")),
    "ssh": lambda ground: (ground.head, find(ground.head, "ssh -F")[:1]),
    "session": sshd_of_the_session,
    "client of a frozen daemon": lambda ground: frozen(ground["n1"]),
    "first process": lambda ground: (ground["n1"], find(ground["n1"], "me_bench --tether hold")),
    "workload": lambda ground: (ground["n1"], find(ground["n1"], "sleep 62")),
}


@pytest.fixture(scope="module")
def ready(ground):
    """What is not of ours, and ended long ago, stands beside it all the time."""
    hosts(ground, config(ground, users(ground), docker_image=ground.me), "--pull", rc=0)
    ground.engines["n1"].docker("create", "--name", "foreign", ground.me, "true", check=True)
    return ground


@pytest.mark.parametrize("what", KILLS)
def test_nothing_outlives(ready, what):
    """Killed in the middle, whatever it is: no container is left on any machine, what was measured is, and the
    next run starts."""
    ground, name = ready, what.replace(" ", "-")
    run = ground.head.popen(["bash", "-c", f". gen.hosts.d/env; exec mpirun -hostfile gen.hosts me_bench {name} -- sleep 62"])
    try:
        started = me_test.wait_until(lambda: all(find(ground[n], "sleep 62") for n in NAMES), 20)
        assert started, me_test.finish(run, name, 1)
        time.sleep(0.3)
        host, pids = KILLS[what](ground)
        assert pids, host.processes()
        host.run(["kill", "-KILL", *map(str, pids)], check=True)
        left = {"n1": ["foreign"]}
        if what == "workload":  # that is a failed run, not a dead machine: the others go on, until they are told
            ground.head.signal(run, 15)
        gone = me_test.wait_until(lambda: containers(ground) == left, 45, 0.1)
        assert gone, containers(ground)
        assert me_test.wait_until(lambda: run.poll() is not None and ours(ground) == [], 10), ours(ground)
    finally:
        me_test.kill_group(run)
        run.communicate()
    if what == "first process":
        said = ground.head.sh(". gen.hosts.d/env && mpirun -hostfile gen.hosts me_bench after -- sleep 0.5", timeout=60)
        assert said.rc == 0, said
        assert list(read(ground, "after").machines.status) == ["ok"] * 3


def test_me_recover(ready):
    """The journals lie on the machines; containers send them, and take them away. n2's was written by root within."""
    for name in NAMES:  # of the kills before
        ready[name].sh("rm -rf /root/.local/state/machine-energy /home/*/.local/state/machine-energy", check=True)
    command = "sh -c '[ $ME_REPEAT = 1 ] && exec sleep 0.7; exec sleep 62'"
    line = f". gen.hosts.d/env; exec mpirun -hostfile gen.hosts me_bench cut --repeats 2 -- {command}"
    run = ready.head.popen(["bash", "-c", line])
    try:
        assert me_test.wait_until(lambda: all(find(ready[n], "sleep 62") for n in NAMES), 20), run.communicate()
        time.sleep(1.2)
        folder = ready["n2"].path("/home/lab.user/.local/state/machine-energy")
        assert [path.stat().st_uid for path in folder.glob("*.mej")] == [ready["n2"].users["lab.user"].uid]
        ready.head.run(["pkill", "-KILL", "-f", "^mpirun -hostfile"], check=True)
        gone = me_test.wait_until(lambda: containers(ready) == {"n1": ["foreign"]} and ours(ready) == [], 45, 0.1)
        assert gone, (containers(ready), ours(ready))
    finally:
        me_test.kill_group(run)
        run.communicate()
    said = ready.head.run(["me", "recover", "cut"], timeout=60)
    assert said.rc == 1, said  # the second repeat was cut off
    result = read(ready, "cut")
    for i in (1, 2, 3):
        row = runs(result, i).iloc[0]
        assert row["repeat"] == 1
        assert row.energy_j == pytest.approx(POWER[i] * row.duration_s, rel=2e-3, abs=POWER[i] * 1.5 * TICK_S)
        assert result.machines.set_index("machine_id").engine[i].startswith("docker ")
    assert containers(ready) == {"n1": ["foreign"]} and ours(ready) == []
    assert not [path for n in NAMES for path in ready[n].path("/").glob("*/.local/state/machine-energy/*")]
    assert not [path for n in NAMES for path in ready[n].path("/").glob("home/*/.local/state/machine-energy/*")]


def test_what_a_killed_engine_left(ready):
    """A container that was made and never started goes at the next start; a foreign one stays, and so do images."""
    engine = ready.engines["n3"]
    agent = Path(ready.work, "gen.hosts.d", "agent").read_text()
    label = "machine-energy.machine=" + re.search(r'script="set=(\w+)', agent).group(1) + "-3"
    engine.docker("create", "--name", "left", "--label", label, ready.me, "true", check=True)
    before = engine.read("images", "-q")
    said = ready.head.sh(". gen.hosts.d/env && mpirun -hostfile gen.hosts me_bench swept -- sleep 0.5", timeout=60)
    assert said.rc == 0, said
    assert containers(ready) == {"n1": ["foreign"]} and engine.read("images", "-q") == before
    said = ready.head.run(["me", "clean", config(ready, users(ready))], timeout=60)
    assert said.rc == 0 and containers(ready) == {"n1": ["foreign"]}, said


# -- podman, where there is no docker -----------------------------------------------------------------


def test_podman(ground, tmp_path):
    """The same path, with no daemon behind it. runc runs it here: Debian's crun refuses the hybrid control groups that
    the machine of a test may have."""
    spec = HostSpec("n1", [zone(power=POWER[1])], engine=True, hide=MPI_PROGRAMS + ("docker*",), users=accounts(),
                    writable_root=True, private={"/var/tmp": "1g"})
    with Cluster(tmp_path / "c", [spec]) as c, Registry(c.head) as registry:
        image = Image(Path(c.work, "image"))
        name, n1 = registry.push(image, "lab/me:1"), c["n1"]
        n1.run(["sh", "-c", PREPARE, "sh", "1g"], check=True)
        n1.sh(f"""mkdir -p /etc/containers /run/engine
cat >/etc/containers/storage.conf <<'END'
[storage]
driver = "overlay"
runroot = "/run/engine/run"
graphroot = "/run/engine/data"
END
cat >/etc/containers/containers.conf <<'END'
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "file"
END
cat >/etc/containers/registries.conf <<'END'
[[registry]]
location = "{registry.address}"
insecure = true
END""", check=True)
        config = c.write_config([n1.machine(1, login="key", name="n1")], run_docker=True, docker_image=name, run_local=False)
        said = c.head.run(["me", "run", config, "exp1", "--", "sleep", "1.2"], timeout=120)
        assert said.rc == 0, said
        result = read(c)
        machine, (row,) = result.machines.iloc[0], runs(result, 1).itertuples()
        assert machine.engine.startswith("podman ") and machine.image_digest == image.digest
        assert machine.boot_id == n1.boot_id
        assert row.energy_j == pytest.approx(POWER[1] * row.duration_s, rel=1e-3, abs=POWER[1] * 1.5 * TICK_S)
        assert n1.run(["podman", "ps", "-aq"], check=True).out == ""
