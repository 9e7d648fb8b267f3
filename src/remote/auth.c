#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "me/clock.h"
#include "ssh.h"

struct login {
    struct me_remote *remote;
    const struct me_machine *machine;
    const struct me_remote_options *options;
    int64_t deadline;
    char methods[256]; /* what the server offers: "publickey,password" */
};

enum outcome { LOGIN_OK, LOGIN_REFUSED, LOGIN_BROKEN };

static bool offers(const struct login *login, const char *method)
{
    size_t len = strlen(method);
    for (const char *at = login->methods; (at = strstr(at, method)); at += len)
        if ((at == login->methods || at[-1] == ',') && (at[len] == ',' || !at[len])) return true;
    return false;
}

/* Runs a libssh2 call to its end; its last value stays in rc. */
#define UNTIL_DONE(login, rc, call)                                                                          \
    while (((rc) = (call)) == LIBSSH2_ERROR_EAGAIN && !me_ssh_wait((login)->remote, (login)->deadline)) {    \
    }

static enum outcome judge(struct login *login, int rc, struct me_error *err)
{
    const char *where = login->remote->where;
    switch (rc) {
    case 0:
        return LOGIN_OK;
    case LIBSSH2_ERROR_AUTHENTICATION_FAILED:
    case LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED:
        return LOGIN_REFUSED;
    case LIBSSH2_ERROR_EAGAIN:
        me_fail(err, ME_E_MACHINE, "%s: the login %s", where, me_net_why(login->remote->cancel));
        return LOGIN_BROKEN;
    case LIBSSH2_ERROR_PASSWORD_EXPIRED:
        me_fail(err, ME_E_MACHINE, "%s: the password has expired; log in there once by hand and change it",
                where);
        return LOGIN_BROKEN;
    default:
        me_fail(err, ME_E_MACHINE, "%s: the login broke off: %s", where, me_ssh_reason(login->remote));
        return LOGIN_BROKEN;
    }
}

/* libssh2 calls it for each round of keyboard-interactive; the abstract pointer is our remote. */
static void answer_prompts(const char *name, int name_len, const char *instruction, int instruction_len,
                           int count, const LIBSSH2_USERAUTH_KBDINT_PROMPT *prompts,
                           LIBSSH2_USERAUTH_KBDINT_RESPONSE *responses, void **abstract)
{
    (void)name, (void)name_len, (void)instruction, (void)instruction_len;
    struct me_remote *remote = *abstract;
    for (int i = 0; i < count; i++) {
        /* Some servers ask a wrong password again and again. */
        bool give = !prompts[i].echo && remote->password && remote->answers++ < 3;
        responses[i].text = strdup(give ? remote->password : "");
        responses[i].length = responses[i].text ? (unsigned)strlen(responses[i].text) : 0;
    }
}

static enum outcome by_password(struct login *login, struct me_error *err)
{
    struct me_remote *remote = login->remote;
    const char *user = login->machine->user, *password = login->machine->password;
    unsigned user_len = (unsigned)strlen(user);
    enum outcome outcome = LOGIN_REFUSED;
    int rc;
    if (offers(login, "password")) {
        UNTIL_DONE(login, rc,
                   libssh2_userauth_password_ex(remote->session, user, user_len, password,
                                                (unsigned)strlen(password), NULL))
        outcome = judge(login, rc, err);
    }
    if (outcome == LOGIN_REFUSED && offers(login, "keyboard-interactive")) {
        remote->password = login->machine->password;
        UNTIL_DONE(login, rc,
                   libssh2_userauth_keyboard_interactive_ex(remote->session, user, user_len, answer_prompts))
        remote->password = NULL;
        outcome = judge(login, rc, err);
    }
    if (outcome == LOGIN_REFUSED && !offers(login, "password") && !offers(login, "keyboard-interactive"))
        me_fail(err, ME_E_MACHINE,
                "%s: the server takes no passwords (it offers %s); set MACHINE_KEY_FILENAME", remote->where,
                login->methods);
    else if (outcome == LOGIN_REFUSED)
        me_fail(err, ME_E_MACHINE, "%s: wrong password; correct MACHINE_PASSWORD or MACHINE_PASSWORD_ENV",
                remote->where);
    return outcome;
}

struct signer {
    const char *socket_path;
    const struct me_identity *identity;
};

static int sign(LIBSSH2_SESSION *session, unsigned char **signature, size_t *signature_len,
                const unsigned char *data, size_t data_len, void **abstract)
{
    (void)session;
    const struct signer *signer = *abstract;
    return me_agent_sign(signer->socket_path, signer->identity, data, data_len, signature, signature_len);
}

static bool has_type(const struct me_identity *identity, const char *type)
{
    size_t len = strlen(type);
    return identity->len > len + 4 && me_wire_u32(identity->blob) == len &&
           !memcmp(identity->blob + 4, type, len);
}

static bool usable(const struct me_identity *identity)
{
    return has_type(identity, "ssh-ed25519") || has_type(identity, "ssh-rsa") ||
           has_type(identity, "ecdsa-sha2-nistp256") || has_type(identity, "ecdsa-sha2-nistp384") ||
           has_type(identity, "ecdsa-sha2-nistp521");
}

static enum outcome by_signer(struct login *login, const char *socket_path,
                              const struct me_identity *identity, struct me_error *err)
{
    struct signer signer = {socket_path, identity};
    struct me_buffer blob = ME_BUFFER_INIT;
    void *context = &signer;
    int rc;
    /* libssh2 takes the signature's algorithm from the name within the blob. An RSA key named for
     * its SHA-2 signature is the same key to the server (sshd looks the name up the same way), and
     * this is the only way to make libssh2 1.10 send rsa-sha2-512. */
    if (has_type(identity, "ssh-rsa")) {
        me_wire_put(&blob, "rsa-sha2-512", 12);
        me_buffer_append(&blob, identity->blob + 11, identity->len - 11);
    } else {
        me_buffer_append(&blob, identity->blob, identity->len);
    }
    if (blob.failed) {
        me_buffer_release(&blob);
        me_fail(err, ME_E_RUN, "no memory");
        return LOGIN_BROKEN;
    }
    UNTIL_DONE(login, rc,
               libssh2_userauth_publickey(login->remote->session, login->machine->user,
                                          (const unsigned char *)blob.data, blob.len, sign, &context))
    me_buffer_release(&blob);
    return judge(login, rc, err);
}

/* Has the user's agent this key? Then it signs, whatever passphrase the file has. */
static enum outcome by_agent_key(struct login *login, const struct me_identity *want, struct me_error *err)
{
    const char *path = getenv("SSH_AUTH_SOCK");
    struct me_identity *list = NULL;
    size_t count = 0;
    enum outcome outcome = LOGIN_REFUSED;
    if (!want->blob || !path || me_agent_list(path, &list, &count)) return LOGIN_REFUSED;
    for (size_t i = 0; i < count; i++)
        if (list[i].len == want->len && !memcmp(list[i].blob, want->blob, want->len))
            outcome = by_signer(login, path, &list[i], err);
    me_agent_list_free(list, count);
    return outcome;
}

static enum outcome by_own_agent(struct login *login, const char *path, const char *passphrase,
                                 struct me_error *err)
{
    struct me_own_agent agent = {.hold = -1};
    struct me_identity *list = NULL;
    size_t count = 0;
    enum outcome outcome = LOGIN_BROKEN;
    int rc = me_own_agent_start(&agent, path, passphrase, err);
    if (rc == 1) me_fail(err, ME_E_MACHINE, "%s: %s: wrong passphrase", login->remote->where, path);
    if (rc) return LOGIN_BROKEN;
    if (me_agent_list(agent.socket, &list, &count) || !count)
        me_fail(err, ME_E_MACHINE, "%s: ssh-add did not load the key", path);
    else if (!usable(&list[0]))
        me_fail(err, ME_E_MACHINE, "%s: a key of a kind that is not supported; use ed25519, ECDSA or RSA",
                path);
    else
        outcome = by_signer(login, agent.socket, &list[0], err);
    me_agent_list_free(list, count);
    me_own_agent_stop(&agent);
    return outcome;
}

static enum outcome by_libssh2(struct login *login, const char *path, const char *passphrase,
                               struct me_error *err)
{
    const char *user = login->machine->user;
    int rc;
    UNTIL_DONE(login, rc,
               libssh2_userauth_publickey_fromfile_ex(login->remote->session, user, (unsigned)strlen(user),
                                                      NULL, path, passphrase))
    if (rc == LIBSSH2_ERROR_FILE && passphrase) {
        me_fail(err, ME_E_MACHINE, "%s: %s: wrong passphrase", login->remote->where, path);
        return LOGIN_BROKEN;
    }
    return judge(login, rc, err);
}

static enum outcome with_passphrase(struct login *login, const struct me_key *key, const char *path,
                                    const char *passphrase, struct me_error *err)
{
    /* libssh2 1.10 cannot sign RSA as servers want it, and leaves parts of an ECDSA key in memory. */
    bool simple = key->openssh && !strcmp(key->type, "ssh-ed25519");
    enum outcome outcome =
        simple ? by_libssh2(login, path, passphrase, err) : by_own_agent(login, path, passphrase, err);
    if (outcome == LOGIN_REFUSED)
        me_fail(err, ME_E_MACHINE, "%s: the key %s is refused; put %s.pub into ~/.ssh/authorized_keys there",
                login->remote->where, path, path);
    return outcome;
}

static enum outcome by_key_file(struct login *login, const char *path, struct me_error *err)
{
    struct me_key key = {0};
    char passphrase[1024] = "", prompt[4200];
    const struct me_remote_options *options = login->options;
    struct me_error agent_error;
    if (!offers(login, "publickey")) {
        me_fail(err, ME_E_MACHINE, "%s: the server takes no keys (it offers %s); set MACHINE_PASSWORD_ENV",
                login->remote->where, login->methods);
        return LOGIN_REFUSED;
    }
    if (me_key_read(&key, path, err)) return LOGIN_BROKEN;
    enum outcome outcome = key.encrypted ? by_agent_key(login, &key.identity, &agent_error) : LOGIN_REFUSED;
    if (outcome == LOGIN_BROKEN) *err = agent_error;
    if (outcome != LOGIN_REFUSED) goto out;
    snprintf(prompt, sizeof prompt, "Passphrase of %s: ", path);
    int64_t begin = me_clock_mono_ns();
    bool told = key.encrypted && options->ask &&
                options->ask(options->context, prompt, passphrase, sizeof passphrase);
    login->deadline += me_clock_mono_ns() - begin; /* people type slower than machines connect */
    if (!key.encrypted)
        outcome = with_passphrase(login, &key, path, NULL, err);
    else if (told)
        outcome = with_passphrase(login, &key, path, passphrase, err);
    else {
        me_fail(err, ME_E_MACHINE, "%s: the key %s needs its passphrase; run: ssh-add '%s'",
                login->remote->where, path, path);
        outcome = LOGIN_BROKEN;
    }
out:
    explicit_bzero(passphrase, sizeof passphrase);
    me_key_release(&key);
    return outcome;
}

static enum outcome by_agent(struct login *login, int *tried, struct me_error *err)
{
    const char *path = getenv("SSH_AUTH_SOCK");
    struct me_identity *list = NULL;
    size_t count = 0;
    enum outcome outcome = LOGIN_REFUSED;
    if (!path || !offers(login, "publickey") || me_agent_list(path, &list, &count)) return LOGIN_REFUSED;
    for (size_t i = 0; i < count && *tried < 4 && outcome == LOGIN_REFUSED; i++) {
        if (!usable(&list[i])) continue;
        outcome = by_signer(login, path, &list[i], err); /* sshd counts: six failures by default */
        (*tried)++;
    }
    me_agent_list_free(list, count);
    return outcome;
}

static enum outcome by_default_keys(struct login *login, int *tried, struct me_error *err)
{
    static const char *const names[] = {"id_ed25519", "id_ecdsa", "id_rsa"};
    const char *home = getenv("HOME");
    char path[4096];
    for (size_t i = 0; home && offers(login, "publickey") && i < sizeof names / sizeof *names; i++) {
        struct me_error tried_error;
        snprintf(path, sizeof path, "%s/.ssh/%s", home, names[i]);
        if (access(path, F_OK)) continue;
        (*tried)++;
        enum outcome outcome = by_key_file(login, path, &tried_error);
        if (outcome == LOGIN_OK) return LOGIN_OK;
        *err = tried_error;
        /* A file that cannot be used says nothing about the next; a dead connection does. */
        if (libssh2_session_last_errno(login->remote->session) == LIBSSH2_ERROR_SOCKET_DISCONNECT)
            return LOGIN_BROKEN;
    }
    return LOGIN_REFUSED;
}

static enum outcome by_what_there_is(struct login *login, struct me_error *err)
{
    int by_agents = 0, by_files = 0;
    struct me_error file_error = {.text = ""};
    enum outcome outcome = by_agent(login, &by_agents, err);
    if (outcome == LOGIN_REFUSED) outcome = by_default_keys(login, &by_files, &file_error);
    if (outcome == LOGIN_OK) return LOGIN_OK;
    if (by_files == 1 && !by_agents && file_error.text[0])
        *err = file_error;
    else if (by_agents || by_files)
        me_fail(err, ME_E_MACHINE,
                "%s: all keys are refused (%d of the agent, %d of ~/.ssh); set MACHINE_KEY_FILENAME or "
                "MACHINE_PASSWORD_ENV",
                login->remote->where, by_agents, by_files);
    else
        me_fail(err, ME_E_MACHINE,
                "%s: nothing to log in with: no password, no key file, no key in an agent or in ~/.ssh; set "
                "MACHINE_KEY_FILENAME or MACHINE_PASSWORD_ENV",
                login->remote->where);
    return outcome;
}

/* Asks what the server offers; true if it lets us in with nothing at all. */
static int list_methods(struct login *login, bool *in, struct me_error *err)
{
    LIBSSH2_SESSION *session = login->remote->session;
    const char *user = login->machine->user;
    char *methods;
    while (!(methods = libssh2_userauth_list(session, user, (unsigned)strlen(user)))) {
        if (libssh2_userauth_authenticated(session)) {
            *in = true;
            return 0;
        }
        if (libssh2_session_last_errno(session) != LIBSSH2_ERROR_EAGAIN ||
            me_ssh_wait(login->remote, login->deadline))
            return me_fail(err, ME_E_MACHINE, "%s: the login broke off: %s", login->remote->where,
                           me_ssh_reason(login->remote));
    }
    snprintf(login->methods, sizeof login->methods, "%s", methods);
    return 0;
}

int me_ssh_login(struct me_remote *remote, const struct me_machine *machine,
                 const struct me_remote_options *options, int64_t deadline, struct me_error *err)
{
    struct login login = {.remote = remote, .machine = machine, .options = options, .deadline = deadline};
    bool in = false;
    if (list_methods(&login, &in, err)) return -1;
    if (in) return 0;
    enum outcome outcome = LOGIN_REFUSED;
    if (machine->password) outcome = by_password(&login, err);
    if (outcome == LOGIN_REFUSED && machine->key_filename)
        outcome = by_key_file(&login, machine->key_filename, err);
    if (!machine->password && !machine->key_filename) outcome = by_what_there_is(&login, err);
    return outcome == LOGIN_OK ? 0 : -1;
}
