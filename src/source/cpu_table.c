#include "cpu.h"
#include "me/data.h"
#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Words that say nothing about the model. */
static bool is_noise(const char *word, size_t len)
{
    static const char *const words[] = {"CPU", "Processor", "Genuine", "0", "64-Bit"};
    static const char *const counts[] = {"Dual", "Quad", "Six", "Eight", "Twelve", "Sixteen", "Multi"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i]) == len && !strncasecmp(word, words[i], len)) return true;
    size_t count = strspn(word, "0123456789"); /* "64-Core", "64-Cores" */
    if (count > 3) return false;
    for (size_t i = 0; !count && i < sizeof counts / sizeof *counts; i++)
        if (!strncasecmp(word, counts[i], strlen(counts[i]))) count = strlen(counts[i]);
    return count && len >= count + 5 && len <= count + 6 && !strncasecmp(word + count, "-Cores", len - count);
}

/* The length of the number, "2" or "2.25", that the word begins with; 0 if it does not. */
static size_t number_len(const char *word)
{
    size_t len = strspn(word, "0123456789");
    if (!len || word[len] != '.') return len;
    size_t more = strspn(word + len + 1, "0123456789");
    return more ? len + 1 + more : len;
}

static void drop_marks(char *text)
{
    static const char *const marks[] = {"(R)", "(TM)", "\302\256", "\342\204\242"}; /* and U+00AE, U+2122 */
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        for (char *hit; (hit = strcasestr(text, marks[i]));) {
            char *rest = hit + strlen(marks[i]);
            if (*rest != '-') *hit++ = ' '; /* "Core(TM)2 Duo" is three words, "FX(tm)-8350" one */
            memmove(hit, rest, strlen(rest) + 1);
        }
}

/* Is the word a frequency, "2.25GHz", or the second half of one behind `name`, "2.25 GHz"? The number is
 * then taken off the name. */
static bool take_frequency(const char *word, char *name, size_t *len)
{
    size_t digits = number_len(word);
    if (strcasecmp(word + digits, "GHz")) return false;
    if (digits) return true;
    char *last = strrchr(name, ' ');
    last = last ? last + 1 : name;
    if (!*last || last[number_len(last)]) return false;
    *len = last > name ? (size_t)(last - name) - 1 : 0;
    name[*len] = '\0';
    return true;
}

void me_cpu_plain_name(const char *model, char *name, size_t size)
{
    char text[256], *rest = text;
    snprintf(text, sizeof text, "%s", model);
    drop_marks(text);
    static const char *const tails[] = {" @", " with ", " w/ ", " (", " [", ": "};
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
    for (char *word; (word = strsep(&rest, " \t,"));) {
        if (!*word || is_noise(word, strlen(word))) continue;
        if (take_frequency(word, name, &len)) {
            if (len) break; /* behind the frequency stand remarks */
            continue;
        }
        int more = snprintf(name + len, size - len, "%s%s", len ? " " : "", word);
        if (more < 0 || (size_t)more >= size - len) {
            name[len] = '\0'; /* whole words only */
            break;
        }
        len += (size_t)more;
    }
}

/* A number behind a letter and a gap: "Core i5 M 560", which tables write as "Core i5-560M". */
static void turn_old_mobile(const char *name, char *text, size_t size)
{
    char letter, family[40];
    unsigned number;
    snprintf(text, size, "%s", name);
    for (char *c = text; *c; c++) *c = *c == '-' ? ' ' : (char)tolower((unsigned char)*c);
    if (sscanf(text, "core %39s %c %u", family, &letter, &number) == 3 && strchr("mu", letter))
        snprintf(text, size, "core %s %u%c", family, number, letter);
}

/* What two spellings of one model have in common: no maker, no gaps or hyphens, no capitals. */
static void make_key(const char *name, char *key, size_t size)
{
    char text[256];
    if (!strncasecmp(name, "Intel ", 6))
        name += 6;
    else if (!strncasecmp(name, "AMD ", 4))
        name += 4;
    turn_old_mobile(name, text, sizeof text);
    size_t len = 0;
    for (const char *c = text; *c && len + 1 < size; c++)
        if (*c != ' ') key[len++] = *c;
    key[len] = '\0';
}

static void fill_row(const struct me_csv *csv, const char *key, struct me_cpu_row *row)
{
    int threads = atoi(me_csv_cell(csv, "threads")), cores = atoi(me_csv_cell(csv, "cores"));
    snprintf(row->model, sizeof row->model, "%.95s", me_csv_cell(csv, "model"));
    snprintf(row->key, sizeof row->key, "%.95s", key);
    row->tdp_w = atof(me_csv_cell(csv, "tdp_w"));
    row->cores = cores ? cores : (threads + 1) / 2;
    bool single = !fnmatch("xeon6[0-9][0-9][0-9]e*", key, 0); /* Sierra Forest: one thread a core */
    row->threads = threads ? threads : single ? cores : 2 * cores;
    row->threads_guessed = !threads && !single;
}

/* Some models stand in the table twice, by two names and with two figures: the maker's own is right. */
static bool is_makers(const struct me_csv *csv)
{
    const char *source = me_csv_cell(csv, "source");
    return strstr(source, "intel_ark") || strstr(source, "amd.com");
}

/* How else people write it: without the metal of a Xeon ("Xeon 8480+"), with one too many ("Xeon Gold
 * 6780E"), or without "Xeon" at all ("E3-1260L v5"). The `n`th way; false behind the last. */
static bool other_key(const char *key, size_t n, char *other, size_t size)
{
    static const char *const metals[] = {"platinum", "gold", "silver", "bronze"};
    const size_t count = sizeof metals / sizeof *metals;
    other[0] = '\0';
    if (strncmp(key, "xeon", 4)) {
        snprintf(other, size, "xeon%.180s", key);
        return n == 0;
    }
    if (n < count) {
        size_t len = strlen(metals[n]);
        if (!strncmp(key + 4, metals[n], len)) snprintf(other, size, "xeon%.180s", key + 4 + len);
        return true;
    }
    if (n < 2 * count) snprintf(other, size, "xeon%s%.170s", metals[n - count], key + 4);
    return n < 2 * count;
}

enum { KEYS = 9 }; /* one as written and up to eight other ways */

bool me_cpu_find(const char *model, struct me_cpu_row *row)
{
    char name[256] = "", wanted[KEYS][192], key[192];
    size_t keys = 1, len = 0, best = KEYS;
    me_cpu_plain_name(model, name, sizeof name);
    make_key(name, wanted[0], sizeof wanted[0]);
    while (keys < KEYS && other_key(wanted[0], keys - 1, wanted[keys], sizeof wanted[keys])) keys++;
    memset(row, 0, sizeof *row);
    snprintf(row->key, sizeof row->key, "%.95s", wanted[0]);
    const char *text = wanted[0][0] ? me_data_find("cpu_tdp.csv", &len) : NULL;
    struct me_csv csv;
    bool best_makers = false;
    me_csv_begin(&csv, text ? text : "", len);
    while (me_csv_next(&csv)) {
        make_key(me_csv_cell(&csv, "model"), key, sizeof key);
        size_t k = 0;
        while (k < keys && k <= best && strcmp(key, wanted[k])) k++;
        if (k >= keys || k > best || atof(me_csv_cell(&csv, "tdp_w")) <= 0) continue;
        bool makers = is_makers(&csv);
        if (k == best && (best_makers || !makers)) continue;
        fill_row(&csv, key, row);
        best = k;
        best_makers = makers;
    }
    return best < KEYS;
}
