#include "merge.h"
#include "me/assembly.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CUT_OFF "interrupted" /* the note of a repeat that a stop has ended */

struct key { /* a phase of a machine */
    int32_t machine_id, repeat;
    char phase[16];
};
struct keys {
    struct key *keys; /* sorted once all are there */
    size_t count;
};

static int compare(const void *a, const void *b)
{
    const struct key *x = a, *y = b;
    if (x->machine_id != y->machine_id) return x->machine_id < y->machine_id ? -1 : 1;
    if (x->repeat != y->repeat) return x->repeat < y->repeat ? -1 : 1;
    return strcmp(x->phase, y->phase);
}

static struct key key_of(int32_t machine_id, int32_t repeat, const char *phase)
{
    struct key key = {.machine_id = machine_id, .repeat = repeat};
    snprintf(key.phase, sizeof key.phase, "%s", phase);
    return key;
}

static bool has(const struct keys *keys, int32_t machine_id, int32_t repeat, const char *phase)
{
    struct key key = key_of(machine_id, repeat, phase);
    return keys->count && bsearch(&key, keys->keys, keys->count, sizeof key, compare);
}

static bool is_run(const struct me_row_repeat *row)
{
    return !strcmp(row->phase, me_phase_name(ME_PHASE_RUN));
}

bool me_assembly_is_cut_off(const struct me_row_repeat *row)
{
    return is_run(row) && !strncmp(row->note, CUT_OFF, strlen(CUT_OFF));
}

/* The rows of these phases go. */
static void drop_rows(struct me_result *result, const struct keys *keys)
{
    const char *run = me_phase_name(ME_PHASE_RUN);
    size_t kept;
#define KEEP(rows, count, phase_of)                                                                          \
    kept = 0;                                                                                                \
    for (size_t i = 0; i < result->count; i++)                                                               \
        if (!has(keys, result->rows[i].machine_id, result->rows[i].repeat, phase_of))                        \
            result->rows[kept++] = result->rows[i];                                                          \
    result->count = kept
    KEEP(repeats, repeat_count, result->repeats[i].phase);
    KEEP(energies, energy_count, result->energies[i].phase);
    KEEP(activities, activity_count, result->activities[i].phase);
    KEEP(regions, region_count, run);
    KEEP(metrics, metric_count, run);
#undef KEEP
}

static struct me_row_machine *find_machine(const struct me_result *result, int32_t id)
{
    for (size_t i = 0; i < result->machine_count; i++)
        if (result->machines[i].machine_id == id) return &result->machines[i];
    return NULL;
}

/* The base's rows in the order of their keys, to be found fast. */
struct place {
    struct key key;
    const struct me_row_repeat *row;
};
struct places {
    struct place *places;
    size_t count;
};

static int index_rows(const struct me_result *result, struct places *out)
{
    *out = (struct places){.places = calloc(result->repeat_count + 1, sizeof *out->places)};
    if (!out->places) return -1;
    for (size_t i = 0; i < result->repeat_count; i++) {
        const struct me_row_repeat *row = &result->repeats[i];
        out->places[out->count++] = (struct place){key_of(row->machine_id, row->repeat, row->phase), row};
    }
    qsort(out->places, out->count, sizeof *out->places, compare); /* a place begins with its key */
    return 0;
}

/* Of several with one key (a second idle phase) that which began at the same moment, if there is one. */
static const struct me_row_repeat *find_row(const struct places *places, const struct me_row_repeat *like)
{
    struct place sought = {.key = key_of(like->machine_id, like->repeat, like->phase)};
    struct place *end = places->places + places->count,
                 *at = bsearch(&sought, places->places, places->count, sizeof sought, compare);
    if (!at) return NULL;
    while (at > places->places && !compare(at - 1, &sought)) at--;
    const struct me_row_repeat *first = at->row;
    for (; at < end && !compare(at, &sought); at++)
        if (at->row->start_unix_ns == like->start_unix_ns) return at->row;
    return is_run(like) ? first : NULL;
}

static int last_repeat(const struct me_result *result)
{
    int last = 0;
    for (size_t i = 0; i < result->repeat_count; i++)
        if (result->repeats[i].repeat > last) last = result->repeats[i].repeat;
    return last;
}

/* A run that both have shows by how much its numbers were shifted. */
static int find_shift(const struct me_result *base, const struct me_result *fresh, int shifted)
{
    for (size_t i = 0; i < fresh->repeat_count; i++) {
        const struct me_row_repeat *row = &fresh->repeats[i];
        for (size_t k = 0; is_run(row) && k < base->repeat_count; k++) {
            const struct me_row_repeat *old = &base->repeats[k];
            if (is_run(old) && old->machine_id == row->machine_id && old->start_unix_ns == row->start_unix_ns)
                return shifted + old->repeat - row->repeat;
        }
    }
    return last_repeat(base);
}

static void number(const struct me_result *base, struct me_result *fresh, struct me_merge *merge)
{
    int wanted = merge->first_repeat >= 0 ? merge->first_repeat : find_shift(base, fresh, *merge->shifted);
    me_result_shift(fresh, wanted - *merge->shifted);
    *merge->shifted = wanted;
}

/* Which of two rows of one repeat goes. */
static void choose(const struct me_row_repeat *old, const struct me_row_repeat *row, struct keys *of_base,
                   struct keys *of_fresh)
{
    bool again = me_assembly_is_cut_off(old) && !me_assembly_is_cut_off(row) &&
                 old->start_unix_ns != row->start_unix_ns;
    struct keys *keys = again ? of_base : of_fresh;
    keys->keys[keys->count++] = key_of(row->machine_id, row->repeat, row->phase);
}

static void note_drops(const struct keys *of_base, struct me_merge *merge)
{
    for (size_t i = 0; i < of_base->count; i++)
        merge->drops[merge->drop_count++] =
            (struct me_store_drop){of_base->keys[i].machine_id, of_base->keys[i].repeat};
}

/* Leaves in both what shall be in the result. */
static int sort_out(struct me_result *base, struct me_result *fresh, struct me_merge *merge)
{
    size_t n = fresh->repeat_count + 1;
    struct keys of_base = {calloc(n, sizeof *of_base.keys), 0},
                of_fresh = {calloc(n, sizeof *of_fresh.keys), 0};
    struct places places = {0};
    merge->drops = calloc(n, sizeof *merge->drops);
    int rc = of_base.keys && of_fresh.keys && merge->drops ? index_rows(base, &places) : -1;
    for (size_t i = 0; !rc && i < fresh->repeat_count; i++) {
        const struct me_row_repeat *row = &fresh->repeats[i], *old = find_row(&places, row);
        if (old) choose(old, row, &of_base, &of_fresh);
    }
    if (!rc) {
        qsort(of_base.keys, of_base.count, sizeof *of_base.keys, compare);
        qsort(of_fresh.keys, of_fresh.count, sizeof *of_fresh.keys, compare);
        drop_rows(base, &of_base);
        drop_rows(fresh, &of_fresh);
        note_drops(&of_base, merge);
    }
    free(places.places);
    free(of_base.keys);
    free(of_fresh.keys);
    return rc;
}

static void forget_silent(const struct me_result *base, struct me_result *fresh)
{
    size_t kept = 0;
    for (size_t i = 0; i < fresh->machine_count; i++) {
        const struct me_row_machine *row = &fresh->machines[i];
        if (row->boot_id[0] || !find_machine(base, row->machine_id)) fresh->machines[kept++] = *row;
    }
    fresh->machine_count = kept;
}

/* A machine that was cut off may have been restarted since. */
static void forgive_restart(struct me_row_machine *old, const struct me_row_machine *now)
{
    if (old->boot_id[0] && !strcmp(old->host, now->host) && !strcmp(old->cpu_model, now->cpu_model))
        memcpy(old->boot_id, now->boot_id, sizeof old->boot_id);
}

static bool adds_runs(const struct me_result *fresh, int32_t id)
{
    for (size_t i = 0; i < fresh->repeat_count; i++)
        if (fresh->repeats[i].machine_id == id && is_run(&fresh->repeats[i])) return true;
    return false;
}

/* What the machine says now holds, if it has anything new to say; a repeat that failed before has failed. */
static void settle(struct me_row_machine *row, const struct me_row_machine *before,
                   const struct me_row_machine *now, bool adds)
{
    bool was_lost = !strcmp(before->status, me_status_name(ME_STATUS_LOST));
    bool stays = !strcmp(before->status, me_status_name(ME_STATUS_FAILED)) &&
                 !strcmp(now->status, me_status_name(ME_STATUS_OK));
    const struct me_row_machine *from = (adds || was_lost) && !stays ? now : before;
    memcpy(row->status, from->status, sizeof row->status);
    memcpy(row->reason, from->reason, sizeof row->reason);
}

static int append(struct me_result *base, struct me_result *fresh, struct me_error *err)
{
    struct me_row_machine *before = calloc(fresh->machine_count + 1, sizeof *before);
    if (!before) return me_fail(err, ME_E_RUN, "no memory to merge");
    for (size_t i = 0; i < fresh->machine_count; i++) {
        struct me_row_machine *old = find_machine(base, fresh->machines[i].machine_id);
        if (!old) continue;
        before[i] = *old;
        forgive_restart(old, &fresh->machines[i]);
    }
    int rc = me_result_append(base, fresh, err);
    for (size_t i = 0; !rc && i < fresh->machine_count; i++) {
        const struct me_row_machine *now = &fresh->machines[i];
        if (before[i].name[0] || before[i].status[0])
            settle(find_machine(base, now->machine_id), &before[i], now, adds_runs(fresh, now->machine_id));
    }
    free(before);
    return rc;
}

int me_merge(struct me_result *base, struct me_result *fresh, struct me_merge *merge, struct me_error *err)
{
    number(base, fresh, merge);
    forget_silent(base, fresh);
    me_result_merge_jobs(base, fresh);
    if (sort_out(base, fresh, merge)) return me_fail(err, ME_E_RUN, "no memory to merge");
    return append(base, fresh, err);
}

int me_assembly_done(const struct me_result *result, int machine_id, int first, int total, char *set,
                     size_t size, struct me_error *err)
{
    bool *there = calloc((size_t)total + 1, sizeof *there);
    if (!there) return me_fail(err, ME_E_RUN, "no memory for %d repeats", total);
    for (size_t i = 0; i < result->repeat_count; i++) {
        const struct me_row_repeat *row = &result->repeats[i];
        if (row->machine_id != machine_id || !is_run(row) || me_assembly_is_cut_off(row)) continue;
        if (row->repeat > first && row->repeat - first <= total) there[row->repeat - first - 1] = true;
    }
    me_repeats_put(there, total, set, size);
    free(there);
    return 0;
}
