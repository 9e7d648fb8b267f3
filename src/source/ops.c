#include "ops.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void me_ops_fail(const struct me_source *source, struct me_reading *readings, int error)
{
    for (size_t i = 0; i < source->channel_count; i++) readings[i] = me_ops_count(error, 0);
}

void me_ops_say(char *text, size_t size, const char *format, ...)
{
    va_list args;
    size_t len = strlen(text);
    if (len && len < size) len += (size_t)snprintf(text + len, size - len, "; ");
    if (len >= size) return;
    va_start(args, format);
    vsnprintf(text + len, size - len, format, args);
    va_end(args);
}

void me_ops_say_foreign(struct me_source *source)
{
    snprintf(source->reason, sizeof source->reason,
             "not asked: it would speak of this machine, and not of the one under --root");
}

void me_ops_release(struct me_source *source)
{
    free(source->state);
    free(source->channels);
    source->state = NULL;
    source->channels = NULL;
    source->channel_count = 0;
}
