/* tests/lda/quota_fixture.h - mailboxes of sieve_fixture.h that have limits */
#ifndef LODGE_TESTS_QUOTA_FIXTURE_H
#define LODGE_TESTS_QUOTA_FIXTURE_H

#include "tests/lda/sieve_fixture.h"

static inline void
assert_outcome(const LdaOutcome *outcome, const char *status, const char *text)
{
    assert_string_equal(outcome->status, status);
    if (strstr(outcome->text, text) == NULL)
        fail_msg("%s", outcome->text);
}

static inline void
assert_outcome_of(const Fixture *fixture, guint index, const char *status, const char *text)
{
    assert_outcome(fixture->outcomes->pdata[index], status, text);
}

/* Lines of [quota]; numbers of octets are multiples of one message and some more. */
G_GNUC_PRINTF(2, 3)
static inline void
limit(Fixture *fixture, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_autofree char *lines = g_strdup_vprintf(format, args);
    va_end(args);
    g_autofree char *text = g_strconcat("[quota]\n", lines, NULL);

    start(fixture, text);
}

static inline void
empty_box(const Fixture *fixture, const char *box)
{
    g_autofree char *path = g_build_filename(fixture->home, "Maildir", box, NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *file = g_build_filename(path, name, NULL);

        assert_int_equal(unlink(file), 0);
    }
}

#endif
