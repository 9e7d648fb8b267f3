#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bench.h"
#include "me/root.h"
#include "me/workload.h"
#include "me/clock.h"

#define PLAIN_EVERY_NS (10 * ME_NS_PER_S)

struct line {
    int32_t machine_id;
    char name[64];
    struct me_progress last;
    bool seen;
    int64_t printed_ns;
};
struct me_progress_view {
    FILE *file;
    bool redraw;         /* a terminal: lines are drawn over */
    size_t drawn;        /* lines that stand on it now */
    int repeats, warmup; /* of each workload */
    struct me_workloads workloads;
    struct line *lines;
    size_t count;
};

/* mpirun gives its ranks pipes or a pseudo-terminal of its own, so what we hold says nothing: rank 0
 * is mpirun's child, and mpirun's own stderr is where our lines end. */
static bool ends_on_terminal(FILE *file)
{
    if (!getenv("OMPI_COMM_WORLD_SIZE") && !getenv("PMIX_RANK")) return isatty(fileno(file));
    char link[64], target[64];
    struct me_root root;
    if (me_root_open(&root, "/", NULL)) return false;
    snprintf(link, sizeof link, "/proc/%d/fd/2", me_root_launcher(&root));
    me_root_close(&root);
    ssize_t len = readlink(link, target, sizeof target - 1);
    if (len < 0) return false;
    target[len] = '\0';
    return !strncmp(target, "/dev/pts/", 9) || !strncmp(target, "/dev/tty", 8);
}

int me_progress_open(struct me_progress_view **out, const char *mode, const struct me_plan *plan, FILE *file)
{
    *out = NULL;
    if (!strcmp(mode, "none")) return 0;
    struct me_progress_view *view = calloc(1, sizeof *view);
    struct line *lines = calloc(plan->count, sizeof *lines);
    if (!view || !lines) {
        free(view);
        free(lines);
        return -1;
    }
    *view = (struct me_progress_view){
        .file = file, .lines = lines, .repeats = plan->repeats, .warmup = plan->warmup};
    me_workload_list(plan, &view->workloads, NULL); /* checked long ago; without it no names are shown */
    view->redraw = !strcmp(mode, "auto") && ends_on_terminal(file);
    for (size_t i = 0; i < plan->count; i++) {
        if (plan->machines[i].status != ME_STATUS_OK) continue;
        struct line *line = &lines[view->count++];
        line->machine_id = plan->machines[i].id;
        snprintf(line->name, sizeof line->name, "%s", plan->machines[i].name);
    }
    *out = view;
    return 0;
}

/* "run      4/6 native": repeats are numbered through all workloads, which take turns. */
static void print_repeat(const struct me_progress_view *view, const struct me_progress *p)
{
    int workloads = view->workloads.count ? (int)view->workloads.count : 1;
    int each = p->phase == ME_PHASE_WARMUP ? view->warmup : view->repeats;
    fprintf(view->file, " %d/%d", (int)p->repeat, each * workloads);
    if (workloads > 1)
        fprintf(view->file, " %-10.10s", view->workloads.entries[(p->repeat - 1) % workloads].label);
}

static void print_line(const struct me_progress_view *view, const struct line *line)
{
    const struct me_progress *p = &line->last;
    fprintf(view->file, "%-20.20s %-8s", line->name, me_phase_name((enum me_phase)p->phase));
    if (p->repeat > 0) print_repeat(view, p);
    fprintf(view->file, " %8.1f s", p->elapsed_s);
    if (isnan(p->power_w))
        fputs("        - W", view->file);
    else
        fprintf(view->file, " %8.1f W", p->power_w);
    if (isnan(p->energy_j))
        fputs("          - J", view->file);
    else
        fprintf(view->file, " %10.1f J", p->energy_j);
    fputs(view->redraw ? "\033[K\n" : "\n", view->file);
}

static void redraw(struct me_progress_view *view)
{
    if (view->drawn) fprintf(view->file, "\033[%zuA", view->drawn);
    view->drawn = 0;
    for (size_t i = 0; i < view->count; i++) {
        if (!view->lines[i].seen) continue;
        print_line(view, &view->lines[i]);
        view->drawn++;
    }
    fflush(view->file);
}

void me_progress_show(struct me_progress_view *view, const struct me_progress *progress)
{
    if (!view) return;
    struct line *line = NULL;
    for (size_t i = 0; i < view->count; i++)
        if (view->lines[i].machine_id == progress->machine_id) line = &view->lines[i];
    if (!line || progress->phase < 0 || progress->phase > ME_PHASE_COOLDOWN) return;
    int64_t now = me_clock_mono_ns();
    if (!line->seen) line->printed_ns = now;
    line->last = *progress;
    line->seen = true;
    if (view->redraw) {
        redraw(view);
    } else if (progress->ended || now - line->printed_ns >= PLAIN_EVERY_NS) {
        line->printed_ns = now;
        print_line(view, line);
        fflush(view->file);
    }
}

void me_progress_close(struct me_progress_view *view)
{
    if (!view) return;
    free(view->lines);
    free(view);
}
