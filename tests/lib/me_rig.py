"""me_rig on a folder of its own, for tests in Python: meters of known power, and what they truly say."""

import os
import subprocess
import time

import me_test


class Rig:
    """`zones` and `files` are SPECs of me_rig; `folder` is where they are seen while the with statement lasts."""

    def __init__(self, folder, *zones, files=(), options=()):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        specs = [*(("-z", zone) for zone in zones), *(("-f", file) for file in files)]
        words = [me_test.program("tests/me_rig"), "-d", *options, *(word for spec in specs for word in spec), folder]
        self.process = subprocess.Popen([str(word) for word in words])
        assert me_test.wait_until(lambda: (folder / ".control").exists() or self.process.poll() is not None)
        assert self.process.poll() is None, f"me_rig: exit {self.process.returncode}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        assert self.process.wait(10) == 0
        assert me_test.mounts(f" {self.folder} ") == []

    def tell(self, line):
        fd = os.open(self.folder / ".control", os.O_WRONLY)
        try:
            os.write(fd, line.encode())
        finally:
            os.close(fd)

    def state(self, name):
        line = next(line for line in (self.folder / ".control").read_text().splitlines() if line.split()[0] == name)
        return dict(pair.split("=", 1) for pair in line.split()[1:])

    def read(self, zone, name="energy_uj"):
        return (self.folder / zone / name).read_text().strip()

    def between(self, zone):
        """One reading, and the moments before and after it."""
        before = time.monotonic_ns()
        value = int(self.read(zone))
        return before, value, time.monotonic_ns()


def cpuinfo(name, vendor="GenuineIntel", family=6, model=79):
    """What proc/cpuinfo says of a machine with one processor, as far as it matters here."""
    return (f"processor\t: 0\nvendor_id\t: {vendor}\ncpu family\t: {family}\nmodel\t\t: {model}\n"
            f"model name\t: {name}\nphysical id\t: 0\n\n")


def numbers(state):
    return {key: int(value) for key, value in state.items() if value.lstrip("-").isdigit()}


def true_fj(state, moment):
    """E(t) as tests/rig/energy.h has it, in femtojoules."""
    number = numbers(state)
    ticks = (moment - number["epoch_ns"]) // number["tick_ns"]
    at = number["epoch_ns"] + ticks * number["tick_ns"]
    return number["base_uj"] * 10**9 + number["base_rest_fj"] + number["power_uw"] * (at - number["since_ns"])


def true_uj(state, moment):
    """What energy_uj of a zone shows."""
    return true_fj(state, moment) // 10**9 % int(state["wrap_uj"])


def true_count(state, moment):
    """What a counter of another unit shows."""
    number = numbers(state)
    count = true_fj(state, moment) * number["unit_num"] // number["unit_den"]
    if number["falls"]:
        return max(number["offset"] - count, 0)
    count += number["offset"]
    return count % number["wrap"] if number["wrap"] else count
