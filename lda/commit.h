/* lda/commit.h - the durability barrier
 *
 * The contents of everything a transaction has staged are made durable in one call, then, after
 * publishing, the names in every directory it touched in another. The items are independent:
 * each gets its own result, so one recipient's failing disk is not another's.
 */
#ifndef LODGE_LDA_COMMIT_H
#define LODGE_LDA_COMMIT_H

#include "lodge.h"

struct statx;

typedef struct {
    int fd;                   /* file or directory, open for as long as the call lasts; -1: skip */
    int error;                /* out: 0 when durable, else errno */
    const struct statx *info; /* for journal_of(); NULL: not known */
} CommitItem;

/* What a process keeps between its calls; next to nothing until there are several items at once. */
typedef struct Commit Commit;
Commit *commit_new(void);
void commit_free(Commit *commit); /* NULL is fine */

/* In both calls commit may be NULL for a single item.
 *
 * Files that were written and get their names afterwards: each is durable, or, where the file
 * system sees to that (journal.h), will be before such a name is. An item whose file is already
 * that of an earlier item (same device and inode) costs nothing and shares its result. */
void commit_contents(Commit *commit, CommitItem *items, size_t count);

/* Directories, in the order in which names in them were last changed; every one has been changed.
 */
void commit_names(Commit *commit, CommitItem *items, size_t count);

/* Begins with those whose names are there while names in others are still to be changed: the first
 * count items of what commit_names() is given afterwards, which must stay where they are until
 * then. Without any effect where nothing is gained by it. May be called again as their number
 * grows; commit is not NULL. */
void commit_names_begin(Commit *commit, CommitItem *items, size_t count);

#endif
