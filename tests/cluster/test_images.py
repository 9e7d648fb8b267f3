"""The images of scripts/docker, really built on a Debian of this ground's registry, pushed, pulled and run as the
README says; and what their builder says where it cannot build."""

import json
import re
import shutil
from pathlib import Path

import pytest

import me_test
from cluster import ENGINE_PROGRAMS, Cluster, HostSpec, User, zone
from engine import Engine, Registry
from experiment import machine_energy
from image import Image, architecture, slim_root
from way_out import WayOut

BUILD = me_test.REPOSITORY / "scripts/docker/build"
VERSION = re.search(r'ME_VERSION "(.*)"', (me_test.REPOSITORY / "include/me/version.h").read_text()).group(1)
# Where a way to the package indexes has a certificate authority of its own, the base of a build must know it.
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
FOREIGN = "arm64" if architecture() == "amd64" else "amd64"


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    meter = [zone(power=50), zone("intel-rapl:0:0", "core", 20, mode="0400")]
    hosts = [HostSpec("n1", meter, engine=True, users=[User("root"), User("lab.user")]),
             HostSpec("n2", engine=True), HostSpec("bare", hide=ENGINE_PROGRAMS)]
    with Cluster(tmp_path_factory.mktemp("images") / "c", hosts) as c, WayOut(c.head) as c.out:
        c.registry = Registry(c.head, size="3g")
        more = {"/usr/local/share/ca-certificates/machine.crt": (AUTHORITIES.read_bytes(), 0o644)}
        c.base = c.registry.push(Image(Path(c.work, "base"), programs=(), more=more, root=slim_root()), "debian:slim")
        c.engine = Engine(c["n1"], [c.registry], size="8g")
        yield c


def build(ground, *words, host="n1", timeout=30, check=False, program=BUILD, **options):
    return ground[host].run([program, *words], timeout=timeout, env=ground.out.environment, check=check, **options)


def copy_for_all(host):
    """The script where every user of the host may read it; the repository may lie in root's home."""
    for path in (BUILD, BUILD.parent / "Dockerfile", me_test.REPOSITORY / "include/me/version.h"):
        copy = host.path("/tmp/source") / path.relative_to(me_test.REPOSITORY)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    return "/tmp/source/scripts/docker/build"


def name(ground, framework):
    return ground.registry.name(f"machine-energy-{framework}:{VERSION}")


@pytest.fixture(scope="module")
def images(ground):
    """The builder's lines of native and, on top of it, sklearn."""
    prefix = ground.registry.name("")
    done = build(ground, "native", "sklearn", "--base", ground.base, "--tag-prefix", prefix, "--push", "--",
                 "--network", "host", timeout=600, check=True)
    assert done.err == ""
    return dict(zip(("native", "sklearn"), done.out.splitlines()))


def labels(ground, framework):
    return json.loads(ground.engine.read("image", "inspect", "-f", "{{json .Config.Labels}}",
                                         name(ground, framework))[0])


def inside(ground, framework, *words, options=(), **more):
    return ground.engine.docker("run", "--rm", "--network", "none", *options, name(ground, framework), *words, **more)


def readme_binds(ground):
    """The shell function of the README that prints the options for the machine's meters."""
    text = (me_test.REPOSITORY / "README.md").read_text()
    function = re.search(r"^    machine\(\) \{\n.*?^    \}$", text, re.M | re.S).group(0)
    said = ground["n1"].run(["sh", "-c", re.sub("^    ", "", function, flags=re.M) + "\nmachine"], check=True)
    return said.out.split()


def measured(ground, words, *options):
    """me_bench in a container of n1, with the README's binds: its one repeat."""
    ground["n1"].sh("rm -rf /root/e && mkdir -m 777 /root/e", check=True)
    inside(ground, words[0], "me_bench", "exp1", *words[1:], check=True, timeout=120,
           options=[*readme_binds(ground), "-e", "ME_ROOT=/host", "-v", "/root/e:/experiments", *options])
    result = machine_energy.read(ground["n1"].path("/root/e/exp1/exp1.h5"))
    assert result.machines.boot_id[0] == ground["n1"].boot_id
    return result.repeats[result.repeats.phase == "run"].iloc[0], result


def test_what_is_printed(ground, images):
    """Name, digest, size and time, a line each; the digest is that of the registry."""
    for framework, line in images.items():
        tag, digest, size, unit, seconds, s = line.split()
        assert (tag, unit, s) == (name(ground, framework), "MB", "s") and int(seconds) < 600
        assert digest == ground.engine.digest(tag) and re.fullmatch("sha256:[0-9a-f]{64}", digest)
        assert 150 < int(size) < {"native": 450, "sklearn": 900}[framework]


def test_labels(ground, images):
    base = ground.engine.digest(ground.base)
    for framework, versions in (("native", r"FFTW 3\.[\d.]+, OpenBLAS 0\.[\d.]+, Open MPI \d[\d.]+"),
                                ("sklearn", r"Python 3\.[\d.]+, scikit-learn [\d.]+, numpy [\d.]+")):
        found = labels(ground, framework)
        prefix = "org.opencontainers.image."
        assert found[prefix + "title"] == f"Machine Energy: {framework}" and found[prefix + "licenses"] == "MIT"
        assert found[prefix + "version"] == VERSION and found["machine-energy.framework"] == framework
        assert re.fullmatch("([0-9a-f]{40}(-changed)?)?", found[prefix + "revision"])
        assert (found[prefix + "base.name"], found[prefix + "base.digest"]) == (ground.base, base)
        assert re.fullmatch(versions, found["machine-energy.versions"])
        contents = inside(ground, framework, "sha256sum", "/usr/local/share/machine-energy/image/contents", check=True)
        assert found["machine-energy.contents"] == "sha256:" + contents.out.split()[0]


def test_contents(ground, images):
    """It tells what it is for; no compiler, header package or build tool is in it, nor the way out it was built by."""
    assert inside(ground, "native", check=True).out.startswith("Usage: me COMMAND")
    assert inside(ground, "native", "sh", "-c", "command -v gcc cmake ninja").out == ""
    packages = inside(ground, "native", "cat", "/usr/local/share/machine-energy/image/contents", check=True).out
    assert not re.search(r"^\S+-dev ", packages, re.M) and re.search("^openmpi-bin ", packages, re.M)
    for workload in ("native", "gemm", "fft"):
        assert ": ready" in inside(ground, "native", "me_bench", "--check", workload, check=True).out
    for framework in images:
        history = ground.engine.read("history", "--no-trunc", name(ground, framework))
        config = ground.engine.read("image", "inspect", name(ground, framework))
        assert ground.out.environment["http_proxy"] not in "\n".join(history + config)


@pytest.mark.parametrize("options", [("--cap-drop", "ALL"), ("--user", "2000:2000", "-e", "HOME=/experiments")])
def test_sleep_is_measured(ground, images, options):
    """As root without any capability, and as nobody in particular where the meter is open to all."""
    row, result = measured(ground, ("native", "--", "sleep", "1.3"), *options)
    assert row.energy_j == pytest.approx(50 * row.duration_s, rel=1e-3, abs=50 * 0.0015)
    why_not = result.channels.set_index("channel").why_not
    assert ("Permission denied" in why_not["package-0/core"]) == (options[0] == "--user") and why_not["package-0"] == ""


@pytest.mark.parametrize("framework", ["native", "sklearn"])
def test_training_is_measured(ground, images, framework):
    row, result = measured(ground, (framework, "--framework", framework, "--samples", "3000", "--idle", "0"))
    assert row.exit_status == 0
    assert row.energy_j == pytest.approx(50 * row.duration_s, rel=1e-3, abs=50 * 0.0015)
    assert (result.metrics.metric == "accuracy").any()


def test_root_that_is_not_there(ground, images):
    """ME_ROOT without the binds: said before anything is done; without both, the container's own view."""
    said = inside(ground, "native", "me_bench", "exp1", "--", "true", options=("-e", "ME_ROOT=/host"))
    assert said.rc == 2 and "ME_ROOT=/host (unset it, or name a folder with --root): No such file" in said.err
    said = inside(ground, "native", "me", "probe", options=("-e", "ME_ROOT=/host"))
    assert said.rc == 2 and said.err.startswith("me: ME_ROOT=/host") and said.err.count("\n") == 1
    assert inside(ground, "native", "me", "probe", "--root", "/", options=("-e", "ME_ROOT=/host")).rc == 0


def test_pulled_elsewhere(ground, images):
    with Engine(ground["n2"], [ground.registry], size="2g") as engine:
        engine.docker("pull", name(ground, "native"), check=True, timeout=120)
        said = engine.docker("run", "--rm", "--network", "none", name(ground, "native"), "me", "--version", check=True)
        assert said.out == f"me (Machine Energy) {VERSION}\n"


# -- what cannot be built -----------------------------------------------------------------------------

MISUSES = [(["torch"], "torch: no such image; there are native keras"),
           (["--platform", "linux/riscv64"], "--platform linux/riscv64: not linux/amd64 or linux/arm64"),
           (["--bse", "x"], "--bse: unknown"), (["--base"], "--base wants a value"),
           (["--install", "--index-url https://me:secret@x.example/"], "--install: an address with credentials")]


@pytest.mark.parametrize("words,text", MISUSES)
def test_misuse(words, text):
    said = me_test.run([BUILD, *words])
    assert (said.rc, said.out) == (2, "") and said.err.startswith("build: " + text) and said.err.count("\n") == 1
    assert "secret" not in said.err


def test_help():
    said = me_test.run([BUILD, "--help"])
    assert said.rc == 0 and said.out.startswith("Usage: scripts/docker/build") and said.err == ""


TROUBLES = {  # words, host, user, exit code, what is said
    "no engine": (("native",), "bare", "root", 3, "neither docker nor podman is here"),
    "no right": (("native",), "n1", "lab.user", 3, "no right to use docker: as root run: usermod -aG docker lab.user"),
    "not running": (("native",), "n2", "root", 3, "docker does not answer"),
    "no base": (("native", "--base", "10.77.0.1:5000/nothing:1"), "n1", "root", 1,
                "--base 10.77.0.1:5000/nothing:1 cannot be pulled, and is not here: "),
    "foreign": (("native", "--platform", f"linux/{FOREIGN}"), "n1", "root", 1,
                f"linux/{FOREIGN}: this engine runs linux/{architecture()} and has no emulation of it"),
    "foreign base": (("native", "--base", "10.77.0.1:5000/debian:foreign"), "n1", "root", 1,
                     f"--base 10.77.0.1:5000/debian:foreign is for linux/{FOREIGN}, not for linux/{architecture()}"),
}


@pytest.mark.parametrize("what", TROUBLES)
def test_trouble(ground, what):
    words, host, user, code, text = TROUBLES[what]
    if what == "foreign base":
        ground.registry.push(Image(Path(ground.work, "foreign"), machine=FOREIGN, programs=(), root=slim_root()),
                             "debian:foreign")
    program = BUILD if user == "root" else copy_for_all(ground[host])
    said = build(ground, *words, host=host, user=user, program=program)
    assert (said.rc, said.out) == (code, "") and said.err.startswith("build: " + text), said
    assert said.err.count("\n") == 1 and list(ground[host].path("/tmp").glob("tmp.*")) == []


def test_build_that_fails(ground):
    """Without a way out the packages cannot be had: the last words of it, and one line."""
    said = ground["n1"].run([BUILD, "native", "--base", ground.base, "--", "--network", "none", "--no-cache"],
                            timeout=120)
    assert said.rc == 1 and said.out == ""
    assert said.err.splitlines()[-1] == (f"build: machine-energy-native:{VERSION}: the build failed; its last words "
                                         "stand above")


DOCKER = r"""#!/bin/sh
echo "$*" >>"$0.log"
case $1:$2 in
buildx:inspect) echo 'Platforms: linux/amd64, linux/arm64' ;;
version:*) echo amd64 ;;
pull:*) for word do case $word in linux/*) echo "$word" >"$0.arch" ;; esac; done ;;
image:inspect) case $* in
    *RepoDigests*println*) echo "lab/machine-energy-native-$(cat "$0.arch")@sha256:1" ;;
    *RepoDigests*) echo "$(cat "$0.arch") debian@sha256:0" ;;
    *Size*) echo 359000000 ;;
    *) echo sha256:2 ;;
    esac ;;
create:*) echo box ;;
cp:*) mkdir "$3" && echo 'Open MPI 4' >"$3/versions" && echo all >"$3/contents" ;;
manifest:push) echo sha256:3 ;;
esac
"""


def test_two_platforms(tmp_path):
    """What docker is told where buildx can do both: recorded, since this machine cannot run the other one."""
    docker = tmp_path / "docker"
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    said = me_test.run([BUILD, "native", "--platform", "linux/amd64,linux/arm64", "--tag-prefix", "lab/", "--push"],
                       env={"PATH": f"{tmp_path}:/usr/bin:/bin", "http_proxy": "http://me:secret@proxy.example:1"},
                       check=True)
    tag = f"lab/machine-energy-native:{VERSION}"
    assert [line.split()[0] for line in said.out.splitlines()] == [tag + "-amd64", tag + "-arm64", tag]
    told = Path(f"{docker}.log").read_text()
    builds = [line for line in told.splitlines() if line.startswith("buildx build --load")]
    assert [("--platform linux/arm64" in line, f"-t {tag}-arm64" in line) for line in builds] == \
        2 * [(False, False)] + 2 * [(True, True)]
    assert "VERSIONS=Open MPI 4 " in builds[1] and "BASE=debian@sha256:0 " in builds[0]
    assert "--build-arg http_proxy " in builds[0] and "secret" not in told + said.out
    ends = [f"push {tag}-amd64", f"push {tag}-arm64", f"manifest create {tag} {tag}-amd64 {tag}-arm64",
            f"manifest push {tag}"]
    assert [line for line in told.splitlines() if line in ends] == ends


def test_run_docker(ground, images):
    """What the builder made is what run_docker runs: the training in it, and the joules of the machine."""
    before = ground.engine.containers()  # a build that failed keeps its own
    for framework in images:
        config = ground.write_config([ground["n1"].machine(1, login="key", name="n1")], run_docker=True,
                                     docker_image=name(ground, framework), run_local=False)
        words = ["--framework", framework, "--samples", "3000"]
        said = ground.head.run(["me", "run", config, "trained-" + framework, *words], timeout=120)
        assert said.rc == 0, said
        result = machine_energy.read(Path(ground.work, f"trained-{framework}/trained-{framework}.h5"))
        row, = result.repeats[result.repeats.phase == "run"].itertuples()
        assert row.energy_j == pytest.approx(50 * row.duration_s, rel=1e-3, abs=0.075)
        assert result.summary.accuracy[0] > 0.5 and result.summary.region[0] == "train"
        assert result.machines.image_digest[0] == ground.engine.digest(name(ground, framework))
    assert ground.engine.containers() == before
