/* tests/schema/test_mailmap_memory.c - a lookup for which there is not enough memory
 *
 * SQLite's allocations are counted, and each fails in turn. A text that could not be
 * had must not look like one that is not set: the mail would go to the default home,
 * or be returned because there is "no such user".
 */
#include "tests/schema/map_fixture.h"

/* Counts down; the allocation that reaches zero fails. Zero: none. */
static unsigned until_failure;
static unsigned allocations;
static sqlite3_mem_methods real;

static bool
fails(void)
{
    allocations++;
    return until_failure > 0 && --until_failure == 0;
}

static void *
fake_malloc(int size)
{
    return fails() ? NULL : real.xMalloc(size);
}

static void *
fake_realloc(void *memory, int size)
{
    return fails() ? NULL : real.xRealloc(memory, size);
}

static void
use_fake_memory(void)
{
    sqlite3_mem_methods fake;

    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real) != SQLITE_OK)
        g_error("cannot ask SQLite for its allocator");
    fake = real;
    fake.xMalloc = fake_malloc;
    fake.xRealloc = fake_realloc;
    /* No small allocations from a pool: they would never fail. */
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &fake) != SQLITE_OK ||
        sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) != SQLITE_OK)
        g_error("cannot give SQLite another allocator");
}

/* Opening counts when warm is false; else it is done before. */
static void
check_lookup(const Fixture *fixture, bool warm, unsigned failing)
{
    MailmapOptions options = fixture_options(fixture);
    g_autoptr(GError) error = NULL;
    g_autoptr(Mailmap) map = NULL;
    g_autoptr(Mailbox) mailbox = NULL;

    options.mailbox_query = "SELECT email AS user, 1 AS active, home, maildir, uid,"
                            " octets AS quota_bytes FROM users WHERE email = :address";
    if (warm)
        map = fixture_open(&options);
    allocations = 0;
    until_failure = failing;
    if (map == NULL)
        map = mailmap_open(&options, &error);
    if (map != NULL)
        mailbox = mailmap_lookup(map, "ana+lists@example.org", &error);
    until_failure = 0;
    if (mailbox == NULL) {
        if (failing == 0 || error->domain != MAILMAP_ERROR ||
            error->code <= MAILMAP_ERROR_BAD_ADDRESS)
            fail_msg("allocation %u: %s", failing, error->message);
        return;
    }
    assert_string_equal(mailbox->user, "ana@example.org");
    if (mailbox->home == NULL || mailbox->maildir == NULL)
        fail_msg("allocation %u: a path was forgotten", failing);
    assert_string_equal(mailbox->home, "/srv/of/ana");
    assert_string_equal(mailbox->maildir, "Mail");
    assert_int_equal(mailbox->uid, 4242);
    assert_int_equal(mailbox->quota_bytes, 77);
}

static void
check_every_allocation(void **state, const char *encoding, bool warm)
{
    const Fixture *fixture = *state;
    g_autofree char *sql =
        g_strdup_printf("PRAGMA encoding = '%s';"
                        "CREATE TABLE users (email TEXT, home TEXT, maildir TEXT, uid, octets);"
                        "INSERT INTO users VALUES"
                        " ('ana@example.org', '/srv/of/ana', 'Mail', 4242, 77);",
                        encoding);

    fixture_sql(fixture->path, sql);
    check_lookup(fixture, warm, 0);
    for (unsigned failing = 1, all = allocations; failing <= all; failing++)
        check_lookup(fixture, warm, failing);
}

static void
failing_allocation_is_never_an_unknown_user_or_an_unset_path(void **state)
{
    check_every_allocation(state, "UTF-8", true);
}

static void
failing_allocation_while_the_map_is_opened_is_no_other_answer(void **state)
{
    check_every_allocation(state, "UTF-8", false);
}

static void
failing_conversion_of_a_map_in_utf_16_is_no_unset_path(void **state)
{
    check_every_allocation(state, "UTF-16le", true);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(failing_allocation_is_never_an_unknown_user_or_an_unset_path),
        FIXTURE_TEST(failing_allocation_while_the_map_is_opened_is_no_other_answer),
        FIXTURE_TEST(failing_conversion_of_a_map_in_utf_16_is_no_unset_path),
    };

    use_fake_memory();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
