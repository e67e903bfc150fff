/* lda/maildir_parts.h - what the files behind maildir.h share
 *
 * Nobody but lda/maildir*.c and their tests includes this. Every directory here is
 * a descriptor: no name that came from outside is ever resolved from "/", unless no link can be
 * on its way.
 */
#ifndef LODGE_LDA_MAILDIR_PARTS_H
#define LODGE_LDA_MAILDIR_PARTS_H

#include "lodge.h"
#include "lda/maildir.h"

/* ---- maildir_folder.c --------------------------------------------------- */

/* Levels of a folder, UTF-8, the namespace's prefix taken off and "INBOX" in any
 * case written so where it is the first of several; empty for INBOX itself. Fails
 * as maildir_folder_to_directory(). */
char **maildir_folder_levels(const MaildirLayout *layout, const char *folder, GError **error);

/* As maildir_folder_to_directory(), for the levels of folder. */
char *maildir_levels_to_directory(const char *folder, const char *const *levels, GError **error);

/* The folder's name as an IMAP client sees it. */
char *maildir_folder_name(const MaildirLayout *layout, const char *const *levels);

/* ---- maildir_beneath.c -------------------------------------------------- */

/* openat(2) that no symbolic link and no ".." leads out of dir_fd. Returns -1 and
 * errno; EXDEV: the path leads out. */
int maildir_open_beneath(int dir_fd, const char *path, int flags, mode_t mode);

/* The same for kernels without openat2(2): refuses every symbolic link. */
int maildir_open_nofollow(int dir_fd, const char *path, int flags, mode_t mode);

/* open(2) of an absolute path on which there is no symbolic link. Returns -1 and errno, also
 * where the kernel has no such call. */
int maildir_open_without_links(const char *path, int flags);

/* Makes the entries of the directory durable; dir_fd may be O_PATH. False and errno. */
bool maildir_sync_directory(int dir_fd);

/* Reads a regular file of at most limit octets. NULL and errno. */
GString *maildir_read_file(int dir_fd, const char *name, size_t limit);

/* Writes all of it. False and errno. */
bool maildir_write_all(int fd, const char *bytes, size_t len);

/* As lodge_set_errno(), for a path that was to be opened, made or written. EACCES goes
 * on with who we are and which directory is in the way, EXDEV speaks of the link that
 * leads out, EDQUOT is G_FILE_ERROR_NOSPC. Always false. */
bool maildir_set_errno(GError **error, const char *what, const char *path);

/* ---- maildir_create.c --------------------------------------------------- */

/* How what is created in a directory must look. */
typedef struct {
    mode_t mode; /* of directories; of files, without the x bits */
    gid_t gid;
} MaildirAccess;

/* Reads it from the directory everything in it is modelled on. False and errno. */
bool maildir_access_read(int dir_fd, MaildirAccess *access_out);

/* Gives a file we have just made the group and mode that access asks for. False
 * and errno. */
bool maildir_access_apply_to_file(int fd, const MaildirAccess *access);

/* The same where mode and group of the file are known. */
bool maildir_access_apply_to_known(int fd, mode_t mode, gid_t gid, const MaildirAccess *access);

/* Makes the Maildir at path, relative to base_fd, with its missing parents, but for its
 * tmp/. Durable when it returns, whoever made it: several processes may do this at once.
 * False and errno. */
bool maildir_create(int base_fd, const char *path);

/* The same for a folder of a Maildir, whose name in the Maildir is not durable yet. */
bool maildir_create_folder(int maildir_fd, const char *directory);

/* Makes its tmp/, the sign for others that all is done. False and errno. */
bool maildir_complete(int base_fd, const char *path);

/* Whether there is one. */
bool maildir_is_complete(int fd);

/* ---- maildir_write.c ---------------------------------------------------- */

/* Writes headers and message, compressed if options say so. False with errno, when
 * *error stays NULL: the caller knows the file's name; else with *error. */
bool maildir_write_message(int fd, const MaildirCopyOptions *options, Message *message,
                           GError **error);

/* ---- maildir_sweep.c ---------------------------------------------------- */

/* Removes old files in tmp/ of one folder, or of the Maildir and all its folders;
 * returns how many. */
unsigned maildir_sweep_tmp(int folder_fd, gint64 now_us);
unsigned maildir_sweep_all(int maildir_fd, gint64 now_us);

/* ---- maildir_id.c ------------------------------------------------------- */

/* The directory of the folder, "" for the Maildir itself, whose dovecot-uidlist has the GUID id;
 * NULL in *directory_out when there is none. False and errno. */
bool maildir_find_id(int maildir_fd, const char *id, char **directory_out);

/* ---- maildir_lock.c ----------------------------------------------------- */

/* Dovecot's dotlocks, and who asks for one when. */
typedef struct {
    const MaildirNamer *owner; /* host and pid are written into the lock */
    gint64 now_us;
    unsigned wait_ms; /* 0: one try */
} MaildirLockRequest;

#define MAILDIR_LOCK_WAIT_MS 500 /* nobody's delivery waits longer for a convenience */
#define MAILDIR_LOCK_STALE_S 120 /* Dovecot touches the locks it keeps for longer */

/* Creates the lock file and returns it, empty, for writing; -1 and errno (EAGAIN:
 * somebody else holds it). Released by unlink or rename. */
int maildir_lock(int dir_fd, const char *name, const MaildirLockRequest *request);

/* ---- maildir_keywords.c ------------------------------------------------- */

/* Letters for keywords in the folder, ascending, entering new ones in its
 * dovecot-keywords. A keyword that is not an IMAP atom, that would be the
 * twenty-seventh, or that cannot be entered in time is left out: a message without
 * its label is better than one that is late. Then *error says why. */
char *maildir_keywords_letters(int folder_fd, const MaildirAccess *access,
                               const char *const *keywords, MaildirNamer *namer, gint64 now_us,
                               unsigned wait_ms, GError **error);

/* ---- maildir_subscriptions.c -------------------------------------------- */

/* Adds a folder, named by its directory (".Lists.ietf"), to the subscriptions of
 * the Maildir unless it is there. Durable with the next fsync of the Maildir. */
bool maildir_subscribe(int maildir_fd, const MaildirAccess *access, const char *directory,
                       const MaildirLockRequest *request, GError **error);

#endif
