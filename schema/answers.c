/* schema/answers.c - mailboxes found lately, for as long as the map is unchanged
 *
 * SQLite raises the change counter in the header of the file with each commit. An
 * answer is kept together with the header as it was in the transaction that gave
 * the answer, and used while the file still has that header: one read, without the
 * locks that a question costs. What is compared is what SQLite compares before it
 * trusts its own cache of pages (bytes 24 to 39), so that we are deceived by nothing
 * that does not deceive SQLite too, such as a copy written over the open file.
 *
 * Why a read without a lock is enough. A writer changes the file only under an
 * exclusive lock, and has committed when it removes its journal, which it does after
 * the whole file, header included, is on disk. So the read finds either
 *   - the old header (a mixture of two is neither): no commit was finished before
 *     the read, and the old answer is what a question at that moment would have got;
 *   - or another: we ask, under SQLite's locks, and get the new answer, or the old
 *     one if the commit was undone, or none if a journal is left that a reader must
 *     not undo.
 * The number of a commit that was undone is used again, for the next one. It does no
 * harm: the header that is kept with an answer is read under the shared lock of the
 * question, which no writer's half-done work can be in the file with.
 *
 * In WAL mode (bytes 18 and 19 are 2) commits leave the file alone: nothing is kept.
 * On NFS a read without a lock may come from the client's cache, and an answer so be
 * as old as the mount lets attributes be.
 *
 * The header is read through SQLite's own file: closing another descriptor of it
 * would drop SQLite's locks, which are POSIX locks of the process.
 */
#include "schema/answers.h"

/* File format versions, change counter, size, free list (SQLite file format, 1.3). */
#define STATE_OFFSET 18
typedef struct {
    uint8_t write_version; /* 1: rollback journal */
    uint8_t read_version;
    uint8_t rest[20]; /* bytes 20 to 39 */
} State;

struct Answers {
    sqlite3_file *file; /* SQLite's; NULL: nothing is kept */
    GHashTable *mailboxes;
    State state; /* of the file when they were found */
};

static void
free_mailbox(gpointer mailbox)
{
    mailbox_free(mailbox);
}

Answers *
answers_new(sqlite3 *db)
{
    Answers *answers = g_new0(Answers, 1);

    answers->mailboxes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_mailbox);
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &answers->file) != SQLITE_OK)
        answers->file = NULL;
    return answers;
}

void
answers_free(Answers *answers)
{
    if (answers == NULL)
        return;
    g_hash_table_destroy(answers->mailboxes);
    g_free(answers);
}

/* False if it cannot be read or does not count the changes. */
static bool
read_state(const Answers *answers, State *state_out)
{
    sqlite3_file *file = answers->file;

    return file != NULL && file->pMethods != NULL &&
           file->pMethods->xRead(file, state_out, sizeof *state_out, STATE_OFFSET) == SQLITE_OK &&
           state_out->write_version == 1 && state_out->read_version == 1;
}

const Mailbox *
answers_find(const Answers *answers, const char *address)
{
    return g_hash_table_lookup(answers->mailboxes, address);
}

bool
answers_hold(const Answers *answers)
{
    State now;

    return read_state(answers, &now) && memcmp(&now, &answers->state, sizeof now) == 0;
}

void
answers_add(Answers *answers, const char *address, const Mailbox *mailbox)
{
    State now;
    bool counted = read_state(answers, &now);

    if (!counted || memcmp(&now, &answers->state, sizeof now) != 0 ||
        g_hash_table_size(answers->mailboxes) >= ANSWERS_MAX)
        g_hash_table_remove_all(answers->mailboxes);
    if (!counted)
        return;
    answers->state = now;
    g_hash_table_insert(answers->mailboxes, g_strdup(address), mailbox_copy(mailbox));
}
