/* tests/lda/test_maildir_name.c - file names and folder names */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "lda/maildir_parts.h"
#include "lda/outcome.h"

static const gint64 now_us = G_GINT64_CONSTANT(1700000000000042);

static void
name_holds_time_process_sequence_host_and_sizes(void **state)
{
    MaildirNamer namer;

    (void)state;
    maildir_namer_init(&namer, "mail.example.org", 77, 5);

    g_autofree char *name = maildir_name_new(&namer, now_us, 512, 530);

    assert_string_equal(name, "1700000000.M000042P77Q5.mail.example.org,S=512,W=530");
    maildir_namer_clear(&namer);
}

static void
names_differ_though_the_clock_stands_or_goes_back(void **state)
{
    const gint64 clock[] = {now_us, now_us, now_us - G_USEC_PER_SEC, now_us - 1, now_us + 1, 0};
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    MaildirNamer namer;
    gint64 before = 0;

    (void)state;
    maildir_namer_init(&namer, "h", 1, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(clock); i++) {
        namer.sequence = 0; /* the time alone must tell them apart */
        assert_true(g_hash_table_add(seen, maildir_name_new(&namer, clock[i], 1, 1)));
        assert_true(namer.last_us > before);
        before = namer.last_us;
    }
    maildir_namer_clear(&namer);
}

static void
two_processes_with_one_pid_and_clock_differ_by_their_sequence(void **state)
{
    MaildirNamer one, other;

    (void)state;
    maildir_namer_init(&one, "h", 1, 1234);
    maildir_namer_init(&other, "h", 1, 9876);

    g_autofree char *name = maildir_name_new(&one, now_us, 1, 1);
    g_autofree char *other_name = maildir_name_new(&other, now_us, 1, 1);

    assert_string_not_equal(name, other_name);
    maildir_namer_clear(&one);
    maildir_namer_clear(&other);
}

typedef struct {
    const char *behaviour;
    const char *host;
    const char *expected;
} HostRow;

static const HostRow host_rows[] = {
    {"host_with_slash_cannot_leave_the_directory", "../etc/x", "..\\057etc\\057x"},
    {"colon_of_a_host_cannot_begin_the_flags", "a:2,S", "a\\0722\\054S"},
    {"control_and_8_bit_octets_of_a_host_are_escaped", "a\n\xc3", "a\\012\\303"},
    {"unknown_host_is_localhost", "", "localhost"},
};

static void
check_host(void **state)
{
    const HostRow *row = *state;
    MaildirNamer namer;

    maildir_namer_init(&namer, row->host, 1, 0);
    assert_string_equal(namer.host, row->expected);
    maildir_namer_clear(&namer);
}

static void
longest_name_with_all_flags_fits_a_directory_entry(void **state)
{
    g_autofree char *host = g_strnfill(300, '/');
    MaildirNamer namer;

    (void)state;
    maildir_namer_init(&namer, host, G_MAXINT, G_MAXUINT64);

    g_autofree char *name =
        maildir_name_new(&namer, G_GINT64_CONSTANT(99999999999000000), G_MAXUINT64, G_MAXUINT64);

    assert_true(strlen(name) + strlen(":2,DFPRSTabcdefghijklmnopqrstuvwxyz") <= 255);
    maildir_namer_clear(&namer);
}

typedef struct {
    const char *behaviour;
    char separator;
    const char *prefix;
    const char *folder;
    const char *directory; /* NULL: refused */
    const char *shown;
} FolderRow;

#define TEN "0123456789"
#define FIFTY TEN TEN TEN TEN TEN
#define LEVEL_254 FIFTY FIFTY FIFTY FIFTY FIFTY "0123"

static const FolderRow folder_rows[] = {
    {"inbox_is_the_maildir_itself", '.', "", "INBOX", "", "INBOX"},
    {"inbox_has_no_case", '.', "", "iNbOx", "", "INBOX"},
    {"inbox_needs_no_prefix", '.', "INBOX.", "inbox", "", "INBOX"},
    {"levels_are_joined_by_dots", '.', "", "Lists.ietf", ".Lists.ietf", "Lists.ietf"},
    {"slash_as_separator", '/', "", "Lists/ietf", ".Lists.ietf", "Lists/ietf"},
    {"prefix_is_taken_off", '.', "INBOX.", "INBOX.Lists", ".Lists", "INBOX.Lists"},
    {"inbox_in_the_prefix_has_no_case", '.', "INBOX.", "Inbox.Lists", ".Lists", "INBOX.Lists"},
    {"prefix_with_slash", '/', "INBOX/", "INBOX/A/b", ".A.b", "INBOX/A/b"},
    {"prefix_may_be_left_out", '.', "INBOX.", "Lists", ".Lists", "INBOX.Lists"},
    {"other_prefix_counts_its_case", '/', "Mail/", "Mail/a", ".a", "Mail/a"},
    {"other_prefix_in_wrong_case_is_a_level", '/', "Mail/", "mail/a", ".mail.a", "Mail/mail/a"},
    {"inbox_below_the_prefix_is_the_inbox", '.', "INBOX.", "INBOX.INBOX", "", "INBOX"},
    {"below_inbox_below_the_prefix", '.', "INBOX.", "INBOX.inbox.x", ".INBOX.x", "INBOX.INBOX.x"},
    {"inbox_may_have_children_without_a_prefix", '.', "", "inbox.sub", ".INBOX.sub", "INBOX.sub"},
    {"inbox_is_only_special_as_the_first_level", '.', "", "a.inbox", ".a.inbox", "a.inbox"},
    {"name_that_begins_with_inbox_is_another", '.', "", "inboxes", ".inboxes", "inboxes"},
    {"ampersand_is_doubled", '.', "", "a&b", ".a&-b", "a&b"},
    {"umlaut_becomes_base64", '.', "", "Käth", ".K&AOQ-th", "Käth"},
    {"rfc_3501_example", '/', "", "~peter/mail/台北/日本語", NULL, NULL},
    {"rfc_3501_example_without_tilde", '/', "", "peter/mail/台北/日本語",
     ".peter.mail.&U,BTFw-.&ZeVnLIqe-", "peter/mail/台北/日本語"},
    {"astral_character_is_a_surrogate_pair", '.', "", "😀", ".&2D3eAA-", "😀"},
    {"ampersand_after_base64", '.', "", "ä&ä", ".&AOQ-&-&AOQ-", "ä&ä"},
    {"minus_after_base64_is_not_swallowed", '.', "", "ä-x", ".&AOQ--x", "ä-x"},
    {"blanks_and_wildcards_are_plain", '.', "", "a b*%", ".a b*%", "a b*%"},
    {"directory_of_255_octets_is_accepted", '.', "", LEVEL_254, "." LEVEL_254, LEVEL_254},
    {"directory_of_256_octets_is_refused", '.', "", LEVEL_254 "5", NULL, NULL},
    {"length_counts_as_stored", '.', "", "ä" LEVEL_254, NULL, NULL},
    {"empty_name_is_refused", '.', "", "", NULL, NULL},
    {"prefix_alone_is_refused", '.', "INBOX.", "INBOX.", NULL, NULL},
    {"leading_separator_is_refused", '.', "", ".a", NULL, NULL},
    {"trailing_separator_is_refused", '.', "", "a.", NULL, NULL},
    {"adjacent_separators_are_refused", '.', "", "a..b", NULL, NULL},
    {"parent_directory_is_refused", '/', "", "../other", NULL, NULL},
    {"parent_directory_inside_is_refused", '/', "", "a/../../b", NULL, NULL},
    {"parent_directory_with_dots_is_refused", '.', "", "..", NULL, NULL},
    {"slash_is_refused_where_dot_separates", '.', "", "a/b", NULL, NULL},
    {"path_after_prefix_is_refused", '.', "INBOX.", "INBOX./etc", NULL, NULL},
    {"absolute_path_is_refused", '/', "", "/etc/passwd", NULL, NULL},
    {"dot_is_refused_where_slash_separates", '/', "", "a.b", NULL, NULL},
    {"tilde_is_refused_as_dovecot_does", '.', "", "~root", NULL, NULL},
    {"newline_is_refused", '.', "", "a\nb", NULL, NULL},
    {"delete_is_refused", '.', "", "a\x7f", NULL, NULL},
    {"c1_control_is_refused", '.', "", "a\xc2\x85", NULL, NULL},
    {"bad_utf8_is_refused", '.', "", "a\xff", NULL, NULL},
    {"overlong_slash_is_refused", '.', "", "a\xc0\xaf", NULL, NULL},
};

static void
check_folder(void **state)
{
    const FolderRow *row = *state;
    const MaildirLayout layout = {.separator = row->separator, .prefix = row->prefix};
    g_autoptr(GError) error = NULL;
    g_autofree char *directory = maildir_folder_to_directory(&layout, row->folder, &error);

    if (row->directory == NULL) {
        assert_null(directory);
        assert_true(g_error_matches(error, LDA_ERROR, LDA_ERROR_BAD_FOLDER));
        assert_true(g_utf8_validate(error->message, -1, NULL));
        return;
    }
    assert_null(error);
    assert_string_equal(directory, row->directory);

    g_auto(GStrv) levels = maildir_folder_levels(&layout, row->folder, NULL);
    g_autofree char *shown = maildir_folder_name(&layout, (const char *const *)levels);

    assert_string_equal(shown, row->shown);
}

int
main(void)
{
    const struct CMUnitTest names[] = {
        cmocka_unit_test(name_holds_time_process_sequence_host_and_sizes),
        cmocka_unit_test(names_differ_though_the_clock_stands_or_goes_back),
        cmocka_unit_test(two_processes_with_one_pid_and_clock_differ_by_their_sequence),
        cmocka_unit_test(longest_name_with_all_flags_fits_a_directory_entry),
    };
    struct CMUnitTest hosts[G_N_ELEMENTS(host_rows)];
    struct CMUnitTest folders[G_N_ELEMENTS(folder_rows)];

    for (size_t i = 0; i < G_N_ELEMENTS(host_rows); i++)
        hosts[i] = (struct CMUnitTest){.name = host_rows[i].behaviour,
                                       .test_func = check_host,
                                       .initial_state = (void *)&host_rows[i]};
    for (size_t i = 0; i < G_N_ELEMENTS(folder_rows); i++)
        folders[i] = (struct CMUnitTest){.name = folder_rows[i].behaviour,
                                         .test_func = check_folder,
                                         .initial_state = (void *)&folder_rows[i]};

    int failed = cmocka_run_group_tests(names, NULL, NULL);

    failed += cmocka_run_group_tests(hosts, NULL, NULL);
    failed += cmocka_run_group_tests(folders, NULL, NULL);
    return failed;
}
