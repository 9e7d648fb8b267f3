"""What the example trainings share: the command line with --check, the images, and what they report.

Needs nothing but Python until the images are read (numpy comes with each framework).
"""
import argparse
import difflib
import functools
import gzip
import importlib.metadata
import importlib.util
import math
import os
import re
import struct
import sys
import zlib

import machine_energy as me

DEFAULT_DATA = "/usr/share/datasets/fashion-mnist"
CLASSES, SIDE = 10, 28
COUNT_MAX = 1000000  # a damaged header must not ask for all memory
SETS = ("train", "t10k")
NUMBERS = {  # option: default, least, most, meaning
    "samples": (None, 1, 1000000, "train on the first N images only (default: all)"),
    "epochs": (3, 1, 100000, "times over the training images"),
    "rounds": (10, 1, 100000, "rounds of boosting, each a tree for every class"),
    "seed": (1, 0, 2**31 - 1, "of the random numbers"),
    "batch": (32, 1, 4096, "images a step"),
}


def start(name, summary, packages, numbers=("samples", "epochs", "seed", "batch"), **defaults):
    """The options of the example `name`, from the command line.

    `packages` are what it imports and what people call that, the foundation last: {"keras": "Keras", ...}.
    `numbers` are the rows of NUMBERS that it knows, `defaults` those of its own. Ends the program with one line
    on stderr if something is missing, and behind --check and --help.
    """
    sys.stdout.reconfigure(line_buffering=True)  # a log shows how far it came
    # OpenMP's threads (PyTorch's and XGBoost's) spin while they wait for each other: where anything else wants a
    # core, such as whoever measures, each step then waits for the scheduler, and training takes many times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    options = _parse(name, summary, numbers, defaults)
    for package in packages:
        if not _is_there(package):
            fail(name, f"{package} is not installed for {sys.executable}: run scripts/install-framework {name}, "
                       f"or me hosts CONFIG --install-framework {name}")
    for path in (_path(options.data, kind, items) for kind in SETS for items in ("images", "labels")):
        if not os.access(path, os.R_OK):
            why = "may not be read" if os.path.exists(path) else "is missing"
            fail(name, f"the images are not in {options.data} ({os.path.basename(path)} {why}): "
                       "apt install dataset-fashion-mnist, or set ME_DATASETS")
    if options.check:
        titles = [f"{title} {_version(package)}".strip() for package, title in packages.items()]
        known = " on ".join([", ".join(titles[:-1]), titles[-1]] if titles[1:] else titles)
        print(f"{name}: ready, {known}, Python {sys.version_info[0]}.{sys.version_info[1]}")
        sys.exit(0)
    return options


def load(options):
    """((images, labels), (test images, test labels)): float32 of 0 to 1, N x 28 x 28, and int64 of 0 to 9."""
    sets = tuple((_images(options, kind), _labels(options, kind)) for kind in SETS)
    for kind, (images, labels) in zip(SETS, sets):
        if len(images) != len(labels):
            path = _path(options.data, kind, "labels")
            _bad_file(options.name, path, f"{len(labels)} labels for {len(images)} images")
    return sets


def report(samples, accuracy, loss):
    """Tells Machine Energy, and the log, what the training came to."""
    me.work(samples, "samples")
    me.metric("accuracy", accuracy)
    me.metric("loss", loss)
    print(f"test accuracy: {accuracy:.4f} (loss {loss:.4f})")


def cores():
    """The threads to start: as OMP_NUM_THREADS says, else one for each core that this process may use."""
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return int(wanted) if wanted.isdecimal() and int(wanted) else len(os.sched_getaffinity(0))


def fail(name, text, status=1):
    """Ends the program with one line on stderr, whatever is in the text."""
    print(f"me: {name}: {' '.join(text.split())}", file=sys.stderr)
    sys.exit(status)


def _parse(name, summary, numbers, defaults):
    parser = argparse.ArgumentParser(description=summary, allow_abbrev=False)
    parser.error = lambda text: fail(name, re.sub("^argument ", "", text), 2)
    for number in numbers:
        default, least, most, meaning = NUMBERS[number]
        default = defaults.get(number, default)
        parser.add_argument(f"--{number}", metavar="N", type=_whole(least, most), default=default,
                            help=meaning if default is None else f"{meaning} (default {default})")
    parser.add_argument("--data", metavar="DIR", default=os.environ.get("ME_DATASETS") or DEFAULT_DATA,
                        help=f"where the four IDX files are (default $ME_DATASETS, else {DEFAULT_DATA})")
    parser.add_argument("--check", action="store_true", help="only tell whether it can run here")
    options, rest = parser.parse_known_args()
    if rest and not rest[0].startswith("-"):
        fail(name, f"unexpected operand {rest[0]:.64}", 2)
    if rest:
        words = [f"--{word}" for word in (*numbers, "data", "check")]
        word = rest[0].split("=")[0]
        near = difflib.get_close_matches(word, words, 1)
        fail(name, f"unknown option {word:.64}; " +
             (f"did you mean {near[0]}?" if near else f"there are {', '.join(words)}"), 2)
    options.name = name
    return options


def _whole(least, most):
    def read(text):
        if not re.fullmatch("[0-9]{1,10}", text) or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text[:64] or repr(text)} is not a whole number from {least} to {most}")
        return int(text)
    return read


def _is_there(package):
    """Without importing it, which would take seconds. A folder that is no package does not count."""
    spec = importlib.util.find_spec(package)
    return spec is not None and spec.origin is not None


def _version(package):
    """As the installer knows it; a package's name there can be another one. "": not known."""
    for distribution in (package, f"{package}-cpu", {"sklearn": "scikit-learn"}.get(package, package)):
        try:
            return importlib.metadata.version(distribution).split("+")[0]
        except importlib.metadata.PackageNotFoundError:
            pass
    return ""


def _path(directory, kind, items):
    return os.path.join(directory, f"{kind}-{items}-idx{3 if items == 'images' else 1}-ubyte.gz")


def _images(options, kind):
    return _read(options, kind, "images", (SIDE, SIDE)).astype("float32") / 255


def _labels(options, kind):
    labels = _read(options, kind, "labels", ())
    if labels.max() >= CLASSES:
        fail(options.name, f"{_path(options.data, kind, 'labels')}: a label is {labels.max()}; 0 to 9 are possible")
    return labels.astype("int64")


def _read(options, kind, items, shape):
    """The items of an IDX file: a magic number, how many they are, their shape, all big-endian; then bytes."""
    import numpy

    path = _path(options.data, kind, items)
    bad = functools.partial(_bad_file, options.name, path)
    try:
        with gzip.open(path) as file:
            header = file.read(8 + 4 * len(shape))
            if len(header) < 8 + 4 * len(shape):
                bad("ends too early")
            magic, count, *found = struct.unpack(f">{2 + len(shape)}I", header)
            if (magic, *found) != (0x801 + len(shape), *shape):
                bad(f"not an IDX file of {items}")
            if not 0 < count <= COUNT_MAX:
                bad(f"says it holds {count} items; 1 to {COUNT_MAX} are possible")
            wanted = min(count, options.samples or count) if kind == "train" else count
            data = file.read(wanted * math.prod(shape))
            if len(data) < wanted * math.prod(shape):
                bad("ends too early")
            if wanted == count and file.read(1):  # which also looks at gzip's checksum
                bad("longer than its header says")
    except (OSError, EOFError, zlib.error) as problem:
        bad(str(problem))
    return numpy.frombuffer(data, "uint8").reshape(wanted, *shape)


def _bad_file(name, path, why):
    fail(name, f"{path}: {why}; install dataset-fashion-mnist anew")
