/* tests/schema/map_fixture.h - a map in a directory of its own, for each test */
#ifndef LODGE_TESTS_MAP_FIXTURE_H
#define LODGE_TESTS_MAP_FIXTURE_H

#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <glib/gstdio.h>
#include <sqlite3.h>

#include "schema/mailmap.h"
#include "schema/mapedit.h"

typedef struct {
    char *dir;
    char *path;
} Fixture;

static inline int
fixture_set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);

    fixture->dir = g_dir_make_tmp("lodge-map-XXXXXX", NULL);
    assert_non_null(fixture->dir);
    fixture->path = g_build_filename(fixture->dir, "map.db", NULL);
    *state = fixture;
    return 0;
}

static inline int
fixture_tear_down(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GDir) dir = g_dir_open(fixture->dir, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(fixture->dir, name, NULL);

        assert_int_equal(g_remove(path), 0);
    }
    assert_int_equal(g_rmdir(fixture->dir), 0);
    g_free(fixture->dir);
    g_free(fixture->path);
    g_free(fixture);
    return 0;
}

/* A test with a directory of its own. */
#define FIXTURE_TEST(function) \
    cmocka_unit_test_setup_teardown(function, fixture_set_up, fixture_tear_down)

/* Runs SQL on a file as an administrator's sqlite3 would; returns SQLite's code. */
static inline int
fixture_try_sql(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    int rc;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    /* Tests need no map that survives a power cut. */
    assert_int_equal(sqlite3_exec(db, "PRAGMA synchronous = OFF", NULL, NULL, NULL), SQLITE_OK);
    rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    sqlite3_close(db);
    return rc;
}

static inline void
fixture_sql(const char *path, const char *sql)
{
    assert_int_equal(fixture_try_sql(path, sql), SQLITE_OK);
}

/* The first value of the first row as text; "" for NULL or no row. */
static inline char *
fixture_query(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    char *text = NULL;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    if (sqlite3_step(stmt) == SQLITE_ROW)
        text = g_strdup((const char *)sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return text != NULL ? text : g_strdup("");
}

/* The map of Fixture with the current schema and these rows. */
static inline void
fixture_map(const Fixture *fixture, const char *sql)
{
    g_autoptr(GError) error = NULL;

    assert_true(mapedit_create(fixture->path, &error));
    assert_null(error);
    fixture_sql(fixture->path, sql);
}

static inline MailmapOptions
fixture_options(const Fixture *fixture)
{
    return (MailmapOptions){
        .path = fixture->path,
        .preset = "lodge",
        .recipient_delimiter = "+",
        .fold_local_part = true,
        .busy_timeout_ms = 20,
    };
}

static inline Mailmap *
fixture_open(const MailmapOptions *options)
{
    g_autoptr(GError) error = NULL;
    Mailmap *map = mailmap_open(options, &error);

    if (map == NULL)
        fail_msg("%s", error->message);
    return map;
}

static inline void
assert_map_error(const GError *error, MailmapError code)
{
    assert_non_null(error);
    if (!g_error_matches(error, MAILMAP_ERROR, (int)code))
        fail_msg("code %d: %s", error->code, error->message);
}

#endif
