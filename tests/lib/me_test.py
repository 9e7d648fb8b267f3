"""What the tests in Python share: programs, commands with a time limit, searches for what a run left."""

import os
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
NAMESPACES = ("pid", "net", "mnt", "uts", "ipc")

Result = namedtuple("Result", "rc out err")

# A shell that starts the tests in the background ignores Ctrl-C for them and all their children; those that
# test it would wait for ever.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


class CommandError(AssertionError):
    """A command that failed, or took too long; the message holds its output."""


def build_dir():
    """The build that is tested: ME_BUILD, else build/ in the repository."""
    path = Path(os.environ.get("ME_BUILD") or REPOSITORY / "build").resolve()
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such build directory; set ME_BUILD")
    return path


def program(name):
    """The absolute path of a program of the build: "me", "me_bench", "tests/me_rig"."""
    path = build_dir() / name
    if not os.access(path, os.X_OK):
        raise FileNotFoundError(f"{path}: not built")
    return str(path)


def kill_group(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def finish(process, argv, timeout=60, stdin=None, check=False):
    """Waits for a process that leads a group of its own; the whole group dies at the time limit."""
    try:
        out, err = process.communicate(stdin, timeout)
    except subprocess.TimeoutExpired:
        kill_group(process)
        out, err = process.communicate()
        raise CommandError(f"{argv}: not done after {timeout} s\n{out}{err}") from None
    except BaseException:
        kill_group(process)
        raise
    if check and process.returncode != 0:
        raise CommandError(f"{argv}: exit {process.returncode}\n{out}{err}")
    return Result(process.returncode, out, err)


def start(argv, env=None, cwd=None, **options):
    """Popen with pipes for text, in a process group of its own."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([str(word) for word in argv], env=env, cwd=cwd, text=True, errors="replace",
                            start_new_session=True, **{**pipes, **options})


def run(argv, timeout=60, stdin=None, env=None, cwd=None, check=False):
    """Runs a command to its end: Result(rc, out, err)."""
    return finish(start(argv, env, cwd), argv, timeout, stdin, check)


def wait_until(true, timeout=10, step=0.02):
    """Waits for something to become true; whether it did."""
    end = time.monotonic() + timeout
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(step)
    return True


def all_pids(proc="/proc"):
    return [int(name) for name in os.listdir(proc) if name.isdigit()]


def read_proc(pid, what, proc="/proc"):
    """A file of a process as bytes; empty when the process has gone meanwhile."""
    try:
        return Path(proc, str(pid), what).read_bytes()
    except OSError:
        return b""


def namespaces_of(pid):
    """The namespaces of a process: {"net:[4026531840]", ...}."""
    found = set()
    for kind in NAMESPACES:
        try:
            found.add(os.readlink(f"/proc/{pid}/ns/{kind}"))
        except OSError:
            pass
    return found


def links():
    """Names of the network interfaces here."""
    return set(os.listdir("/sys/class/net"))


def mounts(text):
    """Lines of this process's mount table with a text in them."""
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if text in line]


def leftovers(namespaces=(), marker=None):
    """Processes that live in one of these namespaces or carry the marker (bytes) in their environment."""
    found = []
    for pid in all_pids():
        if pid == os.getpid() or read_proc(pid, "stat").split(b")")[-1].split()[:1] == [b"Z"]:
            continue
        inside = namespaces_of(pid) & set(namespaces)
        if inside or (marker and marker in read_proc(pid, "environ")):
            found.append((pid, read_proc(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace")))
    return found


def files_below(top):
    for folder, folders, names in os.walk(top, followlinks=False):
        folders[:] = [name for name in folders if not os.path.ismount(os.path.join(folder, name))]
        for name in names:
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink():
                yield path


def secret_forms(secret):
    """The bytes of a secret as they may stand in a file: plain, and as JSON writes them."""
    import json
    plain = secret.encode() if isinstance(secret, str) else secret
    return {plain, json.dumps(plain.decode(errors="replace"))[1:-1].encode()}


def find_bytes(tops, secret, but=()):
    """The files below these folders that hold the secret; `but` names files that may. The repository, which
    hosts see read-only, is passed over: the tests themselves hold some."""
    forms, allowed = secret_forms(secret), {os.path.realpath(path) for path in but}
    found = []
    for top in tops:
        for path in files_below(top) if os.path.isdir(top) else [Path(top)]:
            if os.path.realpath(path) in allowed or f"{REPOSITORY}/" in str(path):
                continue
            try:
                content = path.read_bytes()
            except OSError:
                continue
            if content.startswith(b"\x89HDF\r\n\x1a\n"):
                content += dump_hdf5(path)
            if any(form in content for form in forms):
                found.append(str(path))
    return found


def dump_hdf5(path):
    """The text of an HDF5 file: its bytes may be compressed."""
    return subprocess.run(["h5dump", str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False).stdout


def find_in_processes(secret, proc="/proc", but=()):
    """Processes that show the secret in their arguments or environment."""
    forms = secret_forms(secret)
    found = []
    for pid in all_pids(proc):
        if pid in but:
            continue
        for what in ("cmdline", "environ"):
            content = read_proc(pid, what, proc)
            if any(form in content for form in forms):
                found.append((pid, what, read_proc(pid, "cmdline", proc).replace(b"\0", b" ").decode(errors="replace")))
    return found


if str(REPOSITORY / "tests" / "cluster") not in sys.path:
    sys.path.insert(1, str(REPOSITORY / "tests" / "cluster"))
