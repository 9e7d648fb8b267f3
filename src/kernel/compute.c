#include "compute.h"
#include "me/clock.h"
#include "me/mark.h"
#include "memory.h"
#include <stdlib.h>
#include <string.h>

#define GIB 0x1p30

struct compute_options {
    bool check;
    const char *precision;
    double seconds;
    int size, threads;
};

int me_compute_judge(const char *what, double value, double limit, struct me_error *err)
{
    if (value <= limit) return 0; /* not so for NaN */
    return me_fail(err, ME_E_RUN, "the result is wrong: %s %.2g, where at most %.2g comes from rounding",
                   what, value, limit);
}

static size_t total_bytes(const struct me_compute *kernel, const struct me_job *job,
                          size_t bytes[ME_JOB_ARRAYS])
{
    size_t sum = 0;
    memset(bytes, 0, ME_JOB_ARRAYS * sizeof *bytes);
    kernel->layout(job, bytes);
    for (int i = 0; i < ME_JOB_ARRAYS; i++) sum += bytes[i];
    return sum;
}

int me_compute_prepare(const struct me_compute *kernel, struct me_job *job, struct me_error *err)
{
    size_t bytes[ME_JOB_ARRAYS], sum = total_bytes(kernel, job, bytes);
    char what[256];
    for (int i = 0; i < ME_JOB_ARRAYS; i++) {
        if (!bytes[i]) continue;
        job->arrays[i] = me_memory_take(bytes[i]);
        if (job->arrays[i]) continue;
        return me_fail(err, ME_E_RUN, "no memory: n %zu needs %.1f GiB; give a smaller --size", job->size,
                       (double)sum / GIB);
    }
    return kernel->open ? kernel->open(job, true, what, sizeof what, err) : 0;
}

void me_compute_release(const struct me_compute *kernel, struct me_job *job)
{
    if (!job) return;
    if (kernel->close) kernel->close(job);
    for (int i = 0; i < ME_JOB_ARRAYS; i++) {
        free(job->arrays[i]);
        job->arrays[i] = NULL;
    }
}

struct run {
    const struct me_compute *kernel;
    struct me_job *job;
    double seconds, elapsed;
    long passes;
    bool more;
};

static void fill(struct me_worker *worker, void *argument)
{
    struct run *run = argument;
    run->kernel->fill(run->job, worker);
}

int me_compute_fill(const struct me_compute *kernel, struct me_job *job, struct me_team *team,
                    struct me_error *err)
{
    struct run run = {.kernel = kernel, .job = job};
    return me_team_run(team, fill, &run, err);
}

/* Thread 0 decides for all whether there is another pass. */
static void run_passes(struct me_worker *worker, void *argument)
{
    struct run *run = argument;
    int64_t begin_ns = 0;
    me_team_wait(worker);
    if (worker->number == 0) {
        me_mark_begin("run");
        begin_ns = me_clock_mono_ns();
    }
    do {
        run->kernel->pass(run->job, worker);
        me_team_wait(worker);
        if (worker->number == 0) {
            run->passes++;
            run->elapsed = (double)(me_clock_mono_ns() - begin_ns) * 1e-9;
            run->more = run->elapsed < run->seconds;
        }
        me_team_wait(worker);
    } while (run->more);
    if (worker->number == 0) me_mark_end("run");
}

int me_compute_run(const struct me_compute *kernel, struct me_job *job, struct me_team *team, double seconds,
                   long *passes, double *elapsed, struct me_error *err)
{
    struct run run = {.kernel = kernel, .job = job, .seconds = seconds};
    if (kernel->own_threads) { /* which inherit the mask of the one that starts them: it is not bound */
        struct me_team alone = {.threads = 1};
        struct me_worker worker = {.team = &alone};
        run_passes(&worker, &run);
    } else if (me_team_run(team, run_passes, &run, err)) {
        return -1;
    }
    *passes = run.passes;
    *elapsed = run.elapsed;
    return 0;
}

static void print_result(const struct me_compute *kernel, const struct me_job *job,
                         const struct me_memory_facts *facts, long passes, double elapsed, double residual)
{
    char detail[256] = "", text[32];
    double rate = kernel->work(job) * (double)passes / elapsed;
    snprintf(text, sizeof text, rate < 1 ? "%.2g" : "%.1f", rate);
    if (kernel->detail) kernel->detail(job, facts, passes, detail, sizeof detail);
    printf("%s: %s, n %zu%s, %d thread%s: %s %s/s, %ld pass%s in %.1f s, %s %.1g%s\n", kernel->name,
           job->single ? "single" : "double", job->size, kernel->power, job->threads,
           job->threads == 1 ? "" : "s", text, kernel->unit, passes, passes == 1 ? "" : "es", elapsed,
           kernel->residual, residual, detail);
}

static int compute(const struct me_compute *kernel, struct me_job *job, const struct me_memory_facts *facts,
                   double seconds, struct me_error *err)
{
    struct me_team team = {.threads = 0};
    double elapsed, residual = 0;
    long passes;
    int rc = -1;
    if (me_team_init(&team, job->threads, err)) goto out;
    me_mark_begin("setup");
    if (me_compute_prepare(kernel, job, err)) goto out;
    if (me_compute_fill(kernel, job, &team, err)) goto out;
    me_mark_end("setup");
    if (me_compute_run(kernel, job, &team, seconds, &passes, &elapsed, err)) goto out;
    me_mark_begin("check");
    if (kernel->check(job, &team, passes, &residual, err)) goto out;
    me_mark_end("check");
    me_mark_work(kernel->work(job) * (double)passes, kernel->unit);
    me_mark_metric(kernel->metric, kernel->work(job) * (double)passes / elapsed);
    print_result(kernel, job, facts, passes, elapsed, residual);
    rc = 0;
out:
    me_compute_release(kernel, job);
    me_team_release(&team);
    return rc;
}

static int look(const struct me_compute *kernel, struct me_job *job, struct me_memory_facts *facts,
                struct me_error *err)
{
    struct me_root root;
    size_t bytes[ME_JOB_ARRAYS], sum;
    int rc = -1;
    if (me_root_open(&root, "/", err)) return -1;
    facts->available = ~0ull;
    if (me_memory_available(&root, &facts->available, err) && !job->size) goto out;
    facts->caches = me_memory_caches(&root);
    if (!job->size) job->size = kernel->choose(job, facts);
    sum = total_bytes(kernel, job, bytes);
    if (sum > facts->available) {
        me_fail(err, ME_E_RUN, "n %zu needs %.1f GiB, and %.1f GiB are available; give a smaller --size",
                job->size, (double)sum / GIB, (double)facts->available / GIB);
        goto out;
    }
    rc = 0;
out:
    me_root_close(&root);
    return rc;
}

static int check(const struct me_compute *kernel, struct me_job *job, struct me_error *err)
{
    char what[256] = "";
    size_t bytes[ME_JOB_ARRAYS], sum = total_bytes(kernel, job, bytes);
    int rc = kernel->open ? kernel->open(job, false, what, sizeof what, err) : 0;
    if (!rc)
        printf("%s: ready, %s, n %zu%s, %d threads, %.1f MiB%s%s\n", kernel->name,
               job->single ? "single" : "double", job->size, kernel->power, job->threads,
               (double)sum / 0x1p20, *what ? ", " : "", what);
    me_compute_release(kernel, job);
    return rc;
}

#define FIELD(name) offsetof(struct compute_options, name)
static int parse(const struct me_compute *kernel, int argc, char **argv, struct compute_options *options,
                 struct me_job *job, struct me_error *err)
{
    char program[64];
    const struct me_option rows[] = {
        {"precision", 0, ME_OPTION_STRING, FIELD(precision), 0, 0, "NAME",
         "double or single (default double)"},
        {"size", 0, ME_OPTION_INT, FIELD(size), kernel->size_min, kernel->size_max, "N", kernel->size_help},
        {"threads", 0, ME_OPTION_INT, FIELD(threads), 1, 4096, "N",
         "how many (default: one for each CPU of the affinity mask)"},
        {"seconds", 's', ME_OPTION_DOUBLE, FIELD(seconds), 0, 1e9, "S",
         "passes are begun for so long, one at least (default 10)"},
        {"check", 0, ME_OPTION_FLAG, FIELD(check), 0, 0, NULL, "only tell whether it can run here"},
        {.name = NULL},
    };
    const struct me_command command = {.program = program,
                                       .usage = "[--check] [options]",
                                       .summary = kernel->summary,
                                       .details = kernel->details,
                                       .options = rows};
    snprintf(program, sizeof program, "me_kernel %s", kernel->name);
    *options = (struct compute_options){.precision = "double", .seconds = 10, .threads = me_kernel_cpus()};
    int rc = me_kernel_options(&command, argc, argv, options, err);
    if (rc) return rc;
    job->single = !strcmp(options->precision, "single");
    if (!job->single && strcmp(options->precision, "double") != 0)
        return me_fail(err, ME_E_INPUT, "--precision: %.64s is neither double nor single",
                       options->precision);
    job->threads = options->threads;
    job->size = (size_t)options->size;
    return 0;
}

int me_compute_main(const struct me_compute *kernel, int argc, char **argv)
{
    struct me_error err;
    struct compute_options options;
    struct me_memory_facts facts;
    struct me_job job = {.size = 0};
    int rc = parse(kernel, argc, argv, &options, &job, &err);
    if (rc > 0) return ME_OK;
    if (!rc) rc = look(kernel, &job, &facts, &err);
    if (!rc)
        rc = options.check ? check(kernel, &job, &err) : compute(kernel, &job, &facts, options.seconds, &err);
    return rc ? me_kernel_report(kernel->name, &err) : ME_OK;
}
