"""me_kernel: the workloads that ship with Machine Energy, as they are started by hand."""
import gzip
import math
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


# A small n of each, the work of a pass by its formula, its unit, and the metric.
SMALL = {
    "gemm": (300, lambda n, word: 2 * n ** 3 / 1e9, "GFLOP", "gflop_per_s"),
    "stream": (100000, lambda n, word: 10 * n * word / 1e9, "GB", "gb_per_s"),
    "fft": (10000, lambda n, word: 5 * n * math.log2(n) / 1e9, "GFLOP", "gflop_per_s"),
    "cg": (20, lambda n, word: 50 * (2 * (7 * n ** 3 - 6 * n ** 2) + 10 * n ** 3) / 1e9, "GFLOP", "gflop_per_s"),
}


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
    assert marks[:7] == ["begin load", "end load", "begin train", "end train", "work 180000 samples", "begin test",
                         "end test"]
    metrics = [line.split() for line in marks[7:]]
    assert [metric[:2] for metric in metrics] == [["metric", "accuracy"], ["metric", "loss"]]
    assert abs(float(metrics[0][2]) - accuracy(done)) < 1e-4 and 0 < float(metrics[1][2]) < 1


@pytest.mark.parametrize("seed", [0, 2, 3])
def test_other_seeds(seed):
    assert accuracy(kernel("native", "--seed", str(seed))) >= 0.87


def test_subset_learns():
    """An untrained network guesses: 0.10, and no seed takes one far from it."""
    done, marks = marked("native", "--samples", "3000", "--epochs", "2")
    assert accuracy(done) >= 0.65
    assert "work 6000 samples" in marks


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
    assert "work 1 samples" in marks


def test_help_and_version():
    for args in (["--help"], ["native", "--help"], ["spin", "--help"], ["sleep", "-h"], *([name, "--help"] for name in SMALL)):
        done = kernel(*args)
        assert done.returncode == 0 and done.stdout.startswith("Usage: me_kernel") and not done.stderr
    assert re.match(r"me_kernel \(Machine Energy\) \d", kernel("--version").stdout)
    assert all(name in kernel("--help").stdout for name in ("native", "spin", "sleep", *SMALL))


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
    (["gemm", "--precision", "half"], "half is neither double nor single"),
    (["stream", "--size", "0"], "--size"),
    (["fft", "--size", "1"], "--size"),
    (["cg", "--size", "15"], "--size"),
    (["cg", "--size", "1601"], "--size"),
    (["fft", "--threads", "0"], "--threads"),
    (["stream", "--seconds", "-1"], "--seconds"),
    (["gem"], "did you mean gemm?"),
])
def test_misuse(args, says):
    assert says in one_line(kernel(*args), 2)


def test_check():
    done = kernel("native", "--check")
    assert done.returncode == 0, done.stderr
    assert "60000 + 10000 images" in done.stdout and "OpenBLAS" in done.stdout
    for name in ("spin", "sleep"):
        assert kernel(name, "--check").returncode == 0
    for name, library in (("gemm", "OpenBLAS"), ("stream", ""), ("fft", "fftw-3"), ("cg", "")):
        for precision in ("double", "single"):
            done = kernel(name, "--check", "--precision", precision)
            assert done.returncode == 0, done.stderr
            line, = done.stdout.splitlines()
            assert line.startswith(f"{name}: ready, {precision}, n ") and library in line


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
                                  ["native", "--epochs", "10000"],
                                  *([name, "--seconds", "600"] for name in ("gemm", "stream", "fft", "cg"))])
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


@pytest.mark.parametrize("precision", ["double", "single"])
@pytest.mark.parametrize("name", SMALL)
def test_compute(name, precision):
    """The line, the marks, and work that is passes x the formula; also with more threads than there are cores."""
    size, formula, unit, metric = SMALL[name]
    for threads in ("1", "3"):
        done, marks = marked(name, "--size", str(size), "--precision", precision, "--threads", threads, "--seconds", "0.2")
        assert done.returncode == 0, done.stderr
        line, = done.stdout.splitlines()
        power = r"\^3" if name == "cg" else ""
        found = re.match(rf"{name}: {precision}, n {size}{power}, {threads} threads?: ([0-9.e-]+) {unit}/s, "
                         r"(\d+) passe?s? in ([0-9.]+) s, (residual|error) [0-9.e-]+", line)
        assert found, line
        rate, passes, seconds = float(found[1]), int(found[2]), float(found[3])
        assert passes >= 1 and seconds >= 0.2
        assert marks[:6] == ["begin setup", "end setup", "begin run", "end run", "begin check", "end check"]
        work, outcome = marks[6:]
        amount = float(re.fullmatch(rf"work (\S+) {unit}", work)[1])
        assert amount == pytest.approx(passes * formula(size, 8 if precision == "double" else 4))
        value = float(re.fullmatch(rf"metric {metric} (\S+)", outcome)[1])
        assert value == pytest.approx(rate, rel=0.1, abs=0.051)
        assert value == pytest.approx(amount / seconds, rel=0.5)  # seconds have one decimal


@pytest.mark.parametrize("name", SMALL)
def test_compute_one_pass(name):
    done, marks = marked(name, "--size", "64", "--seconds", "0")
    assert done.returncode == 0 and ", 1 pass in " in done.stdout
    assert marks[6].startswith("work ")


def test_stream_tells_of_caches():
    assert "below 4 x the last-level cache" in kernel("stream", "--size", "1000", "--seconds", "0").stdout


@pytest.mark.parametrize("args", [["gemm", "--size", "1000000"], ["cg", "--size", "1600", "--threads", "1"]])
def test_too_large(args):
    """One line, before any memory is taken. (512 GiB is what the second needs.)"""
    with open("/proc/meminfo") as file:
        total = int(re.search(r"MemTotal: *(\d+)", file.read())[1])
    if args[0] == "cg" and total > 512 << 20:
        args = ["gemm", "--size", "1000000"]
    line = one_line(kernel(*args), 1)
    assert "GiB are available; give a smaller --size" in line


def test_no_memory():
    """The machine has it and the process may not take it."""
    done = subprocess.run(["sh", "-c", 'ulimit -v 300000; exec "$@"', "sh", KERNEL, "stream", "--size", "50000000"],
                          capture_output=True, text=True)
    line = one_line(done, 1)
    assert "no memory: n 50000000 needs 1.1 GiB; give a smaller --size" in line


def test_compute_keeps_to_its_mask():
    one = min(os.sched_getaffinity(0))
    for name in SMALL:
        done = subprocess.run(["taskset", "-c", str(one), KERNEL, name, "--size", "64", "--seconds", "0"],
                              capture_output=True, text=True)
        assert done.returncode == 0 and ", 1 thread:" in done.stdout


def test_fftw_missing():
    """A line for the one that is missing; the other precision, and the other kernels, do without."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("needs the right to make a mount namespace")
    hide = 'for f in /usr/lib/*/libfftw3f_threads.so.3; do mount --bind /dev/null $(readlink -f "$f"); done; "$@"'
    run = ["unshare", "-m", "sh", "-c", hide, "sh", KERNEL]
    done = subprocess.run([*run, "fft", "--check", "--precision", "single"], capture_output=True, text=True)
    line = one_line(done, 1)
    assert "FFTW (libfftw3f_threads.so.3) is missing; apt-get install libfftw3-single3" in line
    for args in (["fft"], ["gemm", "--precision", "single"], ["stream"], ["cg"]):
        assert subprocess.run([*run, *args, "--check"], capture_output=True).returncode == 0


def test_wrong_result(tmp_path):
    """An OpenBLAS that multiplies nothing: no rate, no work, one line."""
    (tmp_path / "blas.c").write_text("void cblas_sgemm(void) {}\nvoid cblas_dgemm(void) {}\n"
                                     "void openblas_set_num_threads(int n) {}\n"
                                     "char *openblas_get_config(void) { return \"none\"; }\n")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", tmp_path / "libopenblas.so.0", tmp_path / "blas.c"], check=True)
    for precision in ("double", "single"):
        reading, writing = os.pipe()
        done = kernel("gemm", "--size", "64", "--seconds", "0", "--precision", precision, pass_fds=[writing],
                      env={"LD_LIBRARY_PATH": str(tmp_path), "ME_MARK_FD": str(writing)})
        os.close(writing)
        with os.fdopen(reading) as marks:
            assert not re.search("work|metric", marks.read())
        assert "the result is wrong: residual " in one_line(done, 1) and not done.stdout
