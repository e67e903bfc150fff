/* lda/maildir.h - Maildir++ on disk: folders, names, staging and publishing
 *
 * A copy is staged whole in tmp/, made durable by the caller (commit.h), then
 * published by a rename into new/, or into cur/ when it carries flags. Nothing
 * partial is ever visible to a reader. See the Maildir specification, Courier's
 * Maildir++ extension, and Dovecot's maildir format for ",S=" and ",W=".
 */
#ifndef LODGE_LDA_MAILDIR_H
#define LODGE_LDA_MAILDIR_H

#include "lodge.h"
#include "lda/message.h"

/* ---- names: pure, no I/O ------------------------------------------------ */

/* Identity of this process in file names; the clock is passed in at each use. */
typedef struct {
    char *host; /* '/' and ':' already written as \057 and \072 */
    pid_t pid;
    guint64 sequence; /* next Q; starts at a random number */
    gint64 last_us;   /* latest time used: names stay unique when the clock steps back */
} MaildirNamer;

void maildir_namer_init(MaildirNamer *namer, const char *host, pid_t pid, guint64 first_sequence);
void maildir_namer_clear(MaildirNamer *namer);

/* "seconds.M<us>P<pid>Q<n>.<host>,S=<size>,W=<virtual_size>" for the time now_us
 * (microseconds since the epoch). */
char *maildir_name_new(MaildirNamer *namer, gint64 now_us, guint64 size, guint64 virtual_size);

typedef struct {
    char separator;     /* of folder names as the user sees them: '.' or '/' */
    const char *prefix; /* namespace prefix to strip, e.g. "INBOX."; "" for none; borrowed */
} MaildirLayout;

/* Directory name of a folder: "Lists/ietf" -> ".Lists.ietf" in modified UTF-7
 * (RFC 3501 section 5.1.3); "INBOX" in any case -> "". Fails with
 * LDA_ERROR_BAD_FOLDER on an empty level, "/" or "." where they are not the
 * separator, "..", control characters, invalid UTF-8, or a name over 255 octets. */
char *maildir_folder_to_directory(const MaildirLayout *layout, const char *folder, GError **error);

/* The folder of a directory as the user names it; NULL when no folder has that directory. Free
 * with g_free(). */
char *maildir_directory_to_folder(const MaildirLayout *layout, const char *directory);

/* ---- one mailbox, open for one delivery --------------------------------- */

typedef struct Maildir Maildir;

/* Opens the Maildir at the absolute path, creating it (and missing parents
 * below root, never root itself) with its parent's mode for owner and group and
 * no rights for others, durably. Fails
 * with G_FILE_ERROR; the message names the path, and on EACCES the uid, gid and
 * mode in the way. Fails with LDA_ERROR_CONFIG when path is not below root. No
 * symbolic link below root is followed out of it. */
Maildir *maildir_open(const char *path, const char *root, const MaildirLayout *layout,
                      GError **error);
void maildir_free(Maildir *maildir); /* NULL is fine */

/* Its directory, opened with O_PATH; for as long as maildir lives. */
int maildir_fd(const Maildir *maildir);

/* Only opens the directory (O_PATH), to look at it: *fd_out is -1 when it is not there. Fails
 * as maildir_open(). */
bool maildir_open_directory(const char *path, const char *root, int *fd_out, GError **error);

/* Whether there is such a folder; one that cannot be named is not there. Fails with
 * G_FILE_ERROR. */
bool maildir_has_folder(Maildir *maildir, const char *folder, bool *exists_out, GError **error);

/* The folder that Dovecot knows by this id: the GUID in its dovecot-uidlist, which stays when
 * the folder is renamed. *folder_out is NULL when there is none. Fails with G_FILE_ERROR. */
bool maildir_folder_by_id(Maildir *maildir, const char *id, char **folder_out, GError **error);

typedef enum {
    MAILDIR_CREATE_FOLDER = 1 << 0, /* make it if missing, and subscribe */
    MAILDIR_GZIP = 1 << 1,          /* store compressed; S= and W= stay uncompressed */
    MAILDIR_NO_SUBSCRIBE = 1 << 2,  /* do not subscribe to what is made */
} MaildirStageFlags;

/* The latest copy of a message that has a file of its own, so that the next of the same octets
 * may be a link to it. Or one that was only begun, with a message and without headers: the next
 * that can be the same file takes it. To be cleared before the message is gone. */
typedef struct {
    int fd, base_fd; /* of the copy's file and directory, opened once more; -1: none yet */
    char *name;      /* below base_fd */
    const Message *message;
    char *headers;                 /* NULL: it was only begun */
    size_t lead;                   /* octets left for headers then */
    MaildirStageFlags stage_flags; /* MAILDIR_GZIP or not */
    int gzip_level;
    mode_t mode;
    gid_t gid;
} MaildirTwin;

void maildir_twin_init(MaildirTwin *twin);
void maildir_twin_clear(MaildirTwin *twin); /* removes what was only begun */

/* Begins a copy before all of message is there: an empty file in tmp/ of the Maildir at path, if
 * that is there, for message to be written to twin->fd behind lead octets. False: there can be
 * none; whoever stages later will be told why. */
bool maildir_twin_begin(MaildirTwin *twin, const char *path, const char *root, MaildirNamer *namer,
                        gint64 now_us);

/* What to store, beside the message itself. */
typedef struct {
    const char *folder;          /* as the user names it; NULL or "INBOX" */
    const char *name;            /* maildir_name_for(), when it must be known before; or NULL */
    const char *headers;         /* prepended, LF line ends, may be "" */
    const char *flags;           /* of "DFPRST", ascending; "" and no keywords: new/ */
    const char *const *keywords; /* NULL-terminated, or NULL */
    MaildirStageFlags stage_flags;
    int gzip_level; /* 1 to 9 */
    gint64 now_us;
    MaildirTwin *twin; /* NULL: the copy has a file of its own; else for copies of one owner */
} MaildirCopyOptions;

/* The name of such a copy, without its flags. Free with g_free(). */
char *maildir_name_for(MaildirNamer *namer, const Message *message,
                       const MaildirCopyOptions *options);

typedef struct MaildirCopy MaildirCopy;

/* Writes the copy into tmp/ of the folder; not yet durable, not yet visible.
 * Fails with G_FILE_ERROR (G_FILE_ERROR_NOENT: the folder does not exist and was
 * not to be created) or LDA_ERROR_BAD_FOLDER. A failure leaves nothing behind. A
 * keyword or subscription that cannot be entered in Dovecot's files in time is a
 * g_warning() and no failure. With a twin of the same octets, mode and group the copy is a link
 * to its file where the file system makes one. One call in 64 also removes old files in that tmp/.
 * The copy holds two descriptors, and a third in a folder, and may outlive the Maildir, which then
 * stays open. */
MaildirCopy *maildir_stage(Maildir *maildir, MaildirNamer *namer, Message *message,
                           const MaildirCopyOptions *options, GError **error);

int maildir_copy_fd(const MaildirCopy *copy); /* the staged file, for commit_contents() */
const struct statx *maildir_copy_info(const MaildirCopy *copy); /* the same; NULL: not known */
int maildir_copy_directory_fd(const MaildirCopy *copy);   /* new/ or cur/, for commit_names() */
const char *maildir_copy_path(const MaildirCopy *copy);   /* where it lies once published */
const char *maildir_copy_folder(const MaildirCopy *copy); /* "INBOX", "Lists.ietf" */

/* Renames the copy from tmp/ to its place. Never replaces a file. */
bool maildir_publish(MaildirCopy *copy, GError **error);

/* Takes back what was published, when its directory could not be made durable:
 * the recipient will be told "later", so the copy must not stay. */
void maildir_withdraw(MaildirCopy *copy);

/* Removes a copy that was staged and not published, and frees it; NULL is fine. */
void maildir_copy_free(MaildirCopy *copy);

/* Removes files in tmp/ of every folder that are older than 36 hours; returns how many. */
#define MAILDIR_TMP_AGE_S (36 * 3600)
unsigned maildir_clean_tmp(Maildir *maildir, gint64 now_us);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Maildir, maildir_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MaildirCopy, maildir_copy_free)
#endif
