/* What a mark costs who makes it. Prints a line a case, judges nothing.
 *
 *     bench_marks                  C: me/mark.h, and beside it a bare write() of the same bytes
 *     bench_marks listen COMMAND   runs the command with a listener: another process that waits for marks and
 *                                  reads them as they come, as me_bench does
 *
 * Back to back: the listener is awake. One a millisecond: each mark wakes it, which the kernel does in the
 * writer's time; so it is in most programs. */
#include "me/clock.h"
#include "me/mark.h"
#include <poll.h>
#include <string.h>
#include <sys/wait.h>

enum { MANY = 1000, ROUNDS = 300, SPACED = 2000 };

typedef void make_mark(void);

static void begin(void)
{
    me_mark_begin("train/batch");
}

static void metric(void)
{
    me_mark_metric("accuracy", 0.8742);
}

static void bare_write(void)
{
    static const char line[] = "begin train/batch\n";
    int fd = me_mark_fd_();
    if (fd >= 0 && write(fd, line, sizeof line - 1) < 0) _exit(1);
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, compare);
    return values[n / 2];
}

/* A mark after a pause, less what reading the clock costs. */
static double spaced_ns(make_mark *make)
{
    static double taken[SPACED], clock[SPACED];
    for (int i = 0; i < SPACED; i++) {
        me_clock_sleep_until(me_clock_mono_ns() + ME_NS_PER_S / 1000);
        int64_t zero = me_clock_mono_ns(), begin_ns = me_clock_mono_ns();
        make();
        taken[i] = (double)(me_clock_mono_ns() - begin_ns);
        clock[i] = (double)(begin_ns - zero);
    }
    return median(taken, SPACED) - median(clock, SPACED);
}

/* Rounds are short, so that most are not interrupted by what else runs here. */
static double many_ns(make_mark *make)
{
    static double means[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        int64_t begin_ns = me_clock_mono_ns();
        for (int i = 0; i < MANY; i++) make();
        means[round] = (double)(me_clock_mono_ns() - begin_ns) / MANY;
    }
    return median(means, ROUNDS);
}

static void measure(const char *what, make_mark *make)
{
    printf("  %-52s %9.0f ns", what, many_ns(make));
    if (me_mark_fd_() >= 0) printf("   %9.0f ns", spaced_ns(make));
    putchar('\n');
}

static void listen(int fd)
{
    char chunk[4096];
    struct pollfd news = {.fd = fd, .events = POLLIN};
    do poll(&news, 1, -1);
    while (read(fd, chunk, sizeof chunk) > 0);
    _exit(0);
}

static int run_with_listener(char **argv)
{
    char number[16];
    int ends[2];
    if (pipe(ends)) return 1;
    if (!fork()) {
        close(ends[1]);
        listen(ends[0]);
    }
    close(ends[0]);
    snprintf(number, sizeof number, "%d", ends[1]);
    setenv("ME_MARK_FD", number, 1);
    execvp(argv[0], argv);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc > 2 && !strcmp(argv[1], "listen")) return run_with_listener(argv + 2);
    if (me_mark_fd_() >= 0) measure("C: write() of a mark's bytes", bare_write);
    measure("C: me_mark_begin", begin);
    measure("C: me_mark_metric", metric);
    return 0;
}
