/* For the functions of a struct me_source_ops: readings made, reasons said, a source taken down. */
#ifndef ME_SOURCE_OPS_H
#define ME_SOURCE_OPS_H

#include "me/source.h"

/* A reading: the value, or, where `error` (an errno) is not 0, a failed one. */
static inline struct me_reading me_ops_count(int error, uint64_t count)
{
    struct me_reading reading = {.state = ME_READING_FAILED, .error = (int16_t)error};
    if (!error) reading = (struct me_reading){.state = ME_READING_OK, .count = count};
    return reading;
}
static inline struct me_reading me_ops_level(int error, double level)
{
    struct me_reading reading = {.state = ME_READING_FAILED, .error = (int16_t)error};
    if (!error) reading = (struct me_reading){.state = ME_READING_OK, .level = level};
    return reading;
}
/* All of a source's readings have failed. */
void me_ops_fail(const struct me_source *source, struct me_reading *readings, int error);

/* Appends a phrase to a reason or a basis, after "; " if there is text already. */
void me_ops_say(char *text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The reason of a source that asks the kernel, a library or a command, where the root is not this
 * machine's own (me_source_setup.live). */
void me_ops_say_foreign(struct me_source *source);
/* Frees state and channels, for the end of `close`; NULL-safe, twice is fine. */
void me_ops_release(struct me_source *source);

#endif
