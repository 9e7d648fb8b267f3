/* sleep: nothing at all, for the machine's power at rest and for tests. */
#include "kernel.h"
#include "me/clock.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct sleep_options {
    bool check;
    double seconds;
};

static const struct me_option option_rows[] = {
    {"seconds", 's', ME_OPTION_DOUBLE, offsetof(struct sleep_options, seconds), 0, 1e9, "S",
     "how long (default 10)"},
    {"check", 0, ME_OPTION_FLAG, offsetof(struct sleep_options, check), 0, 0, NULL,
     "only tell whether it can run here"},
    {.name = NULL},
};
static const struct me_command command = {
    .program = "me_kernel sleep", .usage = "[--seconds S]", .summary = "Sleep.", .options = option_rows};

int me_sleep_main(int argc, char **argv)
{
    struct me_error err;
    struct sleep_options options = {.seconds = 10};
    int rc = me_kernel_options(&command, argc, argv, &options, &err);
    if (rc < 0) return me_kernel_report("sleep", &err);
    if (rc > 0) return ME_OK;
    if (options.check) {
        printf("sleep: ready\n");
        return ME_OK;
    }
    int64_t end = me_clock_mono_ns() + (int64_t)(options.seconds * 1e9);
    while (me_clock_mono_ns() < end) me_clock_sleep_until(end);
    return ME_OK;
}
