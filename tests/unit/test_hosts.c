#include "me/hosts.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "me_cmocka.h"

static const char key[] = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB";

static char *read_text(const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file) return NULL;
    char *text = calloc(1, 65536);
    assert_true(fread(text, 1, 65535, file) > 0);
    fclose(file);
    return text;
}

static void parse(const char *text, struct me_cluster *cluster)
{
    struct me_error err = {0};
    struct me_config_options options = {.no_secrets = true};
    if (me_config_parse(text, strlen(text), "t.json", &options, cluster, &err)) fail_msg("%s", err.text);
}

/* The example configs and the hostfile each generates; ME_UPDATE=1 writes them anew. */
static void examples(void **state)
{
    (void)state;
    static const char *const names[] = {"three-machines", "own-command", "cloud-regions", "docker"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char config[512], golden[512];
        struct me_cluster cluster;
        struct me_buffer out = ME_BUFFER_INIT;
        snprintf(config, sizeof config, "%s/../hostfiles/%s.json", ME_TEST_DIR, names[i]);
        snprintf(golden, sizeof golden, "%s/../hostfiles/%s.hosts", ME_TEST_DIR, names[i]);
        char *text = read_text(config);
        assert_non_null(text);
        parse(text, &cluster);
        struct me_host_state *states = calloc(cluster.count + 1, sizeof *states);
        me_hosts_file(&cluster, states, &out);
        if (getenv("ME_UPDATE")) {
            FILE *file = fopen(golden, "w");
            assert_non_null(file);
            fputs(out.data, file);
            fclose(file);
        }
        char *expected = read_text(golden);
        assert_non_null(expected);
        assert_string_equal(out.data, expected);
        free(expected);
        free(text);
        free(states);
        me_buffer_release(&out);
        me_cluster_release(&cluster);
    }
}

static const char odd[] =
    "{\"machines\": ["
    "{\"machine_id\": 7, \"MACHINE_IP_ADDRESS\": \"192.0.2.7\", \"MACHINE_PORT\": 2222, \"MACHINE_USER\": "
    "\"lab.user\","
    " \"MACHINE_PASSWORD\": \"top-secret-7\", \"name\": \"seven\", \"country\": \"DE\", \"pue\": 1.2},"
    "{\"machine_id\": 8, \"MACHINE_IP_ADDRESS\": \"192.0.2.7\", \"MACHINE_PORT\": 2223, \"MACHINE_USER\": "
    "\"a\"},"
    "{\"machine_id\": 9, \"MACHINE_IP_ADDRESS\": \"2001:db8::9\", \"MACHINE_USER\": \"b\","
    " \"MACHINE_PASSWORD_ENV\": \"PW_9\"},"
    "{\"machine_id\": 1234, \"MACHINE_IP_ADDRESS\": \"n.x.org\", \"MACHINE_USER\": \"c\", "
    "\"MACHINE_PASSWORD_ENV\": \"PW_9\"}"
    "], \"run_local\": true, \"experiment\": {\"repeats\": 4, \"command\": [\"./solve\", \"a b\"]}}";

struct fixture {
    struct me_cluster cluster;
    struct me_host_state states[4];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    parse(odd, &f->cluster);
    for (size_t i = 0; i < 4; i++) {
        snprintf(f->states[i].host_key, sizeof f->states[i].host_key, "%s%zu", key, i);
        snprintf(f->states[i].local_cidr, sizeof f->states[i].local_cidr, "192.0.2.0/24");
    }
    snprintf(f->states[0].stage_bin, sizeof f->states[0].stage_bin, "/home/it's/.cache/bin");
    f->states[1].status = ME_STATUS_DUPLICATE;
    snprintf(f->states[1].reason, sizeof f->states[1].reason, "the same machine as seven");
    f->states[2].status = ME_STATUS_SKIPPED;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    me_cluster_release(&f->cluster);
    free(f);
    return 0;
}

static void hostfile_leaves_out_what_is_not_ok(void **state)
{
    struct fixture *f = *state;
    struct me_buffer out = ME_BUFFER_INIT;
    me_hosts_file(&f->cluster, f->states, &out);
    assert_string_equal(out.data, "# Made by me hosts; one rank a machine.\n"
                                  "localhost slots=1  # the head: coordinates and measures\n"
                                  "me-0007 slots=1\nme-1234 slots=1\n");
    me_buffer_release(&out);
}

static void ssh_config_and_known_hosts(void **state)
{
    struct fixture *f = *state;
    struct me_buffer out = ME_BUFFER_INIT;
    me_hosts_ssh_config(&f->cluster, f->states, "/w/100%/gen.hosts.d", &out);
    assert_non_null(strstr(out.data, "Host me-0007\n    HostName \"192.0.2.7\"\n    HostKeyAlias me-0007\n"
                                     "    Port 2222\n    User \"lab.user\"\n"));
    assert_non_null(strstr(out.data, "IdentityFile \"/w/100%%/gen.hosts.d/id_ed25519\"\n"));
    assert_non_null(strstr(out.data, "BatchMode yes\n"));
    assert_non_null(strstr(out.data, "StrictHostKeyChecking yes\n"));
    assert_null(strstr(out.data, "me-0008"));
    assert_null(strstr(out.data, "secret"));
    me_buffer_clear(&out);
    me_hosts_known_hosts(&f->cluster, f->states, &out);
    assert_string_equal(out.data, "me-0007 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB0\n"
                                  "me-1234 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB3\n");
    me_buffer_release(&out);
}

/* The agent as mpirun calls it, with a stand-in for ssh that shows its words. */
static void agent_quotes_and_hides_its_path(void **state)
{
    struct fixture *f = *state;
    struct me_buffer out = ME_BUFFER_INIT;
    char dir[] = "/tmp/me-test-hosts-XXXXXX", path[64], command[512], line[1024];
    assert_non_null(mkdtemp(dir));
    me_hosts_agent(&f->cluster, f->states, dir, &out);
    snprintf(path, sizeof path, "%s/agent", dir);
    FILE *file = fopen(path, "w");
    assert_int_equal(fwrite(out.data, 1, out.len, file), out.len);
    fclose(file);
    snprintf(path, sizeof path, "%s/ssh", dir);
    file = fopen(path, "w");
    fputs("#!/bin/sh\necho \"$1 $3\"\nPATH=/usr/bin:/bin\neval \"$4\"\n", file);
    fclose(file);
    assert_int_equal(chmod(path, 0700), 0);
    snprintf(command, sizeof command,
             "PATH=%s:$PATH sh %s/agent me-0007 ' echo' \"'one  \\$x'\" -mca plm_rsh_agent '\"%s/agent\"' "
             "-mca plm_ssh_agent '\"sh -c exec${IFS}\"$ME_HOSTS_DIR/agent\"${IFS}\"$@\" me\"' "
             "'$ME_MACHINE_ID;' "
             "'echo \"$PATH\"'",
             dir, dir, dir);
    FILE *pipe = popen(command, "r");
    assert_non_null(fgets(line, sizeof line, pipe));
    assert_string_equal(line, "-F me-0007\n");
    assert_non_null(fgets(line, sizeof line, pipe));
    assert_string_equal(line, "one  $x -mca plm_rsh_agent sh -mca plm_ssh_agent sh 7\n");
    assert_non_null(fgets(line, sizeof line, pipe));
    assert_string_equal(line, "/home/it's/.cache/bin:/usr/bin:/bin\n");
    assert_int_equal(pclose(pipe), 0);
    snprintf(command, sizeof command, "PATH=%s:$PATH sh %s/agent me-0008 x 2>/dev/null", dir, dir);
    assert_int_not_equal(system(command), 0); /* a duplicate is not started */
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
    me_buffer_release(&out);
}

/* The agent for containers as mpirun calls it; ssh hands over to a shell, and the engine shows its words. */
static void container_agent_quotes_three_times(void **state)
{
    (void)state;
    struct me_cluster cluster;
    struct me_host_state states[3] = {0};
    struct me_buffer out = ME_BUFFER_INIT, said = ME_BUFFER_INIT;
    char dir[] = "/tmp/me-test-hosts-XXXXXX", path[64], command[1024], piece[4096];
    parse("{\"run_docker\": true, \"run_local\": true, \"docker_options\": [\"--env\", \"A=it's $x\"], "
          "\"machines\": ["
          "{\"machine_id\": 7, \"MACHINE_IP_ADDRESS\": \"192.0.2.7\"},"
          "{\"machine_id\": 8, \"MACHINE_IP_ADDRESS\": \"192.0.2.8\"}]}",
          &cluster);
    for (size_t i = 0; i < 3; i++) {
        snprintf(states[i].container.engine, sizeof states[i].container.engine, "engine");
        snprintf(states[i].container.id, sizeof states[i].container.id, "sha256:%zu", i);
    }
    states[1].status = ME_STATUS_SKIPPED;
    assert_non_null(mkdtemp(dir));
    me_hosts_container_agent(&cluster, states, dir, "/bin/false", "0123456789ab", &out);
    snprintf(path, sizeof path, "%s/agent", dir);
    FILE *file = fopen(path, "w");
    assert_int_equal(fwrite(out.data, 1, out.len, file), out.len);
    fclose(file);
    snprintf(path, sizeof path, "%s/ssh", dir);
    file = fopen(path, "w");
    fputs("#!/bin/sh\necho \"ssh $3\"\nexec sh -c \"$4\"\n", file);
    fclose(file);
    assert_int_equal(chmod(path, 0700), 0);
    snprintf(path, sizeof path, "%s/engine", dir);
    file = fopen(path, "w");
    fputs("#!/bin/sh\n[ \"$1\" = run ] || exit 0\nfor word do echo \"$word\"; done\n"
          "while [ \"$1\" != sh ]; do shift; done\nexec \"$@\"\n",
          file);
    fclose(file);
    assert_int_equal(chmod(path, 0700), 0);
    for (int local = 0; local < 2; local++) {
        snprintf(command, sizeof command,
                 "HOME=%s PATH=%s:$PATH ME_EXPERIMENT='a/exp 1/' sh %s/agent %s ' echo' \"'one  \\$x'\" -mca "
                 "plm_rsh_agent '\"%s/agent\"' 2>&1",
                 dir, dir, dir, local ? "me-0000" : "me-0007", dir);
        FILE *pipe = popen(command, "r");
        size_t n;
        me_buffer_clear(&said);
        while ((n = fread(piece, 1, sizeof piece, pipe)) > 0) me_buffer_append(&said, piece, n);
        assert_int_equal(pclose(pipe), 0);
        assert_true(local ? !strstr(said.data, "ssh ") : !strncmp(said.data, "ssh me-0007\n", 12));
        assert_non_null(strstr(said.data, local ? "\nsha256:2\n--tether\n" : "\nsha256:0\n--tether\n"));
        assert_non_null(
            strstr(said.data, local ? "\nme-exp_1-0-0123456789ab-" : "\nme-exp_1-7-0123456789ab-"));
        assert_non_null(strstr(said.data, local ? "\nME_MACHINE_ID=0\n" : "\nME_MACHINE_ID=7\n"));
        assert_non_null(strstr(said.data, "\n--env\nA=it's $x\n"));
        assert_non_null(strstr(said.data, "\n--cap-drop\nALL\n"));
        assert_null(strstr(said.data, "privileged"));
        assert_non_null(
            strstr(said.data, "\none  $x -mca plm_rsh_agent sh\n")); /* the container's shell has run it */
    }
    snprintf(command, sizeof command, "PATH=%s:$PATH sh %s/agent me-0008 x 2>/dev/null", dir, dir);
    assert_int_not_equal(system(command), 0); /* what failed is not started */
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
    me_cluster_release(&cluster);
    me_buffer_release(&out);
    me_buffer_release(&said);
}

/* Open MPI takes the value apart at blanks (and at colons) and runs it: here as it would. */
static void env_names_the_agent_in_any_folder(void **state)
{
    struct fixture *f = *state;
    static const char *const folders[] = {"plain", "two  words", "it's: 100% $x"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        struct me_buffer out = ME_BUFFER_INIT, command = ME_BUFFER_INIT;
        char root[] = "/tmp/me-test-hosts-XXXXXX", dir[64], path[96], line[256] = "";
        assert_non_null(mkdtemp(root));
        snprintf(dir, sizeof dir, "%s/%s", root, folders[i]);
        assert_int_equal(mkdir(dir, 0700), 0);
        me_hosts_env(&f->cluster, f->states, dir, &out);
        snprintf(path, sizeof path, "%s/agent", dir);
        FILE *file = fopen(path, "w");
        fputs("#!/bin/sh\necho \"$#,$1,$2\"\n", file);
        fclose(file);
        assert_int_equal(chmod(path, 0700), 0);
        me_buffer_printf(&out, "case $OMPI_MCA_plm_rsh_agent in *:*) exit 1; esac\n"
                               "set -f; IFS=' '; set -- $OMPI_MCA_plm_rsh_agent me-0007 'a  b'\n"
                               "IFS='\n'; exec \"$@\"\n");
        FILE *pipe = popen(out.data, "r");
        assert_non_null(fgets(line, sizeof line, pipe));
        assert_string_equal(line, "2,me-0007,a  b\n");
        assert_int_equal(pclose(pipe), 0);
        me_buffer_puts(&command, "rm -r ");
        me_buffer_shell_quoted(&command, root);
        assert_int_equal(system(command.data), 0);
        me_buffer_release(&out);
        me_buffer_release(&command);
    }
}

static void env_names_a_network_only_if_all_are_in_it(void **state)
{
    struct fixture *f = *state;
    struct me_buffer out = ME_BUFFER_INIT;
    me_hosts_env(&f->cluster, f->states, "/w/gen.hosts.d", &out);
    assert_non_null(strstr(out.data, "export ME_HOSTS_DIR='/w/gen.hosts.d'\n"));
    assert_non_null(strstr(out.data, "export OMPI_MCA_plm_rsh_agent='/w/gen.hosts.d/agent'\n"));
    assert_non_null(strstr(out.data, "export OMPI_MCA_hwloc_base_binding_policy='none'\n"));
    assert_non_null(strstr(out.data, "export OMPI_MCA_btl_tcp_if_include='192.0.2.0/24'\n"));
    assert_int_equal(strstr(out.data, "RUN_AS_ROOT") != NULL, geteuid() == 0);
    assert_null(strstr(out.data, "secret"));
    assert_null(strstr(out.data, "PW_9"));
    static const char *const others[] = {"", "198.51.100.0/24"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(f->states[3].local_cidr, sizeof f->states[3].local_cidr, "%s", others[i]);
        me_buffer_clear(&out);
        me_hosts_env(&f->cluster, f->states, "/w/gen.hosts.d", &out);
        assert_null(strstr(out.data, "if_include"));
    }
    me_buffer_release(&out);
}

static void plan_holds_all_but_secrets(void **state)
{
    struct fixture *f = *state;
    struct me_plan plan;
    struct me_error err = {0};
    struct me_buffer json = ME_BUFFER_INIT;
    assert_int_equal(me_hosts_plan(&f->cluster, f->states, &plan, &err), 0);
    assert_int_equal(plan.count, 5);
    assert_true(plan.from_hostfile && plan.run_local);
    assert_string_equal(plan.workload, "command");
    assert_string_equal(plan.command[1], "a b");
    assert_null(plan.command[2]);
    assert_int_equal(plan.repeats, 4);
    assert_string_equal(plan.machines[0].alias, "localhost");
    assert_string_equal(plan.machines[1].name, "seven");
    assert_string_equal(plan.machines[1].country, "DE");
    assert_true(plan.machines[1].pue == 1.2 && isnan(plan.machines[2].pue));
    assert_int_equal(plan.machines[2].status, ME_STATUS_DUPLICATE);
    assert_string_equal(plan.machines[2].reason, "the same machine as seven");
    assert_int_equal(plan.strip_count, 1); /* named twice in the config */
    assert_string_equal(plan.strip_env[0], "PW_9");
    assert_int_equal(me_plan_to_json(&plan, &json, &err), 0);
    assert_null(strstr(json.data, "secret"));
    assert_null(strstr(json.data, "john"));
    me_buffer_release(&json);
    me_plan_release(&plan);
}

static void plan_has_what_the_experiment_says(void **state)
{
    (void)state;
    struct me_cluster cluster;
    struct me_host_state none[2] = {{.home = ""}};
    struct me_plan plan;
    struct me_error err = {0};
    parse("{\"machines\": [{\"machine_id\": 1, \"MACHINE_IP_ADDRESS\": \"a\", \"python\": \"/opt/venv\"}],"
          " \"experiment\": {\"train_func\": \"t.py:f\", \"args\": [3], \"with\": [\"a\", \"b\"], \"region\":"
          " \"test\", \"python\": \"python3.11\", \"external\": \"W cat w\", \"events\": \"none\"}}",
          &cluster);
    if (me_hosts_plan(&cluster, none, &plan, &err)) fail_msg("%s", err.text);
    assert_string_equal(plan.workload, "function");
    assert_string_equal(plan.function, "t.py:f");
    assert_string_equal(plan.args, "[3]");
    assert_string_equal(plan.with, "a\nb");
    assert_string_equal(plan.region, "test");
    assert_string_equal(plan.python, "python3.11");
    assert_string_equal(plan.machines[1].python, "/opt/venv");
    assert_string_equal(plan.machines[0].python, "");
    assert_string_equal(plan.external, "W cat w");
    assert_string_equal(plan.events, "none");
    me_plan_release(&plan);
    me_cluster_release(&cluster);
    parse(
        "{\"run_local\": true, \"experiment\": {\"framework\": \"keras,native --seed 3\", \"samples\": 600}}",
        &cluster);
    if (me_hosts_plan(&cluster, none, &plan, &err)) fail_msg("%s", err.text);
    assert_string_equal(plan.workload, "keras,native --seed 3");
    assert_int_equal(plan.samples, 600);
    assert_string_equal(plan.function, "");
    me_plan_release(&plan);
    me_cluster_release(&cluster);
}

static void plan_refuses_a_command_without_end(void **state)
{
    (void)state;
    struct me_cluster cluster;
    struct me_host_state none = {0};
    struct me_plan plan;
    struct me_error err = {0};
    char word[] = "x", *command[ME_PLAN_COMMAND_MAX + 2] = {0};
    parse("{\"machines\": [], \"run_local\": true}", &cluster);
    for (size_t i = 0; i <= ME_PLAN_COMMAND_MAX; i++) command[i] = word;
    cluster.experiment.command = command;
    assert_int_equal(me_hosts_plan(&cluster, &none, &plan, &err), -1);
    assert_int_equal(err.code, ME_E_INPUT);
    command[ME_PLAN_COMMAND_MAX] = NULL;
    assert_int_equal(me_hosts_plan(&cluster, &none, &plan, &err), 0);
    me_plan_release(&plan);
    me_cluster_release(&cluster);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples),
        WITH_FIXTURE(hostfile_leaves_out_what_is_not_ok),
        WITH_FIXTURE(ssh_config_and_known_hosts),
        WITH_FIXTURE(agent_quotes_and_hides_its_path),
        cmocka_unit_test(container_agent_quotes_three_times),
        WITH_FIXTURE(env_names_the_agent_in_any_folder),
        WITH_FIXTURE(env_names_a_network_only_if_all_are_in_it),
        WITH_FIXTURE(plan_holds_all_but_secrets),
        cmocka_unit_test(plan_has_what_the_experiment_says),
        cmocka_unit_test(plan_refuses_a_command_without_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
