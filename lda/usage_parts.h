/* lda/usage_parts.h - what the files behind usage.h share
 *
 * Nobody but lda/usage.c, usage_database.c, usage_total.c and its test includes this.
 */
#ifndef LODGE_LDA_USAGE_PARTS_H
#define LODGE_LDA_USAGE_PARTS_H

#include "lodge.h"
#include "lda/usage.h"

#include <sqlite3.h>

typedef enum {
    SQL_BEGIN,
    SQL_BEGIN_READING,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_PUT,
    SQL_PUT_DOMAIN,
    SQL_GROW,
    SQL_END_HOLD,
    SQL_GET_DOMAIN,
    SQL_HAS_USER,
    SQL_SUM,
    SQL_SUM_HOLDS,
    SQL_ADD_UP,
    SQL_ADD_HOLD,
    SQL_SET_FULL,
    SQL_CLAIM,
    SQL_STAMPS,
    SQL_FORGET,
    SQL_REFRESHED,
    SQL_OWNERS,
    SQL_DROP_OWNER,
    SQL_STATEMENTS
} UsageStatement;

struct Usage {
    char *path;
    unsigned timeout_ms;
    sqlite3 *db; /* NULL: not open */
    sqlite3_stmt *prepared[SQL_STATEMENTS];
    dev_t dev;
    ino_t ino;
    int lock_fd;
    gint64 owner;      /* of holds: the octet of the lock */
    GHashTable *notes; /* user -> Note */
    GArray *ended;     /* of EndedHold */
};

/* ---- usage_database.c ---------------------------------------------------- */

/* What was prepared is gone; the next transaction opens the file again. */
void usage_close(Usage *usage);

/* Whether the process that has something set aside may still end it. */
bool usage_owner_is_alive(const Usage *usage, gint64 owner);

/* The statement with its values, which must outlive its steps: 't' for a text (NULL: NULL), 'i' for
 * a gint64. To be reset after its steps. NULL after an error. */
sqlite3_stmt *usage_start(Usage *usage, UsageStatement which, const char *types, ...);
void usage_reset(sqlite3_stmt *stmt);

/* A statement without rows. */
bool usage_run(Usage *usage, UsageStatement which, const char *types, ...);

/* Begins to write, once others have ended. */
bool usage_begin(Usage *usage, unsigned timeout_ms, GError **error);

/* Holds up nobody, and waits for nobody where there is a write-ahead log. */
bool usage_begin_reading(Usage *usage, GError **error);

/* Ends what one of both began: done says how. After a failure the file is opened again next time,
 * it may be another one by then. */
bool usage_end(Usage *usage, bool done, GError **error);

/* ---- usage.c -------------------------------------------------------------- */

/* Within a transaction. */
bool usage_write_notes(Usage *usage);

/* Once it is committed. */
void usage_forget_notes(Usage *usage);

/* As SQLite can hold it. */
gint64 usage_to_number(guint64 value);

#endif
