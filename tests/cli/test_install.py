"""What cmake --install puts down, that each thing lies where it belongs, and that it works from there."""
import os
import pathlib
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["ME_BUILD"]).resolve()

EXPECTED = {
    "bin": {"me", "me_bench"},
    "libexec/machine-energy": {"me_kernel"},
    "include/me": {"mark.h"},
    "lib": {"libme.so", "libme.so.0", "libme.so.0.1.0"},
    "share/pkgconfig": {"machine-energy.pc"},
    "share/man/man1": {"me.1", "me-probe.1", "me-hosts.1", "me-run.1", "me-report.1", "me-recover.1", "me-clean.1", "me-frameworks.1",
                       "me-model.1", "me_bench.1"},
    "share/doc/machine-energy": {"README.md", "LICENSE", "CHANGELOG.md"},
    "share/machine-energy/python/machine_energy": {"__init__.py", "__main__.py", "_read.py", "keras.py", "lightning.py"},
    "share/machine-energy/r": {"machine_energy.R"},
    "share/machine-energy/data": {"README.md", *(path.name for path in (TOP / "src/data").glob("*.csv"))},
    "share/machine-energy": {"install-framework"},
    "share/machine-energy/slurm": {"me_bench.sbatch"},
    "share/machine-energy/rights": {"grant", "70-machine-energy.rules"},
    "share/machine-energy/hostfiles": {path.name for path in (TOP / "hostfiles").iterdir()},
}

SOLVER = """#include <me/mark.h>
int main(void)
{
    me_mark_begin("solve");
    me_mark_end("solve");
    me_mark_work(3, "problems");
    return 0;
}
"""


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    path = tmp_path_factory.mktemp("prefix") / "usr"
    subprocess.run(["cmake", "--install", BUILD, "--prefix", path], check=True, capture_output=True, timeout=120)
    return path


def clean_environment(prefix, home):
    return {"PATH": f"{prefix}/bin:/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "LC_ALL": "C.UTF-8",
            "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
            "PKG_CONFIG_PATH": f"{prefix}/share/pkgconfig"}


def test_each_thing_is_where_it_belongs(prefix):
    found = {}
    for path in prefix.rglob("*"):
        if path.is_file():
            found.setdefault(str(path.relative_to(prefix).parent), set()).add(path.name)
    assert found == EXPECTED


def test_nothing_names_the_build(prefix):
    for path in prefix.rglob("*"):
        if path.is_file() and path.parent.name not in ("bin", "lib", "machine-energy"):
            assert str(BUILD).encode() not in path.read_bytes(), path
    for program in ("bin/me", "bin/me_bench", "libexec/machine-energy/me_kernel"):
        dynamic = subprocess.run(["readelf", "-d", prefix / program], capture_output=True, text=True, check=True).stdout
        assert "RPATH" not in dynamic and "RUNPATH" not in dynamic


def test_a_user_compiles_marks_and_measures_them(prefix, tmp_path):
    env = clean_environment(prefix, tmp_path)
    moved = prefix.parent / "moved"  # the header is found from wherever the prefix is
    prefix.rename(moved)
    try:
        env.update(PKG_CONFIG_PATH=f"{moved}/share/pkgconfig")
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "machine-energy"], env=env, capture_output=True,
                               text=True, check=True).stdout.split()
        assert len(flags) == 1 and flags[0].startswith("-I")
        subprocess.run(["gcc", "-Wall", "-Wextra", "-Werror", "-xc", "-", "-o", tmp_path / "solver", *flags],
                       input=SOLVER, text=True, check=True, env=env)
    finally:
        moved.rename(prefix)
    subprocess.run(["mpirun", "-n", "1", "me_bench", "exp1", "--", tmp_path / "solver"], cwd=tmp_path, check=True,
                   env=clean_environment(prefix, tmp_path), capture_output=True, timeout=60)
    report = subprocess.run(["me", "report", "exp1"], cwd=tmp_path, check=True, capture_output=True, text=True,
                            env=clean_environment(prefix, tmp_path), timeout=60).stdout
    assert "solve" in report and "problems" in report


def test_other_languages_load_libme(prefix, tmp_path):
    script = ("import ctypes, sys; me = ctypes.CDLL(sys.argv[1]); me.me_mark_begin(b'solve'); me.me_mark_end(b'solve'); "
              "me.me_mark_work.argtypes = [ctypes.c_double, ctypes.c_char_p]; me.me_mark_work(3, b'problems')")
    env = clean_environment(prefix, tmp_path)
    subprocess.run(["mpirun", "-n", "1", "me_bench", "exp1", "--", "/usr/bin/python3", "-c", script,
                    prefix / "lib/libme.so"], cwd=tmp_path, check=True, env=env, capture_output=True, timeout=60)
    report = subprocess.run(["me", "report", "exp1"], cwd=tmp_path, check=True, capture_output=True, text=True,
                            env=env, timeout=60).stdout
    assert "solve" in report and "problems" in report


def test_kernels_are_found_and_the_readers_read(prefix, tmp_path):
    env = clean_environment(prefix, tmp_path)
    subprocess.run(["mpirun", "-n", "1", "me_bench", "exp1", "--framework", "native"], cwd=tmp_path, env=env,
                   check=True, capture_output=True, timeout=120)
    assert "test accuracy" in (tmp_path / "exp1/logs/machine0-repeat1.out").read_text()
    share = prefix / "share/machine-energy"
    python = 'import machine_energy; r = machine_energy.read("exp1"); print(r.summary[["energy_mean_j"]], len(r.series(0, 1)))'
    done = subprocess.run(["/usr/bin/python3", "-B", "-c", python], cwd=tmp_path, capture_output=True, text=True,
                          env={**env, "PYTHONPATH": str(share / "python")}, check=True, timeout=60)
    assert "energy_mean_j" in done.stdout
    r = f'source("{share}/r/machine_energy.R"); r <- me_read("exp1"); print(r$summary); print(nrow(me_series("exp1", 0, 1)))'
    done = subprocess.run(["Rscript", "--vanilla", "-e", r], cwd=tmp_path, env=env, capture_output=True, text=True,
                          check=True, timeout=60)
    assert "energy_mean_j" in done.stdout
