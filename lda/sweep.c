/* lda/sweep.c - remove what killed deliveries left behind; see sweep.h
 *
 * It walks the mail root and not the map: mailboxes lie nowhere else, those of
 * users who are gone from the map need it as well, and a mailbox_query of an
 * administrator's can be asked for one user but not for all. Symbolic links are not
 * followed. A directory with cur, new and tmp is a Maildir and is not entered
 * further: its folders are maildir_clean_tmp()'s.
 */
#include "lda/sweep.h"

#include "lda/identity.h"
#include "lda/maildir.h"

#include <dirent.h>
#include <sys/stat.h>

/* root/domain/user/Maildir is 3; hashed layouts have some more. It is a bound for
 * trees that are no mail, such as a home full of other things. */
#define MAX_DEPTH 8

typedef struct {
    const LdaConfig *config;
    MaildirLayout layout;
    gint64 now_us;
    unsigned removed;
} Sweep;

static bool
has_directory(int dir_fd, const char *name)
{
    struct stat info;

    return fstatat(dir_fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode);
}

static void
sweep_maildir(Sweep *sweep, const char *path)
{
    g_autoptr(Maildir) maildir = maildir_open(path, sweep->config->mail.root, &sweep->layout, NULL);

    if (maildir != NULL)
        sweep->removed += maildir_clean_tmp(maildir, sweep->now_us);
}

static void sweep_directory(Sweep *sweep, int dir_fd, const char *path, unsigned depth);

/* With per_user_ids a home may be closed to all but its owner, whose rights are
 * then taken; where that is not allowed, our own have to do. */
static void
sweep_entry(Sweep *sweep, int parent_fd, const char *name, const char *parent, unsigned depth)
{
    g_autofree char *path = g_build_filename(parent, name, NULL);
    Identity identity = {0};
    struct stat info;
    lodge_autofd fd = openat(parent_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &info) != 0)
        return;
    Mailbox owner = {.user = path, .uid = info.st_uid, .gid = info.st_gid};
    (void)identity_take(&identity, sweep->config, &owner, NULL);
    if (has_directory(fd, "tmp") && has_directory(fd, "new") && has_directory(fd, "cur"))
        sweep_maildir(sweep, path);
    else if (depth < MAX_DEPTH)
        sweep_directory(sweep, fd, path, depth);
    identity_give_back(&identity);
}

static void
sweep_directory(Sweep *sweep, int dir_fd, const char *path, unsigned depth)
{
    lodge_autofd fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd >= 0 ? fdopendir(fd) : NULL;

    if (listing == NULL)
        return;
    (void)lodge_steal_fd(&fd); /* closedir() closes it */
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        bool may_be_directory = entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN;

        if (may_be_directory && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            sweep_entry(sweep, dir_fd, entry->d_name, path, depth + 1);
    }
    (void)closedir(listing); /* was only read */
}

unsigned
lda_sweep(const LdaConfig *config, gint64 now_us)
{
    Sweep sweep = {
        .config = config,
        .layout = {.separator = config->mail.separator[0], .prefix = config->mail.prefix},
        .now_us = now_us,
    };
    lodge_autofd fd = open(config->mail.root, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0)
        sweep_directory(&sweep, fd, config->mail.root, 0);
    return sweep.removed;
}
