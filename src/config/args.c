/* The arguments of a user's function, looked at on the head before anything is touched. */
#include "me/plan.h"
#include <cjson/cJSON.h>
#include <string.h>

int me_config_check_args(const char *text, struct me_error *err)
{
    cJSON *root = cJSON_ParseWithLengthOpts(text, strlen(text) + 1, NULL, true);
    bool is_fit = cJSON_IsObject(root) || cJSON_IsArray(root), is_json = root != NULL;
    cJSON_Delete(root);
    if (is_fit) return 0;
    if (is_json)
        return me_fail(err, ME_E_INPUT,
                       "--args: %.100s is neither an object of keywords nor an array; write [%.100s]", text,
                       text);
    return me_fail(err, ME_E_INPUT, "--args: %.200s is not JSON; quote it for the shell: '{\"epochs\": 3}'",
                   *text ? text : "''");
}
