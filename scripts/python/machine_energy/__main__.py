"""Prints the summary of an experiment: python3 -m machine_energy EXPERIMENT"""
import sys

from machine_energy import read

if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
    wanted = sys.argv[1:] in (["-h"], ["--help"])
    print("usage: python3 -m machine_energy EXPERIMENT", file=sys.stdout if wanted else sys.stderr)
    sys.exit(0 if wanted else 2)
try:
    print(read(sys.argv[1]).summary.to_string(index=False))
except (OSError, ValueError) as error:
    sys.exit(f"machine_energy: {error}")
