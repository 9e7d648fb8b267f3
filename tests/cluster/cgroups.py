"""The control groups of a ground's engines: the one thing of it that has a name on the machine. A process of its
own takes them away when the ground has ended, however that was; ground.py starts it."""

import os
import time
from pathlib import Path

PREFIX, TOP = "me-ground-", Path("/sys/fs/cgroup")


def hierarchies():
    """Where groups are made: one folder a controller (version 1), or one for all (version 2)."""
    if (TOP / "cgroup.procs").exists():
        return [TOP]
    return [folder for folder in TOP.iterdir() if folder.is_dir() and not folder.is_symlink()]


def groups(name):
    return [folder / name for folder in hierarchies() if (folder / name).is_dir()]


def remove(name, patience_s=10):
    """Removes the groups of that name and all below; waits for what still ends in them."""
    give_up = time.monotonic() + patience_s
    while left := [top for top in groups(name) if not remove_tree(top)]:
        if time.monotonic() > give_up:
            return left
        time.sleep(0.05)
    return []


def remove_tree(top):
    for folder, _, _ in os.walk(top, topdown=False):
        try:
            os.rmdir(folder)  # the files in it are the kernel's and go with it
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return True


def start_remover(name):
    """A process that waits for the end of all who hold the returned descriptor, and then removes: (pid, fd)."""
    ends_here, held = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.close(held)
        os.dup2(os.open("/dev/null", os.O_RDWR), 0)
        os.dup2(0, 1)
        os.read(ends_here, 1)
        remove(name)
        os._exit(0)
    os.close(ends_here)
    return pid, held
