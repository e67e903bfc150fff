/* lda/commit.h - the durability barrier
 *
 * Everything a transaction has staged is made durable in one call, then, after
 * publishing, every directory it touched in another. The items are independent:
 * each gets its own result, so one recipient's failing disk is not another's.
 */
#ifndef LODGE_LDA_COMMIT_H
#define LODGE_LDA_COMMIT_H

#include "lodge.h"

typedef struct {
    int fd;    /* file or directory, open for as long as the call lasts; -1: skip */
    int error; /* out: 0 when durable, else errno */
} CommitItem;

/* fsyncs every item. An item whose file was already synced by an earlier item
 * (same device and inode) costs nothing and shares its result. */
void commit_sync(CommitItem *items, size_t count);

#endif
