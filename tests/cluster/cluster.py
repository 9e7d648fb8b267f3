"""Several hosts on one machine, each with its own sshd, boot id, home and power meter.

    with Cluster("/tmp/x", [HostSpec("n1", meter=[zone(power=50)]), HostSpec("n2", port=2200)]) as c:
        c.head.run(["ssh", "-F", c.ssh_config, "n1", "hostname"])
        c["n1"].meter("intel-rapl:0 power 80")

What is raised and how it falls stands in ground.py. Raise it from the main thread: it dies with the
thread that raised it. From a shell: tests/cluster/cluster --help."""

import contextlib
import json
import os
import secrets
import subprocess
import uuid
from pathlib import Path

import cgroups
from host import (ABSENT_IP, ENGINE_PROGRAMS, HEAD_IP, HERE, MPI_PROGRAMS, NETWORK, PREFIX, PRIVATE, Head, Host,
                  HostSpec, User, me_test, zone)

__all__ = ["ABSENT_IP", "ENGINE_PROGRAMS", "MPI_PROGRAMS", "Cluster", "Head", "Host", "HostSpec", "User", "zone"]
SSHD_CONFIG = """ListenAddress 0.0.0.0
PidFile /run/sshd.pid
UsePAM {pam}
PubkeyAuthentication {publickey}
PasswordAuthentication {password}
KbdInteractiveAuthentication {keyboard_interactive}
PermitRootLogin yes
UseDNS no
PrintMotd no
PrintLastLog no
LogLevel VERBOSE
MaxStartups 100:30:200
MaxSessions 50
AcceptEnv LANG LC_*
Subsystem sftp /usr/lib/openssh/sftp-server
"""


class Cluster:
    """The ground with its hosts. `folder` is made if need be; in it: work/ (the head's files; among them
    ssh_config for all hosts), keys/, ground.json, ground.log, and after the fall logs/ of the sshds.
    shared_work: all hosts see work/, as a cluster's shared file system."""

    def __init__(self, folder, hosts, head=None, build=None, rig=None, share=(), trust=True, shared_work=False):
        self.folder = Path(folder).resolve()
        self.id = secrets.token_hex(6)
        self.cgroup = cgroups.PREFIX + self.id
        self.build = str(build) if build else None
        if not build:
            with contextlib.suppress(FileNotFoundError):
                self.build = str(me_test.build_dir())
        self.rig = str(rig or f"{self.build}/tests/me_rig")
        self.specs, self.head_spec = list(hosts), head or HostSpec("head", sshd=False)
        self.share, self.trust, self.shared_work = list(share), trust, shared_work
        self.work, self.key = str(self.folder / "work"), str(self.folder / "keys" / "id_ed25519")
        self.askpass, self.ssh_config = str(self.folder / "keys" / "askpass"), f"{self.work}/ssh_config"
        self.hosts, self.head, self.process, self.pid, self.keeper = {}, None, None, 0, 0
        self.planned, self.next_address = {}, 11

    def host(self, name):
        return self.hosts[name]

    def __getitem__(self, name):
        return self.hosts[name]

    def __enter__(self):
        return self.up()

    def __exit__(self, *_):
        self.down()

    # -- rising ---------------------------------------------------------------------------------------

    def up(self):
        if not os.access(self.rig, os.X_OK) and any(spec.meter for spec in self.flat()):
            raise FileNotFoundError(f"{self.rig}: not built (set ME_BUILD)")
        for name in ("work", "keys"):
            (self.folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        self.make_keys()
        orders = [self.order(spec, number) for number, spec in enumerate([self.head_spec, *self.specs])]
        try:
            self.start({"hosts": orders, "cgroup": self.cgroup if any(spec.engine for spec in self.flat()) else ""})
            self.write_ssh_config()
            if self.trust:
                self.head.trust(self.hosts.values())
            self.save()
        except BaseException:
            self.down()
            raise
        return self

    def flat(self):
        todo = [self.head_spec, *self.specs]
        while todo:
            spec = todo.pop(0)
            yield spec
            todo = spec.containers + todo

    def make_keys(self):
        if not os.path.exists(self.key):
            self.make_key("id_ed25519")
        fd = os.open(self.askpass, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o700)
        with os.fdopen(fd, "w") as out:
            out.write('#!/bin/sh\nprintf "%s\\n" "$ME_ASKPASS"\n')

    def make_key(self, name, kind="ed25519", passphrase="", bits=None):
        """A key pair in keys/; the path of the private one, the same in the head."""
        path = str(self.folder / "keys" / name)
        size = ["-b", str(bits)] if bits else []
        me_test.run(["ssh-keygen", "-q", "-t", kind, *size, "-N", passphrase, "-C", "ground", "-f", path], check=True)
        return path

    def public_key(self, path=None):
        return Path((path or self.key) + ".pub").read_text().strip()

    def order(self, spec, number, machine=None):
        """What ground.py is told of a host; fills in what the spec leaves open."""
        addresses = self.take_addresses(number == 0 and not machine, 1 + spec.more_addresses)
        users = self.take_users(spec)
        boot_id = machine["boot_id"] if machine else spec.boot_id or str(uuid.uuid4())
        self.planned[spec.name] = (spec, users, addresses, boot_id)
        order = {
            "name": spec.name, "addresses": addresses, "prefix": PREFIX, "boot_id": boot_id,
            "meter": spec.meter, "rig": self.rig, "container": machine is not None,
            "private": {**PRIVATE, **spec.private}, "share": self.shares(spec is self.head_spec),
            "hide": list(spec.hide), "binds": {path: str(source) for path, source in spec.binds.items()},
            "files": {path: text if isinstance(text, tuple) else (text, 0o644) for path, text in spec.files.items()},
            "writable_root": spec.writable_root, "host_key_types": list(spec.host_key_types), "sshd": spec.sshd,
            "sshd_config": sshd_config(spec), "users": users, "etc_hosts": self.etc_hosts(),
        }
        order["containers"] = [self.order(inner, number, order) for inner in spec.containers]
        return order

    def take_addresses(self, is_head, count):
        if is_head:
            return [HEAD_IP]
        first, self.next_address = self.next_address, self.next_address + count
        return [NETWORK + str(number) for number in range(first, first + count)]

    def take_users(self, spec):
        taken = []
        for number, user in enumerate(spec.users):
            user.uid = user.uid or (0 if user.name == "root" else 2000 + number)
            keys = ([self.public_key()] if user.key else []) + user.authorized_keys
            taken.append({"name": user.name, "password": user.password, "uid": user.uid, "home": user.home,
                          "shell": user.shell, "groups": list(user.groups), "authorized_keys": keys})
        return taken

    def shares(self, is_head):
        shares = {str(me_test.REPOSITORY): "ro"}
        shares.update({str(path): "ro" for path in [self.build, os.path.dirname(self.rig), *self.share] if path})
        if is_head or self.shared_work:
            shares[self.work] = "rw"
        if is_head:
            shares[str(self.folder / "keys")] = "ro"
        return {path: mode for path, mode in sorted(shares.items()) if os.path.exists(path)}

    def etc_hosts(self):
        lines, number = ["127.0.0.1 localhost", f"{HEAD_IP} {self.head_spec.name}"], 11
        for spec in list(self.flat())[1:]:
            lines.append(" ".join([f"{NETWORK}{number}", spec.name, *spec.aliases]))
            number += 1 + spec.more_addresses
        return "\n".join(lines) + "\n"

    def start(self, spec):
        log = open(self.folder / "ground.log", "a")
        self.process = subprocess.Popen(
            ["/usr/bin/python3", "-S", str(HERE / "ground.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=log, env={"PATH": os.environ.get("PATH", "/usr/bin") + ":/usr/sbin:/sbin", "ME_GROUND": self.id,
                             "LANG": "C.UTF-8"}, start_new_session=True)
        log.close()
        self.process.stdin.write(json.dumps(spec).encode() + b"\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline() or '{"error": "the ground ended at once"}')
        if "error" in answer:
            raise RuntimeError(f"ground: {answer['error']} (more in {self.folder}/ground.log)")
        self.pid = answer["pid"]
        self.populate(answer["hosts"])

    def populate(self, up):
        for name, (spec, users, addresses, boot_id) in self.planned.items():
            kind = Head if spec is self.head_spec else Host
            accounts = [User(user["name"], user["password"], uid=user["uid"], shell=user["shell"]) for user in users]
            host = kind(self, spec, accounts, addresses, boot_id, up[name]["pid"], up[name]["host_keys"])
            if kind is Head:
                self.head = host
            else:
                self.hosts[name] = host

    def write_ssh_config(self):
        text = ""
        for host in self.hosts.values():
            text += (f"Host {host.name}\n    HostName {host.ip}\n    Port {host.port}\n    User root\n"
                     f"    IdentityFile {self.key}\n    UserKnownHostsFile {self.work}/known_hosts\n"
                     "    BatchMode yes\n")
        Path(self.ssh_config).write_text(text)
        Path(self.work, "known_hosts").write_text("".join(host.known_hosts() for host in self.hosts.values()))

    def write_config(self, machines, name="config.json", mode=0o600, **top):
        """A config in the head's work folder; its path, the same here and there."""
        path = Path(self.work, name)
        path.write_text(json.dumps({"machines": machines, **top}, indent=4) + "\n")
        path.chmod(mode)
        return str(path)

    # -- state and fall -------------------------------------------------------------------------------

    def namespaces(self):
        """All namespaces that belong to the ground, to look for leftovers when it has fallen."""
        ours = me_test.namespaces_of("self")
        pids = [self.pid] + [host.pid for host in (self.head, *self.hosts.values())]
        return set().union(*(me_test.namespaces_of(pid) for pid in pids)) - ours

    def save(self):
        state = {"id": self.id, "pid": self.pid, "keeper": os.getpid(), "build": self.build, "hosts": {}}
        for host in (self.head, *self.hosts.values()):
            state["hosts"][host.name] = {
                "pid": host.pid, "ip": host.ip, "addresses": host.addresses, "port": host.port,
                "boot_id": host.boot_id, "host_keys": host.host_keys, "head": host is self.head,
                "users": [vars(user) for user in host.users.values()],
            }
        fd = os.open(self.folder / "ground.json", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w") as out:
            json.dump(state, out, indent=2)

    @classmethod
    def attach(cls, folder):
        """A ground that another process holds up, from its ground.json."""
        folder = Path(folder).resolve()
        state = json.loads((folder / "ground.json").read_text())
        cluster = cls(folder, [], build=state["build"])
        cluster.id, cluster.pid = state["id"], state["pid"]
        for name, host in state["hosts"].items():
            users = [User(**user) for user in host["users"]]
            kind = Head if host["head"] else Host
            up = kind(cluster, HostSpec(name, port=host["port"], users=users), users, host["addresses"],
                      host["boot_id"], host["pid"], host["host_keys"])
            if host["head"]:
                cluster.head = up
            else:
                cluster.hosts[name] = up
        cluster.keeper = state["keeper"]
        return cluster

    def save_logs(self):
        logs = self.folder / "logs"
        for host in (self.head, *self.hosts.values()):
            with contextlib.suppress(OSError):
                text = host.path("/run/sshd.log").read_bytes()
                logs.mkdir(exist_ok=True)
                (logs / f"{host.name}.sshd.log").write_bytes(text)

    def down(self):
        """Fells everything; returns when the last process has ended. Twice is fine."""
        if not self.process:
            return
        if self.head:
            self.save_logs()
        process, self.process = self.process, None
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        with contextlib.suppress(FileNotFoundError):
            (self.folder / "ground.json").unlink()


def sshd_config(spec):
    def yes(method):
        return "yes" if method in spec.auth else "no"

    text = "".join(f"Port {port}\n" for port in (spec.port, *spec.more_ports))
    text += "".join(f"HostKey /run/ground/ssh_host_{kind}_key\n" for kind in spec.host_key_types)
    return text + SSHD_CONFIG.format(pam="yes", publickey=yes("publickey"), password=yes("password"),
                                     keyboard_interactive=yes("keyboard-interactive"))
