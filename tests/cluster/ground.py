"""The ground that a cluster of test hosts stands on. Started by cluster.py, not by hand.

One JSON line on standard input says what to raise; one on standard output says what has been raised, or
why it could not be. Everything lives in one PID namespace, whose first process is this program: it
ends when its standard input closes or its parent dies, and the kernel then takes all the rest with it,
processes, mounts, network and all. Nothing has a name outside, so nothing can be left behind."""

import ctypes
import fnmatch
import json
import os
import select
import signal
import subprocess
import sys
import time
import traceback

import cgroups

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
CLONE_ALL = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
PR_SET_PDEATHSIG = 1
SYS_MOUNT_SETATTR, MOUNT_ATTR_RDONLY, AT_RECURSIVE = 442, 1, 0x8000
SSHD = "/usr/sbin/sshd"

libc = ctypes.CDLL(None, use_errno=True)


def check(rc, what):
    if rc != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags):
    check(libc.unshare(flags), "unshare")


def mount(source, target, kind=None, flags=0, data=None):
    encoded = [text.encode() if text else None for text in (source, target, kind)]
    rc = libc.mount(*encoded, ctypes.c_ulong(flags), data.encode() if data else None)
    check(rc, f"mount {source} on {target}")


def bind(source, target, readonly=False):
    mount(source, target, None, MS_BIND | MS_REC)
    mount(None, target, None, MS_REMOUNT | MS_BIND | (MS_RDONLY if readonly else 0))


def make_readonly():
    """Every mount of this namespace: what a host writes outside its own directories is a mistake."""
    attributes = (ctypes.c_uint64 * 4)(MOUNT_ATTR_RDONLY, 0, 0, 0)
    if libc.syscall(SYS_MOUNT_SETATTR, -100, b"/", AT_RECURSIVE, attributes, 32) != 0:
        mount(None, "/", None, MS_REMOUNT | MS_BIND | MS_RDONLY)


def write(path, text, mode=0o644, owner=(0, 0)):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(fd, "w") as out:
        out.write(text)
    os.chmod(path, mode)
    os.chown(path, *owner)


def ip_batch(lines):
    done = subprocess.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n", text=True, capture_output=True)
    if done.returncode != 0:
        raise RuntimeError(f"ip: {done.stderr.strip()}")


def crypt(password):
    """The shadow hash; few rounds, for a test that logs in a hundred times."""
    library = ctypes.CDLL("libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    salt = "$6$rounds=1000$" + os.urandom(8).hex()
    return library.crypt(password.encode(), salt.encode()).decode()


class HostInit:
    """First process of one host. Methods are in the order in which they are called."""

    def __init__(self, spec, outer_proc):
        self.spec = spec
        self.outer_proc = outer_proc

    def pids(self):
        """Our PID as the raiser sees it, and as the ground sees it."""
        outer = int(os.readlink("self", dir_fd=self.outer_proc))
        fd = os.open("self/status", os.O_RDONLY, dir_fd=self.outer_proc)
        with os.fdopen(fd) as status:
            chain = next(line for line in status if line.startswith("NSpid:")).split()[1:]
        return {"outer": outer, "ground": int(chain[1])}

    def prepare(self):
        name = self.spec["name"].encode()
        check(libc.sethostname(name, len(name)), "sethostname")
        mount(None, "/", None, MS_REC | MS_PRIVATE)
        if not self.spec["writable_root"]:
            make_readonly()
        self.mount_private()
        self.mount_sys_class()
        mount("devpts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666,mode=0620,gid=5")
        self.mount_files()
        mount("proc", "/proc", "proc")
        bind(self.made("boot_id", self.spec["boot_id"] + "\n", 0o444), "/proc/sys/kernel/random/boot_id")
        for which in ("all", "default"):
            path = f"/proc/sys/net/ipv6/conf/{which}/disable_ipv6"
            if os.path.exists(path):
                with open(path, "w") as out:
                    out.write("1")

    def mount_private(self):
        """A tmpfs over each private directory; what must stay visible inside is bound back."""
        shares = [(os.open(path, os.O_PATH), path, mode) for path, mode in self.spec["share"].items()]
        for path, size in self.spec["private"].items():
            if os.path.isdir(path):
                mode = "1777" if path in ("/tmp", "/var/tmp", "/dev/shm") else "0700" if path == "/root" else "0755"
                mount("tmpfs", os.path.realpath(path), "tmpfs", 0, f"mode={mode},size={size}")
        os.makedirs("/run/ground", 0o755)
        os.makedirs("/run/sshd", 0o755)
        for fd, path, mode in shares:
            if not os.path.exists(path):
                os.makedirs(path) if os.path.isdir(f"/proc/self/fd/{fd}") else write(path, "")
            bind(f"/proc/self/fd/{fd}", path, mode == "ro")
            os.close(fd)
        self.hide_programs()
        for target, source in self.spec["binds"].items():
            bind(source, target, True)

    def hide_programs(self):
        """Programs that are truly not there: /usr/bin and /usr/local/bin as links to all their entries but these."""
        if not self.spec["hide"]:
            return
        os.makedirs("/run/ground/usr")
        mount("/usr", "/run/ground/usr", None, MS_BIND)
        for folder in ("/usr/bin", "/usr/local/bin"):
            names = os.listdir(folder)
            mount("tmpfs", folder, "tmpfs", 0, "mode=0755")
            for name in names:
                if not any(fnmatch.fnmatch(name, pattern) for pattern in self.spec["hide"]):
                    os.symlink(f"/run/ground{folder}/{name}", f"{folder}/{name}")

    def mount_sys_class(self):
        if self.spec["container"]:
            return  # sees what its machine has
        mount("tmpfs", "/sys/class", "tmpfs", 0, "mode=0755,size=1m")
        if self.spec["meter"]:
            os.mkdir("/sys/class/powercap")
        if os.path.isdir("/sys/bus/event_source/devices"):  # else this machine's own counters go before the rig's
            mount("tmpfs", "/sys/bus/event_source/devices", "tmpfs", 0, "mode=0755,size=64k")

    def made(self, name, text, mode=0o644, owner=(0, 0)):
        path = f"/run/ground/{name.strip('/').replace('/', '.')}"
        write(path, text, mode, owner)
        return path

    def mount_files(self):
        accounts = self.accounts()
        files = {
            "/etc/hosts": (self.spec["etc_hosts"], 0o644),
            "/etc/hostname": (self.spec["name"] + "\n", 0o644),
            "/etc/passwd": (accounts["passwd"], 0o644),
            "/etc/group": (accounts["group"], 0o644),
            "/etc/shadow": (accounts["shadow"], 0o640),
            "/etc/pam.d/sshd": ("auth required pam_unix.so nodelay\naccount required pam_unix.so\n"
                                "session required pam_permit.so\n", 0o644),
        }
        files.update({path: (text, mode) for path, (text, mode) in self.spec["files"].items()})
        for path, (text, mode) in files.items():
            if os.path.exists(path):
                bind(self.made(path, text, mode), path)
        for user in self.spec["users"]:
            self.make_home(user)

    def accounts(self):
        ours = {user["name"]: user for user in self.spec["users"]}

        def others(path):
            with open(path) as lines:
                return "".join(line for line in lines if line.split(":")[0] not in ours)

        passwd, shadow, group = others("/etc/passwd"), others("/etc/shadow"), self.with_members(others("/etc/group"))
        for user in ours.values():
            secret = crypt(user["password"]) if user["password"] else "*"
            passwd += f"{user['name']}:x:{user['uid']}:{user['uid']}::{user['home']}:{user['shell']}\n"
            shadow += f"{user['name']}:{secret}:19000:0:99999:7:::\n"
            group += f"{user['name']}:x:{user['uid']}:\n"
        return {"passwd": passwd, "shadow": shadow, "group": group}

    def with_members(self, text):
        """The text of /etc/group with our users in the groups that they are members of."""
        members = {}
        for user in self.spec["users"]:
            for name in user["groups"]:
                members.setdefault(name, []).append(user["name"])
        lines = []
        for line in text.splitlines():
            more = members.pop(line.split(":")[0], [])
            lines.append(line if not more else ",".join(filter(None, [line, *more])).replace(":,", ":"))
        if members:
            raise RuntimeError(f"/etc/group has no {', '.join(members)}")
        return "\n".join(lines) + "\n"

    @staticmethod
    def make_home(user):
        owner = (user["uid"], user["uid"])
        ssh = f"{user['home']}/.ssh"
        os.makedirs(ssh, 0o700, exist_ok=True)
        for path in (user["home"], ssh):
            os.chmod(path, 0o700)
            os.chown(path, *owner)
        if user["authorized_keys"]:
            write(f"{ssh}/authorized_keys", "\n".join(user["authorized_keys"]) + "\n", 0o600, owner)

    def join_network(self):
        lines = ["link set lo up", "link set eth0 up"]
        lines += [f"addr add {address}/{self.spec['prefix']} dev eth0" for address in self.spec["addresses"]]
        ip_batch(lines)

    def start_meter(self):
        if self.spec["meter"] and not self.spec["container"]:
            zones = [word for zone in self.spec["meter"] for word in ("--zone", zone)]
            done = subprocess.run([self.spec["rig"], "--background", *zones, "/sys/class/powercap"],
                                  stdin=subprocess.DEVNULL, stdout=2, timeout=20)
            if done.returncode != 0:
                raise RuntimeError("me_rig did not start")

    def start_sshd(self):
        keys = []
        for kind in self.spec["host_key_types"]:
            path = f"/run/ground/ssh_host_{kind}_key"
            subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", self.spec["name"], "-f", path],
                           stdin=subprocess.DEVNULL, stdout=2, check=True)
            with open(path + ".pub") as public:
                keys.append(" ".join(public.read().split()[:2]))
        write("/run/ground/sshd_config", self.spec["sshd_config"])
        if self.spec["sshd"]:
            subprocess.run([SSHD, "-f", "/run/ground/sshd_config", "-E", "/run/sshd.log"],
                           stdin=subprocess.DEVNULL, stdout=2, check=True)
        return keys


def say(fd, message):
    os.write(fd, json.dumps(message).encode() + b"\n")


def host_main(spec, channels, outer_proc):
    up, down = channels[spec["name"]]["host"]
    try:
        init = HostInit(spec, outer_proc)
        say(up, {"host": spec["name"], "pids": init.pids()})
        init.prepare()
        os.read(down, 1)  # our end of the cable is in
        init.join_network()
        init.start_meter()
        keys = init.start_sshd()
        for container in spec["containers"]:
            fork_host(container, channels, outer_proc)
        say(up, {"host": spec["name"], "ready": True, "host_keys": keys})
    except BaseException as error:
        traceback.print_exc()
        say(up, {"host": spec["name"], "error": f"{type(error).__name__}: {error}"})
        os._exit(1)
    reap_for_ever()


def reap_for_ever():
    """A first process adopts orphans."""
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            time.sleep(0.2)


def fork_host(spec, channels, outer_proc):
    if os.fork():
        return
    try:
        unshare(CLONE_ALL)
        if os.fork() == 0:
            null = os.open("/dev/null", os.O_RDWR)
            os.dup2(null, 0)
            os.dup2(null, 1)
            host_main(spec, channels, outer_proc)
    finally:
        os._exit(0)


def all_hosts(hosts):
    for host in hosts:
        yield host
        yield from all_hosts(host["containers"])


class Ground:
    """First process of the ground: the switch, and mother of the hosts."""

    def __init__(self, spec):
        self.spec = spec
        self.outer_proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
        self.channels = {}
        self.result = {}

    def raise_all(self):
        libc.sethostname(b"switch", 6)
        mount(None, "/", None, MS_REC | MS_PRIVATE)
        ip_batch(["link add br0 type bridge", "link set br0 up", "link set lo up"])
        for host in all_hosts(self.spec["hosts"]):
            ground_reads, host_writes = os.pipe()
            host_reads, ground_writes = os.pipe()
            self.channels[host["name"]] = {"ground": (ground_reads, ground_writes), "host": (host_writes, host_reads)}
        for host in self.spec["hosts"]:
            fork_host(host, self.channels, self.outer_proc)
        self.listen()

    def listen(self):
        readers = {channel["ground"][0]: b"" for channel in self.channels.values()}
        while any("host_keys" not in self.result.get(name, {}) for name in self.channels):
            ready, _, _ = select.select(list(readers), [], [], 30)
            if not ready:
                late = [name for name in self.channels if "host_keys" not in self.result.get(name, {})]
                raise RuntimeError(f"not up after 30 s: {', '.join(late)}")
            for fd in ready:
                *lines, readers[fd] = (readers[fd] + os.read(fd, 65536)).split(b"\n")
                for line in lines:
                    self.hear(json.loads(line))

    def hear(self, message):
        name = message["host"]
        if "error" in message:
            raise RuntimeError(f"{name}: {message['error']}")
        if "pids" in message:
            self.result[name] = {"pid": message["pids"]["outer"]}
            self.plug(len(self.result), name, message["pids"]["ground"])
        else:
            self.result[name]["host_keys"] = message["host_keys"]

    def plug(self, number, name, ground_pid):
        ip_batch([f"link add ve{number} type veth peer name eth0 netns {ground_pid}",
                  f"link set ve{number} master br0 up"])
        os.write(self.channels[name]["ground"][1], b"!")

    def serve(self):
        """Until the raiser closes our standard input, or is gone."""
        poll = select.poll()
        poll.register(0, select.POLLIN | select.POLLHUP)
        while True:
            events = poll.poll(500)
            if events and not os.read(0, 4096):
                return
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                pass


def ground_main(spec):
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    code = 0
    try:
        ground = Ground(spec)
        ground.raise_all()
        outer = int(os.readlink("self", dir_fd=ground.outer_proc))
        say(1, {"ready": True, "pid": outer, "hosts": ground.result})
        ground.serve()
    except BaseException as error:
        traceback.print_exc()
        say(1, {"error": str(error)})
        code = 1
    os._exit(code)


def main():
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C in the terminal is for the raiser
    spec = json.loads(sys.stdin.buffer.raw.readline())
    remover, held = cgroups.start_remover(spec["cgroup"]) if spec["cgroup"] else (0, -1)
    unshare(CLONE_ALL)
    pid = os.fork()
    if pid == 0:
        ground_main(spec)
    os.waitpid(pid, 0)  # returns when all that was in the ground has ended
    if remover:
        os.close(held)
        os.waitpid(remover, 0)


if __name__ == "__main__":
    main()
