/* tests/quota/test_scan.c - what counts in a Maildir++, also while it changes */
#include "tests/quota/mailbox.h"

#include "quota/scan.h"

/* ---- names ---------------------------------------------------------------- */

typedef struct {
    const char *behaviour;
    const char *name;
    bool has_size;
    guint64 size;
} Row;

static const Row rows[] = {
    {"size_is_read_before_the_flags", "1.M2P3.host,S=512:2,S", true, 512},
    {"size_is_read_at_the_end", "1.M2P3.host,S=512", true, 512},
    {"size_is_read_before_another_field", "1.M2P3.host,S=512,W=530:2,", true, 512},
    {"size_is_read_behind_another_field", "1.M2P3.host,W=530,S=512", true, 512},
    {"name_without_size_is_left_to_stat", "1.M2P3.host:2,", false, 0},
    {"size_behind_the_flags_is_none", "1.M2P3.host:2,S=512", false, 0},
    {"size_without_number_is_none", "1.M2P3.host,S=:2,S", false, 0},
    {"size_with_letters_is_none", "1.M2P3.host,S=5k", false, 0},
    {"negative_size_is_none", "1.M2P3.host,S=-5", false, 0},
    {"size_past_64_bits_is_none", "1.h,S=18446744073709551617", false, 0},
    {"size_past_63_bits_is_none", "1.h,S=9223372036854775808", false, 0},
    {"virtual_size_alone_is_none", "1.M2P3.host,W=530", false, 0},
};

static void
check_row(void **state)
{
    const Row *row = *state;
    guint64 size = 0;

    assert_int_equal(quota_size_of_name(row->name, &size), row->has_size);
    assert_int_equal(size, row->size);
}

static void
flags_do_not_change_what_a_name_stands_for(void **state)
{
    (void)state;
    assert_int_equal(quota_name_hash("1.a,S=5"), quota_name_hash("1.a,S=5:2,FS"));
    assert_int_not_equal(quota_name_hash("1.a,S=5"), quota_name_hash("1.b,S=5"));
    assert_int_not_equal(quota_name_hash(""), 0);
}

/* ---- counting ------------------------------------------------------------- */

static QuotaScan
scan_with(const Mailbox *mailbox, QuotaScanRequest request)
{
    g_autoptr(GError) error = NULL;
    QuotaScan scan;

    request.settings = &mailbox->settings;
    request.clock_fd = -1;
    if (!quota_scan(mailbox->fd, &request, &scan, &error))
        fail_msg("%s", error->message);
    return scan;
}

static void
assert_counts(const Mailbox *mailbox, guint64 octets, guint64 messages)
{
    g_auto(QuotaScan) scan = scan_with(mailbox, (QuotaScanRequest){0});

    assert_usage(scan.counted, octets, messages);
}

static void
put(Mailbox *mailbox, const char *folder, guint64 octets, const char *flags)
{
    g_free(mailbox_put(mailbox, folder, octets, flags));
}

static void
inbox_and_folders_count(void **state)
{
    Mailbox *mailbox = *state;

    mailbox_make_folder(mailbox, ".Lists.ietf");
    put(mailbox, "", 1, "");
    put(mailbox, "", 20, ":2,S");
    put(mailbox, ".Lists.ietf", 300, "");
    put(mailbox, ".Lists.ietf", 4000, ":2,");
    assert_counts(mailbox, 4321, 4);
}

static void
only_messages_count(void **state)
{
    Mailbox *mailbox = *state;

    mailbox_make_folder(mailbox, "Maildir");     /* no dot: no folder */
    mailbox_make_folder(mailbox, "new/1.a,S=9"); /* a directory is no message */
    put(mailbox, "Maildir", 5, "");
    mailbox_write(mailbox, "tmp/1.a,S=7", "");
    mailbox_write(mailbox, "new/.hidden,S=7", "");
    mailbox_write(mailbox, ".file", "no folder");
    mailbox_write(mailbox, "dovecot-uidlist", "no message");
    put(mailbox, "", 1, "");
    assert_counts(mailbox, 1, 1);
}

static void
message_without_size_in_its_name_is_looked_at(void **state)
{
    Mailbox *mailbox = *state;

    mailbox_write(mailbox, "cur/1.host:2,", "12345");
    mailbox_write(mailbox, "new/2.host,S=1", "the name is believed");
    assert_counts(mailbox, 6, 2);
}

static void
links_to_folders_and_to_messages_without_size_do_not_count(void **state)
{
    Mailbox *mailbox = *state;

    mailbox_make_folder(mailbox, ".Real");
    put(mailbox, ".Real", 5, "");
    assert_int_equal(symlinkat(".Real", mailbox->fd, ".Link"), 0);
    mailbox_write(mailbox, "message", "12345");
    assert_int_equal(symlinkat("../message", mailbox->fd, "new/1.link"), 0);
    assert_counts(mailbox, 5, 1);
}

static void
missing_directories_hold_nothing(void **state)
{
    Mailbox *mailbox = *state;

    assert_int_equal(unlinkat(mailbox->fd, "cur", AT_REMOVEDIR), 0);
    assert_int_equal(mkdirat(mailbox->fd, ".Empty", 0700), 0);
    put(mailbox, "", 5, "");
    assert_counts(mailbox, 5, 1);
}

static void
what_cannot_be_read_is_an_error(void **state)
{
    Mailbox *mailbox = *state;
    QuotaScanRequest request = {.settings = &mailbox->settings, .clock_fd = -1};
    g_autoptr(GError) error = NULL;
    QuotaScan scan = {0};

    assert_int_equal(unlinkat(mailbox->fd, "cur", AT_REMOVEDIR), 0);
    mailbox_write(mailbox, "cur", "not a directory");
    assert_false(quota_scan(mailbox->fd, &request, &scan, &error));
    assert_true(error->domain == G_FILE_ERROR);
    assert_null(scan.directories);
}

static void
ignored_folders_do_not_count(void **state)
{
    Mailbox *mailbox = *state;
    const QuotaFolderRule rules[] = {{.pattern = ".Junk*", .is_ignored = true}};

    mailbox->settings.folders = rules;
    mailbox->settings.folder_count = 1;
    mailbox_make_folder(mailbox, ".Junk");
    mailbox_make_folder(mailbox, ".Junk.sub");
    put(mailbox, ".Junk", 10, "");
    put(mailbox, ".Junk.sub", 100, "");
    put(mailbox, "", 1, "");
    assert_counts(mailbox, 1, 1);
}

static void
inbox_can_be_ignored_too(void **state)
{
    Mailbox *mailbox = *state;
    const QuotaFolderRule rules[] = {{.pattern = "", .is_ignored = true}};

    mailbox->settings.folders = rules;
    mailbox->settings.folder_count = 1;
    mailbox_make_folder(mailbox, ".A");
    put(mailbox, ".A", 10, "");
    put(mailbox, "", 1, "");
    assert_counts(mailbox, 10, 1);
}

static void
trash_and_deleted_mail_count_as_settings_say(void **state)
{
    Mailbox *mailbox = *state;

    mailbox_make_folder(mailbox, ".Trash");
    put(mailbox, "", 1, "");
    put(mailbox, "", 10, ":2,ST");
    put(mailbox, ".Trash", 100, ":2,S");
    put(mailbox, ".Trash", 1000, ":2,T");
    assert_counts(mailbox, 1111, 4);
    mailbox->settings.ignore_trash = true;
    assert_counts(mailbox, 11, 2);
    mailbox->settings.ignore_deleted = true;
    assert_counts(mailbox, 1, 1);
    mailbox->settings.ignore_trash = false;
    assert_counts(mailbox, 101, 2);
}

static void
everything_is_looked_at_on_request(void **state)
{
    Mailbox *mailbox = *state;

    mailbox->settings.ignore_trash = mailbox->settings.ignore_deleted = true;
    mailbox_make_folder(mailbox, ".Trash");
    put(mailbox, "", 1, ":2,S");
    put(mailbox, "", 10, ":2,T");
    put(mailbox, ".Trash", 100, ":2,T");

    g_auto(QuotaScan) scan = scan_with(mailbox, (QuotaScanRequest){.is_everything = true});

    assert_usage(scan.counted, 1, 1);
    assert_usage(scan.deleted, 10, 1);
    assert_usage(scan.trash, 100, 1);
}

static void
exceptions_are_left_out_whatever_their_flags(void **state)
{
    Mailbox *mailbox = *state;
    const guint64 except[] = {quota_name_hash("1.a,S=10"), quota_name_hash("2.b")};

    mailbox_make_folder(mailbox, ".A");
    mailbox_write(mailbox, ".A/cur/1.a,S=10:2,FS", "");
    mailbox_write(mailbox, "new/2.b", "12345");
    mailbox_write(mailbox, "new/3.c,S=1", "");

    g_auto(QuotaScan) scan =
        scan_with(mailbox, (QuotaScanRequest){.except = except, .except_count = 2});

    assert_usage(scan.counted, 1, 1);
}

static void
sizes_that_add_up_past_what_can_be_are_the_most_that_can_be(void **state)
{
    Mailbox *mailbox = *state;

    put(mailbox, "", G_MAXINT64, "");
    put(mailbox, "", G_MAXINT64, "");
    put(mailbox, "", G_MAXINT64, "");
    assert_counts(mailbox, G_MAXINT64, 3);
}

static void
one_folder_is_counted_alone(void **state)
{
    Mailbox *mailbox = *state;
    const guint64 except[] = {quota_name_hash("9.mine,S=500")};
    const QuotaFolderRule rules[] = {{.pattern = ".A", .max_octets = 1}};
    QuotaScanRequest request = {
        .settings = &mailbox->settings, .except = except, .except_count = 1, .clock_fd = -1};
    QuotaUsage usage;

    mailbox->settings.folders = rules;
    mailbox->settings.folder_count = 1;
    mailbox_make_folder(mailbox, ".A");
    mailbox_make_folder(mailbox, ".A.sub");
    put(mailbox, ".A", 10, "");
    put(mailbox, ".A", 20, ":2,S");
    put(mailbox, ".A.sub", 100, "");
    put(mailbox, "", 1000, "");
    mailbox_write(mailbox, ".A/new/9.mine,S=500", "");
    assert_true(quota_scan_folder(mailbox->fd, ".A", &request, &usage, NULL));
    assert_usage(usage, 30, 2);
    assert_true(quota_scan_folder(mailbox->fd, "", &request, &usage, NULL));
    assert_usage(usage, 1000, 1);
    assert_true(quota_scan_folder(mailbox->fd, ".None", &request, &usage, NULL));
    assert_usage(usage, 0, 0);
}

/* ---- moving --------------------------------------------------------------- */

/* All directories as if nobody had touched them for a while. */
static void
settle_times(const Mailbox *mailbox, const char *folder)
{
    const struct timespec past[] = {{1000000, 5}, {1000000, 5}};
    const char *const names[] = {"new", "cur"};

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_build_filename(*folder == '\0' ? "." : folder, names[i], NULL);

        assert_int_equal(utimensat(mailbox->fd, path, past, 0), 0);
    }
}

static void
message_seen_in_new_and_in_cur_counts_once(void **state)
{
    Mailbox *mailbox = *state;

    /* As a move between the two looks to us. */
    mailbox_write(mailbox, "new/1.a,S=10", "");
    mailbox_write(mailbox, "cur/1.a,S=10:2,S", "");
    mailbox_write(mailbox, "new/2.b,S=100", "");
    mailbox_write(mailbox, "cur/3.c,S=1000:2,", "");
    assert_counts(mailbox, 1110, 3);
}

static void
same_name_in_another_folder_is_another_message(void **state)
{
    Mailbox *mailbox = *state;

    mailbox_make_folder(mailbox, ".A");
    mailbox_write(mailbox, "new/1.a,S=10", "");
    mailbox_write(mailbox, ".A/cur/1.a,S=10:2,S", "");
    assert_counts(mailbox, 20, 2);
}

static void
quiet_mailbox_is_stable(void **state)
{
    Mailbox *mailbox = *state;

    put(mailbox, "", 1, "");
    settle_times(mailbox, "");

    g_auto(QuotaScan) scan = scan_with(mailbox, (QuotaScanRequest){0});

    assert_true(quota_scan_is_stable(&scan, mailbox->fd));
    /* A name in the Maildir itself is no mail. */
    mailbox_write(mailbox, "maildirsize", "");
    assert_true(quota_scan_is_stable(&scan, mailbox->fd));
}

typedef void Disturb(Mailbox *mailbox);

static void
move_to_cur(Mailbox *mailbox)
{
    assert_int_equal(renameat(mailbox->fd, "new/1.a,S=10", mailbox->fd, "cur/1.a,S=10:2,S"), 0);
}

static void
remove_message(Mailbox *mailbox)
{
    assert_int_equal(unlinkat(mailbox->fd, "new/1.a,S=10", 0), 0);
}

static void
add_to_folder(Mailbox *mailbox)
{
    put(mailbox, ".A", 1, ":2,");
}

static void
add_folder(Mailbox *mailbox)
{
    mailbox_make_folder(mailbox, ".B");
}

static void
rename_folder(Mailbox *mailbox)
{
    assert_int_equal(renameat(mailbox->fd, ".A", mailbox->fd, ".B"), 0);
}

static void
remove_folder(Mailbox *mailbox)
{
    assert_int_equal(renameat(mailbox->fd, ".A", mailbox->fd, "elsewhere"), 0);
}

static void
whatever_moves_during_a_scan_is_noticed(void **state)
{
    Mailbox *mailbox = *state;
    Disturb *const disturb[] = {move_to_cur, remove_message, add_to_folder,
                                add_folder,  rename_folder,  remove_folder};

    for (size_t i = 0; i < G_N_ELEMENTS(disturb); i++) {
        void *another = NULL;

        assert_int_equal(mailbox_setup(&another), 0);
        mailbox = another;
        mailbox_make_folder(mailbox, ".A");
        mailbox_write(mailbox, "new/1.a,S=10", "");
        settle_times(mailbox, "");
        settle_times(mailbox, ".A");
        {
            g_auto(QuotaScan) scan = scan_with(mailbox, (QuotaScanRequest){0});

            assert_true(quota_scan_is_stable(&scan, mailbox->fd));
            disturb[i](mailbox);
            if (quota_scan_is_stable(&scan, mailbox->fd))
                fail_msg("disturbance %zu was not noticed", i);
        }
        assert_int_equal(mailbox_teardown(&another), 0);
    }
}

static void
directory_changed_at_the_time_of_the_scan_counts_as_changed(void **state)
{
    Mailbox *mailbox = *state;
    struct stat status;

    settle_times(mailbox, "");

    g_auto(QuotaScan) scan = scan_with(mailbox, (QuotaScanRequest){0});
    /* The last change before the scan carries the time at which it began. */
    const struct timespec now[] = {{0, UTIME_OMIT},
                                   {scan.started_ns / 1000000000, scan.started_ns % 1000000000}};

    quota_scan_clear(&scan);
    assert_int_equal(utimensat(mailbox->fd, "new", now, 0), 0);
    assert_int_equal(fstatat(mailbox->fd, "new", &status, 0), 0);
    scan = scan_with(mailbox, (QuotaScanRequest){0});
    scan.started_ns = (gint64)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec;
    assert_false(quota_scan_is_stable(&scan, mailbox->fd));
    scan.started_ns++;
    assert_true(quota_scan_is_stable(&scan, mailbox->fd));
}

static void
directory_changed_in_the_future_is_stable(void **state)
{
    Mailbox *mailbox = *state;
    const struct timespec future[] = {{4000000000, 0}, {4000000000, 0}};

    settle_times(mailbox, "");
    assert_int_equal(utimensat(mailbox->fd, "cur", future, 0), 0);

    g_auto(QuotaScan) scan = scan_with(mailbox, (QuotaScanRequest){0});

    assert_true(quota_scan_is_stable(&scan, mailbox->fd));
}

int
main(void)
{
    const struct CMUnitTest counting[] = {
        cmocka_unit_test(flags_do_not_change_what_a_name_stands_for),
        mailbox_test(inbox_and_folders_count),
        mailbox_test(only_messages_count),
        mailbox_test(message_without_size_in_its_name_is_looked_at),
        mailbox_test(links_to_folders_and_to_messages_without_size_do_not_count),
        mailbox_test(missing_directories_hold_nothing),
        mailbox_test(what_cannot_be_read_is_an_error),
        mailbox_test(ignored_folders_do_not_count),
        mailbox_test(inbox_can_be_ignored_too),
        mailbox_test(trash_and_deleted_mail_count_as_settings_say),
        mailbox_test(everything_is_looked_at_on_request),
        mailbox_test(exceptions_are_left_out_whatever_their_flags),
        mailbox_test(sizes_that_add_up_past_what_can_be_are_the_most_that_can_be),
        mailbox_test(one_folder_is_counted_alone),
        mailbox_test(message_seen_in_new_and_in_cur_counts_once),
        mailbox_test(same_name_in_another_folder_is_another_message),
        mailbox_test(quiet_mailbox_is_stable),
        mailbox_test(whatever_moves_during_a_scan_is_noticed),
        mailbox_test(directory_changed_at_the_time_of_the_scan_counts_as_changed),
        mailbox_test(directory_changed_in_the_future_is_stable),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(counting) + G_N_ELEMENTS(rows)];

    for (size_t i = 0; i < G_N_ELEMENTS(counting); i++)
        tests[i] = counting[i];
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[G_N_ELEMENTS(counting) + i] = (struct CMUnitTest){
            .name = rows[i].behaviour, .test_func = check_row, .initial_state = (void *)&rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
