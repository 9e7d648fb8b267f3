"""What stamped_sleep does, for tools that measure a Python script from inside: see stamped_sleep.c."""
import os
import sys
import time


def sleep_until(moment_ns):
    time.sleep(max(0, moment_ns - time.monotonic_ns()) / 1e9)


begin_ns = time.monotonic_ns()
path, length_ns = sys.argv[1], int(float(sys.argv[2]) * 1e9)
with open(path, "w") as file:
    print(begin_ns, file=file, flush=True)
    if len(sys.argv) > 3:
        sleep_until(begin_ns + length_ns // 2)
        control = os.open(sys.argv[3], os.O_WRONLY)
        os.write(control, sys.argv[4].encode())
        os.close(control)
    sleep_until(begin_ns + length_ns)
    print(time.monotonic_ns(), file=file)
