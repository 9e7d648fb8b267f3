"""The law of the house: who may include what (src/README.md). Fails with a line a breach."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# A third-party header stands in one folder (mpi.h in two: the messages, and the program that makes the world).
THIRD_PARTY = {
    r"cjson/": {"config"},
    r"mpi\.h": {"gather", "bench"},
    r"libssh2": {"remote"},
    r"hdf5\.h|H5": {"store"},
    r"hwloc": {"source"},
    r"perfmon/": {"source"},
    r"cblas|fftw3|zlib\.h": {"kernel"},
}
# A folder's own headers are for itself; these may look next door.
NEIGHBOURS = {"bench": {"gather"}}
# Pure folders: no clock, no file, no environment.
PURE = {"model", "hosts"}
IMPURE = re.compile(r"\b(fopen|open|openat|getenv|clock_gettime|time|me_clock_\w+|me_root_\w+|getpid|gethostname)\s*\(")


def breaches():
    for path in sorted(ROOT.glob("src/*/*.[chS]")) + sorted(ROOT.glob("include/me/*.h")):
        folder = path.parent.name if path.parts[-3] == "src" else "include"
        text = path.read_text()
        for number, line in enumerate(text.splitlines(), 1):
            where = f"{path.relative_to(ROOT)}:{number}"
            include = re.match(r'\s*#\s*include\s+[<"]([^>"]+)[>"]', line)
            if include:
                name = include.group(1)
                for pattern, allowed in THIRD_PARTY.items():
                    if re.match(pattern, name) and folder not in allowed:
                        yield f"{where}: {name} belongs to src/{' and src/'.join(sorted(allowed))} only"
                other = re.match(r"\.\./(\w+)/", name)
                if other and other.group(1) not in NEIGHBOURS.get(folder, set()):
                    yield f"{where}: {folder} may not look into src/{other.group(1)}"
            elif folder in PURE and IMPURE.search(line) and not line.lstrip().startswith(("*", "/*", "//")):
                yield f"{where}: src/{folder} is pure: {line.strip()}"


found = list(breaches())
print("\n".join(found) or "layers: every include is where it belongs")
sys.exit(1 if found else 0)
