/* tests/lda/usage_fixture.h - a database of what mailboxes hold for each test */
#ifndef LODGE_TESTS_USAGE_FIXTURE_H
#define LODGE_TESTS_USAGE_FIXTURE_H

#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <sqlite3.h>

#include "lda/usage.h"

#define DOMAIN "example.org"

enum { PATIENCE_MS = 60000 };

static const gint64 now_us = G_GINT64_CONSTANT(1700000000000042);

typedef struct {
    char *dir;
    char *path;
    Usage *usage;
} Fixture;

static inline int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);

    fixture->dir = g_dir_make_tmp("lodge-usage-XXXXXX", NULL);
    fixture->path = g_build_filename(fixture->dir, "state", "quota.db", NULL);
    fixture->usage = usage_new(fixture->path, PATIENCE_MS);
    *state = fixture;
    return 0;
}

static inline int
tear_down(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *command = g_strdup_printf("rm -rf '%s'", fixture->dir);

    usage_free(fixture->usage);
    assert_int_equal(system(command), 0);
    g_free(fixture->dir);
    g_free(fixture->path);
    g_free(fixture);
    return 0;
}

/* What an administrator would see: the first column of the first row, as text. */
static inline char *
ask(const Fixture *fixture, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    char *text;

    assert_int_equal(sqlite3_open_v2(fixture->path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_busy_timeout(db, PATIENCE_MS), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    text = sqlite3_step(stmt) == SQLITE_ROW ? g_strdup((const char *)sqlite3_column_text(stmt, 0))
                                            : g_strdup("none");
    (void)sqlite3_finalize(stmt);
    (void)sqlite3_close(db);
    return text;
}

#define ASSERT_SQL(fixture, sql, expected)            \
    do {                                              \
        g_autofree char *answer_ = ask(fixture, sql); \
        assert_string_equal(answer_, expected);       \
    } while (0)

static inline sqlite3 *
write_sql(const Fixture *fixture, const char *sql)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_busy_timeout(db, PATIENCE_MS), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    return db;
}

static inline void
note(Usage *usage, const char *user, guint64 octets, gint64 measured_us, gint64 hold)
{
    const UsageRow row = {.user = user,
                          .stored = {.octets = octets, .messages = octets / 10},
                          .measured_us = measured_us};

    usage_note(usage, &row, hold);
}

static inline void
flush(Usage *usage)
{
    g_autoptr(GError) error = NULL;
    bool flushed = usage_flush(usage, PATIENCE_MS, &error);

    if (!flushed)
        print_message("%s\n", error->message);
    assert_true(flushed);
}

typedef bool Question(Usage *usage, const UsageRequest *request, UsageVerdict *verdict_out,
                      GError **error);

static inline UsageVerdict
put_question(Question *question, Usage *usage, const char *user, guint64 octets, guint64 total)
{
    const UsageRequest request = {.user = user,
                                  .wanted = {octets, 1},
                                  .total = {.octets = total},
                                  .now_us = now_us,
                                  .max_age_s = 3600};
    g_autoptr(GError) error = NULL;
    UsageVerdict verdict = {0};
    bool answered = question(usage, &request, &verdict, &error);

    if (!answered)
        print_message("%s\n", error->message);
    assert_true(answered);
    return verdict;
}

static inline UsageVerdict
admit(Usage *usage, const char *user, guint64 octets, guint64 total)
{
    return put_question(usage_admit, usage, user, octets, total);
}

static inline void
know_domain(Usage *usage)
{
    assert_true(usage_refreshed(usage, DOMAIN, now_us, NULL));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
