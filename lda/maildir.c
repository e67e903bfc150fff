/* lda/maildir.c - one copy of a message into one Maildir
 *
 *   maildir_open()      root --beneath--> Maildir, made when missing
 *   maildir_stage()     tmp/NAME written whole
 *   (commit_contents)   the file is durable, or is before its name
 *   maildir_publish()   renamed into new/, or cur/ with flags; never over another file
 *   (commit_names)      the name is durable
 *
 * This is the hot path, so each step is one system call where it can be: openat2(2)
 * instead of a walk, writev(2) for headers and message, one statx(2) for all that is to be known of
 * the file, and no look at what a failing call will tell. new/ is held open: a link put in its
 * place in between changes nothing. tmp/ is not, for it is only looked into twice: who puts
 * something else in its place makes us miss the file, which is open, or find one that he has
 * given its name, which no other has.
 *
 * No directory stays open from one delivery to the next. It would save four calls of twenty; but a
 * mailbox that was moved away, or a file system mounted over it, must be noticed by each delivery,
 * and nobody could unmount the mail while a server is idle.
 */
#include "lda/maildir_parts.h"

#include <sys/stat.h>

#include "lda/outcome.h"

/* One delivery in so many sweeps the tmp/ it writes to: abandoned files go away in
 * the Maildirs that are used, without a timer and without anything to remember. */
enum { SWEEP_EVERY = 64 };

struct Maildir {
    unsigned references;
    int fd; /* O_PATH, as all directories that are only a place to start from */
    char *path;
    char *root;
    const char *relative; /* path below root, within path */
    MaildirLayout layout;
    char *prefix;
    MaildirAccess access;
};

/* The Maildir or one of its folders. */
typedef struct {
    int fd;          /* the Maildir's own, or own_fd */
    int own_fd;      /* of a folder */
    char *directory; /* ".Lists", or "" for the Maildir itself */
    MaildirAccess access;
} Folder;

struct MaildirCopy {
    int fd;
    struct statx info; /* of a file of its own when it was empty; stx_mask is 0 otherwise */
    int base_fd;       /* the Maildir's, or own_fd */
    int own_fd;        /* of a folder */
    Maildir *maildir;  /* whose descriptor base_fd is; NULL for a folder */
    int directory_fd;  /* new/ or cur/ */
    char *name;        /* "tmp/..." below base_fd */
    char *path;
    const char *final_name; /* in new/ or cur/: the end of path */
    char *folder;
    bool in_tmp;
};

static void
folder_clear(Folder *folder)
{
    lodge_close(&folder->own_fd);
    g_clear_pointer(&folder->directory, g_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Folder, folder_clear)

/* ---- opening ------------------------------------------------------------- */

/* The path below root, "." for root itself; NULL when it is not below. */
static const char *
below_root(const char *path, const char *root)
{
    size_t len = strlen(root);

    while (len > 0 && root[len - 1] == '/')
        len--;
    if (path[0] != '/' || strncmp(path, root, len) != 0 || (path[len] != '/' && path[len] != '\0'))
        return NULL;
    for (path += len; *path == '/'; path++)
        ;
    return *path == '\0' ? "." : path;
}

static bool
has_odd_level(const char *relative)
{
    for (const char *level = relative;; level++) {
        size_t len = strcspn(level, "/");

        if (len == 0 || (len == 2 && level[0] == '.' && level[1] == '.'))
            return true;
        level += len;
        if (*level == '\0')
            return false;
    }
}

static int
open_root(const char *root, GError **error)
{
    int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        maildir_set_errno(error, "open the mail root", root);
    return fd;
}

static bool
create_maildir(const Maildir *maildir, int root_fd)
{
    return maildir_create(root_fd, maildir->relative) &&
           maildir_complete(root_fd, maildir->relative);
}

/* Makes what is missing of the Maildir and opens it. */
static bool
create_and_open(Maildir *maildir, int root_fd, GError **error)
{
    if (!create_maildir(maildir, root_fd))
        return maildir_set_errno(error, "create the Maildir", maildir->path);
    maildir->fd = maildir_open_beneath(root_fd, maildir->relative, O_PATH | O_DIRECTORY, 0);
    return maildir->fd >= 0 || maildir_set_errno(error, "open the Maildir", maildir->path);
}

/* Finds out where path lies below root. */
static bool
find_below_root(const char *path, const char *root, const char **relative_out, GError **error)
{
    *relative_out = below_root(path, root);
    if (*relative_out != NULL && !has_odd_level(*relative_out))
        return true;
    g_set_error(error, LDA_ERROR, LDA_ERROR_CONFIG,
                "Maildir '%s' is not a plain path below the mail root '%s'", path, root);
    return false;
}

static bool
open_or_create(Maildir *maildir, GError **error)
{
    lodge_autofd root_fd = open_root(maildir->root, error);

    if (root_fd < 0)
        return false;
    maildir->fd = maildir_open_beneath(root_fd, maildir->relative, O_PATH | O_DIRECTORY, 0);
    if (maildir->fd < 0 && errno != ENOENT)
        return maildir_set_errno(error, "open the Maildir", maildir->path);
    return maildir->fd >= 0 || create_and_open(maildir, root_fd, error);
}

static bool
open_maildir(Maildir *maildir, GError **error)
{
    maildir->fd = maildir_open_without_links(maildir->path, O_PATH | O_DIRECTORY);
    if (maildir->fd < 0 && !open_or_create(maildir, error))
        return false;
    return maildir_access_read(maildir->fd, &maildir->access) ||
           maildir_set_errno(error, "examine the Maildir", maildir->path);
}

Maildir *
maildir_open(const char *path, const char *root, const MaildirLayout *layout, GError **error)
{
    g_autoptr(Maildir) maildir = g_new0(Maildir, 1);

    maildir->references = 1;
    maildir->fd = -1;
    maildir->path = g_strdup(path);
    for (size_t len = strlen(path); len > 1 && maildir->path[len - 1] == '/'; len--)
        maildir->path[len - 1] = '\0';
    maildir->root = g_strdup(root);
    maildir->prefix = g_strdup(layout->prefix);
    maildir->layout = (MaildirLayout){.separator = layout->separator, .prefix = maildir->prefix};
    if (!find_below_root(maildir->path, root, &maildir->relative, error) ||
        !open_maildir(maildir, error))
        return NULL;
    return g_steal_pointer(&maildir);
}

bool
maildir_open_directory(const char *path, const char *root, int *fd_out, GError **error)
{
    const char *relative;

    if (!find_below_root(path, root, &relative, error))
        return false;
    lodge_autofd root_fd = open_root(root, error);
    if (root_fd < 0)
        return false;
    *fd_out = maildir_open_beneath(root_fd, relative, O_PATH | O_DIRECTORY, 0);
    return *fd_out >= 0 || errno == ENOENT || maildir_set_errno(error, "open the Maildir", path);
}

void
maildir_free(Maildir *maildir)
{
    if (maildir == NULL || --maildir->references > 0)
        return;
    lodge_close(&maildir->fd);
    g_free(maildir->path);
    g_free(maildir->root);
    g_free(maildir->prefix);
    g_free(maildir);
}

int
maildir_fd(const Maildir *maildir)
{
    return maildir->fd;
}

/* ---- folders ------------------------------------------------------------- */

/* As maildir_set_errno(), for a folder of the Maildir. */
static bool
set_folder_errno(GError **error, const char *what, const Maildir *maildir, const char *directory)
{
    int saved = errno;
    g_autofree char *path = g_strconcat(maildir->path, "/", directory, NULL);

    errno = saved;
    return maildir_set_errno(error, what, path);
}

/* Makes what is missing of the Maildir itself. */
static bool
repair_maildir(const Maildir *maildir, GError **error)
{
    lodge_autofd root_fd = open_root(maildir->root, error);

    if (root_fd < 0)
        return false;
    return create_maildir(maildir, root_fd) ||
           maildir_set_errno(error, "repair the Maildir", maildir->path);
}

/* A folder nobody is subscribed to is one its owner may never see; mail in it all
 * the same is better than no mail. */
static void
subscribe(const Maildir *maildir, const char *directory, const MaildirNamer *namer, gint64 now_us)
{
    const MaildirLockRequest request = {
        .owner = namer, .now_us = now_us, .wait_ms = MAILDIR_LOCK_WAIT_MS};
    g_autoptr(GError) error = NULL;

    if (!maildir_subscribe(maildir->fd, &maildir->access, directory, &request, &error))
        g_warning("cannot subscribe to '%s' in '%s': %s", directory, maildir->path, error->message);
}

static bool
has_tmp(const Maildir *maildir, const char *directory)
{
    lodge_autofd fd = maildir_open_beneath(maildir->fd, directory, O_PATH | O_DIRECTORY, 0);

    return fd >= 0 && maildir_is_complete(fd);
}

/* Makes the folder, which is new when it has no tmp/. False and errno. */
static bool
make_folder(const Maildir *maildir, const char *directory, const MaildirCopyOptions *options,
            const MaildirNamer *namer)
{
    if (!maildir_create_folder(maildir->fd, directory))
        return false;
    if (!has_tmp(maildir, directory) && (options->stage_flags & MAILDIR_NO_SUBSCRIBE) == 0)
        subscribe(maildir, directory, namer, options->now_us);
    return maildir_sync_directory(maildir->fd) && maildir_complete(maildir->fd, directory);
}

/* Makes the folder, or what is missing in it. A Maildir without tmp/ is one that somebody has
 * begun to make: the way to it may not be durable yet (maildir_create.c), and a folder in it could
 * vanish with it. */
static bool
create_folder(const Maildir *maildir, const char *directory, const MaildirCopyOptions *options,
              const MaildirNamer *namer, GError **error)
{
    if (directory[0] == '\0')
        return repair_maildir(maildir, error);
    return (maildir_is_complete(maildir->fd) || repair_maildir(maildir, error)) &&
           (make_folder(maildir, directory, options, namer) ||
            set_folder_errno(error, "create the folder", maildir, directory));
}

/* False and errno. */
static bool
open_directory(const Maildir *maildir, Folder *folder)
{
    if (folder->directory[0] == '\0') {
        folder->fd = maildir->fd;
        folder->access = maildir->access;
        return true;
    }
    folder->fd = folder->own_fd =
        maildir_open_beneath(maildir->fd, folder->directory, O_PATH | O_DIRECTORY, 0);
    return folder->fd >= 0 && maildir_access_read(folder->fd, &folder->access);
}

static bool
open_folder(const Maildir *maildir, Folder *folder, const MaildirCopyOptions *options,
            const MaildirNamer *namer, GError **error)
{
    if (open_directory(maildir, folder))
        return true;
    if (errno != ENOENT || (options->stage_flags & MAILDIR_CREATE_FOLDER) == 0)
        return set_folder_errno(error, "open the folder", maildir, folder->directory);
    if (!create_folder(maildir, folder->directory, options, namer, error))
        return false;
    return open_directory(maildir, folder) ||
           set_folder_errno(error, "open the folder", maildir, folder->directory);
}

bool
maildir_has_folder(Maildir *maildir, const char *folder, bool *exists_out, GError **error)
{
    g_autofree char *directory = maildir_folder_to_directory(&maildir->layout, folder, NULL);
    lodge_autofd fd = -1;

    *exists_out = false;
    if (directory == NULL)
        return true;
    if (directory[0] == '\0') {
        *exists_out = true;
        return true;
    }
    fd = maildir_open_beneath(maildir->fd, directory, O_PATH | O_DIRECTORY, 0);
    *exists_out = fd >= 0;
    return fd >= 0 || errno == ENOENT || errno == ENOTDIR ||
           set_folder_errno(error, "look for the folder", maildir, directory);
}

bool
maildir_folder_by_id(Maildir *maildir, const char *id, char **folder_out, GError **error)
{
    g_autofree char *directory = NULL;

    *folder_out = NULL;
    if (!maildir_find_id(maildir->fd, id, &directory))
        return maildir_set_errno(error, "look for a folder in", maildir->path);
    if (directory != NULL)
        *folder_out = maildir_directory_to_folder(&maildir->layout, directory);
    return true;
}

/* ---- staging ------------------------------------------------------------- */

static guint64
count_lines(const char *text)
{
    guint64 lines = 0;

    for (const char *p = text; (p = strchr(p, '\n')) != NULL; p++)
        lines++;
    return lines;
}

char *
maildir_name_for(MaildirNamer *namer, const Message *message, const MaildirCopyOptions *options)
{
    guint64 size = strlen(options->headers);

    return maildir_name_new(namer, options->now_us, size + message_size(message),
                            size + count_lines(options->headers) + message_virtual_size(message));
}

/* ":2,FSab", or "" when the copy goes into new/. */
static char *
info_suffix(const Maildir *maildir, const Folder *folder, const MaildirCopyOptions *options,
            MaildirNamer *namer)
{
    g_autofree char *letters = NULL;
    g_autoptr(GError) error = NULL;

    if (options->keywords != NULL && options->keywords[0] != NULL)
        letters = maildir_keywords_letters(folder->fd, &folder->access, options->keywords, namer,
                                           options->now_us, MAILDIR_LOCK_WAIT_MS, &error);
    if (error != NULL)
        g_warning("a message in '%s%s%s' goes without a keyword: %s", maildir->path,
                  folder->directory[0] == '\0' ? "" : "/", folder->directory, error->message);
    if (options->flags[0] == '\0' && (letters == NULL || letters[0] == '\0'))
        return g_strdup("");
    return g_strconcat(":2,", options->flags, letters, NULL);
}

static void
name_copy(MaildirCopy *copy, const Maildir *maildir, const Folder *folder, MaildirNamer *namer,
          Message *message, const MaildirCopyOptions *options)
{
    g_autofree char *info = info_suffix(maildir, folder, options, namer);
    const char *slash = folder->directory[0] == '\0' ? "" : "/";

    g_autofree char *made =
        options->name == NULL ? maildir_name_for(namer, message, options) : NULL;
    const char *name = made != NULL ? made : options->name;

    copy->name = g_strconcat("tmp/", name, NULL);
    copy->path = g_strconcat(maildir->path, slash, folder->directory,
                             info[0] == '\0' ? "/new/" : "/cur/", name, info, NULL);
    copy->final_name = strrchr(copy->path, '/') + 1;
}

/* O_EXCL: a name that exists, or a link of that name, is never written to. False and errno. */
static bool
make_file(MaildirCopy *copy, mode_t mode)
{
    const unsigned wanted = STATX_MODE | STATX_GID | STATX_MNT_ID;

    copy->fd = maildir_open_beneath(copy->base_fd, copy->name,
                                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
    copy->in_tmp = copy->fd >= 0;
    return copy->in_tmp && statx(copy->fd, "", AT_EMPTY_PATH, wanted, &copy->info) == 0;
}

/* Closes the file, and removes it while it is in tmp/. */
static void
close_file(MaildirCopy *copy)
{
    if (copy->in_tmp)
        (void)unlinkat(copy->base_fd, copy->name, 0); /* swept up after 36 hours otherwise */
    copy->in_tmp = false;
    lodge_close(&copy->fd);
}

/* False and errno. */
static bool
create_file(MaildirCopy *copy, const MaildirAccess *access)
{
    if (!make_file(copy, access->mode & 0666))
        return false;
    if (copy->info.stx_gid == access->gid || (copy->info.stx_mode & 077) == 0)
        return true;
    /* Another group than was meant could have opened it. */
    close_file(copy);
    return make_file(copy, 0600);
}

/* Whether it has a file of its own. */
static bool
is_own(const MaildirCopy *copy)
{
    return copy->info.stx_mask != 0;
}

static bool
set_access(const MaildirCopy *copy, const MaildirAccess *access, GError **error)
{
    return maildir_access_apply_to_known(copy->fd, copy->info.stx_mode, copy->info.stx_gid,
                                         access) ||
           maildir_set_errno(error, "set the mode of", copy->path);
}

static bool
write_copy(const MaildirCopy *copy, const MaildirCopyOptions *options, Message *message,
           GError **error)
{
    g_autoptr(GError) failure = NULL;

    if (maildir_write_message(copy->fd, options, message, &failure))
        return true;
    if (failure == NULL)
        return maildir_set_errno(error, "write", copy->path);
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
}

/* ---- one file for many ---------------------------------------------------- */

void
maildir_twin_init(MaildirTwin *twin)
{
    *twin = (MaildirTwin){.fd = -1, .base_fd = -1};
}

void
maildir_twin_clear(MaildirTwin *twin)
{
    if (twin->fd >= 0 && twin->headers == NULL)
        (void)unlinkat(twin->base_fd, twin->name, 0); /* swept up after 36 hours otherwise */
    lodge_close(&twin->fd);
    lodge_close(&twin->base_fd);
    g_clear_pointer(&twin->name, g_free);
    g_clear_pointer(&twin->headers, g_free);
}

/* Whether it has those headers, or is begun with as much room as they need. */
static bool
fits(const MaildirTwin *twin, const char *headers)
{
    return twin->headers != NULL ? strcmp(twin->headers, headers) == 0
                                 : twin->lead == strlen(headers);
}

static bool
is_twin(const MaildirTwin *twin, const MaildirAccess *access, const MaildirCopyOptions *options,
        const Message *message)
{
    return twin != NULL && twin->fd >= 0 && twin->message == message &&
           twin->stage_flags == (options->stage_flags & MAILDIR_GZIP) &&
           (twin->stage_flags == 0 || twin->gzip_level == options->gzip_level) &&
           twin->mode == (access->mode & 0666) && twin->gid == access->gid &&
           fits(twin, options->headers);
}

/* Whatever is in the way (another file system, too many links, a project of its own, a twin
 * that was taken back), a file of its own can be had. */
static bool
link_to_twin(MaildirCopy *copy, const MaildirTwin *twin)
{
    if (linkat(twin->base_fd, twin->name, copy->base_fd, copy->name, 0) != 0)
        return false;
    copy->in_tmp = true;
    copy->fd = fcntl(twin->fd, F_DUPFD_CLOEXEC, 0);
    if (copy->fd < 0)
        close_file(copy);
    return copy->fd >= 0;
}

static void
become_twin(const MaildirCopy *copy, MaildirTwin *twin, const MaildirAccess *access,
            const MaildirCopyOptions *options, const Message *message)
{
    maildir_twin_clear(twin);
    *twin = (MaildirTwin){.fd = fcntl(copy->fd, F_DUPFD_CLOEXEC, 0),
                          .base_fd = fcntl(copy->base_fd, F_DUPFD_CLOEXEC, 0),
                          .name = g_strdup(copy->name),
                          .message = message,
                          .headers = g_strdup(options->headers),
                          .stage_flags = options->stage_flags & MAILDIR_GZIP,
                          .gzip_level = options->gzip_level,
                          .mode = access->mode & 0666,
                          .gid = access->gid};
    if (twin->base_fd < 0)
        maildir_twin_clear(twin);
}

/* The file that was begun becomes the copy: but for the headers it is whole. Whatever is in the
 * way, as above. */
static bool
take_begun(MaildirCopy *copy, MaildirTwin *twin, const char *headers)
{
    copy->fd = fcntl(twin->fd, F_DUPFD_CLOEXEC, 0);
    if (copy->fd >= 0 && pwrite(copy->fd, headers, twin->lead, 0) == (ssize_t)twin->lead &&
        renameat2(twin->base_fd, twin->name, copy->base_fd, copy->name, RENAME_NOREPLACE) == 0) {
        copy->in_tmp = true;
        twin->headers = g_strdup(headers); /* nothing is only begun any more */
        return true;
    }
    lodge_close(&copy->fd);
    return false;
}

/* The copy gets a file that is there already, if one may be had. */
static bool
share(MaildirCopy *copy, const MaildirAccess *access, const Message *message,
      const MaildirCopyOptions *options)
{
    if (!is_twin(options->twin, access, options, message))
        return false;
    if (options->twin->headers != NULL)
        return link_to_twin(copy, options->twin);
    if (!take_begun(copy, options->twin, options->headers))
        return false;
    become_twin(copy, options->twin, access, options, message);
    return true;
}

/* ---- places ---------------------------------------------------------------- */

/* new/ or cur/. False and errno. */
static bool
open_directory_of(MaildirCopy *copy, const Folder *folder)
{
    const char *box = strcmp(copy->name + strlen("tmp/"), copy->final_name) == 0 ? "new" : "cur";

    copy->directory_fd = maildir_open_beneath(folder->fd, box, O_RDONLY | O_DIRECTORY, 0);
    return copy->directory_fd >= 0;
}

/* The directory where it will be, and a file in tmp/: that of a twin, or an empty one. False and
 * errno. */
static bool
open_places(MaildirCopy *copy, const Folder *folder, const Message *message,
            const MaildirCopyOptions *options)
{
    if (copy->directory_fd < 0 && !open_directory_of(copy, folder))
        return false;
    return share(copy, &folder->access, message, options) || create_file(copy, &folder->access);
}

static bool
set_places_error(const MaildirCopy *copy, GError **error)
{
    return maildir_set_errno(
        error, copy->directory_fd < 0 ? "open the directory of" : "create in tmp/ for", copy->path);
}

static bool
open_or_repair_places(const Maildir *maildir, const Folder *folder, MaildirCopy *copy,
                      const Message *message, const MaildirCopyOptions *options,
                      const MaildirNamer *namer, GError **error)
{
    if (open_places(copy, folder, message, options))
        return true;
    if (errno != ENOENT)
        return set_places_error(copy, error);
    return create_folder(maildir, folder->directory, options, namer, error) &&
           (open_places(copy, folder, message, options) || set_places_error(copy, error));
}

static bool
fill(MaildirCopy *copy, const MaildirAccess *access, Message *message,
     const MaildirCopyOptions *options, GError **error)
{
    if (!is_own(copy))
        return true;
    if (!set_access(copy, access, error) || !write_copy(copy, options, message, error))
        return false;
    if (options->twin != NULL)
        become_twin(copy, options->twin, access, options, message);
    return true;
}

/* The copy keeps open what it is below. */
static void
keep_base(MaildirCopy *copy, Maildir *maildir, Folder *folder)
{
    copy->base_fd = folder->fd;
    copy->own_fd = lodge_steal_fd(&folder->own_fd);
    if (copy->own_fd < 0) {
        copy->maildir = maildir;
        maildir->references++;
    }
}

static MaildirCopy *
stage_in(Maildir *maildir, Folder *folder, MaildirNamer *namer, Message *message,
         const MaildirCopyOptions *options, GError **error)
{
    g_autoptr(MaildirCopy) copy = g_new0(MaildirCopy, 1);

    copy->fd = copy->directory_fd = -1;
    keep_base(copy, maildir, folder);
    name_copy(copy, maildir, folder, namer, message, options);

    if (namer->sequence % SWEEP_EVERY == 0)
        (void)maildir_sweep_tmp(folder->fd, options->now_us); /* how many does not matter */
    if (!open_or_repair_places(maildir, folder, copy, message, options, namer, error) ||
        !fill(copy, &folder->access, message, options, error))
        return NULL;
    return g_steal_pointer(&copy);
}

MaildirCopy *
maildir_stage(Maildir *maildir, MaildirNamer *namer, Message *message,
              const MaildirCopyOptions *options, GError **error)
{
    const char *name = options->folder != NULL ? options->folder : "INBOX";
    g_auto(Folder) folder = {.fd = -1, .own_fd = -1};
    g_auto(GStrv) levels = maildir_folder_levels(&maildir->layout, name, error);

    if (levels == NULL)
        return NULL;
    folder.directory = maildir_levels_to_directory(name, (const char *const *)levels, error);
    if (folder.directory == NULL || !open_folder(maildir, &folder, options, namer, error))
        return NULL;

    MaildirCopy *copy = stage_in(maildir, &folder, namer, message, options, error);

    if (copy != NULL)
        copy->folder = maildir_folder_name(&maildir->layout, (const char *const *)levels);
    return copy;
}

int
maildir_copy_fd(const MaildirCopy *copy)
{
    return copy->fd;
}

const struct statx *
maildir_copy_info(const MaildirCopy *copy)
{
    return is_own(copy) ? &copy->info : NULL;
}

int
maildir_copy_directory_fd(const MaildirCopy *copy)
{
    return copy->directory_fd;
}

const char *
maildir_copy_path(const MaildirCopy *copy)
{
    return copy->path;
}

const char *
maildir_copy_folder(const MaildirCopy *copy)
{
    return copy->folder;
}

/* ---- publishing ---------------------------------------------------------- */

/* File systems without RENAME_NOREPLACE (NFS) have link(2), which never replaces;
 * those without links have only rename(2), and names that nobody else makes. */
static bool
move_without_noreplace(const MaildirCopy *copy)
{
    if (linkat(copy->base_fd, copy->name, copy->directory_fd, copy->final_name, 0) == 0) {
        /* The second name; swept up later if need be. */
        (void)unlinkat(copy->base_fd, copy->name, 0);
        return true;
    }
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
        return false;
    return renameat(copy->base_fd, copy->name, copy->directory_fd, copy->final_name) == 0;
}

/* When its name is gone because something else is in the place of tmp/. */
static bool
link_open_file(const MaildirCopy *copy, int error)
{
    if (error != ENOENT && error != ENOTDIR && error != ELOOP && error != EACCES)
        return false;

    g_autofree char *file = g_strdup_printf("/proc/self/fd/%d", copy->fd);

    return linkat(AT_FDCWD, file, copy->directory_fd, copy->final_name, AT_SYMLINK_FOLLOW) == 0;
}

/* Over NFS an answer may be lost and the call repeated: what looks like a failure
 * has been done if the file is there. */
static bool
is_published(const MaildirCopy *copy)
{
    struct stat staged, found;

    return fstat(copy->fd, &staged) == 0 &&
           fstatat(copy->directory_fd, copy->final_name, &found, AT_SYMLINK_NOFOLLOW) == 0 &&
           staged.st_ino == found.st_ino && staged.st_dev == found.st_dev;
}

bool
maildir_publish(MaildirCopy *copy, GError **error)
{
    bool moved = renameat2(copy->base_fd, copy->name, copy->directory_fd, copy->final_name,
                           RENAME_NOREPLACE) == 0;

    if (!moved && (errno == EINVAL || errno == ENOSYS || errno == EPERM))
        moved = move_without_noreplace(copy);
    if (!moved) {
        int saved = errno;

        if (!is_published(copy) && !link_open_file(copy, saved)) {
            errno = saved;
            return lodge_set_errno(error, "move the message to '%s'", copy->path);
        }
        (void)unlinkat(copy->base_fd, copy->name, 0); /* gone unless link(2) did it */
    }
    copy->in_tmp = false;
    return true;
}

void
maildir_withdraw(MaildirCopy *copy)
{
    if (!copy->in_tmp)
        (void)unlinkat(copy->directory_fd, copy->final_name, 0); /* a reader may have moved it */
}

void
maildir_copy_free(MaildirCopy *copy)
{
    if (copy == NULL)
        return;
    close_file(copy);
    lodge_close(&copy->directory_fd);
    lodge_close(&copy->own_fd);
    maildir_free(copy->maildir);
    g_free(copy->name);
    g_free(copy->path);
    g_free(copy->folder);
    g_free(copy);
}

unsigned
maildir_clean_tmp(Maildir *maildir, gint64 now_us)
{
    return maildir_sweep_all(maildir->fd, now_us);
}
