/* A workload that knows when it ran: sleeps, and writes the moments of CLOCK_MONOTONIC at which it began
 * and ended into FILE, a line each, the first one at once. In the middle it can tell a rig something.
 *
 *     stamped_sleep FILE SECONDS [CONTROL COMMAND] */
#include "me/clock.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int tell(const char *control, const char *command)
{
    int fd = open(control, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    ssize_t len = write(fd, command, strlen(command));
    close(fd);
    return len < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
    int64_t begin_ns = me_clock_mono_ns();
    if (argc != 3 && argc != 5) return 2;
    int64_t length_ns = (int64_t)(atof(argv[2]) * 1e9);
    FILE *file = fopen(argv[1], "we");
    if (!file) return 1;
    fprintf(file, "%lld\n", (long long)begin_ns);
    fflush(file);
    if (argc == 5) {
        me_clock_sleep_until(begin_ns + length_ns / 2);
        if (tell(argv[3], argv[4])) return 1;
    }
    me_clock_sleep_until(begin_ns + length_ns);
    fprintf(file, "%lld\n", (long long)me_clock_mono_ns());
    return fclose(file) ? 1 : 0;
}
