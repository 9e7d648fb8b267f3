"""Images for the engines of a test cluster, made without an engine: a Debian root with Open MPI and what the
programs of the build are linked to, made once and kept in the build folder, and a thin layer with the programs.

    image.py push ADDRESS NAME:TAG FOLDER [USER PASSWORD]     over HTTP, as docker push does

Docker's image manifest, version 2, schema 2, and the HTTP API of registries are described in the distribution
project's documentation; the layers are plain tars, which engines take as they are."""

import base64
import fcntl
import hashlib
import http.client
import io
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import me_test  # noqa: E402

PROGRAMS = ("me", "me_bench", "me_kernel")
ALWAYS = ("openmpi-bin",)
# What no test looks at, about a third of the whole.
LEFT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/perl",
            "usr/share/perl5", "usr/share/zoneinfo", "usr/lib/*/perl", "usr/lib/*/gconv", "usr/include",
            "var/cache/apt", "var/lib/apt/lists")
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar"


def said(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL).stdout


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as data:
        while piece := data.read(1 << 20):
            digest.update(piece)
    return "sha256:" + digest.hexdigest()


def architecture():
    """amd64 and arm64 have one name with Debian and Docker."""
    return said("dpkg", "--print-architecture").strip()


def suite():
    return re.search(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.M).group(1)


def packages():
    """The Debian packages of the libraries that the programs name, and those always there."""
    libraries = set()
    for program in PROGRAMS:
        text = said("readelf", "-dW", me_test.program(program))
        libraries |= set(re.findall(r"\(NEEDED\).*\[(.+)\]", text))
    owners = said("dpkg-query", "-S", *(f"*/{library}" for library in sorted(libraries)))
    found = {line.split(":")[0] for line in owners.splitlines() if line.rsplit("/", 1)[-1] in libraries}
    return sorted({name for name in found if not name.startswith("libc6")} | set(ALWAYS))  # each root has that


def debian_root():
    """The tar of the Debian root that the programs run in. The first call of a machine takes some minutes; it is
    made anew when the packages change."""
    left_out = " ".join(f'"$1"/{pattern}' for pattern in LEFT_OUT)
    return kept("root", ["--variant=essential", "--include=" + ",".join(packages()),
                         "--customize-hook=rm -rf " + left_out, suite()])


def native_root():
    """The same with what the workload `native` loads and trains on."""
    left_out = " ".join(f'"$1"/{pattern}' for pattern in LEFT_OUT)
    wanted = [*packages(), "libopenblas0-pthread", "dataset-fashion-mnist"]
    return kept("native", ["--variant=essential", "--include=" + ",".join(wanted),
                           "--customize-hook=rm -rf " + left_out, suite()])


def slim_root():
    """The tar of a Debian that images are built on: apt and what is essential, with this machine's way to packages."""
    settings = [line for line in said("apt-config", "dump").splitlines() if re.match(r"Acquire::(Check|Retries)", line)]
    return kept("slim", ["--variant=minbase", "--include=usr-is-merged",
                         '--customize-hook=cd "$1/usr/share" && rm -rf doc/* man/* locale/* info/*',
                         *(f"--aptopt={line}" for line in settings), suite()])


def kept(kind, words):
    """What mmdebstrap makes of these words, made once."""
    folder = me_test.build_dir() / "test-image"
    folder.mkdir(exist_ok=True)
    name = hashlib.sha256(json.dumps(words).encode()).hexdigest()[:16]
    path = folder / f"{kind}-{name}.tar"
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            for old in folder.glob(f"{kind}-*"):
                old.unlink()
            make_root(words, path)
            path.with_suffix(".sha256").write_text(sha256(path))
    return path


def make_root(words, path):
    half = path.with_suffix(".half.tar")
    done = subprocess.run(["nice", "mmdebstrap", "--quiet", *words, str(half)], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise RuntimeError(f"mmdebstrap: exit {done.returncode}\n{done.stderr}")
    half.rename(path)


def programs_layer(path, programs=PROGRAMS, more=None):
    """A layer with programs of the build in /usr/local/bin and more files, {path: (bytes, mode)}."""
    with tarfile.open(path, "w") as tar:
        files = {f"usr/local/bin/{name}": (Path(me_test.program(name)).read_bytes(), 0o755) for name in programs}
        files.update({name.lstrip("/"): made for name, made in (more or {}).items()})
        for name, (data, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            tar.addfile(entry, io.BytesIO(data))


class Image:
    """An image as a folder of blobs: manifest.json and, each named by its digest, the config and the layers."""

    def __init__(self, folder, programs=PROGRAMS, more=None, machine=None, labels=None, user="", root=None):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True)
        root = root or debian_root()
        layers = [self.add(root, root.with_suffix(".sha256").read_text())]
        if programs or more:
            thin = self.folder / "layer"
            programs_layer(thin, programs, more)
            layers.append(self.add(thin, sha256(thin)))
        config = {"architecture": machine or architecture(), "os": "linux",
                  "config": {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                             "Cmd": ["sh"], "User": user, "Labels": labels or {}},
                  "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]}}
        text = self.folder / "config"
        text.write_text(json.dumps(config))
        self.id = sha256(text)
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST,
                    "config": {**self.add(text, self.id), "mediaType": CONFIG}, "layers": layers}
        path = self.folder / "manifest.json"
        path.write_text(json.dumps(manifest))
        self.digest = sha256(path)  # what the registry and RepoDigests call it

    def add(self, path, digest):
        (self.folder / digest).symlink_to(Path(path).resolve())
        return {"mediaType": LAYER, "size": os.path.getsize(path), "digest": digest}


# -- to the registry, in a process of its own on the head ---------------------------------------------

class Push:
    def __init__(self, address, login=None):
        self.connection = http.client.HTTPConnection(address, timeout=60)
        self.headers = {}
        if login:
            self.headers["Authorization"] = "Basic " + base64.b64encode(":".join(login).encode()).decode()

    def ask(self, method, path, expected, body=None, **headers):
        self.connection.request(method, path, body, {**self.headers, **headers})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status not in expected:
            raise RuntimeError(f"registry: {method} {path}: {answer.status} {text.decode(errors='replace')}")
        return answer

    def blob(self, name, folder, blob):
        if self.ask("HEAD", f"/v2/{name}/blobs/{blob['digest']}", (200, 404)).status == 200:
            return
        where = self.ask("POST", f"/v2/{name}/blobs/uploads/", (202,)).getheader("Location")
        where = re.sub(r"^https?://[^/]+", "", where)
        with open(folder / blob["digest"], "rb") as data:
            self.ask("PUT", f"{where}{'&' if '?' in where else '?'}digest={blob['digest']}", (201,), data,
                     **{"Content-Type": "application/octet-stream", "Content-Length": str(blob["size"])})

    def image(self, name, tag, folder):
        text = (folder / "manifest.json").read_bytes()
        manifest = json.loads(text)
        for blob in [manifest["config"], *manifest["layers"]]:
            self.blob(name, folder, blob)
        self.ask("PUT", f"/v2/{name}/manifests/{tag}", (201,), text, **{"Content-Type": MANIFEST})


def main():
    _, verb, address, image, folder, *login = sys.argv
    assert verb == "push"
    name, tag = image.rsplit(":", 1)
    Push(address, login).image(name, tag, Path(folder))


if __name__ == "__main__":
    main()
