/* lda/paths.c - where a mailbox lies; see lda_mailbox_paths() in lda.h
 *
 *   [mail] root /var/vmail + home "%d/%n" + maildir "Maildir"
 *                    --> /var/vmail/example.org/ana/Maildir
 *
 * Paths come from the map or the configuration. Wherever they come from, what is
 * not below root is refused: root is what a worker is confined to.
 */
#include "lda/lda.h"

static bool
has_dot_dot(const char *path)
{
    g_auto(GStrv) parts = NULL;

    if (strstr(path, "..") == NULL)
        return false;
    parts = g_strsplit(path, "/", -1);
    return g_strv_contains((const char *const *)parts, "..");
}

/* Whether nothing could be tidied. Says no to hidden directories too, which costs
 * them no more than the time. */
static bool
is_tidy(const char *path)
{
    size_t len = strlen(path);

    return len > 0 && path[len - 1] != '/' && path[0] != '.' && strstr(path, "//") == NULL &&
           strstr(path, "/.") == NULL;
}

/* What g_canonicalize_filename() says, in a tenth of its time for the usual path:
 * this is done for each delivery. */
static char *
canonicalize(const char *path, const char *base)
{
    if (!is_tidy(path))
        return g_canonicalize_filename(path, base);
    if (*path == '/')
        return g_strdup(path);
    return is_tidy(base) ? g_strconcat(base, "/", path, NULL) : g_canonicalize_filename(path, base);
}

/* Joins path to base, unless it is absolute, and checks that it stays below root.
 * Base and root are canonical. */
static char *
place(const char *base, const char *path, const char *root, const Mailbox *mailbox, GError **error)
{
    g_autofree char *placed = canonicalize(path, base);
    size_t root_len = strlen(root);

    if (root_len == 1)
        root_len = 0; /* "/": the slash below is the one of the path itself */
    if (!has_dot_dot(path) && strncmp(placed, root, root_len) == 0 && placed[root_len] == '/' &&
        placed[root_len + 1] != '\0')
        return g_steal_pointer(&placed);
    g_set_error(error, LDA_ERROR, LDA_ERROR_CONFIG,
                "path '%s' of mailbox '%s' is not below [mail] root '%s'", path, mailbox->user,
                root);
    return NULL;
}

bool
lda_mailbox_paths(const LdaConfig *config, const Mailbox *mailbox, char **home_out,
                  char **maildir_out, GError **error)
{
    const char *home_text = mailbox->home != NULL ? mailbox->home : config->mail.home;
    const char *maildir_text = mailbox->maildir != NULL ? mailbox->maildir : config->mail.maildir;
    g_autofree char *root = canonicalize(config->mail.root, "/");
    g_autofree char *home_path = NULL;
    g_autofree char *maildir_path = NULL;
    g_autofree char *home = NULL;
    g_autofree char *maildir = NULL;

    home_path = config_expand(home_text, mailbox->user, NULL, error);
    if (home_path == NULL)
        return false;
    home = place(root, home_path, root, mailbox, error);
    if (home == NULL)
        return false;
    maildir_path = config_expand(maildir_text, mailbox->user, home, error);
    if (maildir_path == NULL)
        return false;
    maildir = place(home, maildir_path, root, mailbox, error);
    if (maildir == NULL)
        return false;
    *home_out = g_steal_pointer(&home);
    *maildir_out = g_steal_pointer(&maildir);
    return true;
}
