#include <math.h>
#include <stdio.h>
#include <string.h>
#include "me/version.h"
#include "prepare.h"

enum { COLUMNS = 9, CELL = 40 };
struct line {
    char cells[COLUMNS - 1][CELL];
    const struct me_host *host;
};

static const char *program_state(const struct me_facts_seen *facts)
{
    if (facts->staged) return "staged";
    if (!strcmp(facts->bench_version, ME_VERSION)) return "present";
    return facts->bench_version[0] ? facts->bench_version : "absent";
}

static void fill_facts(const struct me_preparation *preparation, const struct me_facts_seen *facts,
                       struct line *line)
{
    snprintf(line->cells[2], CELL, "%.39s", facts->arch);
    snprintf(line->cells[3], CELL, "%s", facts->mpi[0] ? facts->mpi : "missing");
    snprintf(line->cells[4], CELL, "%s", program_state(facts));
    me_work_cell(preparation, facts, line->cells[5], CELL);
    if (!isnan(facts->free_mib)) snprintf(line->cells[6], CELL, "%.1f GiB", facts->free_mib / 1024);
    if (!isnan(facts->clock_offset_s)) snprintf(line->cells[7], CELL, "%+.3f s", facts->clock_offset_s);
}

static void fill_line(const struct me_preparation *preparation, const struct me_host *host, struct line *line)
{
    for (size_t c = 0; c < COLUMNS - 1; c++) snprintf(line->cells[c], CELL, "-");
    line->host = host;
    snprintf(line->cells[0], CELL, "%d", host->machine->id);
    snprintf(line->cells[1], CELL, "%.32s", host->machine->name);
    if (host->facts.arch[0]) fill_facts(preparation, &host->facts, line);
}

static void print_ok(const struct me_preparation *preparation, const struct me_host *host, FILE *out)
{
    char versions[1024];
    me_work_versions(preparation, &host->facts, versions, sizeof versions);
    fprintf(out, "ok%s%s", versions[0] ? "; " : "", versions);
    if (host->container) {
        char text[400];
        me_image_text(host->container, text, sizeof text);
        fprintf(out, "; in %s", text);
    }
    fprintf(out, "%s%s", host->note[0] ? "; " : "", host->note);
}

static void print_verdict(const struct me_preparation *preparation, const struct me_host *host, FILE *out)
{
    const struct me_prepare_options *options = preparation->options;
    switch (host->step) {
    case ME_STEP_FAILED:
        fprintf(out, "%s: %s", options->skip_failed ? "skipped" : "FAILED", host->reason);
        break;
    case ME_STEP_DUPLICATE:
        fprintf(out, "left out: %s", host->reason);
        break;
    case ME_STEP_READY:
        print_ok(preparation, host, out);
        break;
    case ME_STEP_REACHED:
        print_ok(preparation, host, out);
        if (host->state && !host->container && me_preflight_needs_stage(&host->facts))
            fprintf(out, "; me_bench will be staged");
        break;
    case ME_STEP_WAITING:
        fprintf(out, "not tried");
        break;
    }
    if (fabs(host->facts.clock_offset_s) > 1 && host->step != ME_STEP_FAILED)
        fprintf(out, "; warning: its clock is %.1f s %s; set it (chrony)", fabs(host->facts.clock_offset_s),
                host->facts.clock_offset_s > 0 ? "ahead" : "behind");
    fprintf(out, "\n");
}

static void widen(int *widths, const char *const *titles, const struct line *line)
{
    for (size_t c = 0; c < COLUMNS - 1; c++) {
        int title = (int)strlen(titles[c]), cell = line ? (int)strlen(line->cells[c]) : 0;
        if (title > widths[c]) widths[c] = title;
        if (cell > widths[c]) widths[c] = cell;
    }
}

void me_verdict_print(const struct me_preparation *preparation, FILE *out)
{
    static const char *const titles[COLUMNS] = {"id",       "name", "arch",  "Open MPI", "me_bench",
                                                "workload", "disk", "clock", "verdict"};
    int widths[COLUMNS - 1] = {0};
    struct line line;
    size_t n = preparation->count;
    /* The local machine stands last in the array, and first in the table. */
    size_t first = n && !preparation->hosts[n - 1].state ? n - 1 : 0;
    widen(widths, titles, NULL);
    for (size_t i = 0; i < n; i++) {
        fill_line(preparation, &preparation->hosts[i], &line);
        widen(widths, titles, &line);
    }
    for (size_t c = 0; c < COLUMNS - 1; c++) fprintf(out, "%-*s  ", widths[c], titles[c]);
    fprintf(out, "%s\n", titles[COLUMNS - 1]);
    for (size_t i = 0; i < n; i++) {
        const struct me_host *host = &preparation->hosts[(first + i) % n];
        fill_line(preparation, host, &line);
        for (size_t c = 0; c < COLUMNS - 1; c++) fprintf(out, "%-*s  ", widths[c], line.cells[c]);
        print_verdict(preparation, host, out);
    }
}
