#include "me/credentials.h"
#include <stdio.h>
#include <string.h>
#include "me_cmocka.h"

static void test_mask(void **state)
{
    static const struct {
        const char *text, *masked;
    } cases[] = {
        {"", ""},
        {"http://pdu/7", "http://pdu/7"},
        {"http://ann:secret@pdu/7", "http://ann:*@pdu/7"},
        {"curl -s 'https://ann:secret@pdu:8443/7?a=b@c'", "curl -s 'https://ann:*@pdu:8443/7?a=b@c'"},
        {"http://ann:s@cret@pdu/7", "http://ann:*@pdu/7"},
        {"http://ann:a:b@pdu", "http://ann:*@pdu"},
        {"http://:token@pdu", "http://:*@pdu"},
        {"http://ann:x@pdu http://bob:yy@pdu", "http://ann:*@pdu http://bob:*@pdu"},
        {"ssh://admin@bmc", "ssh://admin@bmc"},
        {"http://ann:@pdu", "http://ann:@pdu"},
        {"http://pdu:80/a@b", "http://pdu:80/a@b"},
        {"http://pdu:80 me@here", "http://pdu:80 me@here"},
        {"mail me:x@here", "mail me:x@here"},
        {"http://", "http://"},
        {"http://ann:secret", "http://ann:secret"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[128];
        snprintf(text, sizeof text, "%s", cases[i].text);
        me_credentials_mask(text);
        assert_string_equal(text, cases[i].masked);
        me_credentials_mask(text);
        assert_string_equal(text, cases[i].masked);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_mask)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
