/* Marks for your own C or C++ program: tell Machine Energy which part of it to account for. Header
 * only, no library needed. Outside of Machine Energy every call does nothing, cheaply.
 *
 *     me_mark_begin("train");
 *     ...
 *     me_mark_end("train");
 *     me_mark_work(180000, "samples");
 *     me_mark_metric("accuracy", 0.874);
 *
 * The protocol, for other languages: one line a mark, written with one write() to the file
 * descriptor whose number is in the environment variable ME_MARK_FD:
 *     begin NAME\n    end NAME\n    work AMOUNT UNIT\n    metric NAME VALUE\n
 * NAME and UNIT: letters, digits and _ - . / , up to 47 and 23 characters. Regions may nest and
 * repeat. Energy is read when the mark arrives, some tens of microseconds after the write.
 *
 * Work adds up over a run. A metric is what the work came to; told twice, the last word counts. The
 * report knows `accuracy` (0 to 1, of data not trained on) and `loss`; all others are kept in the table
 * /metrics. VALUE may be nan or inf: a training that diverged says so.
 *
 * Threads: a line is one write() of less than PIPE_BUF bytes, which the kernel keeps whole, so all
 * calls may come from several threads at once; regions are told apart by name, not by thread. */
#ifndef ME_MARK_H
#define ME_MARK_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* The pipe's descriptor, or -1. Looked for once; not taken for it is a file that came to have that
 * number in a process which closed the pipe, or lost it on its way through others. */
static inline int me_mark_fd_(void)
{
    static int known = -2; /* -2: not looked yet; -1: nobody listens */
    int fd = __atomic_load_n(&known, __ATOMIC_RELAXED);
    if (fd == -2) {
        const char *text = getenv("ME_MARK_FD");
        struct stat file;
        fd = text ? atoi(text) : -1;
        if (fd < 3 || fstat(fd, &file) || !S_ISFIFO(file.st_mode)) fd = -1;
        __atomic_store_n(&known, fd, __ATOMIC_RELAXED);
    }
    return fd;
}
static inline void me_mark_line_(int fd, const char *line, int len)
{
    int before = errno;
    while (len > 0 && write(fd, line, (size_t)len) < 0 && errno == EINTR) continue;
    errno = before;
}
static inline void me_mark_begin(const char *region)
{
    char line[64];
    int fd = me_mark_fd_();
    if (fd >= 0) me_mark_line_(fd, line, snprintf(line, sizeof line, "begin %.47s\n", region));
}
static inline void me_mark_end(const char *region)
{
    char line[64];
    int fd = me_mark_fd_();
    if (fd >= 0) me_mark_line_(fd, line, snprintf(line, sizeof line, "end %.47s\n", region));
}
static inline void me_mark_metric(const char *name, double value)
{
    char line[96];
    int fd = me_mark_fd_();
    if (fd < 0) return;
    int len = snprintf(line, sizeof line, "metric %.47s %.17g\n", name, value);
    for (int i = 0; i < len; i++)
        if (line[i] == ',') line[i] = '.'; /* some locales have a decimal comma */
    me_mark_line_(fd, line, len);
}
static inline void me_mark_work(double amount, const char *unit)
{
    char line[64];
    int fd = me_mark_fd_();
    if (fd < 0) return;
    int len = snprintf(line, sizeof line, "work %.17g %.23s\n", amount, unit);
    for (int i = 0; i < len; i++)
        if (line[i] == ',') line[i] = '.'; /* some locales have a decimal comma */
    me_mark_line_(fd, line, len);
}

#endif
