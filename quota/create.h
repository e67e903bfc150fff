/* quota/create.h - a file of the mailbox, with the rights of the mailbox */
#ifndef LODGE_QUOTA_CREATE_H
#define LODGE_QUOTA_CREATE_H

#include "lodge.h"

/* Makes the file name, which may not exist, in the Maildir at dir_fd, open for reading and
 * writing; flags are added to open(2)'s. Whoever may read or write the Maildir may read or write
 * it, as Dovecot and Courier have it with "maildirsize". Returns -1 with errno. */
int quota_create_file(int dir_fd, const char *name, int flags);

#endif
