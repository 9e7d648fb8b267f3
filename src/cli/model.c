#include "cli.h"
#include "me/buffer.h"
#include "me/curve.h"
#include "me/data.h"
#include "me/version.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CPU, SOCKETS, CORES, MEMORY, LOAD, KNOWN_COLUMNS, CACHE = 1024 };
static const size_t largest = (size_t)256 << 20;
static const char *const known[KNOWN_COLUMNS] = {"cpu", "sockets", "cores", "memory_gb", "load"};
static const char *const added[] = {"package_w", "wall_w", "wall_low_w", "wall_high_w", "basis"};

static const struct me_option options[] = {{0}};

const struct me_command me_cli_model_command = {
    .program = "me model",
    .usage = "[FILE]",
    .summary = "Tell the watts of machines that cannot be measured.",
    .details =
        "Reads CSV with a header: cpu (as the kernel or its maker names it), sockets, cores (of the whole\n"
        "machine), memory_gb and load (0 to 1), in any order; unknown cells are empty. Writes the same rows\n"
        "with package_w (its processors), wall_w (the whole machine), wall_low_w and wall_high_w (95 %\n"
        "interval) and basis (which machines or family the curve came from). Other columns pass through.\n"
        "Without FILE, or with -, it reads standard input. Fewer than half of the cores that a processor\n"
        "has, as in a virtual machine, get their share of the machine.\n"
        "\n"
        "  me model machines.csv > watts.csv\n"
        "  zcat machines.csv.gz | me model -",
    .options = options,
    .max_operands = 1,
};

/* What was worked out for a processor or a machine, by its text; a later one may take its place. */
struct machine_slot {
    char *key;
    struct me_curve curve;
};
struct cpu_slot {
    char *key;
    struct me_curve_cpu cpu;
};

struct job {
    const char *name; /* of the file, for messages */
    struct me_csv csv;
    struct me_buffer in, out;
    struct cpu_slot *cpus; /* CACHE of each */
    struct machine_slot *machines;
};

static int read_all(int fd, struct job *job, struct me_error *err)
{
    char part[65536];
    for (;;) {
        ssize_t n = read(fd, part, sizeof part);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return me_fail_errno(err, ME_E_INPUT, errno, "%s: cannot be read", job->name);
        if (!n) break;
        me_buffer_append(&job->in, part, (size_t)n);
        if (job->in.len > largest)
            return me_fail(err, ME_E_INPUT, "%s: larger than 256 MiB; give it in parts", job->name);
    }
    return job->in.failed ? me_fail(err, ME_E_RUN, "%s: no memory", job->name) : 0;
}

static int read_input(const char *path, struct job *job, struct me_error *err)
{
    bool standard = !path || !strcmp(path, "-");
    job->name = standard ? "standard input" : path;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) return me_fail_errno(err, ME_E_INPUT, errno, "%s", path);
    int rc = read_all(fd, job, err);
    if (!standard) close(fd);
    return rc;
}

static size_t count_named(const struct me_csv *csv, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < csv->columns; i++) n += !strcmp(csv->names[i], name);
    return n;
}

static int check_header(const struct job *job, struct me_error *err)
{
    const struct me_csv *csv = &job->csv;
    if (csv->too_long_line || csv->all_cells > ME_CSV_COLUMNS)
        return me_fail(err, ME_E_INPUT,
                       "%s:%zu: more than %d columns, or a header beyond 1 KiB; leave some out", job->name,
                       csv->line, ME_CSV_COLUMNS);
    for (size_t i = 0; i < KNOWN_COLUMNS; i++) {
        size_t n = count_named(csv, known[i]);
        if (n > 1)
            return me_fail(err, ME_E_INPUT, "%s:%zu: %s: two columns have that name", job->name, csv->line,
                           known[i]);
        if (!n)
            return me_fail(err, ME_E_INPUT,
                           "%s:%zu: %s: no such column; the first line names the columns "
                           "cpu,sockets,cores,memory_gb,load (cells that are not known stay empty)",
                           job->name, csv->line, known[i]);
    }
    for (size_t i = 0; i < sizeof added / sizeof *added; i++)
        if (count_named(csv, added[i]))
            return me_fail(err, ME_E_INPUT, "%s:%zu: %s: would be there twice; rename or remove that column",
                           job->name, csv->line, added[i]);
    return 0;
}

static int check_row(const struct job *job, struct me_error *err)
{
    const struct me_csv *csv = &job->csv;
    if (csv->too_long_line)
        return me_fail(err, ME_E_INPUT, "%s:%zu: a row beyond 4 KiB; is a quote not closed?", job->name,
                       csv->too_long_line);
    if (csv->open_quote)
        return me_fail(
            err, ME_E_INPUT, "%s:%zu: %s: the quote is not closed; add a \" behind the cell", job->name,
            csv->line,
            csv->names[csv->cells ? (csv->cells <= csv->columns ? csv->cells : csv->columns) - 1 : 0]);
    if (csv->all_cells == csv->columns) return 0;
    return me_fail(
        err, ME_E_INPUT, "%s:%zu: %s: %zu cells, but the header names %zu; leave unknown cells empty%s",
        job->name, csv->line,
        csv->all_cells < csv->columns ? csv->names[csv->all_cells] : csv->names[csv->columns - 1],
        csv->all_cells, csv->columns, csv->all_cells > csv->columns ? ", and quote those with a comma" : "");
}

/* A cell's number; NaN if it is empty. */
static int take_number(const struct job *job, int column, double *value, struct me_error *err)
{
    static const struct {
        double min, max;
        bool whole;
        const char *cure;
    } rules[KNOWN_COLUMNS] = {
        [SOCKETS] = {1, 100000, true, "a whole number from 1"},
        [CORES] = {1, 10000000, true, "a whole number from 1, of the whole machine"},
        [MEMORY] = {0.001, 1e8, false, "a number above 0, in GB"},
        [LOAD] = {0, 1, false, "a number from 0 to 1 (0.5 is 50 %)"},
    };
    const char *cell = me_csv_cell(&job->csv, known[column]);
    char text[64];
    cell += strspn(cell, " \t");
    size_t len = strlen(cell);
    while (len && strchr(" \t", cell[len - 1])) len--;
    *value = NAN;
    if (!len) return 0;
    snprintf(text, sizeof text, "%.*s", (int)(len < sizeof text ? len : sizeof text - 1), cell);
    if (!me_parse_double(text, rules[column].min, rules[column].max, value) &&
        (!rules[column].whole || *value == floor(*value)))
        return 0;
    return me_fail(err, ME_E_INPUT, "%s:%zu: %s: \"%.40s\" is not %s; leave it empty if it is not known",
                   job->name, job->csv.line, known[column], text, rules[column].cure);
}

static size_t slot_of(const char *key)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (; *key; key++) hash = (hash ^ (unsigned char)*key) * 16777619u;
    return hash % CACHE;
}

static bool claim(char **slot_key, const char *key)
{
    if (*slot_key && !strcmp(*slot_key, key)) return false;
    free(*slot_key);
    *slot_key = strdup(key);
    return true;
}

static const struct me_curve *find_curve(struct job *job, const struct me_curve_machine *machine)
{
    const char *name = me_csv_cell(&job->csv, "cpu");
    char key[4300];
    snprintf(key, sizeof key, "%g/%g/%.9g/%s", machine->sockets, machine->cores, machine->memory_gb, name);
    struct machine_slot *slot = &job->machines[slot_of(key)];
    struct cpu_slot *cpu = &job->cpus[slot_of(name)];
    if (!claim(&slot->key, key)) return &slot->curve;
    if (claim(&cpu->key, name)) me_curve_cpu(name, &cpu->cpu);
    me_curve_make(&cpu->cpu, machine, &slot->curve);
    return &slot->curve;
}

static void put_cell(struct me_buffer *out, const char *text, const char *before)
{
    me_buffer_puts(out, before);
    if (!strpbrk(text, ",\"\r\n")) {
        me_buffer_puts(out, text);
        return;
    }
    me_buffer_puts(out, "\"");
    for (; *text; text++) me_buffer_append(out, *text == '"' ? "\"\"" : text, *text == '"' ? 2 : 1);
    me_buffer_puts(out, "\"");
}

static int put_row(struct job *job, struct me_error *err)
{
    double cells[KNOWN_COLUMNS];
    if (check_row(job, err)) return -1;
    for (int i = SOCKETS; i < KNOWN_COLUMNS; i++)
        if (take_number(job, i, &cells[i], err)) return -1;
    struct me_curve_machine machine = {
        .sockets = cells[SOCKETS], .cores = cells[CORES], .memory_gb = cells[MEMORY]};
    const struct me_curve *curve = find_curve(job, &machine);
    for (size_t i = 0; i < job->csv.columns; i++) put_cell(&job->out, job->csv.values[i], i ? "," : "");
    me_buffer_printf(&job->out, ",%.2f,%.2f,%.2f,%.2f", me_curve_package_w(curve, cells[LOAD]),
                     me_curve_wall_w(curve, cells[LOAD]), me_curve_wall_low_w(curve, cells[LOAD]),
                     me_curve_wall_high_w(curve, cells[LOAD]));
    put_cell(&job->out, curve->basis, ",");
    me_buffer_puts(&job->out, "\n");
    return 0;
}

static int put_all(struct job *job, struct me_error *err)
{
    const char *text = job->in.data ? job->in.data : "";
    size_t len = job->in.len,
           mark = len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3) ? 3 : 0; /* as spreadsheets begin */
    if (memchr(text, '\0', len))
        return me_fail(err, ME_E_INPUT, "%s: holds NUL bytes; save it as CSV in UTF-8", job->name);
    me_csv_begin(&job->csv, text + mark, len - mark);
    if (check_header(job, err)) return -1;
    for (size_t i = 0; i < job->csv.columns; i++) put_cell(&job->out, job->csv.names[i], i ? "," : "");
    for (size_t i = 0; i < sizeof added / sizeof *added; i++) put_cell(&job->out, added[i], ",");
    me_buffer_puts(&job->out, "\n");
    while (me_csv_next(&job->csv))
        if (put_row(job, err)) return -1;
    if (job->csv.too_long_line) return check_row(job, err);
    return job->out.failed ? me_fail(err, ME_E_RUN, "%s: no memory", job->name) : 0;
}

static void release(struct job *job)
{
    for (size_t i = 0; job->cpus && i < CACHE; i++) free(job->cpus[i].key);
    for (size_t i = 0; job->machines && i < CACHE; i++) free(job->machines[i].key);
    free(job->cpus);
    free(job->machines);
    me_buffer_release(&job->in);
    me_buffer_release(&job->out);
}

int me_cli_model(int argc, char **argv, struct me_error *err)
{
    struct me_operands operands;
    char none;
    if (me_options_parse(&me_cli_model_command, argc, argv, &none, &operands, err)) return -1;
    if (operands.help || operands.version) {
        if (operands.help)
            me_options_help(&me_cli_model_command, stdout);
        else
            printf("me (Machine Energy) %s\n", ME_VERSION);
        return 0;
    }
    struct job job = {.in = ME_BUFFER_INIT, .out = ME_BUFFER_INIT};
    job.cpus = calloc(CACHE, sizeof *job.cpus);
    job.machines = calloc(CACHE, sizeof *job.machines);
    int rc = -1;
    if (!job.cpus || !job.machines)
        me_fail(err, ME_E_RUN, "model: no memory");
    else if (!read_input(operands.count ? operands.values[0] : NULL, &job, err))
        rc = put_all(&job, err);
    if (!rc) fwrite(job.out.data, 1, job.out.len, stdout);
    release(&job);
    return rc;
}
