/* lda/usage.c - what mailboxes hold, all in one database; see usage.h
 *
 *   settle ──▶ notes (memory) ──▶ usage_flush(): BEGIN, rows, COMMIT ──▶ quota_usage
 *   stage ──▶ usage_admit(): BEGIN, notes, sum of the domain, quota_holds, COMMIT
 *
 * Transactions that write are IMMEDIATE: what was read is still so when it is written upon, and
 * those who come at once wait for each other at the start, where SQLite waits. Not synchronous:
 * after a loss of power rows may be old, which the next delivery or refresh mends.
 *
 * Who has set something aside holds a lock on one octet of FILE.lock, chosen at random, as long
 * as the process lives: the lock goes with it, however it ends, and with it what it had
 * set aside is known to be nobody's. The write-ahead log is kept when the last one closes the
 * file, so that a panel with no right to write can read it.
 */
#include "lda/usage.h"

#include <sqlite3.h>
#include <sys/stat.h>

enum {
    NOTES_MAX = 10000, /* a file that cannot be written must not fill the memory */
    VERSION = 1,
};

/* A clock that was set back must not leave a row as it is for ever. */
#define CLOCK_BACK_US "3600000000"

typedef enum {
    BEGIN,
    BEGIN_READING,
    COMMIT,
    ROLLBACK,
    PUT,
    GROW,
    END_HOLD,
    GET_DOMAIN,
    HAS_USER,
    SUM,
    SUM_HOLDS,
    ADD_HOLD,
    SET_FULL,
    CLAIM,
    STAMPS,
    FORGET,
    REFRESHED,
    OWNERS,
    DROP_OWNER,
    STATEMENTS
} Statement;

static const char *const statements[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [BEGIN_READING] = "BEGIN",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [PUT] = "INSERT INTO quota_usage(username, domain, bytes, messages, measured_us, stamp)"
            " VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(username) DO UPDATE SET"
            " domain = ?2, bytes = ?3, messages = ?4, measured_us = ?5, stamp = ?6"
            " WHERE measured_us IS NULL OR measured_us <= ?5"
            " OR measured_us > ?5 + " CLOCK_BACK_US,
    [GROW] = "UPDATE quota_usage SET stamp = NULL,"
             " bytes = bytes + (SELECT bytes FROM quota_holds WHERE id = ?1),"
             " messages = messages + (SELECT messages FROM quota_holds WHERE id = ?1)"
             " WHERE username = (SELECT username FROM quota_holds WHERE id = ?1)",
    [END_HOLD] = "DELETE FROM quota_holds WHERE id = ?1",
    [GET_DOMAIN] = "SELECT refreshed_us, full_since_us FROM quota_domains WHERE domain = ?1",
    [HAS_USER] = "SELECT 1 FROM quota_usage WHERE username = ?1",
    /* total() does not fail for numbers of others that are nonsense, and is exact to 2^53. */
    [SUM] = "SELECT total(max(bytes, 0)), total(max(messages, 0)) FROM quota_usage"
            " WHERE domain = ?1",
    [SUM_HOLDS] = "SELECT total(bytes), total(messages) FROM quota_holds WHERE domain = ?1",
    [ADD_HOLD] = "INSERT INTO quota_holds(owner, username, domain, bytes, messages)"
                 " VALUES(?1, ?2, ?3, ?4, ?5)",
    [SET_FULL] = "UPDATE quota_domains SET full_since_us = ?2 WHERE domain = ?1",
    [CLAIM] = "UPDATE quota_domains SET refreshed_us = ?2 WHERE domain = ?1"
              " AND refreshed_us NOT BETWEEN ?2 - ?3 AND ?2",
    [STAMPS] = "SELECT username, coalesce(stamp, '') FROM quota_usage WHERE domain = ?1",
    [FORGET] = "DELETE FROM quota_usage WHERE username = ?1",
    [REFRESHED] = "INSERT INTO quota_domains(domain, refreshed_us) VALUES(?1, ?2)"
                  " ON CONFLICT(domain) DO UPDATE SET refreshed_us = ?2",
    [OWNERS] = "SELECT DISTINCT owner FROM quota_holds WHERE domain = ?1",
    [DROP_OWNER] = "DELETE FROM quota_holds WHERE owner = ?1",
};

/* What is summed up is in the indexes: the sum of a domain reads nothing else. */
static const char schema_sql[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE IF NOT EXISTS quota_usage(username TEXT NOT NULL PRIMARY KEY,"
    " bytes INTEGER NOT NULL DEFAULT 0, messages INTEGER NOT NULL DEFAULT 0,"
    " domain TEXT, measured_us INTEGER, stamp TEXT) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS quota_usage_domain ON quota_usage(domain, bytes, messages);"
    "CREATE TABLE IF NOT EXISTS quota_holds(id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " owner INTEGER NOT NULL, username TEXT NOT NULL, domain TEXT NOT NULL,"
    " bytes INTEGER NOT NULL, messages INTEGER NOT NULL);"
    "CREATE INDEX IF NOT EXISTS quota_holds_domain ON quota_holds(domain, bytes, messages);"
    "CREATE TABLE IF NOT EXISTS quota_domains(domain TEXT NOT NULL PRIMARY KEY,"
    " refreshed_us INTEGER NOT NULL, full_since_us INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"
    "PRAGMA user_version = 1;"
    "COMMIT";

typedef struct {
    char *user;
    QuotaUsage stored;
    gint64 measured_us;
    char *stamp;
} Note;

typedef struct {
    gint64 id;
    bool is_stored; /* its octets are to be added to the row */
} EndedHold;

struct Usage {
    char *path;
    unsigned timeout_ms;
    sqlite3 *db; /* NULL: not open */
    sqlite3_stmt *prepared[STATEMENTS];
    dev_t dev;
    ino_t ino;
    int lock_fd;
    gint64 owner;      /* of holds: the octet of the lock */
    GHashTable *notes; /* user -> Note */
    GArray *ended;     /* of EndedHold */
};

/* ---- the file ------------------------------------------------------------ */

static bool
set_error(const Usage *usage, const char *what, GError **error)
{
    int code = sqlite3_errcode(usage->db) & 0xff;
    int system = sqlite3_system_errno(usage->db);

    if (system != 0 && (code == SQLITE_CANTOPEN || code == SQLITE_IOERR)) {
        errno = system;
        return lodge_set_errno(error, "%s '%s'", what, usage->path);
    }
    g_set_error(error, G_FILE_ERROR, code == SQLITE_FULL ? G_FILE_ERROR_NOSPC : G_FILE_ERROR_FAILED,
                "cannot %s '%s': %s", what, usage->path,
                code == SQLITE_BUSY ? "it stayed locked by another process"
                                    : sqlite3_errmsg(usage->db));
    return false;
}

static void
close_file(Usage *usage)
{
    for (size_t i = 0; i < STATEMENTS; i++) {
        (void)sqlite3_finalize(usage->prepared[i]); /* repeats the error of its last step */
        usage->prepared[i] = NULL;
    }
    (void)sqlite3_close_v2(usage->db); /* cannot fail */
    usage->db = NULL;
}

/* An empty file is an empty database. Its log and what is shared get the same mode: who is in
 * the group of the file may read it. */
static bool
create_file(const Usage *usage, GError **error)
{
    const int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
    lodge_autofd fd = open(usage->path, flags, 0640);

    if (fd < 0 && errno == ENOENT) {
        g_autofree char *directory = g_path_get_dirname(usage->path);

        if (g_mkdir_with_parents(directory, 0750) != 0)
            return lodge_set_errno(error, "create the directory '%s'", directory);
        fd = open(usage->path, flags, 0640);
    }
    if (fd < 0)
        return errno == EEXIST || lodge_set_errno(error, "create '%s'", usage->path);
    (void)fchmod(fd, 0640); /* whatever the umask; without it a panel cannot read, no more */
    return true;
}

/* Locks an octet of our own, and keeps it: what we have set aside is ours even if the database
 * must be opened again. Two processes with the same one would need two equal numbers of 62
 * bits. */
static bool
take_owner(Usage *usage, GError **error)
{
    g_autofree char *path = g_strconcat(usage->path, ".lock", NULL);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};

    if (usage->lock_fd >= 0)
        return true;
    usage->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (usage->lock_fd < 0)
        return lodge_set_errno(error, "open '%s'", path);
    /* Not GLib's numbers: those of processes that were forked from one are the same. */
    if (getentropy(&usage->owner, sizeof usage->owner) != 0)
        usage->owner = g_get_real_time();
    usage->owner &= G_MAXINT64 / 2;
    lock.l_start = usage->owner;
    if (fcntl(usage->lock_fd, F_OFD_SETLK, &lock) == 0)
        return true;
    lodge_close(&usage->lock_fd);
    return lodge_set_errno(error, "lock '%s'", path);
}

static bool
is_alive(const Usage *usage, gint64 owner)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = owner, .l_len = 1};

    /* A lock of ours is not told; one that cannot be asked for is left alone. */
    return owner == usage->owner || owner < 0 || fcntl(usage->lock_fd, F_OFD_GETLK, &lock) != 0 ||
           lock.l_type != F_UNLCK;
}

static bool
has_schema(const Usage *usage)
{
    sqlite3_stmt *stmt = NULL;
    bool has = sqlite3_prepare_v2(usage->db, "PRAGMA user_version", -1, &stmt, NULL) == SQLITE_OK &&
               sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_int(stmt, 0) >= VERSION;

    (void)sqlite3_finalize(stmt);
    return has;
}

static bool
prepare_file(Usage *usage)
{
    static const char settings[] = "PRAGMA synchronous = OFF; PRAGMA cache_size = -256;"
                                   "PRAGMA temp_store = MEMORY";
    int keep_log = 1;

    /* These only set what the connection will do. */
    (void)sqlite3_busy_timeout(usage->db, (int)usage->timeout_ms);
    (void)sqlite3_db_config(usage->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    (void)sqlite3_db_config(usage->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_file_control(usage->db, "main", SQLITE_FCNTL_PERSIST_WAL, &keep_log);
    if (sqlite3_exec(usage->db, settings, NULL, NULL, NULL) != SQLITE_OK)
        return false;
    if (has_schema(usage))
        return true;
    /* Another process may be at it too; without the log it is slower, no more. */
    (void)sqlite3_exec(usage->db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
    return sqlite3_exec(usage->db, schema_sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* The identity is taken before the file is opened: replaced in between, the next transaction
 * sees a difference and opens again. */
static bool
open_file(Usage *usage, GError **error)
{
    struct stat info;

    if (!create_file(usage, error))
        return false;
    if (stat(usage->path, &info) != 0)
        return lodge_set_errno(error, "open '%s'", usage->path);
    usage->dev = info.st_dev;
    usage->ino = info.st_ino;
    if (!take_owner(usage, error))
        return false;
    if (sqlite3_open_v2(usage->path, &usage->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK ||
        !prepare_file(usage))
        return set_error(usage, "open", error);
    return true;
}

bool
usage_open(Usage *usage, GError **error)
{
    struct stat info;

    if (usage->db != NULL &&
        (stat(usage->path, &info) != 0 || info.st_dev != usage->dev || info.st_ino != usage->ino)) {
        close_file(usage); /* it was removed or replaced, and what was set aside with it */
        lodge_close(&usage->lock_fd);
    }
    if (usage->db != NULL || open_file(usage, error))
        return true;
    close_file(usage);
    return false;
}

static void
note_free(void *data)
{
    Note *note = data;

    g_free(note->user);
    g_free(note->stamp);
    g_free(note);
}

Usage *
usage_new(const char *path, unsigned timeout_ms)
{
    Usage *usage = g_new0(Usage, 1);

    usage->path = g_strdup(path);
    usage->timeout_ms = timeout_ms;
    usage->lock_fd = -1;
    usage->notes = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, note_free);
    usage->ended = g_array_new(FALSE, FALSE, sizeof(EndedHold));
    return usage;
}

void
usage_free(Usage *usage)
{
    if (usage == NULL)
        return;
    close_file(usage);
    lodge_close(&usage->lock_fd);
    g_hash_table_unref(usage->notes);
    g_array_unref(usage->ended);
    g_free(usage->path);
    g_free(usage);
}

char *
usage_domain(const char *user)
{
    const char *at = strrchr(user, '@');

    return g_ascii_strdown(at != NULL ? at + 1 : "", -1);
}

/* ---- statements ---------------------------------------------------------- */

/* The statement with its values, which must outlive its steps: 't' for a text (NULL: NULL), 'i' for
 * a gint64. NULL after an error. */
static sqlite3_stmt *
start_va(Usage *usage, Statement which, const char *types, va_list values)
{
    sqlite3_stmt **stmt = &usage->prepared[which];
    int code = SQLITE_OK;

    if (*stmt == NULL)
        code = sqlite3_prepare_v3(usage->db, statements[which], -1, SQLITE_PREPARE_PERSISTENT, stmt,
                                  NULL);
    /* NOLINTBEGIN(clang-analyzer-valist.Uninitialized): the caller has started it. */
    for (int i = 0; types[i] != '\0' && code == SQLITE_OK; i++) {
        if (types[i] == 't')
            code = sqlite3_bind_text(*stmt, i + 1, va_arg(values, const char *), -1, SQLITE_STATIC);
        else
            code = sqlite3_bind_int64(*stmt, i + 1, va_arg(values, gint64));
    }
    /* NOLINTEND(clang-analyzer-valist.Uninitialized) */
    return code == SQLITE_OK ? *stmt : NULL;
}

static sqlite3_stmt *
start(Usage *usage, Statement which, const char *types, ...)
{
    va_list values;

    va_start(values, types);
    sqlite3_stmt *stmt = start_va(usage, which, types, values);
    va_end(values);
    return stmt;
}

static void
reset(sqlite3_stmt *stmt)
{
    (void)sqlite3_reset(stmt); /* repeats the error of the step */
}

/* A statement without rows. */
static bool
run(Usage *usage, Statement which, const char *types, ...)
{
    va_list values;

    va_start(values, types);
    sqlite3_stmt *stmt = start_va(usage, which, types, values);
    va_end(values);

    bool done = stmt != NULL && sqlite3_step(stmt) == SQLITE_DONE;

    if (stmt != NULL)
        reset(stmt);
    return done;
}

static bool
begin(Usage *usage, unsigned timeout_ms, GError **error)
{
    if (!usage_open(usage, error))
        return false;
    (void)sqlite3_busy_timeout(usage->db, (int)timeout_ms); /* cannot fail */
    return run(usage, BEGIN, "") || set_error(usage, "write", error);
}

/* Holds up nobody, and waits for nobody where there is a write-ahead log. */
static bool
begin_reading(Usage *usage, GError **error)
{
    if (!usage_open(usage, error))
        return false;
    (void)sqlite3_busy_timeout(usage->db, (int)usage->timeout_ms); /* cannot fail */
    return run(usage, BEGIN_READING, "") || set_error(usage, "read", error);
}

/* Ends what one of both began. After a failure the file is opened again next time: it may be
 * another one by then. */
static bool
end(Usage *usage, bool done, GError **error)
{
    if (done && run(usage, COMMIT, ""))
        return true;
    (void)set_error(usage, "write", error);
    (void)run(usage, ROLLBACK, ""); /* SQLite may have done so itself */
    close_file(usage);
    return false;
}

/* ---- notes --------------------------------------------------------------- */

static gint64
to_number(guint64 value)
{
    return (gint64)MIN(value, (guint64)G_MAXINT64);
}

static void
end_hold(Usage *usage, gint64 hold, bool is_stored)
{
    const EndedHold ended = {.id = hold, .is_stored = is_stored};

    if (hold != 0)
        g_array_append_val(usage->ended, ended);
}

void
usage_note(Usage *usage, const UsageRow *row, gint64 hold)
{
    const Note *known = g_hash_table_lookup(usage->notes, row->user);
    Note *note;

    end_hold(usage, hold, false);
    if (known != NULL && known->measured_us > row->measured_us)
        return;
    if (g_hash_table_size(usage->notes) >= NOTES_MAX)
        g_hash_table_remove_all(usage->notes);
    note = g_new0(Note, 1);
    note->user = g_strdup(row->user);
    note->stored = row->stored;
    note->measured_us = row->measured_us;
    note->stamp = g_strdup(row->stamp);
    g_hash_table_replace(usage->notes, note->user, note);
}

void
usage_note_held(Usage *usage, gint64 hold)
{
    end_hold(usage, hold, true);
}

void
usage_release(Usage *usage, gint64 hold)
{
    end_hold(usage, hold, false);
}

bool
usage_has_notes(const Usage *usage)
{
    return g_hash_table_size(usage->notes) > 0 || usage->ended->len > 0;
}

static bool
write_notes(Usage *usage)
{
    GHashTableIter notes;
    void *value;
    bool done = true;

    g_hash_table_iter_init(&notes, usage->notes);
    while (done && g_hash_table_iter_next(&notes, NULL, &value)) {
        const Note *note = value;
        g_autofree char *domain = usage_domain(note->user);

        done = run(usage, PUT, "ttiiit", note->user, domain, to_number(note->stored.octets),
                   to_number(note->stored.messages), note->measured_us, note->stamp);
    }
    for (guint i = 0; done && i < usage->ended->len; i++) {
        const EndedHold *hold = &g_array_index(usage->ended, EndedHold, i);

        done = (!hold->is_stored || run(usage, GROW, "i", hold->id)) &&
               run(usage, END_HOLD, "i", hold->id);
    }
    return done;
}

static void
forget_notes(Usage *usage)
{
    g_hash_table_remove_all(usage->notes);
    g_array_set_size(usage->ended, 0);
}

bool
usage_flush(Usage *usage, unsigned timeout_ms, GError **error)
{
    if (!usage_has_notes(usage))
        return true;
    if (!begin(usage, timeout_ms, error) || !end(usage, write_notes(usage), error))
        return false;
    forget_notes(usage);
    return true;
}

/* ---- totals of domains --------------------------------------------------- */

/* What is known of the domain; has no row: *refreshed_us_out is 0. */
static bool
get_domain(Usage *usage, const char *domain, gint64 *refreshed_us_out, gint64 *full_since_us_out)
{
    sqlite3_stmt *stmt = start(usage, GET_DOMAIN, "t", domain);
    int code = stmt != NULL ? sqlite3_step(stmt) : SQLITE_ERROR;

    *refreshed_us_out = *full_since_us_out = 0;
    if (code == SQLITE_ROW) {
        *refreshed_us_out = sqlite3_column_int64(stmt, 0);
        *full_since_us_out = sqlite3_column_int64(stmt, 1);
    }
    if (stmt != NULL)
        reset(stmt);
    return code == SQLITE_ROW || code == SQLITE_DONE;
}

static bool
has_user(Usage *usage, const char *user, bool *has_out)
{
    sqlite3_stmt *stmt = start(usage, HAS_USER, "t", user);
    int code = stmt != NULL ? sqlite3_step(stmt) : SQLITE_ERROR;

    if (stmt != NULL)
        reset(stmt);
    *has_out = code == SQLITE_ROW;
    return code == SQLITE_ROW || code == SQLITE_DONE;
}

static guint64
to_count(double total)
{
    return (guint64)MIN(total, (double)(G_MAXINT64 / 4));
}

static bool
sum(Usage *usage, Statement which, const char *domain, QuotaUsage *used_out)
{
    sqlite3_stmt *stmt = start(usage, which, "t", domain);
    bool done = stmt != NULL && sqlite3_step(stmt) == SQLITE_ROW;

    if (done) {
        used_out->octets = to_count(sqlite3_column_double(stmt, 0));
        used_out->messages = to_count(sqlite3_column_double(stmt, 1));
    }
    if (stmt != NULL)
        reset(stmt);
    return done;
}

static bool
fits(guint64 used, guint64 held, guint64 wanted, guint64 total)
{
    return total == 0 || (wanted <= total && used + held <= total - wanted);
}

/* Within a transaction: is there room? */
static bool
find_room(Usage *usage, const UsageRequest *request, const char *domain, UsageVerdict *verdict)
{
    const QuotaUsage *used = &verdict->used;
    const QuotaUsage *held = &verdict->held;
    const QuotaUsage *wanted = &request->wanted;

    if (!sum(usage, SUM, domain, &verdict->used) || !sum(usage, SUM_HOLDS, domain, &verdict->held))
        return false;
    verdict->answer =
        fits(used->octets, held->octets, wanted->octets, request->total.octets) &&
                fits(used->messages, held->messages, wanted->messages, request->total.messages)
            ? USAGE_ADMITTED
            : USAGE_FULL;
    return true;
}

static bool
answer(Usage *usage, const UsageRequest *request, const char *domain, UsageVerdict *verdict)
{
    gint64 refreshed_us = 0;
    bool is_known = false;

    if (!get_domain(usage, domain, &refreshed_us, &verdict->full_since_us) ||
        !has_user(usage, request->user, &is_known))
        return false;
    verdict->answer = refreshed_us == 0 ? USAGE_UNKNOWN : USAGE_UNKNOWN_USER;
    if (refreshed_us == 0 || !is_known)
        return true;
    verdict->answer = USAGE_STALE;
    if (request->max_age_s > 0 &&
        ABS(request->now_us - refreshed_us) > request->max_age_s * G_USEC_PER_SEC)
        return true;
    return find_room(usage, request, domain, verdict);
}

/* Remembers the first refusal, from which on owners have time to make room. */
static bool
record_refusal(Usage *usage, const UsageRequest *request, const char *domain, UsageVerdict *verdict)
{
    if (verdict->answer != USAGE_FULL || verdict->full_since_us != 0)
        return true;
    verdict->full_since_us = request->now_us;
    return run(usage, SET_FULL, "ti", domain, request->now_us);
}

static bool
set_aside(Usage *usage, const UsageRequest *request, const char *domain, UsageVerdict *verdict)
{
    if (verdict->answer != USAGE_ADMITTED)
        return true;
    if (verdict->full_since_us != 0 && !run(usage, SET_FULL, "ti", domain, G_GINT64_CONSTANT(0)))
        return false;
    if (!run(usage, ADD_HOLD, "ittii", usage->owner, request->user, domain,
             to_number(request->wanted.octets), to_number(request->wanted.messages)))
        return false;
    verdict->hold = sqlite3_last_insert_rowid(usage->db);
    return true;
}

bool
usage_admit(Usage *usage, const UsageRequest *request, UsageVerdict *verdict_out, GError **error)
{
    g_autofree char *domain = usage_domain(request->user);
    UsageVerdict verdict = {0};

    if (!begin(usage, usage->timeout_ms, error) ||
        !end(usage,
             write_notes(usage) && answer(usage, request, domain, &verdict) &&
                 record_refusal(usage, request, domain, &verdict) &&
                 set_aside(usage, request, domain, &verdict),
             error))
        return false;
    forget_notes(usage);
    *verdict_out = verdict;
    return true;
}

bool
usage_ask(Usage *usage, const UsageRequest *request, UsageVerdict *verdict_out, GError **error)
{
    g_autofree char *domain = usage_domain(request->user);
    UsageVerdict verdict = {0};

    if (!usage_flush(usage, usage->timeout_ms, error) || !begin_reading(usage, error) ||
        !end(usage, answer(usage, request, domain, &verdict), error))
        return false;
    /* Only the first refusal is written; what was true before is asked again. */
    if (verdict.answer == USAGE_FULL && verdict.full_since_us == 0 &&
        (!begin(usage, usage->timeout_ms, error) ||
         !end(usage,
              answer(usage, request, domain, &verdict) &&
                  record_refusal(usage, request, domain, &verdict),
              error)))
        return false;
    *verdict_out = verdict;
    return true;
}

bool
usage_sum(Usage *usage, const char *domain, QuotaUsage *used_out, GError **error)
{
    QuotaUsage used = {0};

    if (!usage_flush(usage, usage->timeout_ms, error) || !begin_reading(usage, error) ||
        !end(usage, sum(usage, SUM, domain, &used), error))
        return false;
    *used_out = used;
    return true;
}

bool
usage_claim_refresh(Usage *usage, const char *domain, gint64 now_us, gint64 interval_s,
                    bool *claimed_out, GError **error)
{
    gint64 refreshed_us = 0, full_since_us = 0;
    bool claimed = false;
    bool done;

    if (!begin(usage, usage->timeout_ms, error))
        return false;
    done = get_domain(usage, domain, &refreshed_us, &full_since_us) &&
           run(usage, CLAIM, "tii", domain, now_us, interval_s * G_USEC_PER_SEC);
    claimed = done && (refreshed_us == 0 || sqlite3_changes(usage->db) > 0);
    if (!end(usage, done, error))
        return false;
    *claimed_out = claimed;
    return true;
}

GHashTable *
usage_stamps(Usage *usage, const char *domain, GError **error)
{
    g_autoptr(GHashTable) stamps = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    sqlite3_stmt *stmt;
    int code = SQLITE_ERROR;

    if (!begin(usage, usage->timeout_ms, error))
        return NULL;
    stmt = start(usage, STAMPS, "t", domain);
    while (stmt != NULL && (code = sqlite3_step(stmt)) == SQLITE_ROW)
        g_hash_table_insert(stamps, g_strdup((const char *)sqlite3_column_text(stmt, 0)),
                            g_strdup((const char *)sqlite3_column_text(stmt, 1)));
    if (stmt != NULL)
        reset(stmt);
    return end(usage, code == SQLITE_DONE, error) ? g_steal_pointer(&stamps) : NULL;
}

bool
usage_forget(Usage *usage, const char *user, GError **error)
{
    return begin(usage, usage->timeout_ms, error) &&
           end(usage, run(usage, FORGET, "t", user), error);
}

/* Owners of holds of the domain that are no more. NULL after an error. */
static GArray *
find_dead(Usage *usage, const char *domain)
{
    g_autoptr(GArray) dead = g_array_new(FALSE, FALSE, sizeof(gint64));
    sqlite3_stmt *stmt = start(usage, OWNERS, "t", domain);
    int code = SQLITE_ERROR;

    while (stmt != NULL && (code = sqlite3_step(stmt)) == SQLITE_ROW) {
        gint64 owner = sqlite3_column_int64(stmt, 0);

        if (!is_alive(usage, owner))
            g_array_append_val(dead, owner);
    }
    if (stmt != NULL)
        reset(stmt);
    return code == SQLITE_DONE ? g_steal_pointer(&dead) : NULL;
}

static bool
drop_dead(Usage *usage, const char *domain)
{
    g_autoptr(GArray) dead = find_dead(usage, domain);
    bool done = dead != NULL;

    for (guint i = 0; done && i < dead->len; i++)
        done = run(usage, DROP_OWNER, "i", g_array_index(dead, gint64, i));
    return done;
}

bool
usage_refreshed(Usage *usage, const char *domain, gint64 now_us, GError **error)
{
    if (!begin(usage, usage->timeout_ms, error) ||
        !end(usage,
             write_notes(usage) && drop_dead(usage, domain) &&
                 run(usage, REFRESHED, "ti", domain, now_us),
             error))
        return false;
    forget_notes(usage);
    return true;
}
