#include "me/credentials.h"
#include <string.h>

/* RFC 3986, 3.2: the user information ends with an '@', before a slash. Quotes and blanks end the URL in a
 * command line. A bare '@' in a password is not allowed, and usual: the last one counts. */
void me_credentials_mask(char *text)
{
    for (char *at = text; (at = strstr(at, "://"));) {
        at += 3;
        char *end = at + strcspn(at, "/?#'\"`\\<> \t\r\n"), *host = end;
        while (host > at && *host != '@') host--;
        char *colon = memchr(at, ':', (size_t)(host - at));
        if (!colon || host - colon < 2) continue;
        colon[1] = '*';
        memmove(colon + 2, host, strlen(host) + 1);
        at = colon + 2;
    }
}
