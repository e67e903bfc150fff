/* lda/maildir_id.c - a folder by the id that Dovecot gave it
 *
 *   dovecot-uidlist, first line:  3 V1700000000 N17 G5c8f...   <- G: the GUID of the folder
 *
 * Dovecot keeps a GUID for each folder, and shows it to clients (X-GUID, MAILBOXID): it stays
 * when the folder is renamed, which is what RFC 9042 wants. A folder that Dovecot has
 * not opened yet has none.
 */
#include "lda/maildir_parts.h"

#include <dirent.h>

enum { LINE_MAX_LEN = 256, FOLDERS_MAX = 10000 };

/* Whether the first line of the folder's uidlist has the id. */
static bool
has_id(int maildir_fd, const char *directory, const char *id)
{
    g_autofree char *name = directory[0] == '\0' ? g_strdup("dovecot-uidlist")
                                                 : g_strconcat(directory, "/dovecot-uidlist", NULL);
    lodge_autofd fd = maildir_open_beneath(maildir_fd, name, O_RDONLY | O_NONBLOCK, 0);
    char line[LINE_MAX_LEN + 1] = "";
    ssize_t got = fd < 0 ? -1 : read(fd, line, LINE_MAX_LEN);
    g_auto(GStrv) words = NULL;

    if (got <= 0)
        return false;
    line[strcspn(line, "\n")] = '\0';
    words = g_strsplit(line, " ", -1);
    for (size_t i = 0; words[i] != NULL; i++) {
        if (words[i][0] == 'G' && g_ascii_strcasecmp(words[i] + 1, id) == 0)
            return true;
    }
    return false;
}

static bool
search(int maildir_fd, DIR *dir, const char *id, char **directory_out)
{
    const struct dirent *entry;

    for (int i = 0; i < FOLDERS_MAX && (errno = 0, entry = readdir(dir)) != NULL; i++) {
        const char *name = entry->d_name;

        if (name[0] == '.' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
            has_id(maildir_fd, name, id)) {
            *directory_out = g_strdup(name);
            return true;
        }
    }
    return errno == 0;
}

bool
maildir_find_id(int maildir_fd, const char *id, char **directory_out)
{
    lodge_autofd fd = -1;
    DIR *dir;
    bool done;

    *directory_out = NULL;
    if (has_id(maildir_fd, "", id)) {
        *directory_out = g_strdup("");
        return true;
    }
    fd = openat(maildir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL)
        return false;
    (void)lodge_steal_fd(&fd);
    done = search(maildir_fd, dir, id, directory_out);
    (void)closedir(dir); /* nothing was written */
    return done;
}
