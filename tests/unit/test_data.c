/* The embedded tables and the CSV reader. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "me_cmocka.h"

#include "me/data.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every row as cell|cell; for the header's columns, rows by '/'. */
static void flatten(const char *text, char *out, size_t size)
{
    struct me_csv csv;
    size_t used = 0;
    out[0] = '\0';
    me_csv_begin(&csv, text, strlen(text));
    for (int row = 0; me_csv_next(&csv); row++) {
        used += (size_t)snprintf(out + used, size - used, "%s", row ? "/" : "");
        for (size_t c = 0; c < csv.columns; c++)
            used += (size_t)snprintf(out + used, size - used, "%s%s", c ? "|" : "",
                                     me_csv_cell(&csv, csv.names[c]));
    }
}

static void test_csv_rows(void **state)
{
    (void)state;
    static const struct {
        const char *text, *rows;
    } cases[] = {
        {"", ""},
        {"a,b", ""},
        {"a,b\n", ""},
        {"a,b\n1,2\n", "1|2"},
        {"a,b\n1,2", "1|2"},
        {"a,b\r\n1,2\r\n3,4\r\n", "1|2/3|4"},
        {"a,b\n\n1,2\n\n\n3,4\n", "1|2/3|4"},
        {"a,b\n\"x, y\",2\n", "x, y|2"},
        {"a,b\n\"say \"\"hi\"\"\",2\n", "say \"hi\"|2"},
        {"a,b\n\"two\nlines\",2\n", "two\nlines|2"},
        {"a,b\n1\n", "1|"},
        {"a,b\n1,2,3\n", "1|2"},
        {"a,b\n,\n", "|"},
        {"a,b\n\"open,2\n", "open,2\n|"},
        {"\n\na,b\n1,2\n", "1|2"},
        {"\"a\",b\n1,2\n", "1|2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char rows[256];
        flatten(cases[i].text, rows, sizeof rows);
        assert_string_equal(rows, cases[i].rows);
    }
}

static void test_csv_columns(void **state)
{
    (void)state;
    struct me_csv csv;
    const char *text = "name,value\nx,7\n";
    me_csv_begin(&csv, text, strlen(text));
    assert_string_equal(me_csv_cell(&csv, "name"), ""); /* no row yet */
    assert_true(me_csv_next(&csv));
    assert_string_equal(me_csv_cell(&csv, "value"), "7");
    assert_string_equal(me_csv_cell(&csv, "nothing"), "");
    assert_false(me_csv_next(&csv));
    assert_string_equal(me_csv_cell(&csv, "value"), "");
    assert_false(me_csv_next(&csv));
}

/* What a program needs to tell people where their text is wrong. */
static void test_csv_places(void **state)
{
    (void)state;
    struct me_csv csv;
    const char *text = "\na,b\n\n\"two\nlines\",2\r\n\r\n1,2,3\n4\n5,\"open";
    static const struct {
        size_t line, all_cells;
        bool open_quote;
    } rows[] = {{4, 2, false}, {7, 3, false}, {8, 1, false}, {9, 2, true}};
    me_csv_begin(&csv, text, strlen(text));
    assert_int_equal(csv.line, 2);
    assert_int_equal(csv.all_cells, 2);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_true(me_csv_next(&csv));
        assert_int_equal(csv.line, rows[i].line);
        assert_int_equal(csv.all_cells, rows[i].all_cells);
        assert_int_equal(csv.open_quote, rows[i].open_quote);
        assert_int_equal(csv.too_long_line, 0);
    }
    assert_false(me_csv_next(&csv));
}

static void test_csv_too_long(void **state)
{
    (void)state;
    char *text = malloc(20000);
    size_t used = (size_t)snprintf(text, 20000, "a,b\n1,2\n");
    memset(text + used, 'x', 9000); /* longer than a row may be: passed over, the next is whole */
    snprintf(text + used + 9000, 20000 - used - 9000, ",3\n4,5\n");
    char rows[64];
    flatten(text, rows, sizeof rows);
    assert_string_equal(rows, "1|2/4|5");
    memset(text, 'h', 3000); /* a header that does not fit: no rows rather than wrong ones */
    snprintf(text + 3000, 17000, ",b\n1,2\n");
    flatten(text, rows, sizeof rows);
    assert_string_equal(rows, "");
    used = 0; /* more columns than are kept */
    for (int i = 0; i < 40; i++) used += (size_t)snprintf(text + used, 20000 - used, "c%d,", i);
    used += (size_t)snprintf(text + used, 20000 - used, "z\n");
    for (int i = 0; i < 40; i++) used += (size_t)snprintf(text + used, 20000 - used, "%d,", i);
    snprintf(text + used, 20000 - used, "z\n");
    struct me_csv csv;
    me_csv_begin(&csv, text, strlen(text));
    assert_int_equal(csv.columns, ME_CSV_COLUMNS);
    assert_true(me_csv_next(&csv));
    assert_string_equal(me_csv_cell(&csv, "c23"), "23");
    assert_false(me_csv_next(&csv));
    free(text);
}

static void test_tables(void **state)
{
    (void)state;
    static const struct {
        const char *file, *key_column, *key, *column, *value;
        int rows;
    } cases[] = {
        {"countries.csv", "alpha2", "AW", "gco2e_per_kwh", "550", 227},
        {"cloud_regions.csv", "region", "ap-northeast-1", "pue", "1.27", 159},
        {"electricitymaps_zones.csv", "zone", "AE", "gco2e_per_kwh_2025", "348", 352},
        {"subnational.csv", "code", "AU-NSW", "year", "2019", 178},
        {"cpu_tdp.csv", "model", "AMD EPYC 7763", "tdp_w", "280", 5150},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t len = 0;
        const char *text = me_data_find(cases[i].file, &len);
        assert_non_null(text);
        struct me_csv csv;
        me_csv_begin(&csv, text, len);
        int rows = 0, hits = 0;
        for (; me_csv_next(&csv); rows++) {
            assert_int_equal(csv.cells, csv.columns);
            if (strcmp(me_csv_cell(&csv, cases[i].key_column), cases[i].key)) continue;
            assert_string_equal(me_csv_cell(&csv, cases[i].column), cases[i].value);
            hits++;
        }
        assert_int_equal(rows, cases[i].rows);
        assert_int_equal(hits, 1);
    }
    size_t len = 77;
    assert_null(me_data_find("nothing.csv", &len));
    assert_int_equal(len, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csv_rows),   cmocka_unit_test(test_csv_columns),
        cmocka_unit_test(test_csv_places), cmocka_unit_test(test_csv_too_long),
        cmocka_unit_test(test_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
