"""me_kernel: the workloads that ship with Machine Energy, as they are started by hand."""
import gzip
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import time

import pytest

BUILD = pathlib.Path(os.environ["ME_BUILD"])
KERNEL = BUILD / "me_kernel"
DATA = pathlib.Path("/usr/share/datasets/fashion-mnist")
FILES = ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz",
         "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"]


def kernel(*args, env=None, **more):
    return subprocess.run([KERNEL, *args], capture_output=True, text=True, timeout=120,
                          env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, **more)


def marked(*args):
    """Runs a kernel with a mark pipe; returns the run and its marks."""
    reading, writing = os.pipe()
    try:
        done = kernel(*args, env={"ME_MARK_FD": str(writing)}, pass_fds=[writing])
    finally:
        os.close(writing)
    with os.fdopen(reading) as marks:
        return done, marks.read().splitlines()


def accuracy(done):
    assert done.returncode == 0, done.stderr
    return float(re.search(r"^test accuracy: ([0-9.]+)", done.stdout, re.M).group(1))


def one_line(done, code):
    assert done.returncode == code
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("me_kernel")
    return lines[0]


def test_full_training():
    begin = time.monotonic()
    done, marks = marked("native")
    print(f"\n{done.stdout}{time.monotonic() - begin:.2f} s in all")
    assert accuracy(done) >= 0.87
    assert len(re.findall(r"^epoch [123]/3: loss [0-9.]+, accuracy [0-9.]+, ", done.stdout, re.M)) == 3
    assert marks == ["begin train", "end train", "work 180000 samples"]


@pytest.mark.parametrize("seed", [0, 2, 3])
def test_other_seeds(seed):
    assert accuracy(kernel("native", "--seed", str(seed))) >= 0.87


def test_subset_learns():
    """An untrained network guesses: 0.10, and no seed takes one far from it."""
    done, marks = marked("native", "--samples", "3000", "--epochs", "2")
    assert accuracy(done) >= 0.65
    assert marks[-1] == "work 6000 samples"


def test_same_seed_same_result():
    args = ("native", "--samples", "2000", "--epochs", "1", "--threads", "2")
    losses = [re.findall(r"loss ([0-9.]+)", kernel(*args, "--seed", seed).stdout) for seed in ("5", "5", "6")]
    assert losses[0] and losses[0] == losses[1]
    assert losses[0] != losses[2]


@pytest.mark.parametrize("threads", ["1", "2", "4", "8"])
def test_threads_agree(threads):
    """Also with more threads than cores, and a last batch that is not full."""
    args = ("native", "--samples", "1003", "--epochs", "1", "--batch", "100")
    assert abs(accuracy(kernel(*args, "--threads", threads)) - accuracy(kernel(*args, "--threads", "1"))) < 0.02


def test_one_sample():
    done, marks = marked("native", "--samples", "1", "--epochs", "1")
    assert accuracy(done) < 0.5
    assert marks[-1] == "work 1 samples"


def test_help_and_version():
    for args in (["--help"], ["native", "--help"], ["spin", "--help"], ["sleep", "-h"]):
        done = kernel(*args)
        assert done.returncode == 0 and done.stdout.startswith("Usage: me_kernel") and not done.stderr
    assert re.match(r"me_kernel \(Machine Energy\) \d", kernel("--version").stdout)
    assert all(name in kernel("--help").stdout for name in ("native", "spin", "sleep"))


@pytest.mark.parametrize("args, says", [
    ([], "no kernel"),
    (["natve"], "did you mean native?"),
    (["native", "--threads", "3"], "1, 2, 4 or 8"),
    (["native", "--epochs", "0"], "--epochs"),
    (["native", "--batch", "x"], "--batch"),
    (["native", "--epoch", "2"], "--epochs"),
    (["native", "file"], "file"),
    (["spin", "--seconds", "-1"], "--seconds"),
    (["sleep", "--seconds", "nan"], "--seconds"),
])
def test_misuse(args, says):
    assert says in one_line(kernel(*args), 2)


def test_check():
    done = kernel("native", "--check")
    assert done.returncode == 0, done.stderr
    assert "60000 + 10000 images" in done.stdout and "OpenBLAS" in done.stdout
    for name in ("spin", "sleep"):
        assert kernel(name, "--check").returncode == 0


def test_check_without_data(tmp_path):
    for args, env in ((["--data", str(tmp_path)], {}), ([], {"ME_DATASETS": str(tmp_path)})):
        line = one_line(kernel("native", "--check", *args, env=env), 1)
        assert "train-images-idx3-ubyte.gz is missing" in line
        assert "apt-get install dataset-fashion-mnist" in line


def images(count, pixels=None, magic=0x803, rows=28, columns=28):
    return struct.pack(">IIII", magic, count, rows, columns) + (pixels if pixels is not None else bytes(784 * count))


def labels(count, values=None, magic=0x801):
    return struct.pack(">II", magic, count) + (values if values is not None else bytes(i % 10 for i in range(count)))


@pytest.fixture
def small(tmp_path):
    """A whole data set of 40 images, for damaging."""
    for name in FILES:
        (tmp_path / name).write_bytes(gzip.compress(images(40) if "images" in name else labels(40)))
    return tmp_path


def test_small_set_is_good(small):
    assert kernel("native", "--data", str(small)).returncode == 0
    assert kernel("native", "--check", "--data", str(small)).returncode == 0


def test_plain_files_are_good(small):
    for name in FILES:
        (small / name).write_bytes(gzip.decompress((small / name).read_bytes()))
    assert kernel("native", "--data", str(small)).returncode == 0


DAMAGED = [
    (0, gzip.compress(images(40, magic=0x801)), "magic 0x00000801 where 0x00000803"),
    (1, gzip.compress(labels(40, magic=0x803)), "magic 0x00000803 where 0x00000801"),
    (0, gzip.compress(images(40, rows=27)), "27 x 28"),
    (0, gzip.compress(images(40)[:-1]), "ends too early"),
    (0, gzip.compress(images(40) + b"x"), "longer than its header says"),
    (0, gzip.compress(images(40))[:-10], "ends too early"),
    (0, gzip.compress(images(40))[:-8] + bytes(8), "damaged"),
    (0, b"", "ends too early"),
    (0, b"\x1f", "ends too early"),
    (1, gzip.compress(labels(40))[:12], "ends too early"),
    (1, gzip.compress(labels(40))[:10] + b"\xff" * 30, "damaged"),
    (1, gzip.compress(labels(41)), "41 labels for 40 images"),
    (1, gzip.compress(labels(40, bytes(39) + b"\x0a")), "label 39 is 10"),
    (1, gzip.compress(labels(40)[:-1]), "ends too early"),
    (2, gzip.compress(images(0)), "0 items"),
    (2, gzip.compress(images(1 << 31, b"")), "2147483648 items"),
    (3, gzip.compress(b"\0\0"), "ends too early"),
]


@pytest.mark.parametrize("which, content, says", DAMAGED)
def test_damaged_data(small, which, content, says):
    (small / FILES[which]).write_bytes(content)
    line = one_line(kernel("native", "--data", str(small)), 1)
    assert FILES[which] in line and says in line


def test_missing_and_unreadable(small):
    (small / FILES[3]).unlink()
    assert f"{FILES[3]} is missing" in one_line(kernel("native", "--data", str(small)), 1)
    (small / FILES[3]).mkdir()
    assert FILES[3] in one_line(kernel("native", "--data", str(small)), 1)


def cpu_seconds(args, **more):
    before = os.times()
    done, marks = marked(*args, **more)
    after = os.times()
    assert done.returncode == 0, done.stderr
    return after.children_user - before.children_user, marks


def test_spin_uses_all_cores():
    cores = len(os.sched_getaffinity(0))
    used, marks = cpu_seconds(["spin", "--seconds", "1"])
    print(f"\nspin: {used:.2f} CPU seconds in 1 s on {cores} cores")
    assert marks == ["begin spin", "end spin", f"work {cores} core-s"]
    assert 0 < used < 1.2 * cores  # no more can be asked where others work too
    tasks = subprocess.Popen([KERNEL, "spin", "--seconds", "60"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 20
        task_dir = pathlib.Path(f"/proc/{tasks.pid}/task")
        while len(list(task_dir.iterdir())) < cores and time.monotonic() < end:
            time.sleep(0.01)
        assert len(list(task_dir.iterdir())) == cores
    finally:
        tasks.kill()
        tasks.wait()


def test_spin_keeps_to_its_mask():
    one = min(os.sched_getaffinity(0))
    done = subprocess.run(["taskset", "-c", str(one), KERNEL, "spin", "--seconds", "0.1"], capture_output=True, text=True)
    assert "1 threads" in done.stdout


def test_sleep_sleeps():
    begin = time.monotonic()
    before = os.times()
    assert kernel("sleep", "--seconds", "0.5").returncode == 0
    after = os.times()
    assert time.monotonic() - begin >= 0.5
    assert after.children_user + after.children_system - before.children_user - before.children_system < 0.2


@pytest.mark.parametrize("args", [["sleep", "--seconds", "600"], ["spin", "--seconds", "600"],
                                  ["native", "--epochs", "10000"]])
def test_sigterm_ends_it(args):
    process = subprocess.Popen([KERNEL, *args], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        time.sleep(0.7)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == -signal.SIGTERM
    finally:
        process.kill()
        process.wait()


def test_marks_outside_are_nothing(tmp_path):
    """Without a pipe, with a wrong number, and with a file that came to have the number."""
    log = tmp_path / "users-own-file"
    with open(log, "w") as file:
        done = kernel("spin", "--seconds", "0", env={"ME_MARK_FD": str(file.fileno())}, pass_fds=[file.fileno()])
    assert done.returncode == 0 and log.read_text() == ""
    for value in ("", "999", "x", "-1", "0", "1"):
        done = kernel("spin", "--seconds", "0", env={"ME_MARK_FD": value})
        assert done.returncode == 0 and "begin" not in done.stdout and not done.stderr


def test_openblas_missing(tmp_path):
    """The kernels that need none do without."""
    bubble = "mount -t tmpfs none $(dirname $(readlink -f /usr/lib/*/libopenblas.so.0)); "
    bubble += "for f in /usr/lib/*/libopenblas*.so*; do [ -e \"$f\" ] && mount --bind /dev/null $(readlink -f \"$f\"); done; "
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("needs the right to make a mount namespace")
    run = ["unshare", "-m", "sh", "-c", bubble + '"$@"', "sh", KERNEL]
    done = subprocess.run([*run, "native", "--check"], capture_output=True, text=True)
    assert done.returncode == 1 and "OpenBLAS" in done.stderr and "apt-get install libopenblas0-pthread" in done.stderr
    assert subprocess.run([*run, "sleep", "--seconds", "0"], capture_output=True).returncode == 0
