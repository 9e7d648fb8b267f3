#include "cpu.h"
#include "me/data.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Words that say nothing about the model. */
static bool is_noise(const char *word, size_t len)
{
    static const char *const words[] = {"CPU",      "Processor", "Genuine", "Eight-Core",
                                        "Six-Core", "Quad-Core", "0"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i]) == len && !strncasecmp(word, words[i], len)) return true;
    size_t digits = strspn(word, "0123456789");
    return digits && len >= digits + 5 && len <= digits + 6 &&
           !strncasecmp(word + digits, "-Cores", len - digits); /* "64-Core", "64-Cores" */
}

static void drop_marks(char *text)
{
    static const char *const marks[] = {"(R)", "(TM)"};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        for (char *hit; (hit = strcasestr(text, marks[i]));) {
            char *rest = hit + strlen(marks[i]);
            if (*rest != '-') *hit++ = ' '; /* "Core(TM)2 Duo" is three words, "FX(tm)-8350" one */
            memmove(hit, rest, strlen(rest) + 1);
        }
}

void me_cpu_plain_name(const char *model, char *name, size_t size)
{
    char text[128], *rest = text;
    snprintf(text, sizeof text, "%s", model);
    drop_marks(text);
    static const char *const tails[] = {" @ ", " with ", " w/ "};
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        char *tail = strstr(text, tails[i]);
        if (tail) *tail = '\0';
    }
    unsigned generation;
    int used = 0; /* "11th Gen Intel Core i7-1165G7" */
    if (sscanf(text, "%u%*[a-z] Gen %n", &generation, &used) == 1 && used && strstr(text, "Intel"))
        rest += used;
    size_t len = 0;
    name[0] = '\0';
    for (char *word; (word = strsep(&rest, " \t"));) {
        if (!*word || is_noise(word, strlen(word))) continue;
        int more = snprintf(name + len, size - len, "%s%s", len ? " " : "", word);
        if (more < 0 || (size_t)more >= size - len) break;
        len += (size_t)more;
    }
}

/* What two spellings of one model have in common: no maker, no hyphens, no capitals. */
static void make_key(const char *name, char *key, size_t size)
{
    if (!strncasecmp(name, "Intel ", 6))
        name += 6;
    else if (!strncasecmp(name, "AMD ", 4))
        name += 4;
    size_t len = 0;
    for (; *name && len + 1 < size; name++)
        key[len++] = *name == '-' ? ' ' : (char)tolower((unsigned char)*name);
    key[len] = '\0';
}

/* A number behind a letter and a gap: "Core i5 M 560", which tables write as "Core i5-560M". */
static void turn_old_mobile(char *key, size_t size)
{
    char letter, family[40];
    unsigned number;
    if (sscanf(key, "core %39s %c %u", family, &letter, &number) == 3 && strchr("mu", letter))
        snprintf(key, size, "core %s %u%c", family, number, letter);
}

static void fill_row(const struct me_csv *csv, struct me_cpu_row *row)
{
    int threads = atoi(me_csv_cell(csv, "threads")), cores = atoi(me_csv_cell(csv, "cores"));
    snprintf(row->model, sizeof row->model, "%.95s", me_csv_cell(csv, "model"));
    row->tdp_w = atof(me_csv_cell(csv, "tdp_w"));
    row->threads = threads ? threads : 2 * cores;
    row->threads_guessed = !threads;
}

/* Some models stand in the table twice, by two names and with two figures: the maker's own is right. */
static bool is_makers(const struct me_csv *csv)
{
    const char *source = me_csv_cell(csv, "source");
    return strstr(source, "intel_ark") || strstr(source, "amd.com");
}

bool me_cpu_find(const char *model, struct me_cpu_row *row)
{
    char name[128] = "", wanted[128], key[128];
    me_cpu_plain_name(model, name, sizeof name);
    make_key(name, wanted, sizeof wanted);
    turn_old_mobile(wanted, sizeof wanted);
    size_t len = 0;
    bool found = false;
    const char *text = wanted[0] ? me_data_find("cpu_tdp.csv", &len) : NULL;
    struct me_csv csv;
    me_csv_begin(&csv, text ? text : "", len);
    while (me_csv_next(&csv)) {
        make_key(me_csv_cell(&csv, "model"), key, sizeof key);
        if (strcmp(key, wanted) || atof(me_csv_cell(&csv, "tdp_w")) <= 0) continue;
        bool makers = is_makers(&csv);
        if (!found || makers) fill_row(&csv, row);
        if (makers) return true;
        found = true;
    }
    return found;
}
