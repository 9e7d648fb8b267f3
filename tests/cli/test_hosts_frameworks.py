"""Frameworks on the machines: me hosts looks for them over real ssh, installs them there with the real
install-framework, and leaves nothing half-made behind. Needs root (tests/cluster) and pip's package index."""

import json
import os
import re
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import me_test  # noqa: E402
from cluster import Cluster, HostSpec, User  # noqa: E402

INSTALLER = me_test.REPOSITORY / "scripts/install-framework"
FRAMEWORKS = ".local/share/machine-energy/frameworks"

SILENT = "import socket, time\ns = socket.create_server(('127.0.0.1', 8009))\nprint('listening', flush=True)\ntime.sleep(600)"
# What must not live on after an installation.
AT_WORK = re.compile(r"install-framework|/frameworks/|pip install|setsid")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """The hosts reach no network: their pip takes what this machine's has fetched."""
    folder = tmp_path_factory.mktemp("wheels")
    told = me_test.run([INSTALLER, "--dry-run", "--dir", folder / "none", "--python", "/usr/bin/python3", "sklearn"],
                       check=True).out
    (folder / "requirements").write_text("".join(re.findall(r"^    (\S+==\S+\n)", told, re.M)))
    own = tmp_path_factory.mktemp("pip") / "venv"  # a Debian without python3-pip has one in each environment
    me_test.run(["/usr/bin/python3", "-m", "venv", own], check=True)
    me_test.run([own / "bin/pip", "download", "-q", "--no-deps", "--only-binary", ":all:", "-d", folder,
                 "-r", folder / "requirements"], env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}, timeout=600,
                check=True)
    folder.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def hosts_up(tmp_path_factory, wheels):
    def users():
        return [User("root", "root-Secret-71c"), User("lab.user", "lab-Secret-29d")]

    head = HostSpec("head", sshd=False, users=[User("root")])
    specs = [HostSpec(name, users=users()) for name in ("n1", "n2", "off")]
    with Cluster(tmp_path_factory.mktemp("ground") / "c", specs, head, rig="/bin/true", share=[wheels]) as cluster:
        yield cluster


def pip_conf(host, text, user="root"):
    home = host.users[user].home
    host.sh("mkdir -p ~/.config/pip && cat >~/.config/pip/pip.conf", stdin=f"[global]\n{text}\n", user=user, cwd=home,
            check=True)


@pytest.fixture
def ground(hosts_up, wheels):
    """Nothing installed anywhere; n1, n2 and the head have the wheels, `off` reaches nothing."""
    hosts_up.head.sh("rm -rf gen.hosts gen.hosts.d exp* solver* train.py")
    for host in (hosts_up.head, *hosts_up.hosts.values()):
        homes = [user.home for user in host.users.values()]
        host.sh(f"rm -rf {' '.join(f'{home}/.local {home}/.cache {home}/.bashrc {home}/.config {home}/venv' for home in homes)}")
        for user in host.users:
            pip_conf(host, f"no-index = true\nfind-links = {wheels}", user)
    hosts_up["off"].sh("rm ~/.config/pip/pip.conf", check=True)
    hosts_up["off"].path("/root/.bashrc").write_text("export PIP_INDEX_URL=http://127.0.0.1:9/simple PIP_RETRIES=1\n")
    return hosts_up


def me(ground, *arguments, timeout=300, env=None):
    return ground.head.run(["me", *arguments], timeout=timeout, env=env)


def rows(result):
    """The table: {machine_id: verdict}."""
    return {line.split()[0]: re.split(r"  +", line)[-1] for line in result.out.splitlines() if re.match(r"\d+ ", line)}


def is_there(host, user="root"):
    """By the installer's own judgement."""
    found = host.run(["sh", "-s", "--", "--check", "sklearn"], user=user, stdin=INSTALLER.read_text())
    assert found.rc in (0, 1), found
    return found.rc == 0


def leftovers(host):
    """Processes of an installation, its files in the staging folder, environments without their mark."""
    found = [line for line in host.processes().values() if AT_WORK.search(line) and "me hosts" not in line]
    found += host.sh("ls -d /root/.cache/machine-energy/install-* /home/*/.cache/machine-energy/install-* 2>/dev/null").out.split()
    return found + [str(path) for path in host.path("/root").glob(f"{FRAMEWORKS}/*/requirements.txt")
                    if not (path.parent / "complete").exists()]


# -- looking for them -----------------------------------------------------------------------------------


def test_a_machine_without_a_framework_is_a_line(ground):
    config = ground.write_config([ground["n1"].machine(1), ground["n2"].machine(2)])
    for more in ([], ["--check"]):
        result = me(ground, "hosts", config, "--framework", "sleep,sklearn", *more)
        assert result.rc == 3 and "2 of 2 machines failed" in result.err and result.err.count("\n") == 1, result
        assert all(re.fullmatch("FAILED: the workload sklearn does not run there: sklearn is not installed for "
                                "/usr/bin/python3; cure: me hosts CONFIG --install-framework sklearn", verdict)
                   for verdict in rows(result).values()), result.out
        assert "sleep,sklearn fails" in result.out
    assert not Path(ground.work, "gen.hosts").exists()
    assert me(ground, "run", config, "exp1", "--framework", "sklearn").rc == 3
    assert not Path(ground.work, "exp1").exists()


def test_the_config_names_the_python_of_a_machine(ground):
    """What is missing in it is for its owner to install: nothing else is looked at, and nothing is touched."""
    ground["n1"].sh("/usr/bin/python3 -m venv --without-pip ~/venv && cd ~/venv/lib/python3*/site-packages && "
                    "mkdir sklearn && touch sklearn/__init__.py", check=True)
    with_venv, without = ground["n1"].machine(1, python="~/venv"), ground["n1"].machine(1, python="/usr/bin/python3")
    result = me(ground, "hosts", ground.write_config([with_venv]), "--framework", "sklearn")
    assert result.rc == 0 and "Python 3" in rows(result)["1"], result
    for more in (["--framework", "sklearn"], ["--install-framework", "sklearn"]):
        result = me(ground, "hosts", ground.write_config([without]), *more)
        assert result.rc == 3 and "its python is set to /usr/bin/python3: install it there" in result.err, result
    result = me(ground, "hosts", ground.write_config([with_venv]), "--install-framework", "sklearn")
    assert result.rc == 0 and "nothing installed: its python is set to ~/venv" in rows(result)["1"], result
    assert not is_there(ground["n1"])
    result = me(ground, "hosts", ground.write_config([ground["n1"].machine(1)]), "--framework", "sklearn", "--python", "~/none")
    assert result.rc == 3 and "~/none is neither an interpreter nor a virtual environment" in result.err, result


def test_a_shipped_command_and_a_function(ground):
    Path(ground.work, "solver").write_text("#!/bin/sh\necho solved\n")
    Path(ground.work, "train.py").write_text("def train():\n    pass\n")

    def hosts(experiment, **more):
        return me(ground, "hosts", ground.write_config([ground["n1"].machine(1, **more)], experiment=experiment), "--check")

    (ground["n1"].path("/root") / "here").touch()  # another folder than the head's
    missing = hosts({"command": ["./no-solver", "x"], "with": "solver"})
    assert missing.rc == 3 and "./no-solver is not among what --with names" in missing.err, missing
    assert hosts({"command": ["./solver", "x"], "with": "solver"}).rc == 0
    assert hosts({"command": ["./solver", "x"], "with": [f"{ground.work}/solver", "train.py"]}).rc == 0
    bare = hosts({"command": ["solver", "x"], "with": "solver"})  # in PATH only, as me_bench looks for it
    assert bare.rc == 3 and "solver is not in PATH; write ./solver for the one that is shipped" in bare.err, bare
    assert hosts({"command": ["./solver"], "with": "none"}).rc == 2  # told before any machine is reached
    good = hosts({"train_func": "train.py:train"})
    assert good.rc == 0 and re.fullmatch(r"ok; Python 3\.\d+\.\d+.*", rows(good)["1"]) and "function ok" in good.out, good
    bad = hosts({"train_func": "train.py:train"}, python="/none/python")
    assert bad.rc == 3 and "/none/python does not run there" in bad.err, bad


# -- installing them ---------------------------------------------------------------------------------------


def test_two_machines_at_once_then_all_is_there(ground):
    machines = [ground["n1"].machine(1), ground["n2"].machine(2, user="lab.user")]
    config = ground.write_config(machines)
    child = ground.head.popen(["me", "hosts", config, "--install-framework", "sklearn"])
    both = [lambda host=ground[name]: any("install-framework" in line for line in host.processes().values())
            for name in ("n1", "n2")]
    assert me_test.wait_until(lambda: all(test() for test in both), 30)
    out, err = child.communicate(timeout=300)
    result = me_test.Result(child.returncode, out, err)
    assert result.rc == 0 and not err, result
    assert all(re.match(r"ok; scikit-learn 1\.\d.*Python 3", verdict) for verdict in rows(result).values()), out
    assert is_there(ground["n1"]) and is_there(ground["n2"], "lab.user") and not is_there(ground["n2"])
    assert leftovers(ground["n1"]) == leftovers(ground["n2"]) == []
    plan = json.loads(Path(ground.work, "gen.hosts.d/machines.json").read_text())
    assert plan["workload"] == "sklearn"

    made = ground["n1"].path(f"/root/{FRAMEWORKS}/sklearn/complete").stat().st_mtime_ns
    again = me(ground, "hosts", config, "--install-framework", "sklearn", "--framework", "sleep,sklearn")
    assert again.rc == 0 and ground["n1"].path(f"/root/{FRAMEWORKS}/sklearn/complete").stat().st_mtime_ns == made
    assert me(ground, "hosts", config, "--framework", "sklearn", "--check").rc == 0
    assert me(ground, "clean", config).rc == 0
    assert is_there(ground["n1"])  # for the next experiment

    ran = me(ground, "run", config, "exp1", "--install-framework", "sklearn", "--samples", "500")
    assert ran.rc == 0 and Path(ground.work, "exp1/exp1.h5").exists() and "sklearn" in ran.out, ran


def test_a_machine_without_network(ground):
    config = ground.write_config([ground["off"].machine(1, name="lonely"), ground["n1"].machine(2, name="fine")])
    result = me(ground, "hosts", config, "--install-framework", "sklearn")
    assert result.rc == 3 and result.err.count("\n") == 1, result
    assert re.search(r"me: lonely: sklearn is not installed: sklearn: pip cannot reach its package index; .*; "
                     "no hostfile was written", result.err), result.err
    assert leftovers(ground["off"]) == [] and not is_there(ground["off"]) and is_there(ground["n1"])
    assert not Path(ground.work, "gen.hosts").exists()
    result = me(ground, "hosts", config, "--install-framework", "sklearn", "--skip-failed")
    assert result.rc == 0 and rows(result)["1"].startswith("skipped: lonely: sklearn is not installed"), result
    assert rows(result)["2"].startswith("ok; "), result


def test_the_head_itself(ground):
    config = ground.write_config([], run_local=True)
    result = me(ground, "hosts", config, "--install-framework", "sklearn")
    assert result.rc == 0 and rows(result)["0"].startswith("ok; scikit-learn"), result
    assert is_there(ground.head) and leftovers(ground.head) == []


# -- ending in the middle -------------------------------------------------------------------------------------


@pytest.fixture
def silent_index(ground):
    """pip on n1 and on the head waits for an index that takes the question and never answers."""
    children = []
    for host in (ground["n1"], ground.head):
        pip_conf(host, "index-url = http://127.0.0.1:8009/simple\ntimeout = 120")
        child = host.popen(["python3", "-c", SILENT])
        assert child.stdout.readline() == "listening\n"
        children.append((host, child))
    yield ground
    for host, child in children:
        host.signal(child, signal.SIGKILL)
        child.communicate(timeout=10)


@pytest.mark.parametrize("how", ["SIGINT", "SIGINT to the group", "SIGTERM", "SIGKILL"])
@pytest.mark.parametrize("where", ["n1", "head"])
def test_ended_in_the_middle(silent_index, where, how):
    ground = silent_index
    host = ground.head if where == "head" else ground[where]
    machines = [] if where == "head" else [host.machine(1)]
    config = ground.write_config(machines, run_local=where == "head")
    child = ground.head.popen(["me", "hosts", config, "--install-framework", "sklearn"])
    assert me_test.wait_until(lambda: any("pip install" in line for line in host.processes().values()), 60)
    assert host.path(f"/root/{FRAMEWORKS}/sklearn").is_dir()
    number = getattr(signal, how.split()[0])
    ground.head.signal(child, number, group=how.endswith("group"))
    out, err = child.communicate(timeout=20)
    if number != signal.SIGKILL:
        assert child.returncode == 1 and "interrupted; no hostfile was written" in err, (out, err)
    assert me_test.wait_until(lambda: not leftovers(host), 30), (leftovers(host), host.processes())
    assert not host.path(f"/root/{FRAMEWORKS}/sklearn").exists() and not is_there(host)
    assert not Path(ground.work, "gen.hosts").exists()
    result = me(ground, "hosts", config, "--framework", "sklearn", "--check")
    assert result.rc == 3 and "--install-framework sklearn" in result.err, result


# -- the command line --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words,said", [
    (["--install-framework", "sklear"], "--install-framework: there is no sklear; did you mean sklearn?"),
    (["--install-framework", "keras,native"], "--install-framework: native comes with me_bench"),
    (["--install-framework", "keras,"], "--install-framework: a name is missing in the list"),
    (["--install-framework", "keras", "--check"], "--install-framework: not together with --check"),
    (["--gpu"], "--gpu: only with --install-framework"),
    (["--framework", "sklear,native"], "--framework: there is no sklear; did you mean sklearn?"),
    (["--framework", "native,native"], "--framework: native stands in the list twice"),
])
def test_misuse(ground, words, said):
    config = ground.write_config([ground["n1"].machine(1)])
    for command in (["hosts", config], ["run", config, "exp1"]):
        if command[0] == "run" and "--check" in words:
            continue
        result = me(ground, *command, *words)
        assert result.rc == 2 and said in result.err and result.err.count("\n") == 1 and not result.out, result


def test_the_embedded_script_is_the_one_in_scripts():
    program = Path(me_test.program("me")).read_bytes()
    assert INSTALLER.read_bytes() in program
