#include "trouble.h"
#include "parse.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

static const struct {
    const char *name;
    int number;
} faults[] = {
    {"none", 0},        {"EIO", EIO},         {"EACCES", EACCES},
    {"EPERM", EPERM},   {"ENODATA", ENODATA}, {"EINVAL", EINVAL},
    {"ENOENT", ENOENT}, {"ENODEV", ENODEV},   {"ETIMEDOUT", ETIMEDOUT},
    {"EAGAIN", EAGAIN}, {"EBUSY", EBUSY},
};

bool rig_trouble_now(struct rig_trouble *trouble)
{
    if (!trouble->fault && trouble->answer == RIG_NUMBER) return false;
    if (trouble->left < 0) return true;
    if (trouble->left-- > 0) return true;
    trouble->fault = 0;
    trouble->answer = RIG_NUMBER;
    return false;
}

static int set_fault(struct rig_trouble *trouble, const char *what, const char *count)
{
    uint64_t left = 0;
    enum rig_answer answer = !strcmp(what, "garbage") ? RIG_GARBAGE
                             : !strcmp(what, "empty") ? RIG_EMPTY
                                                      : RIG_NUMBER;
    int number = answer ? 0 : -1;
    for (size_t i = 0; i < sizeof faults / sizeof *faults && number < 0; i++)
        if (!strcmp(what, faults[i].name)) number = faults[i].number;
    if (number < 0 || (count && (!rig_parse_u64(count, 10, &left) || left > INT32_MAX))) return -EINVAL;
    trouble->fault = number;
    trouble->answer = answer;
    trouble->left = count ? (long)left : -1;
    return 1;
}

static void heal(struct rig_trouble *trouble)
{
    trouble->fault = 0;
    trouble->answer = RIG_NUMBER;
    trouble->delay_us = 0;
    trouble->gone = trouble->frozen = false;
}

static int apply_word(struct rig_trouble *trouble, const char *verb)
{
    if (!strcmp(verb, "vanish")) return trouble->gone = true, 1;
    if (!strcmp(verb, "appear")) return trouble->gone = false, 1;
    if (!strcmp(verb, "thaw")) return trouble->frozen = false, 1;
    if (!strcmp(verb, "ok")) return heal(trouble), 1;
    return 0;
}

int rig_trouble_command(struct rig_trouble *trouble, char *const words[3])
{
    const char *verb = words[0], *value = words[1];
    uint64_t number;
    if (!value) return apply_word(trouble, verb);
    if (!strcmp(verb, "fault")) return set_fault(trouble, value, words[2]);
    if (words[2]) return 0;
    if (!strcmp(verb, "mode")) return rig_parse_mode(value, &trouble->mode) ? 1 : -EINVAL;
    if (strcmp(verb, "delay")) return 0;
    if (!rig_parse_scaled(value, 1e3, 6e4, &number)) return -EINVAL;
    trouble->delay_us = (unsigned)number;
    return 1;
}

static const char *fault_name(const struct rig_trouble *trouble)
{
    if (trouble->answer) return trouble->answer == RIG_EMPTY ? "empty" : "garbage";
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        if (faults[i].number == trouble->fault) return faults[i].name;
    return "?";
}

void rig_trouble_state(const struct rig_trouble *trouble, FILE *out)
{
    fprintf(out, " fault=%s fault_left=%ld delay_us=%u gone=%d frozen=%d reads=%" PRIu64, fault_name(trouble),
            trouble->left, trouble->delay_us, trouble->gone, trouble->frozen, trouble->reads);
}
