"""Container engines on the hosts of a test cluster, and a registry: the real ones of Debian, started by hand.

    with Cluster(folder, [HostSpec("n1", [zone(power=50)], engine=True)]) as c, Registry(c.head) as registry:
        image = Image(folder / "image")
        registry.push(image, "me:1")
        with Engine(c["n1"], registries=[registry]) as engine:
            engine.docker("pull", registry.name("me:1"), check=True)

Engines that are still up when the ground falls fall with it: their processes are in its PID namespace, their
images in a tmpfs of its mount namespace, and cgroups.py takes their control groups away."""

import ctypes
import json
import os
from pathlib import Path

from host import HERE, me_test

DOCKER, DOCKERD, REGISTRY = "/usr/bin/docker", "/usr/sbin/dockerd", "/usr/bin/docker-registry"
# For HostSpec(files={"/etc/sudoers": SUDO_DOCKER}): who may run docker by `sudo -n`, and nothing else.
SUDO_DOCKER = ("lab.user ALL=(root) NOPASSWD: /usr/bin/docker, /usr/local/bin/docker\n", 0o440)
FOLDER = "/run/engine"
PREPARE = f"""set -e
for mount in $(awk '$5 ~ "^/sys/fs/cgroup" {{ print $5 }}' /proc/self/mountinfo); do
    mount -o remount,bind,rw "$mount"
done
[ ! -e /usr/local/bin/docker ] || mount --bind /usr/bin/docker /usr/local/bin/docker
mkdir -p {FOLDER}
mount -t tmpfs -o "mode=0711,size=$1" engine {FOLDER}
"""


class Engine:
    """dockerd on a host whose spec says engine=True. `size` bounds what images and containers take of memory;
    `group` is who may use the socket beside root; `registries` are those that need no TLS."""

    def __init__(self, host, registries=(), size="1g", group="docker", storage="overlay2", start=True):
        if not host.spec.engine:
            raise ValueError(f"{host.name}: HostSpec(engine=True) is needed")
        self.host, self.process, self.size = host, None, size
        self.daemon = {
            "data-root": f"{FOLDER}/data", "exec-root": f"{FOLDER}/exec", "pidfile": f"{FOLDER}/pid",
            "deprecated-key-path": f"{FOLDER}/key.json", "group": group, "storage-driver": storage,
            "bridge": "none", "iptables": False, "ip6tables": False, "ip-forward": False, "ip-masq": False,
            "userland-proxy": False, "shutdown-timeout": 2,
            "cgroup-parent": f"/{host.cluster.cgroup}/{host.name}", "exec-opts": ["native.cgroupdriver=cgroupfs"],
            "insecure-registries": [registry.address for registry in registries],
        }
        if start:
            self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self, timeout=20):
        """Returns when it answers. After stop() or kill() it finds its images again."""
        if not self.host.path(FOLDER).is_dir():
            self.host.run(["sh", "-c", PREPARE, "sh", self.size], check=True)
        self.host.path(f"{FOLDER}/daemon.json").write_text(json.dumps(self.daemon))
        with open(self.host.path("/run/engine.log"), "ab") as log:
            self.process = self.host.popen([DOCKERD, "--config-file", f"{FOLDER}/daemon.json"], stdin=None,
                                           stdout=log, stderr=log)
        if not me_test.wait_until(lambda: self.answers() or self.process.poll() is not None, timeout) \
                or self.process.poll() is not None:
            raise RuntimeError(f"{self.host.name}: dockerd does not come up:\n{self.log()}")

    def answers(self):
        return self.host.path("/run/docker.sock").exists() and self.host.run([DOCKER, "version"]).rc == 0

    def log(self):
        return self.host.path("/run/engine.log").read_text()

    def stop(self):
        """dockerd ends, and with it its containers; the images stay. Twice is fine."""
        if self.process and self.process.poll() is None:
            self.host.signal(self.process, 15)
            self.process.wait(20)
        self.process = None

    def kill(self):
        """dockerd dies as by a crash; containers live on, as they do."""
        self.host.signal(self.process, 9)
        self.process.wait(10)
        self.host.path("/run/docker.sock").unlink()

    def docker(self, *words, user="root", **options):
        return self.host.run(["docker", *words], user=user, **options)

    def read(self, *words, **options):
        """The lines that a docker command says."""
        return self.docker(*words, check=True, **options).out.split("\n")[:-1]

    def containers(self):
        """Names of all containers, also those that have ended or were only created."""
        return self.read("ps", "-a", "--format", "{{.Names}}")

    def digest(self, name):
        """What the registry calls an image that was pulled by "address/repository:tag": "sha256:..."; "" if it came
        another way. One image may have been pulled from several repositories."""
        repository = name.rpartition(":")[0]
        known = self.read("image", "inspect", "-f", "{{range .RepoDigests}}{{println .}}{{end}}", name)
        return next((line.partition("@")[2] for line in known if line.startswith(repository + "@")), "")

    def memory_mib(self):
        """What the engine takes: its processes, and its images and containers."""
        words = ("dockerd", "containerd")
        pids = [pid for pid, line in self.host.processes().items() if Path(line.split(" ")[0]).name.startswith(words)]
        status = [me_test.read_proc(pid, "status", self.host.path("/proc")).decode() for pid in pids]
        rss = sum(int(line.split()[1]) for text in status for line in text.splitlines() if line.startswith("VmRSS"))
        used = os.statvfs(self.host.path(FOLDER))
        return rss // 1024, (used.f_blocks - used.f_bfree) * used.f_frsize >> 20


class Registry:
    """docker-registry on a host, the head most often, at an address that all hosts of the ground reach.
    login: (user, password) that it asks for, else none; changed, it holds from the next start()."""

    def __init__(self, host, port=5000, login=None, size="1g"):
        self.host, self.port, self.login, self.process = host, port, login, None
        self.folder, self.address = f"/run/registry-{port}", f"{host.ip}:{port}"
        host.run(["mkdir", self.folder], check=True)
        host.run(["mount", "-t", "tmpfs", "-o", f"mode=0755,size={size}", "registry", self.folder], check=True)
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.host.run(["umount", "-l", self.folder])

    def name(self, image):
        """An image's whole name: "10.77.0.1:5000/me:1"."""
        return f"{self.address}/{image}"

    def start(self):
        """Returns when it answers; what was pushed before is there again."""
        config = {"version": 0.1, "log": {"level": "warn", "accesslog": {"disabled": True}},
                  "storage": {"filesystem": {"rootdirectory": f"{self.folder}/data"}, "delete": {"enabled": True}},
                  "http": {"addr": self.address}}
        if self.login:
            config["auth"] = {"htpasswd": {"realm": "test ground", "path": f"{self.folder}/htpasswd"}}
            self.host.path(f"{self.folder}/htpasswd").write_text(f"{self.login[0]}:{bcrypt(self.login[1])}\n")
        self.host.path(f"{self.folder}/config.yml").write_text(json.dumps(config))  # JSON is YAML
        with open(self.host.path(f"{self.folder}/log"), "ab") as log:
            self.process = self.host.popen([REGISTRY, "serve", f"{self.folder}/config.yml"], stdin=None, stdout=log,
                                           stderr=log)
        host, port = self.address.split(":")
        knock = ["bash", "-c", f"exec 3<>/dev/tcp/{host}/{port}"]
        if not me_test.wait_until(lambda: self.host.run(knock).rc == 0, 10):
            raise RuntimeError("docker-registry does not come up:\n" + self.log())

    def log(self):
        return self.host.path(f"{self.folder}/log").read_text()

    def stop(self):
        """Connections are refused from here on. Twice is fine."""
        if self.process:
            self.host.signal(self.process, 9)
            self.process.wait(10)
        self.process = None

    def push(self, image, name):
        """Puts an Image there as "name:tag". The same tag may be given to another image."""
        self.host.run(["/usr/bin/python3", HERE / "image.py", "push", self.address, name, image.folder,
                       *(self.login or ())], check=True)
        return self.name(name)

    def tamper(self, digest):
        """From here on the blob or manifest of that digest has other bytes: one of them is turned around."""
        kind, _, number = digest.partition(":")
        path = self.host.path(f"{self.folder}/data/docker/registry/v2/blobs/{kind}/{number[:2]}/{number}/data")
        with open(path, "r+b") as blob:
            blob.seek(-1, 2)
            last = blob.read(1)
            blob.seek(-1, 2)
            blob.write(bytes([last[0] ^ 1]))


def bcrypt(password):
    library = ctypes.CDLL("libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    return library.crypt(password.encode(), b"$2y$04$" + os.urandom(10).hex().encode() + b"0.").decode()
