/* tests/lda/test_srs.c - rewritten senders go there and back, and nothing else does */
#include "lda/srs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const char *const secrets[] = {"first", "old", NULL};
static const char *const other[] = {"other", NULL};
enum { NOW = 1700000000, DAY = 86400 };

static void
sender_comes_back_as_it_was(void **state)
{
    static const char *const senders[] = {"ana@example.org",     "Ana.Maria+x@Example.ORG",
                                          "a=b=c@example.org",   "srs0@example.org",
                                          "SRS0x=a@example.org", "-a@example.org"};

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(senders); i++) {
        g_autofree char *there = srs_forward(senders[i], "us.example", secrets, NOW);
        g_autofree char *back = srs_reverse(there, secrets, NOW + DAY, NULL);

        assert_true(g_str_has_suffix(there, "@us.example"));
        assert_true(g_str_has_prefix(there, "SRS0="));
        assert_string_equal(back, senders[i]);
    }
}

/* Computed by hand after Mail::SRS: base64 of HMAC-SHA1 over stamp, domain and local part. */
static void
hash_and_stamp_are_those_of_mail_srs(void **state)
{
    g_autofree char *there = srs_forward("ana@example.org", "us.example", secrets, NOW);

    (void)state;
    assert_string_equal(there, "SRS0=mJ2i=G3=example.org=ana@us.example");
}

static void
second_forwarder_keeps_the_first_and_its_stamp(void **state)
{
    g_autofree char *once = srs_forward("ana@example.org", "us.example", other, NOW);
    g_autofree char *twice = srs_forward(once, "them.example", secrets, NOW);
    g_autofree char *back = srs_reverse(twice, secrets, NOW, NULL);

    (void)state;
    assert_string_equal(twice, "SRS1=fUlD=us.example==FqLV=G3=example.org=ana@them.example");
    assert_string_equal(back, once);
}

static void
third_forwarder_goes_back_to_the_first_at_once(void **state)
{
    g_autofree char *once = srs_forward("ana@example.org", "us.example", other, NOW);
    g_autofree char *twice = srs_forward(once, "them.example", other, NOW);
    g_autofree char *thrice = srs_forward(twice, "third.example", secrets, NOW);
    g_autofree char *back = srs_reverse(thrice, secrets, NOW, NULL);

    (void)state;
    assert_true(g_str_has_prefix(thrice, "SRS1="));
    assert_true(g_str_has_suffix(thrice, "@third.example"));
    assert_string_equal(back, once);
}

static void
what_needs_no_rewriting_stays(void **state)
{
    static const char *const senders[] = {
        "", "ana", "ana@us.example", "ana@US.example", "\"a b\"@example.org", "@example.org"};

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(senders); i++) {
        g_autofree char *there = srs_forward(senders[i], "us.example", secrets, NOW);
        assert_string_equal(there, senders[i]);
    }
}

static void
case_of_the_local_part_does_not_matter(void **state)
{
    g_autofree char *there = srs_forward("ana@example.org", "us.example", secrets, NOW);
    g_autofree char *lower = g_ascii_strdown(there, -1);
    g_autofree char *upper = g_ascii_strup(there, -1);
    g_autofree char *from_lower = srs_reverse(lower, secrets, NOW, NULL);
    g_autofree char *from_upper = srs_reverse(upper, secrets, NOW, NULL);

    (void)state;
    assert_string_equal(from_lower, "ana@example.org");
    assert_string_equal(from_upper, "ANA@EXAMPLE.ORG");
}

static void
older_secret_is_still_accepted(void **state)
{
    g_autofree char *there = srs_forward("ana@example.org", "us.example", secrets + 1, NOW);
    g_autofree char *back = srs_reverse(there, secrets, NOW, NULL);

    (void)state;
    assert_string_equal(back, "ana@example.org");
}

static void
expect_error(const char *address, gint64 now, SrsError code)
{
    g_autoptr(GError) error = NULL;

    assert_null(srs_reverse(address, secrets, now, &error));
    assert_true(g_error_matches(error, SRS_ERROR, (int)code));
}

static void
bounce_comes_back_for_21_days_and_no_longer(void **state)
{
    g_autofree char *there = srs_forward("ana@example.org", "us.example", secrets, NOW);
    g_autofree char *back = srs_reverse(there, secrets, NOW + SRS_VALID_DAYS * DAY, NULL);

    (void)state;
    assert_non_null(back);
    expect_error(there, NOW + (SRS_VALID_DAYS + 1) * DAY, SRS_ERROR_EXPIRED);
    expect_error(there, NOW - DAY, SRS_ERROR_EXPIRED);
}

static void
stamp_goes_round_after_1024_days(void **state)
{
    gint64 last_day = (gint64)1023 * DAY;
    g_autofree char *there = srs_forward("ana@example.org", "us.example", secrets, last_day);
    g_autofree char *back = srs_reverse(there, secrets, last_day + 3 * DAY, NULL);

    (void)state;
    assert_non_null(strstr(there, "=77="));
    assert_string_equal(back, "ana@example.org");
}

static void
every_changed_character_is_noticed(void **state)
{
    g_autofree char *there = srs_forward("ana@example.org", "us.example", secrets, NOW);

    (void)state;
    for (size_t i = strlen("SRS0="); there[i] != '@'; i++) {
        g_autofree char *changed = g_strdup(there);
        g_autoptr(GError) error = NULL;

        changed[i] = changed[i] == 'x' ? 'y' : 'x';
        assert_null(srs_reverse(changed, secrets, NOW, &error));
        assert_int_equal(error->domain, SRS_ERROR);
    }
}

static void
what_was_never_rewritten_is_no_such_address(void **state)
{
    static const char *const addresses[] = {
        "",           "ana@us.example",  "SRS0@us.example",   "SRS0=@us.example",
        "SRS0=a@x",   "SRS0=a=b=c@x",    "SRS0=a=b==@x",      "SRS0=a=b=c=@x",
        "SRS1=a@x",   "SRS1=a=b@x",      "SRS1=a==c@x",       "SRS1=a=b=c@x",
        "SRS2=a=b=c", "SRS0a=b=c=d=e@x", "xSRS0=a=b=c=d=e@x", "SRS",
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(addresses); i++)
        expect_error(addresses[i], NOW, SRS_ERROR_FORM);
}

static void
file_has_a_secret_a_line(void **state)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("srs-XXXXXX", &path, NULL);

    (void)state;
    assert_true(fd >= 0);
    (void)close(fd);
    assert_true(g_file_set_contents(path, "\n  new  \n\nold\n", -1, NULL));
    char **loaded = srs_secrets_load(path, NULL);
    assert_int_equal(g_strv_length(loaded), 2);
    assert_string_equal(loaded[0], "new");
    assert_string_equal(loaded[1], "old");
    srs_secrets_free(loaded);

    g_autoptr(GError) error = NULL;
    assert_true(g_file_set_contents(path, "\n \n", -1, NULL));
    assert_null(srs_secrets_load(path, &error));
    assert_true(g_error_matches(error, SRS_ERROR, SRS_ERROR_SECRET));
    (void)unlink(path);
    g_clear_error(&error);
    assert_null(srs_secrets_load(path, &error));
    assert_true(g_error_matches(error, SRS_ERROR, SRS_ERROR_SECRET));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sender_comes_back_as_it_was),
        cmocka_unit_test(hash_and_stamp_are_those_of_mail_srs),
        cmocka_unit_test(second_forwarder_keeps_the_first_and_its_stamp),
        cmocka_unit_test(third_forwarder_goes_back_to_the_first_at_once),
        cmocka_unit_test(what_needs_no_rewriting_stays),
        cmocka_unit_test(case_of_the_local_part_does_not_matter),
        cmocka_unit_test(older_secret_is_still_accepted),
        cmocka_unit_test(bounce_comes_back_for_21_days_and_no_longer),
        cmocka_unit_test(stamp_goes_round_after_1024_days),
        cmocka_unit_test(every_changed_character_is_noticed),
        cmocka_unit_test(what_was_never_rewritten_is_no_such_address),
        cmocka_unit_test(file_has_a_secret_a_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
