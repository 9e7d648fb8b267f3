/* What a text may be. Everything that reaches ssh, a shell or a file name is checked here against a
 * list of what is allowed, not of what is known to be bad. */
#include "config.h"
#include "text.h"
#include <ctype.h>
#include <string.h>

static int refuse(const char **why, const char *reason)
{
    *why = reason;
    return -1;
}

static bool all_in(const char *text, const char *extra)
{
    for (; *text; text++)
        if (!isascii((unsigned char)*text) || (!isalnum((unsigned char)*text) && !strchr(extra, *text)))
            return false;
    return true;
}

int me_config_check_address(const char *text, const char **why)
{
    const char *colon = strchr(text, ':');
    bool ipv6 = colon && strchr(colon + 1, ':');
    if (!*text) return refuse(why, "empty; give an IP address or a host name");
    if (*text == '-') return refuse(why, "begins with a dash; give an IP address or a host name");
    if (strchr(text, '@')) return refuse(why, "holds a user; that goes into MACHINE_USER");
    if (strchr(text, '[')) return refuse(why, "give an IPv6 address without brackets");
    if (colon && !ipv6) return refuse(why, "holds a port; that goes into MACHINE_PORT");
    if (!all_in(text, ipv6 ? ".-_:%" : ".-_"))
        return refuse(why, "not an IP address or host name (letters, digits, . - _ and for IPv6 :)");
    if (strlen(text) > 253) return refuse(why, "longer than 253 characters");
    return 0;
}

int me_config_check_user(const char *text, const char **why)
{
    if (!*text) return refuse(why, "empty; leave it out to log in under your own name");
    if (me_text_has_control(text)) return refuse(why, "holds a control character");
    if (*text == '-') return refuse(why, "begins with a dash");
    if (strpbrk(text, "\"'`$;&|<>(){}*?!#%"))
        return refuse(why, "holds a quote or a character with a meaning to a shell");
    if (strlen(text) > 255) return refuse(why, "longer than 255 bytes");
    return 0;
}

int me_config_check_label(const char *text, size_t max, const char **why)
{
    if (!*text) return refuse(why, "empty; give it a text or leave it out");
    if (me_text_has_control(text)) return refuse(why, "holds a control character");
    if (strlen(text) > max) return refuse(why, max == 63 ? "longer than 63 bytes" : "longer than 47 bytes");
    return 0;
}

int me_config_check_country(const char *text, const char **why)
{
    size_t len = strlen(text);
    if ((len != 2 && len != 3) || strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != len)
        return refuse(why, "not a country (ISO 3166, two or three letters, for instance DE or DEU)");
    return 0;
}

int me_config_check_variable(const char *text, const char **why)
{
    if (!*text || isdigit((unsigned char)*text) || !all_in(text, "_"))
        return refuse(why, "not a variable's name (letters, digits and _); the password itself goes into "
                           "MACHINE_PASSWORD");
    return 0;
}

static bool is_base64(const char *text, size_t min)
{
    size_t len = strlen(text), end = len;
    while (end > 0 && len - end < 2 && text[end - 1] == '=') end--;
    for (size_t i = 0; i < end; i++)
        if (!isascii((unsigned char)text[i]) || (!isalnum((unsigned char)text[i]) && !strchr("+/", text[i])))
            return false;
    return len >= min;
}

/* As engines write it: [REGISTRY[:PORT]/]NAME[:TAG][@DIGEST]. Other letters would only be refused there. */
int me_config_check_image(const char *text, const char **why)
{
    if (!*text) return refuse(why, "empty; name an image or leave it out");
    if (!isalnum((unsigned char)*text) || !all_in(text, "._-/:@"))
        return refuse(why, "not an image's name (registry.example.org/lab/image:tag, or image@sha256:...)");
    if (strlen(text) > 255) return refuse(why, "longer than 255 characters");
    return 0;
}

/* What the launch decides itself cannot be asked for. */
int me_config_check_docker_option(const char *text, const char **why)
{
    static const char *const ours[] = {"-d",        "--detach",     "--name", "--rm",
                                       "--restart", "--entrypoint", "--init"};
    size_t len = strcspn(text, "=");
    if (!*text || strpbrk(text, "\n\r")) return refuse(why, "an option is one line of text");
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (strlen(ours[i]) == len && !strncmp(text, ours[i], len))
            return refuse(why, "the launch sets that one itself; leave it out");
    return 0;
}

/* A fingerprint as ssh-keygen -l prints it, or a public key as in known_hosts, without the host. */
int me_config_check_host_key(const char *text, const char **why)
{
    static const char *const types[] = {"ssh-ed25519 ", "ssh-rsa ", "ecdsa-sha2-nistp256 ",
                                        "ecdsa-sha2-nistp384 ", "ecdsa-sha2-nistp521 "};
    if (!strncmp(text, "SHA256:", 7)) {
        if (is_base64(text + 7, 43) && strlen(text + 7) <= 44) return 0;
        return refuse(why, "a SHA256: fingerprint has 43 base64 characters (ssh-keygen -l prints it)");
    }
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        size_t len = strlen(types[i]);
        if (!strncmp(text, types[i], len) && is_base64(text + len, 40) && strlen(text) < 1024) return 0;
    }
    return refuse(why,
                  "not a host key; give \"SHA256:...\" or \"ssh-ed25519 AAAA...\", as ssh-keyscan prints it "
                  "behind the host");
}
