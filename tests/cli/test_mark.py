"""include/me/mark.h in the hands of users: C11 and C++17, strict warnings, from several threads, and what
a mark costs."""
import os
import pathlib
import subprocess
import threading

import pytest

INCLUDE = pathlib.Path(__file__).resolve().parents[2] / "include"
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror", "-O2", f"-I{INCLUDE}"]
COMPILERS = [["gcc", "-std=c11", "-xc"], ["gcc", "-std=gnu17", "-xc"], ["g++", "-std=c++17", "-xc++"],
             ["clang", "-std=c11", "-xc"], ["clang++", "-std=c++17", "-xc++"]]

PROGRAM = """
#include <me/mark.h>
#include <time.h>
#include <locale.h>
static double seconds(void) { struct timespec t; timespec_get(&t, TIME_UTC); return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec; }
int main(int argc, char **argv)
{
    int n = argc > 1 ? atoi(argv[1]) : 0;
    setlocale(LC_ALL, "");
    me_mark_begin("outer");
    double begin = seconds();
    for (int i = 0; i < n; i++) { me_mark_begin("in/ner"); me_mark_end("in/ner"); }
    double end = seconds();
    me_mark_end("outer");
    me_mark_work(0.5, "samples");
    me_mark_work(180000, "samples");
    me_mark_metric("accuracy", 0.5);
    me_mark_metric("loss", -strtod("inf", NULL));
    if (n) printf("%.0f\\n", (end - begin) / n / 2 * 1e9);
    return 0;
}
"""

THREADS = """
#define _GNU_SOURCE
#include <me/mark.h>
#include <pthread.h>
static void *work(void *name)
{
    for (int i = 0; i < 5000; i++) { me_mark_begin((const char *)name); me_mark_end((const char *)name); }
    return NULL;
}
int main(void)
{
    pthread_t threads[4];
    const char *names[4] = {"a", "bbbbbbbbbbbbbbbbbbbb", "cc", "ddddddddd"};
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, work, (void *)names[i]);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    return 0;
}
"""


def build(tmp_path, compiler, text, *more):
    path = tmp_path / "program"
    subprocess.run([*compiler, *STRICT, *more, "-", "-o", path, "-lpthread"], input=text, text=True, check=True)
    return path


def listen(argv, env=None):
    reading, writing = os.pipe()
    lines = []

    def drain():
        with os.fdopen(reading) as marks:
            lines.extend(marks.read().splitlines())

    thread = threading.Thread(target=drain)
    thread.start()
    try:
        done = subprocess.run(argv, env={**os.environ, **(env or {}), "ME_MARK_FD": str(writing)}, pass_fds=[writing],
                              capture_output=True, text=True, timeout=60)
    finally:
        os.close(writing)
        thread.join()
    assert done.returncode == 0, done.stderr
    return lines, done


@pytest.mark.parametrize("compiler", COMPILERS, ids=lambda c: " ".join(c[:2]))
def test_compiles_and_marks(tmp_path, compiler):
    if compiler[0] == "clang++" and not any(pathlib.Path("/usr/include/c++").glob("*")):
        pytest.skip("no C++ library")
    lines, _ = listen([build(tmp_path, compiler, PROGRAM)])
    assert lines == ["begin outer", "end outer", "work 0.5 samples", "work 180000 samples", "metric accuracy 0.5",
                     "metric loss -inf"]


def test_decimal_comma(tmp_path):
    locales = subprocess.run(["locale", "-a"], capture_output=True, text=True).stdout.split()
    comma = [name for name in locales if name.startswith(("de_", "fr_"))]
    program = build(tmp_path, COMPILERS[0], PROGRAM)
    for name in comma or ["C"]:
        lines = listen([program], {"LC_ALL": name})[0]
        assert "work 0.5 samples" in lines and "metric accuracy 0.5" in lines


@pytest.mark.parametrize("sanitizer", [[], ["-fsanitize=thread"]], ids=["plain", "tsan"])
def test_threads(tmp_path, sanitizer):
    lines, done = listen([build(tmp_path, ["gcc", "-std=c11", "-xc"], THREADS, *sanitizer)])
    assert "data race" not in done.stderr
    assert len(lines) == 40000
    for name in ("a", "b" * 20, "cc", "d" * 9):
        assert lines.count(f"begin {name}") == lines.count(f"end {name}") == 5000


def test_libme():
    """The same calls as symbols."""
    library = pathlib.Path(os.environ["ME_BUILD"]).resolve() / "libme.so"
    script = ("import ctypes, sys; me = ctypes.CDLL(sys.argv[1]); me.me_mark_begin(b'a'); me.me_mark_end(b'a'); "
              "me.me_mark_work.argtypes = [ctypes.c_double, ctypes.c_char_p]; me.me_mark_work(3, b'x'); "
              "me.me_mark_metric.argtypes = [ctypes.c_char_p, ctypes.c_double]; me.me_mark_metric(b'loss', -0.25)")
    lines, _ = listen(["/usr/bin/python3", "-c", script, library])
    assert lines == ["begin a", "end a", "work 3 x", "metric loss -0.25"]


def test_cost(tmp_path):
    """Figures, not pass or fail."""
    program = build(tmp_path, COMPILERS[0], PROGRAM)
    lines, heard = listen([program, "100000"])
    assert len(lines) == 200006
    unheard = subprocess.run([program, "1000000"], capture_output=True, text=True,
                             env={k: v for k, v in os.environ.items() if k != "ME_MARK_FD"})
    print(f"\na mark costs {heard.stdout.strip()} ns with a listener, {unheard.stdout.strip()} ns without")
