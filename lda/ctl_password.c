/* lda/ctl_password.c - a password: asked for, hashed, never shown
 *
 * On a terminal it is asked for twice without echo; otherwise it is one line of
 * standard input. It never comes from the command line, where `ps` would show it.
 * The hash is yescrypt behind "{CRYPT}": Dovecot 2.3 and 2.4 hand such a hash to
 * libcrypt, which on Debian 12 and later knows it.
 */
#include "lda/ctl.h"

#include <crypt.h>
#include <signal.h>
#include <termios.h>

/* One line of stdin without its newline; NULL at the end of input. */
static char *
read_line(void)
{
    g_autoptr(GString) line = g_string_new(NULL);
    int c;

    while ((c = getc(stdin)) != EOF && c != '\n')
        g_string_append_c(line, (char)c);
    if (c == EOF && line->len == 0)
        return NULL;
    /* A NUL would end the password early, and quietly. */
    return memchr(line->str, '\0', line->len) != NULL
               ? g_strdup("")
               : g_string_free(g_steal_pointer(&line), FALSE);
}

/* Reads a line with echo off. Signals wait until the terminal is as it was. */
static char *
prompt(const char *text)
{
    struct termios old, quiet;
    sigset_t all, before;

    if (tcgetattr(STDIN_FILENO, &old) != 0)
        return NULL;
    quiet = old;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, &before);
    /* Flushes what was typed ahead; so the prompt comes when it is done. */
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    (void)fputs(text, stderr);
    char *line = read_line();
    (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &old);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    (void)fputc('\n', stderr);
    return line;
}

static void
wipe(char *secret)
{
    if (secret != NULL)
        explicit_bzero(secret, strlen(secret));
    g_free(secret);
}

static bool
refuse(GError **error, const char *message)
{
    g_set_error_literal(error, CONFIG_ERROR, CONFIG_ERROR_VALUE, message);
    return false;
}

static bool
is_acceptable(const char *password, GError **error)
{
    if (password == NULL || *password == '\0')
        return refuse(error, "the password is empty");
    if (strlen(password) >= CRYPT_MAX_PASSPHRASE_SIZE)
        return refuse(error, "the password is too long");
    for (const char *p = password; *p != '\0'; p++) {
        if (g_ascii_iscntrl(*p))
            return refuse(error, "the password has control characters in it");
    }
    return true;
}

static char *
hash(const char *password, GError **error)
{
    g_autofree struct crypt_data *data = g_new0(struct crypt_data, 1);
    char salt[CRYPT_GENSALT_OUTPUT_SIZE];
    const char *hashed = NULL;

    if (crypt_gensalt_rn("$y$", 0, NULL, 0, salt, sizeof salt) != NULL)
        hashed = crypt_rn(password, salt, data, sizeof *data);
    if (hashed == NULL) {
        (void)lodge_set_errno(error, "hash the password");
        return NULL;
    }
    return g_strconcat("{CRYPT}", hashed, NULL);
}

char *
ctl_read_password(GError **error)
{
    bool terminal = isatty(STDIN_FILENO);
    char *first = terminal ? prompt("New password: ") : read_line();
    char *again = NULL;
    char *hashed = NULL;

    if (is_acceptable(first, error)) {
        again = terminal ? prompt("Once more: ") : g_strdup(first);
        if (g_strcmp0(first, again) != 0)
            (void)refuse(error, "the two are not the same");
        else
            hashed = hash(first, error);
    }
    wipe(first);
    wipe(again);
    return hashed;
}
