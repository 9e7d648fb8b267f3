/* Is there a container engine that we may use? The preflight's questions about it, and what is made of the answers. */
#include <stdio.h>
#include <string.h>
#include "prepare.h"

/* What answers for its daemon too counts; what it says instead is kept, from the first that is there. A user's group
 * comes before sudo. */
static const char engine_questions[] =
    "engine= why=\n"
    "for each in docker podman; do\n"
    "    command -v \"$each\" >/dev/null || continue\n"
    "    format='{{.Server.Version}}'\n"
    "    [ \"$each\" = docker ] || format='{{.Client.Version}}'\n"
    "    for by in '' 'sudo -n '; do\n"
    "        if version=$($by$each version --format \"$format\" 2>/dev/null) && [ -n \"$version\" ]; then\n"
    "            engine=$by$each\n"
    "            break 2\n"
    "        fi\n"
    "        [ -z \"$why\" ] || continue\n"
    "        why=$($by$each version --format \"$format\" 2>&1 >/dev/null)\n"
    "        tell engine_name \"$each\"\n"
    "        tell engine_text \"${why:-it gives no answer}\"\n"
    "    done\n"
    "done\n"
    "if [ -n \"$engine\" ]; then\n"
    "    tell engine \"$engine\"\n"
    "    tell engine_version \"$each $version\"\n"
    "fi\n"
    "[ ! -e /dev/nvidiactl ] || tell engine_gpu yes\n";

void me_engine_script(struct me_buffer *out)
{
    me_buffer_puts(out, engine_questions);
}

bool me_engine_answer(const char *key, const char *value, struct me_facts_seen *facts)
{
    struct me_engine_seen *seen = &facts->engine;
    const struct {
        const char *key;
        char *text;
        size_t size;
    } texts[] = {
        {"engine", seen->words, sizeof seen->words},
        {"engine_version", seen->version, sizeof seen->version},
        {"engine_text", seen->text, sizeof seen->text},
        {"engine_name", seen->name, sizeof seen->name},
        {"image", seen->image, sizeof seen->image},
        {"image_id", seen->id, sizeof seen->id},
        {"image_platform", seen->platform, sizeof seen->platform},
        {"image_digest", seen->digest, sizeof seen->digest},
        {"image_text", seen->image_text, sizeof seen->image_text},
    };
    const struct {
        const char *key;
        bool *flag;
    } flags[] = {
        {"image_ran", &seen->ran},
        {"engine_perfmon", &seen->perfmon},
        {"engine_nvidia", &seen->nvidia},
        {"engine_gpu", &seen->has_gpu},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (strcmp(key, texts[i].key)) continue;
        me_preflight_clean(texts[i].text, texts[i].size, value, strlen(value));
        return true;
    }
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (strcmp(key, flags[i].key)) continue;
        *flags[i].flag = *value != '\0';
        return true;
    }
    return false;
}

void me_engine_judge(const struct me_host *host, char *reason, size_t size)
{
    const struct me_engine_seen *seen = &host->facts.engine;
    const char *user = host->machine->user;
    if (seen->words[0]) return;
    if (!seen->name[0])
        snprintf(
            reason, size,
            "no container engine (neither docker nor podman is in the PATH of a non-interactive shell); run "
            "there: apt-get install docker.io");
    else if (strstr(seen->text, "permission denied"))
        snprintf(
            reason, size,
            "%s may not use %s, nor by sudo -n (%s); run there as root: usermod -aG %s %s, and log in again",
            user, seen->name, seen->text, seen->name, user);
    else if (!strcmp(seen->name, "docker"))
        snprintf(reason, size, "docker does not answer (%s); run there as root: systemctl start docker",
                 seen->text);
    else
        snprintf(reason, size, "%s does not work there: %s", seen->name, seen->text);
}
