/* Libraries that a machine may have or not: opened at run time by a table of names, so that nothing
 * of them is needed to build or to start. */
#ifndef ME_SOURCE_LIBRARY_H
#define ME_SOURCE_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

/* One function that is wanted: its name, and where its pointer goes in the caller's struct. */
struct me_symbol {
    const char *name;
    size_t offset;
    bool optional; /* older libraries lack it; the pointer is then NULL */
};
#define ME_SYMBOL(type, member, name)                                                                        \
    {                                                                                                        \
        name, offsetof(type, member), false                                                                  \
    }
#define ME_SYMBOL_OPTIONAL(type, member, name)                                                               \
    {                                                                                                        \
        name, offsetof(type, member), true                                                                   \
    }

struct me_library {
    void *handle;     /* NULL: not open */
    const char *name; /* which of the names it was */
};

enum me_library_state {
    ME_LIBRARY_OPEN,
    ME_LIBRARY_ABSENT,   /* none of the names is there */
    ME_LIBRARY_UNUSABLE, /* there, and it cannot be loaded or lacks a function: `text` says which */
};

/* Opens the first of `names` (NULL-terminated) that is there and fills `functions` by the table
 * (which ends with a row without a name). `functions` and `library` are only written for
 * ME_LIBRARY_OPEN. It stays in memory to the end of the process, closed or not: the libraries of
 * vendors start threads, and those must not lose the ground they stand on. */
enum me_library_state me_library_open(struct me_library *library, const char *const *names,
                                      const struct me_symbol *symbols, void *functions, char *text,
                                      size_t size);
void me_library_close(struct me_library *library); /* NULL-safe, twice is fine */

/* Runs work(arg) in a thread of its own and waits for it: what starts a driver takes seconds, and where
 * the driver is stuck it never comes back. All signals are blocked in the thread, and so in those that
 * the library starts from it. 0: done. -1: not done within `seconds`, or no thread: the thread is then
 * left to itself, and `arg` is lost to it for good, so it must be on the heap. */
int me_library_run(void (*work)(void *arg), void *arg, double seconds);

#endif
