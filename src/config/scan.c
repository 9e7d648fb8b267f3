#include "scan.h"
#include "me/options.h"
#include "text.h"
#include <float.h>
#include <stdlib.h>
#include <string.h>

struct scan {
    const char *at, *end;
    int line;
    const char *source;
    int *lines;
    size_t count, capacity;
    struct me_error *err;
};

static int fail(struct scan *scan, const char *what)
{
    return me_fail(scan->err, ME_E_INPUT, "%s:%d: %s", scan->source, scan->line, what);
}

static int count_lines(const char *from, const char *to)
{
    int lines = 0;
    for (; from < to; from++) lines += *from == '\n';
    return lines;
}

static char *blank_line_comment(char *c, char *end)
{
    while (c < end && *c != '\n') *c++ = ' ';
    return c;
}

/* NULL if the comment has no end. */
static char *blank_block_comment(char *c, char *end)
{
    *c++ = ' ';
    *c++ = ' '; /* so that the opening star does not close it */
    for (; c < end; c++) {
        bool last = *c == '*' && c + 1 < end && c[1] == '/';
        if (*c != '\n') *c = ' ';
        if (last) {
            c[1] = ' ';
            return c + 2;
        }
    }
    return NULL;
}

/* Behind the closing quote, or at the end: a string left open is reported by the check. */
static char *pass_string(char *c, char *end)
{
    for (c++; c < end && *c != '"' && *c != '\n'; c++)
        if (*c == '\\' && c + 1 < end && c[1] != '\n') c++;
    return c < end ? c + 1 : end;
}

int me_scan_strip(char *text, size_t len, const char *source, struct me_error *err)
{
    char *c = text, *end = text + len;
    if (len >= 3 && !memcmp(text, "\xEF\xBB\xBF", 3)) memset(text, ' ', 3);
    while (c < end) {
        bool slash = *c == '/' && c + 1 < end;
        if (*c == '"') {
            c = pass_string(c, end);
        } else if (*c == '#' || (slash && c[1] == '/')) {
            c = blank_line_comment(c, end);
        } else if (slash && c[1] == '*') {
            int line = 1 + count_lines(text, c);
            c = blank_block_comment(c, end);
            if (!c) return me_fail(err, ME_E_INPUT, "%s:%d: this comment has no end (*/)", source, line);
        } else {
            c++;
        }
    }
    return 0;
}

static void skip_blanks(struct scan *scan)
{
    while (scan->at < scan->end && strchr(" \t\r\n", *scan->at)) {
        scan->line += *scan->at == '\n';
        scan->at++;
    }
}

/* The next significant character, or -1. */
static int peek(struct scan *scan)
{
    skip_blanks(scan);
    return scan->at < scan->end ? (unsigned char)*scan->at : -1;
}

/* Says what stands there, but never a letter of it: it may be half a password. */
static int fail_expected(struct scan *scan, const char *expected)
{
    int c = peek(scan);
    if (c < 0)
        return me_fail(scan->err, ME_E_INPUT, "%s:%d: the text ends where %s is expected", scan->source,
                       scan->line, expected);
    if (c == '\'') return fail(scan, "strings stand in double quotes");
    if (c == '"')
        return me_fail(scan->err, ME_E_INPUT, "%s:%d: a string where %s is expected", scan->source,
                       scan->line, expected);
    if (strchr("{}[]:,", c))
        return me_fail(scan->err, ME_E_INPUT, "%s:%d: %c where %s is expected", scan->source, scan->line, c,
                       expected);
    return me_fail(scan->err, ME_E_INPUT, "%s:%d: other text where %s is expected", scan->source, scan->line,
                   expected);
}

static int note_line(struct scan *scan, int line)
{
    if (scan->count == ME_SCAN_VALUES) return fail(scan, "more than a million values");
    if (scan->count == scan->capacity) {
        size_t capacity = scan->capacity ? scan->capacity * 2 : 256;
        int *lines = realloc(scan->lines, capacity * sizeof *lines);
        if (!lines) return me_fail(scan->err, ME_E_RUN, "%s: no memory", scan->source);
        scan->lines = lines;
        scan->capacity = capacity;
    }
    scan->lines[scan->count++] = line;
    return 0;
}

/* Four hexadecimal digits at `c`, or -1. */
static int hex4(const char *c, const char *end)
{
    int value = 0;
    if (end - c < 4) return -1;
    for (int i = 0; i < 4; i++) {
        static const char digits[] = "0123456789abcdef0123456789ABCDEF";
        const char *digit = c[i] ? strchr(digits, c[i]) : NULL;
        if (!digit) return -1;
        value = value * 16 + (int)(digit - digits) % 16;
    }
    return value;
}

/* Behind the backslash at scan->at; leaves it behind the whole escape. */
static int scan_escape(struct scan *scan)
{
    const char *c = scan->at + 1;
    if (c >= scan->end || !strchr("\"\\/bfnrtu", *c)) return fail(scan, "unknown \\ escape in a string");
    scan->at = c + 1;
    if (*c != 'u') return 0;
    int unit = hex4(c + 1, scan->end);
    if (unit < 0) return fail(scan, "\\u without four hexadecimal digits");
    if (unit == 0) return fail(scan, "\\u0000: a string cannot hold a NUL character");
    if (unit >= 0xDC00 && unit <= 0xDFFF) return fail(scan, "\\u escape with half a surrogate pair");
    scan->at = c + 5;
    if (unit < 0xD800 || unit > 0xDBFF) return 0;
    int low = scan->end - c >= 11 && c[5] == '\\' && c[6] == 'u' ? hex4(c + 7, scan->end) : -1;
    if (low < 0xDC00 || low > 0xDFFF) return fail(scan, "\\u escape with half a surrogate pair");
    scan->at = c + 11;
    return 0;
}

static int scan_string(struct scan *scan)
{
    for (scan->at++; scan->at < scan->end && *scan->at != '"';) {
        unsigned char c = (unsigned char)*scan->at;
        if (c == '\n' || c == '\r') return fail(scan, "this string has no closing quote on its line");
        if (c < 0x20) return fail(scan, "a control character in a string (write \\t for a tab)");
        if (c != '\\')
            scan->at++;
        else if (scan_escape(scan))
            return -1;
    }
    if (scan->at == scan->end) return fail(scan, "this string has no closing quote");
    scan->at++;
    return 0;
}

/* The number's text by the grammar, then by its value; cJSON reads at most 63 characters of one. */
static int scan_number(struct scan *scan)
{
    char number[48];
    double value;
    size_t len = 0;
    while (scan->at + len < scan->end && strchr("0123456789+-.eE", scan->at[len])) len++;
    if (len >= sizeof number) return fail(scan, "a number with too many digits");
    memcpy(number, scan->at, len);
    number[len] = '\0';
    const char *digits = number + (number[0] == '-');
    const char *dot = strchr(number, '.');
    bool zeros = digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9';
    bool bare = digits[0] == '.' || (dot && (dot[1] < '0' || dot[1] > '9'));
    if (zeros) return fail(scan, "a number that begins with a needless 0");
    if (bare || me_parse_double(number, -DBL_MAX, DBL_MAX, &value))
        return fail(scan, "not a number (or one too large)");
    scan->at += len;
    return 0;
}

static int scan_word(struct scan *scan)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t len = strlen(words[i]);
        if ((size_t)(scan->end - scan->at) < len || memcmp(scan->at, words[i], len)) continue;
        scan->at += len;
        return 0;
    }
    return fail(scan,
                "not a value; text stands in double quotes, and the only words are true, false and null");
}

static int scan_value(struct scan *scan, int line, int depth);

static int scan_member(struct scan *scan, int depth)
{
    if (peek(scan) != '"') return fail_expected(scan, "a key in double quotes");
    int line = scan->line;
    if (scan_string(scan)) return -1;
    if (peek(scan) != ':') return fail_expected(scan, "a : behind the key");
    scan->at++;
    return scan_value(scan, line, depth);
}

/* A list or an object: values with commas between, none behind the last. */
static int scan_container(struct scan *scan, int depth)
{
    bool object = *scan->at++ == '{';
    char close = object ? '}' : ']';
    if (depth == ME_SCAN_DEPTH) return fail(scan, "lists and objects nested too deep (more than 16)");
    if (peek(scan) == close) {
        scan->at++;
        return 0;
    }
    for (;;) {
        if (object ? scan_member(scan, depth + 1) : scan_value(scan, 0, depth + 1)) return -1;
        int c = peek(scan);
        if (c != ',' && c != close)
            return fail_expected(scan, object ? "a , or the closing }" : "a , or the closing ]");
        scan->at++;
        if (c == close) return 0;
        if (peek(scan) == close)
            return fail(scan, object ? "a comma before the closing }; take it out"
                                     : "a comma before the closing ]; take it out");
    }
}

/* `line`: where the value's key stands; 0: it has none. */
static int scan_value(struct scan *scan, int line, int depth)
{
    int c = peek(scan);
    if (c < 0) return fail_expected(scan, "a value");
    if (note_line(scan, line ? line : scan->line)) return -1;
    if (strchr("}]:,'", c)) return fail_expected(scan, "a value");
    if (c == '{' || c == '[') return scan_container(scan, depth);
    if (c == '"') return scan_string(scan);
    if (strchr("-+.0123456789", c)) return scan_number(scan);
    return scan_word(scan);
}

static int check_bytes(struct scan *scan, const char *text, size_t len)
{
    const char *nul = memchr(text, '\0', len);
    size_t valid = me_text_valid(text);
    scan->line += count_lines(text, text + valid);
    if (nul && valid == (size_t)(nul - text)) return fail(scan, "a NUL byte; this is not a text file");
    if (valid < len) return fail(scan, "bytes that are not UTF-8 text");
    scan->line = 1;
    return 0;
}

int me_scan_check(const char *text, size_t len, const char *source, int **lines, size_t *count,
                  struct me_error *err)
{
    struct scan scan = {.at = text, .end = text + len, .line = 1, .source = source, .err = err};
    if (check_bytes(&scan, text, len)) return -1;
    if (peek(&scan) < 0) return me_fail(err, ME_E_INPUT, "%s:1: empty: no JSON text in it", source);
    if (scan_value(&scan, 0, 0)) goto fail;
    if (peek(&scan) >= 0) {
        fail(&scan, "more text behind the end of the JSON text");
        goto fail;
    }
    *lines = scan.lines;
    *count = scan.count;
    return 0;
fail:
    free(scan.lines);
    return -1;
}
