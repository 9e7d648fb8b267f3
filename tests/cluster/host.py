"""The hosts of a test cluster: what is asked of them (HostSpec) and what can be done with them (Host).
How they are raised stands in ground.py, how to raise them in cluster.py."""

import os
import secrets
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
import me_test  # noqa: E402

PREFIX, NETWORK = 24, "10.77.0."  # lives between network namespaces of ours; the machine has no route to it
ABSENT_IP = NETWORK + "250"       # nobody is there
HEAD_IP = NETWORK + "1"
PRIVATE = {"/tmp": "1g", "/root": "1g", "/home": "1g", "/run": "64m", "/var/tmp": "64m", "/var/log": "64m",
           "/dev/shm": "2g"}
MPI_PROGRAMS = ("mpirun*", "mpiexec*", "orted*", "orterun*", "orte-*", "prte*", "prun*", "ompi_info*", "ompi-*")
ENGINE_PROGRAMS = ("docker*", "containerd*", "runc", "podman*", "crun", "nerdctl*")


def zone(directory="intel-rapl:0", name="package-0", power=50, mode="0444", **keys):
    """The SPEC of a zone for me_rig. energy_uj may be read by all here (Linux says 0400)."""
    keys = {"name": name, "power": power, "mode": mode, **keys}
    return ",".join([directory] + [f"{key}={value}" for key, value in keys.items()])


@dataclass
class User:
    """An account of a host. Root and users of other machines are apart: each host has its own."""

    name: str
    password: str = ""       # "": none can log in by password
    key: bool = True         # the ground's key logs in
    uid: int = 0             # 0: the next free one; root is 0
    shell: str = "/bin/bash"
    groups: tuple = ()       # of the machine's own: "docker"
    authorized_keys: list = field(default_factory=list)  # more public keys

    @property
    def home(self):
        return "/root" if self.name == "root" else f"/home/{self.name}"


def default_users():
    return [User("root", "pw-" + secrets.token_hex(8)), User("lab.user", "pw-" + secrets.token_hex(8))]


@dataclass
class HostSpec:
    """A host to raise."""

    name: str
    meter: list = field(default_factory=list)         # SPECs of me_rig; none: a machine without a counter
    users: list = field(default_factory=default_users)
    port: int = 2222
    more_ports: list = field(default_factory=list)    # sshd listens there too
    aliases: tuple = ()                               # further names in everybody's /etc/hosts
    more_addresses: int = 0                           # further IP addresses (Open MPI 4 hangs over such a host)
    auth: tuple = ("publickey", "password", "keyboard-interactive")
    sshd: bool = True
    host_key_types: tuple = ("ed25519",)
    boot_id: str = ""                                 # "": a fresh one
    private: dict = field(default_factory=dict)       # {"/home": "64k"}: size of its own tmpfs there
    hide: tuple = ()                                  # patterns of programs in /usr[/local]/bin that are not there
    files: dict = field(default_factory=dict)         # {path: text or (text, mode)} over files that exist
    binds: dict = field(default_factory=dict)         # {path: source}: e.g. {"/usr/local/bin": build}
    engine: bool = False                              # an engine.Engine will run here
    writable_root: bool = False                       # else only the private directories can be written
    containers: list = field(default_factory=list)    # HostSpecs that share this machine's boot id and meter


class Host:
    """A host that is up."""

    def __init__(self, cluster, spec, users, addresses, boot_id, pid, host_keys):
        self.cluster, self.spec, self.name = cluster, spec, spec.name
        self.users = {user.name: user for user in users}
        self.addresses, self.ip, self.port = addresses, addresses[0], spec.port
        self.boot_id, self.pid, self.host_keys = boot_id, pid, host_keys

    @property
    def host_key(self):
        """The public key as the config's `host_key` has it: "ssh-ed25519 AAAA..."."""
        return self.host_keys[0]

    def known_hosts(self):
        """Lines for a known_hosts file, all addresses and ports."""
        names = [ip if port == 22 else f"[{ip}]:{port}" for ip in self.addresses
                 for port in (self.port, *self.spec.more_ports)]
        return "".join(f"{','.join(names)} {key}\n" for key in self.host_keys)

    # -- inside ---------------------------------------------------------------------------------------

    def path(self, path):
        """A path of the host as seen from here, for instance its /tmp."""
        return Path(f"/proc/{self.pid}/root{path}")

    def writable(self):
        """All folders that a run on this host can have written to."""
        return [str(self.path(folder)) for folder in {**PRIVATE, **self.spec.private}]

    def environment(self, user="root"):
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return {"PATH": path, "HOME": self.users[user].home if user in self.users else "/root", "USER": user,
                "LOGNAME": user, "SHELL": "/bin/bash", "LANG": "C.UTF-8", "TERM": "dumb",
                "ME_GROUND": self.cluster.id}

    def enter(self, argv, user="root", cwd=None):
        """The argument vector that runs argv in this host, for those who start processes themselves."""
        words = ["nsenter", f"--target={self.pid}", "--mount", "--uts", "--ipc", "--net", "--pid",
                 f"--wdns={cwd or self.default_cwd(user)}"]
        if user != "root":
            uid = self.users[user].uid
            words += ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--init-groups"]
        return words + ["--", *map(str, argv)] if user == "root" else words + list(map(str, argv))

    def default_cwd(self, user):
        return self.users[user].home if user in self.users else "/"

    def popen(self, argv, user="root", cwd=None, env=None, **options):
        """Starts argv in this host: a Popen whose pid is nsenter's; see signal()."""
        return me_test.start(self.enter(argv, user, cwd), {**self.environment(user), **(env or {})}, **options)

    def run(self, argv, timeout=60, stdin=None, user="root", cwd=None, env=None, check=False):
        """Runs argv in this host to its end: Result(rc, out, err)."""
        return me_test.finish(self.popen(argv, user, cwd, env), argv, timeout, stdin, check)

    def sh(self, script, **options):
        """Runs a shell script in this host."""
        return self.run(["bash", "-c", script], **options)

    @staticmethod
    def signal(process, number=signal.SIGINT, group=False):
        """Signals what popen() started, behind nsenter; with group, as Ctrl-C does, all of its group."""
        children = me_test.read_proc(process.pid, f"task/{process.pid}/children").split()
        targets = [int(pid) for pid in children]
        if group:
            targets = [pid for pid in me_test.all_pids() if pid != process.pid and pgid(pid) == process.pid]
        for pid in targets:
            os.kill(pid, number)

    def processes(self):
        """{pid as the host counts: command line} of all that runs in this host."""
        proc = str(self.path("/proc"))
        return {pid: me_test.read_proc(pid, "cmdline", proc).replace(b"\0", b" ").decode(errors="replace").strip()
                for pid in me_test.all_pids(proc)}

    def namespaces(self):
        return me_test.namespaces_of(self.pid)

    # -- the meter ------------------------------------------------------------------------------------

    def meter(self, *commands):
        """Commands for me_rig, for instance "intel-rapl:0 power 80" or "intel-rapl:0 fault EIO 3"."""
        fd = os.open(self.path("/sys/class/powercap/.control"), os.O_WRONLY)
        try:
            for command in commands:
                os.write(fd, command.encode() + b"\n")
        finally:
            os.close(fd)

    def meter_state(self):
        """{zone directory: {key: text}} as me_rig tells it."""
        state = {}
        for line in self.path("/sys/class/powercap/.control").read_text().splitlines():
            directory, *pairs = line.split(" ")
            state[directory] = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        return state

    def energy_uj(self, directory="intel-rapl:0", when_ns=None):
        """The true energy of a zone, never wrapped, in microjoules (exact to the tick) at a moment of
        CLOCK_MONOTONIC not before the last change of its power; now, if no moment is given."""
        when_ns = time.monotonic_ns() if when_ns is None else when_ns
        zones = self.meter_state()
        source = zones[directory] if zones[directory]["mirror"] == "-" else zones[zones[directory]["mirror"]]
        state = {key: int(value) for key, value in source.items() if value.isdigit()}
        moment = when_ns - (when_ns - state["epoch_ns"]) % state["tick_ns"]
        base = state["base_uj"] * 10**9 + state["base_rest_fj"]
        return (base + state["power_uw"] * (moment - state["since_ns"])) / 1e9

    # -- troubles -------------------------------------------------------------------------------------

    def sshd_pid(self):
        """The listening sshd as this host counts, or 0."""
        try:
            return int(self.path("/run/sshd.pid").read_text())
        except (OSError, ValueError):
            return 0

    def sshd_signal(self, name):
        self.run(["kill", f"-{name}", str(self.sshd_pid())], check=True)

    def stop_sshd(self):
        """Nobody listens any more: connections are refused."""
        pid = self.sshd_pid()
        self.sshd_signal("TERM")
        if not me_test.wait_until(lambda: not self.path(f"/proc/{pid}").exists()):
            raise RuntimeError(f"{self.name}: sshd does not stop")

    def start_sshd(self):
        self.run(["/usr/sbin/sshd", "-f", "/run/ground/sshd_config", "-E", "/run/sshd.log"], check=True)
        me_test.wait_until(self.sshd_pid)

    def pause_sshd(self):
        """It accepts connections and says nothing: a hung machine."""
        self.sshd_signal("STOP")

    def resume_sshd(self):
        self.sshd_signal("CONT")

    def change_host_key(self):
        """A new host key, as after a reinstallation (or a man in the middle); known_hosts stays as it is."""
        self.stop_sshd()
        kind = self.spec.host_key_types[0]
        path = f"/run/ground/ssh_host_{kind}_key"
        self.run(["rm", "-f", path, path + ".pub"], check=True)
        self.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", path], check=True)
        self.host_keys[0] = " ".join(self.path(path + ".pub").read_text().split()[:2])
        self.start_sshd()

    def link(self, up):
        """Pulls the cable, or puts it back."""
        self.run(["ip", "link", "set", "eth0", "up" if up else "down"], check=True)

    def blackhole(self, on=True):
        """The head's packets to this host vanish: a connection neither succeeds nor fails."""
        verb = ["replace", self.ip, "lladdr", "02:00:00:00:00:99", "nud", "permanent"] if on else ["del", self.ip]
        self.cluster.head.run(["ip", "neigh", *verb, "dev", "eth0"], check=True)

    def kill(self):
        """The machine is gone, as if by a power cut."""
        os.kill(self.pid, signal.SIGKILL)

    def authorize(self, user, public_key):
        """Adds a line to a user's authorized_keys."""
        account = self.users[user]
        path = self.path(f"{account.home}/.ssh/authorized_keys")
        with open(path, "a") as out:
            out.write(public_key.strip() + "\n")
        os.chmod(path, 0o600)
        os.chown(path, account.uid, account.uid)

    def authorized_keys(self, user="root"):
        path = self.path(f"{self.users[user].home}/.ssh/authorized_keys")
        return path.read_text() if path.exists() else ""

    # -- for the product ------------------------------------------------------------------------------

    def machine(self, machine_id, login="password", user="root", **more):
        """This host as an entry of `machines` in a config; login is password, key or none."""
        entry = {"machine_id": machine_id, "MACHINE_IP_ADDRESS": self.ip, "MACHINE_PORT": self.port,
                 "MACHINE_USER": user}
        if login == "password":
            entry["MACHINE_PASSWORD"] = self.users[user].password
        if login == "key":
            entry["MACHINE_KEY_FILENAME"] = self.cluster.key
        return {**entry, **more}


class Head(Host):
    """The host that commands are given on. The build comes first in its PATH, and it is the only one that
    sees cluster.work, where it can write and the tests can read."""

    def environment(self, user="root"):
        env = super().environment(user)
        if self.cluster.build:
            env["PATH"] = f"{self.cluster.build}:{env['PATH']}"
        return {**env, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}

    def default_cwd(self, user):
        return self.cluster.work

    def trust(self, hosts):
        """Fills ~/.ssh/known_hosts with the keys that these hosts show now."""
        path = self.path("/root/.ssh/known_hosts")
        path.write_text("".join(host.known_hosts() for host in hosts))

    def ssh(self, host, argv, user="root", port=None, password=None, method=None, timeout=30,
            stdin=None):
        """Plain ssh to a host, by the ground's key, or by password (method: password or
        keyboard-interactive)."""
        words = ["ssh", "-F", "none", "-p", str(port or host.port), "-o", "UserKnownHostsFile=/root/.ssh/known_hosts",
                 "-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=5"]
        env = {}
        if password is None:
            words += ["-i", self.cluster.key, "-o", "BatchMode=yes", "-o", "PreferredAuthentications=publickey"]
        else:
            words += ["-o", f"PreferredAuthentications={method or 'password'}", "-o", "NumberOfPasswordPrompts=1"]
            env = {"SSH_ASKPASS": self.cluster.askpass, "SSH_ASKPASS_REQUIRE": "force", "ME_ASKPASS": password}
        return self.run(words + [f"{user}@{host.ip}", *argv], timeout=timeout, env=env, stdin=stdin)


def pgid(pid):
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return -1
