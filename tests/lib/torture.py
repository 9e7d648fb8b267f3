"""Runs a workload under me_bench on this machine, and looks at all that it left: the record, the logs, and processes,
which are found by a variable of their environment that no other run has."""
import os
import subprocess
import sys
import uuid
from pathlib import Path

from me_test import REPOSITORY, build_dir, kill_group, leftovers, wait_until

PYTHON_MODULES = REPOSITORY / "scripts" / "python"
if str(PYTHON_MODULES) not in sys.path:
    sys.path.insert(0, str(PYTHON_MODULES))


class Run:
    """rc, err; repeat: its row (None if there is no result); regions: {name: row}; out, errout: its logs' bytes;
    left: processes that still ran."""

    def __init__(self, folder, argv, options=(), before=(), env=None, timeout=90, meanwhile=None):
        import machine_energy
        marker = f"ME_TORTURE={uuid.uuid4().hex}"
        clean = {name: os.environ[name] for name in ("LANG",) if name in os.environ}
        clean.update(PATH=f"{build_dir()}:{os.environ['PATH']}", HOME=str(folder), PYTHONDONTWRITEBYTECODE="1",
                     PYTHONPATH=str(PYTHON_MODULES), OMPI_ALLOW_RUN_AS_ROOT="1",
                     OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", **(env or {}))
        clean.update([marker.split("=")])
        words = [*before, "mpirun", "--oversubscribe", "-n", "1", "me_bench", "exp", "--sources", "model", *options, "--",
                 *argv]
        with open(folder / "said", "w+b") as said:
            process = subprocess.Popen([str(word) for word in words], env=clean, cwd=folder, stdin=subprocess.DEVNULL,
                                       stdout=said, stderr=said, start_new_session=True)
            try:
                if meanwhile:
                    meanwhile(process)
                self.rc = process.wait(timeout)
                wait_until(lambda: not leftovers(marker=marker.encode()), timeout=3)
                self.left = leftovers(marker=marker.encode())
            finally:
                kill_group(process)
                process.wait()
                end_all(marker)
            said.seek(0)
            self.said = said.read().decode(errors="replace")
        file = Path(folder, "exp", "exp.h5")
        self.result = machine_energy.read(file) if file.exists() else None
        self.repeat, self.regions = None, {}
        if self.result is not None:
            runs = self.result.repeats[self.result.repeats.phase == "run"]
            self.repeat = runs.iloc[0] if len(runs) else None
            self.regions = {row.region: row for row in self.result.regions.itertuples()}
        self.out, self.errout = (read(Path(folder, "exp", "logs", f"machine0-repeat1.{what}")) for what in ("out", "err"))

    @property
    def note(self):
        return self.repeat.note

    def __repr__(self):
        row = None if self.repeat is None else (self.repeat.exit_status, self.repeat.note)
        return f"rc {self.rc}, repeat {row}, regions {list(self.regions)}, left {self.left}\n{self.said}"


def read(path):
    return path.read_bytes() if path.exists() else b""


def end_all(marker):
    """What a test that failed has left behind."""
    for pid, _ in leftovers(marker=marker.encode()):
        try:
            os.kill(pid, 9)
        except ProcessLookupError:
            pass


def sh(folder, script, *options, **more):
    return Run(folder, ["sh", "-c", script], options, **more)


def python(folder, script, *options, **more):
    return Run(folder, ["/usr/bin/python3", "-c", script], options, **more)
