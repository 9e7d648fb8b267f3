/* The subcommands of `me`. To add one: write src/cli/<name>.c with its struct me_command and its
 * function, declare both here, and add a row to the table in main.c.
 *
 * A subcommand gets its own name in argv[0]. It parses its line with me_options_parse, which handles
 * everything but printing: when operands.help is set it prints me_options_help(&its command, stdout)
 * and returns 0. It returns the exit code (0..3), or -1 with *err filled: main prints the error
 * behind "me: " and exits with err->code. It prints results on stdout, remarks on stderr, and never
 * calls exit. */
#ifndef ME_CLI_H
#define ME_CLI_H

#include "me/error.h"
#include "me/options.h"

int me_cli_probe(int argc, char **argv, struct me_error *err);
int me_cli_frameworks(int argc, char **argv, struct me_error *err);
int me_cli_hosts(int argc, char **argv, struct me_error *err);
int me_cli_run(int argc, char **argv, struct me_error *err);
int me_cli_report(int argc, char **argv, struct me_error *err);
int me_cli_recover(int argc, char **argv, struct me_error *err);
int me_cli_clean(int argc, char **argv, struct me_error *err);
int me_cli_model(int argc, char **argv, struct me_error *err);

/* For --help of `me` and of the subcommand itself; the man page is made from the same. */
extern const struct me_command me_cli_probe_command, me_cli_frameworks_command, me_cli_hosts_command,
    me_cli_run_command, me_cli_report_command, me_cli_recover_command, me_cli_clean_command,
    me_cli_model_command;

#endif
