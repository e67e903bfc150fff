/* quota/usage_file.h - "maildirsize" on the disk
 *
 * Courier, Dovecot and Exim write it too, and know nothing of our mutex: they add lines, and put
 * a new file in its place. All functions are to be called under the mutex, so that we at least
 * are one at a time.
 */
#ifndef LODGE_QUOTA_USAGE_FILE_H
#define LODGE_QUOTA_USAGE_FILE_H

#include "lodge.h"
#include "quota/maildirsize.h"
#include "quota/quota.h"

/* What tells one state of the file from another: whoever adds a line makes it longer, whoever puts
 * a new one in its place makes another inode, and all change the times. */
typedef struct {
    guint64 inode; /* 0: not known */
    guint64 size;
    gint64 modified_ns;
    gint64 changed_ns;
} UsageStamp;

/* What the file said in that state. */
typedef struct {
    UsageStamp stamp;
    MaildirsizeContent content;
} UsageKnown;

typedef struct {
    int dir_fd;     /* borrowed: the Maildir */
    bool is_shared; /* other hosts write too */
    int fd;         /* -1: there is none */
    size_t size;    /* octets that content is of */
    guint64 device;
    UsageStamp stamp; /* when it was opened, written or appended to */
    MaildirsizeContent content;
    bool has_others; /* lines were added by others between usage_file_open() and ours */
} UsageFile;

#define USAGE_FILE_CLOSED(maildir_fd, shared) \
    ((UsageFile){.dir_fd = (maildir_fd), .is_shared = (shared), .fd = -1})

/* Opens the one that is there now, and reads it unless known (NULL: nothing) is of that very state.
 * No file, and one that is none to read (a link), is no failure: fd is -1 and the content damaged.
 * Fails with G_FILE_ERROR. */
bool usage_file_open(UsageFile *file, const UsageKnown *known, GError **error);
void usage_file_close(UsageFile *file);

/* For a later usage_file_open(). The inode is 0 when content is not that of stamp. */
UsageKnown usage_file_known(const UsageFile *file);

/* On shared storage, opens and reads the same file once more: fd is -1 afterwards when the Maildir
 * has another by now. Elsewhere there is nothing to do, usage_file_append() tells. */
bool usage_file_refresh(UsageFile *file, GError **error);

/* Writes a new one, in the place of what is there: usage as counted under limits. */
bool usage_file_write(UsageFile *file, const QuotaLimits *limits, const QuotaUsage *usage,
                      GError **error);

/* Writes a new one likewise that says what file says in two lines: the count, and all changes
 * since, so that others know as before what was counted. Lines that they have added to the old one
 * by the time it is out of the way are in the new one, too. False: the mailbox is to be counted;
 * file was cut short when it was read, another one stood in its place, or the file system cannot
 * exchange two files, as NFS cannot. */
bool usage_file_condense(UsageFile *file);

/* Adds a line; content then has it, and all that others have added. *is_current_out is false when
 * another file stands in its place by now, which may or may not know of what the line says. */
bool usage_file_append(UsageFile *file, gint64 octets, gint64 messages, bool *is_current_out,
                       GError **error);

/* Removes the one that is there: whoever asks next counts. */
bool usage_file_remove(const UsageFile *file, GError **error);

#endif
