/* tests/quota/test_ledger.c - reservations, the mutex, and a damaged "lodge-quota" */
#include "tests/quota/mailbox.h"

#include <signal.h>
#include <sys/inotify.h>
#include <sys/wait.h>

#include "quota/ledger.h"
#include "quota/scan.h"

static Quota *
reserve(const Mailbox *mailbox, const char *folder, guint64 octets)
{
    Quota *quota = mailbox_open(mailbox);
    g_autoptr(GError) error = NULL;

    if (!quota_reserve(quota, folder, octets, mailbox->now_us, &error))
        fail_msg("%s", error->message);
    return quota;
}

/* A child that does work and is killed before it can clean up. */
static void
run_and_kill(void (*work)(Mailbox *mailbox), Mailbox *mailbox)
{
    int done[2];
    char byte;

    assert_int_equal(pipe(done), 0);

    pid_t pid = fork();

    if (pid == 0) {
        work(mailbox);
        (void)write(done[1], "x", 1);
        for (;;)
            (void)pause();
    }
    (void)close(done[1]);
    assert_true(pid > 0);
    assert_int_equal(read(done[0], &byte, 1), 1);
    (void)close(done[0]);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* ---- reservations --------------------------------------------------------- */

static void
reservations_add_up(void **state)
{
    Mailbox *mailbox = *state;
    Quota *quotas[10];

    mailbox->settings.limits.octets = 1000;
    for (size_t i = 0; i < G_N_ELEMENTS(quotas); i++)
        quotas[i] = reserve(mailbox, "", 100);
    assert_int_equal(mailbox_try(mailbox, "", 1), QUOTA_ERROR_FULL_FOR_NOW);
    quota_free(quotas[4]);
    assert_int_equal(mailbox_try(mailbox, "", 101), QUOTA_ERROR_FULL_FOR_NOW);
    assert_int_equal(mailbox_try(mailbox, "", 100), -1);
    quotas[4] = NULL;
    for (size_t i = 0; i < G_N_ELEMENTS(quotas); i++)
        quota_free(quotas[i]);
    assert_int_equal(mailbox_try(mailbox, "", 1000), -1);
}

static void
reservations_count_as_messages_too(void **state)
{
    Mailbox *mailbox = *state;

    mailbox->settings.limits.messages = 2;

    g_autoptr(Quota) first G_GNUC_UNUSED = reserve(mailbox, "", 0);

    assert_int_equal(mailbox_try(mailbox, "", 0), -1);

    g_autoptr(Quota) second G_GNUC_UNUSED = reserve(mailbox, "", 0);

    assert_int_equal(mailbox_try(mailbox, "", 0), QUOTA_ERROR_FULL_FOR_NOW);
}

static void
more_deliveries_than_slots_are_told_to_wait(void **state)
{
    Mailbox *mailbox = *state;
    Quota *quotas[LEDGER_SLOTS];

    for (size_t i = 0; i < LEDGER_SLOTS; i++)
        quotas[i] = reserve(mailbox, "", 1);
    assert_int_equal(mailbox_try(mailbox, "", 1), QUOTA_ERROR_BUSY);
    quota_free(quotas[7]);
    quotas[7] = reserve(mailbox, "", 1);
    for (size_t i = 0; i < LEDGER_SLOTS; i++)
        quota_free(quotas[i]);
}

static void
reserving_again_gives_the_first_one_back(void **state)
{
    Mailbox *mailbox = *state;
    g_autoptr(Quota) quota = NULL;

    mailbox->settings.limits.octets = 1000;
    quota = reserve(mailbox, "", 800);
    assert_true(quota_reserve(quota, "", 300, mailbox->now_us, NULL));
    assert_int_equal(mailbox_try(mailbox, "", 700), -1);
}

static void
asking_for_usage_keeps_the_reservation(void **state)
{
    Mailbox *mailbox = *state;
    g_autoptr(Quota) quota = NULL;
    QuotaUsage usage;

    mailbox->settings.limits.octets = 1000;
    quota = reserve(mailbox, "", 800);
    assert_true(quota_usage(quota, &usage, NULL));
    assert_usage(usage, 0, 0);
    assert_true(quota_check(quota, "", 1000, mailbox->now_us, NULL));
    assert_int_equal(mailbox_try(mailbox, "", 201), QUOTA_ERROR_FULL_FOR_NOW);
}

/* ---- killed --------------------------------------------------------------- */

static void
reserve_half(Mailbox *mailbox)
{
    (void)reserve(mailbox, "", 500);
}

static void
publish_half(Mailbox *mailbox)
{
    g_free(mailbox_publish(mailbox, reserve(mailbox, "", 500), 500));
}

static void
settle_half(Mailbox *mailbox)
{
    mailbox_deliver(mailbox, 500);
}

static void
killed_before_it_published_holds_nothing(void **state)
{
    Mailbox *mailbox = *state;

    mailbox->settings.limits.octets = 1000;
    run_and_kill(reserve_half, mailbox);
    assert_int_equal(mailbox_try(mailbox, "", 1000), -1);
    assert_usage(mailbox_usage(mailbox), 0, 0);
}

static void
killed_after_it_published_is_counted(void **state)
{
    Mailbox *mailbox = *state;

    mailbox->settings.limits.octets = 1000;
    mailbox_deliver(mailbox, 1);
    run_and_kill(publish_half, mailbox);
    assert_int_equal(mailbox_try(mailbox, "", 500), QUOTA_ERROR_FULL);
    assert_int_equal(mailbox_try(mailbox, "", 499), -1);
    assert_usage(mailbox_usage(mailbox), 501, 2);
}

static void
killed_after_it_settled_is_entered_once(void **state)
{
    Mailbox *mailbox = *state;

    mailbox->settings.limits.octets = 1000;
    run_and_kill(settle_half, mailbox);
    assert_usage(mailbox_usage(mailbox), 500, 1);
}

static void
reserve_many(Mailbox *mailbox)
{
    for (unsigned i = 0; i < 30; i++)
        (void)reserve(mailbox, "", 10);
}

static void
any_number_of_reservations_may_be_lost(void **state)
{
    Mailbox *mailbox = *state;
    g_autoptr(Quota) quota = mailbox_open(mailbox);
    QuotaReport report;

    mailbox->settings.limits.octets = 1000;
    run_and_kill(reserve_many, mailbox);
    assert_true(quota_verify(quota, &report, NULL));
    assert_int_equal(report.lost, 30);
    assert_int_equal(mailbox_try(mailbox, "", 1000), -1);
    assert_true(quota_verify(quota, &report, NULL));
    assert_int_equal(report.lost, 0);
}

static void
lost_reservations_are_reported(void **state)
{
    Mailbox *mailbox = *state;
    g_autoptr(Quota) quota = NULL;
    QuotaReport report;

    mailbox->settings.limits.octets = 1000;
    mailbox_deliver(mailbox, 1);
    run_and_kill(publish_half, mailbox);
    quota = mailbox_open(mailbox);
    for (unsigned i = 0; i < 2; i++) { /* looking changes nothing */
        assert_true(quota_verify(quota, &report, NULL));
        assert_int_equal(report.lost, 1);
        assert_int_equal(report.file_octets, 1);
        assert_usage(report.counted, 501, 2);
    }
}

/* ---- the mutex ------------------------------------------------------------ */

static void
take_mutex(Mailbox *mailbox)
{
    static Ledger ledger;

    ledger_init(&ledger, mailbox->fd);
    assert_true(ledger_enter(&ledger, 1000, NULL));
}

static void
mutex_of_a_killed_process_is_free(void **state)
{
    Mailbox *mailbox = *state;

    run_and_kill(take_mutex, mailbox);
    mailbox->settings.lock_timeout_ms = 0;
    assert_int_equal(mailbox_try(mailbox, "", 1), -1);
}

static void
mutex_held_too_long_is_busy_and_costs_settling_a_count(void **state)
{
    Mailbox *mailbox = *state;
    Ledger ledger;
    g_autoptr(Quota) quota = NULL;
    g_autoptr(GError) error = NULL;
    QuotaChange change;
    QuotaUsage usage;

    mailbox->settings.limits.octets = 1000;
    mailbox->settings.lock_timeout_ms = 0;
    quota = reserve(mailbox, "", 500);
    ledger_init(&ledger, mailbox->fd);
    assert_true(ledger_enter(&ledger, 1000, NULL));

    assert_int_equal(mailbox_try(mailbox, "", 1), QUOTA_ERROR_BUSY);
    g_autoptr(Quota) other = mailbox_open(mailbox);
    assert_false(quota_usage(other, &usage, NULL));
    assert_false(quota_check(other, "", 1, mailbox->now_us, NULL));

    g_free(mailbox_publish(mailbox, quota, 500)); /* naming waits for nobody */
    assert_false(quota_settle(quota, mailbox->now_us, &change, &error));
    assert_true(g_error_matches(error, QUOTA_ERROR, QUOTA_ERROR_BUSY));
    ledger_close(&ledger);
    assert_usage(mailbox_usage(mailbox), 500, 1);
}

/* ---- the file ------------------------------------------------------------- */

static void
file_has_the_rights_of_the_maildir(void **state)
{
    Mailbox *mailbox = *state;
    const struct {
        mode_t maildir;
        mode_t file;
    } cases[] = {{0700, 0600}, {02770, 0660}, {0755, 0644}};
    const char *const names[] = {"lodge-quota", "maildirsize"};

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        mode_t mask = umask(077);

        assert_int_equal(fchmod(mailbox->fd, cases[i].maildir), 0);
        mailbox_deliver(mailbox, 1);
        (void)umask(mask);
        for (size_t j = 0; j < G_N_ELEMENTS(names); j++) {
            struct stat status;

            assert_int_equal(fstatat(mailbox->fd, names[j], &status, 0), 0);
            assert_int_equal(status.st_mode & 07777, cases[i].file);
            assert_int_equal(unlinkat(mailbox->fd, names[j], 0), 0);
        }
    }
}

/* With a mailbox that holds 500 octets which "maildirsize" does not know of. */
static void
check_damage(Mailbox *mailbox, const char *bytes, size_t len)
{
    mailbox_write(mailbox, "maildirsize", "1000S\n0 0\n");
    mailbox_write_bytes(mailbox, "lodge-quota", bytes, len);
    assert_int_equal(mailbox_try(mailbox, "", 501), QUOTA_ERROR_FULL);
    assert_int_equal(mailbox_try(mailbox, "", 500), -1);
    assert_usage(mailbox_usage(mailbox), 500, 1);
}

static void
damaged_file_costs_a_count(void **state)
{
    Mailbox *mailbox = *state;
    char bytes[8192];

    mailbox->settings.limits.octets = 1000;
    g_free(mailbox_put(mailbox, "", 500, ""));
    memset(bytes, 0xff, sizeof bytes);
    check_damage(mailbox, bytes, 1);
    check_damage(mailbox, bytes, 4096);
    check_damage(mailbox, bytes, 8192);
    check_damage(mailbox, "LODGEQ01", 8);
    memset(bytes, 0, sizeof bytes);
    check_damage(mailbox, bytes, 4096);
}

/* The right name, and behind it anything. */
static void
rubbish_in_the_slots_costs_a_count(void **state)
{
    Mailbox *mailbox = *state;
    g_autofree char *path = g_build_filename(mailbox->path, "lodge-quota", NULL);
    char *bytes = NULL;
    size_t len;

    mailbox->settings.limits.octets = 1000;
    mailbox->settings.over = QUOTA_OVER_RAMP;
    mailbox->settings.ramp_s = 3600;
    mailbox->settings.warn_at = (const unsigned[]){50};
    mailbox->settings.warn_count = 1;
    assert_int_equal(mailbox_try(mailbox, "", 1), -1);
    assert_true(g_file_get_contents(path, &bytes, &len, NULL));
    assert_int_equal(len, 4096);
    memset(bytes + 8, 0xff, len - 8);
    g_free(mailbox_put(mailbox, "", 500, ""));
    mailbox_write(mailbox, "maildirsize", "1000S\n0 0\n");
    mailbox_write_bytes(mailbox, "lodge-quota", bytes, len);
    g_free(bytes);
    assert_int_equal(mailbox_try(mailbox, "", 501), QUOTA_ERROR_FULL_FOR_NOW);
    assert_int_equal(mailbox_deliver(mailbox, 500).after.octets, 1000);
    assert_usage(mailbox_usage(mailbox), 1000, 2);
}

static void
file_overwritten_under_a_reservation_costs_a_count(void **state)
{
    Mailbox *mailbox = *state;
    g_autoptr(Quota) quota = NULL;
    lodge_autofd fd = -1;
    QuotaChange change;

    mailbox->settings.limits.octets = 1000;
    quota = reserve(mailbox, "", 300);
    fd = openat(mailbox->fd, "lodge-quota", O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_int_equal(write(fd, "rubbish", 7), 7);
    /* Another one makes it anew, counts without the name, and must not take the locked slot. */
    g_free(mailbox_publish(mailbox, quota, 300));
    g_autoptr(Quota) other = reserve(mailbox, "", 10);
    assert_true(quota_settle(quota, mailbox->now_us, &change, NULL));
    g_free(mailbox_publish(mailbox, other, 10));
    assert_true(quota_settle(other, mailbox->now_us, &change, NULL));
    assert_usage(mailbox_usage(mailbox), 310, 2);
}

static void
file_removed_under_a_reservation_costs_a_count(void **state)
{
    Mailbox *mailbox = *state;
    g_autoptr(Quota) quota = NULL;
    QuotaChange change;

    mailbox->settings.limits.octets = 1000;
    mailbox_deliver(mailbox, 1);
    quota = reserve(mailbox, "", 300);
    g_free(mailbox_publish(mailbox, quota, 300));
    assert_int_equal(unlinkat(mailbox->fd, "lodge-quota", 0), 0);
    assert_int_equal(unlinkat(mailbox->fd, "maildirsize", 0), 0);
    mailbox_deliver(mailbox, 10); /* counts the 300 too */
    assert_true(quota_settle(quota, mailbox->now_us, &change, NULL));
    assert_usage(mailbox_usage(mailbox), 311, 3);
}

static void
what_is_no_file_is_an_error(void **state)
{
    Mailbox *mailbox = *state;
    g_autoptr(Quota) quota = mailbox_open(mailbox);

    for (unsigned i = 0; i < 3; i++) {
        g_autoptr(GError) error = NULL;

        assert_int_equal(i == 0   ? mkdirat(mailbox->fd, "lodge-quota", 0700)
                         : i == 1 ? mkfifoat(mailbox->fd, "lodge-quota", 0600)
                                  : symlinkat("/dev/null", mailbox->fd, "lodge-quota"),
                         0);
        assert_false(quota_reserve(quota, "", 1, mailbox->now_us, &error));
        assert_true(error->domain == G_FILE_ERROR);
        assert_int_equal(unlinkat(mailbox->fd, "lodge-quota", i == 0 ? AT_REMOVEDIR : 0), 0);
    }
}

static void
empty_file_of_one_who_was_killed_while_making_it_is_filled(void **state)
{
    Mailbox *mailbox = *state;

    mailbox_write(mailbox, "lodge-quota", "");
    mailbox_write(mailbox, "maildirsize", "0S\n7 1\n");
    assert_usage(mailbox_usage(mailbox), 7, 1); /* nothing was lost: believed */
    assert_int_equal(mailbox_try(mailbox, "", 1), -1);
}

static void
looking_at_an_empty_file_leaves_it_empty(void **state)
{
    Mailbox *mailbox = *state;
    g_autoptr(Quota) quota = mailbox_open(mailbox);
    g_autofree char *text = NULL;
    QuotaReport report;

    mailbox_write(mailbox, "lodge-quota", "");
    assert_true(quota_verify(quota, &report, NULL));
    text = mailbox_read(mailbox, "lodge-quota");
    assert_string_equal(text, "");
}

static void
reservation_freed_while_others_look_is_not_lost(void **state)
{
    Mailbox *mailbox = *state;
    Ledger ledger;
    Quota *quota = reserve(mailbox, "", 1);

    ledger_init(&ledger, mailbox->fd);
    assert_true(ledger_enter(&ledger, 1000, NULL));
    quota_free(quota); /* for which nobody needs the mutex */
    assert_true(ledger_survey(&ledger, NULL));
    assert_int_equal(ledger.lost_count, 0);
    assert_int_equal(ledger.other_count, 0);
    ledger_close(&ledger);
}

static void *
reserve_in_thread(void *mailbox)
{
    return reserve(mailbox, "", 600);
}

static void
who_waited_for_a_file_that_is_gone_takes_the_new_one(void **state)
{
    Mailbox *mailbox = *state;
    Ledger ledger;
    g_autofree char *path = g_build_filename(mailbox->path, "lodge-quota", NULL);
    struct inotify_event event;
    int events = inotify_init1(IN_CLOEXEC);
    GThread *thread;
    Quota *quota;

    mailbox->settings.limits.octets = 1000;
    ledger_init(&ledger, mailbox->fd);
    assert_true(ledger_enter(&ledger, 1000, NULL));
    assert_true(inotify_add_watch(events, path, IN_OPEN) >= 0);
    thread = g_thread_new("reserve", reserve_in_thread, mailbox);
    assert_int_equal(read(events, &event, sizeof event), sizeof event); /* it waits for us now */
    assert_int_equal(unlinkat(mailbox->fd, "lodge-quota", 0), 0);
    assert_int_equal(mailbox_try(mailbox, "", 1), -1); /* makes the new one */
    ledger_close(&ledger);
    quota = g_thread_join(thread);
    assert_int_equal(mailbox_try(mailbox, "", 401), QUOTA_ERROR_FULL_FOR_NOW);
    quota_free(quota);
    (void)close(events);
}

static void
names_are_found_by_those_who_count(void **state)
{
    Mailbox *mailbox = *state;
    g_autoptr(Quota) quota = reserve(mailbox, "", 1);
    Ledger ledger;
    guint64 names[LEDGER_SLOTS];
    size_t count;

    ledger_init(&ledger, mailbox->fd);
    assert_true(ledger_enter(&ledger, 1000, NULL));
    assert_true(ledger_names(&ledger, names, &count, NULL));
    assert_int_equal(count, 0);
    assert_true(quota_name(quota, "1.a,S=5", NULL)); /* without the mutex, which we hold */
    assert_true(ledger_names(&ledger, names, &count, NULL));
    assert_int_equal(count, 1);
    assert_int_equal(names[0], quota_name_hash("1.a,S=5"));
    ledger_close(&ledger);
}

static void
name_that_is_known_before_is_written_with_the_reservation(void **state)
{
    Mailbox *mailbox = *state;
    g_autoptr(Quota) quota = mailbox_open(mailbox);
    Ledger ledger;
    guint64 names[LEDGER_SLOTS];
    size_t count;

    assert_true(quota_name(quota, "1.a,S=5", NULL));
    assert_true(quota_reserve(quota, "", 5, mailbox->now_us, NULL));
    ledger_init(&ledger, mailbox->fd);
    assert_true(ledger_enter(&ledger, 1000, NULL));
    assert_true(ledger_names(&ledger, names, &count, NULL));
    assert_int_equal(count, 1);
    assert_int_equal(names[0], quota_name_hash("1.a,S=5"));
    ledger_close(&ledger);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        mailbox_test(reservations_add_up),
        mailbox_test(reservations_count_as_messages_too),
        mailbox_test(more_deliveries_than_slots_are_told_to_wait),
        mailbox_test(reserving_again_gives_the_first_one_back),
        mailbox_test(asking_for_usage_keeps_the_reservation),
        mailbox_test(killed_before_it_published_holds_nothing),
        mailbox_test(killed_after_it_published_is_counted),
        mailbox_test(killed_after_it_settled_is_entered_once),
        mailbox_test(any_number_of_reservations_may_be_lost),
        mailbox_test(lost_reservations_are_reported),
        mailbox_test(mutex_of_a_killed_process_is_free),
        mailbox_test(mutex_held_too_long_is_busy_and_costs_settling_a_count),
        mailbox_test(file_has_the_rights_of_the_maildir),
        mailbox_test(damaged_file_costs_a_count),
        mailbox_test(rubbish_in_the_slots_costs_a_count),
        mailbox_test(file_overwritten_under_a_reservation_costs_a_count),
        mailbox_test(file_removed_under_a_reservation_costs_a_count),
        mailbox_test(what_is_no_file_is_an_error),
        mailbox_test(empty_file_of_one_who_was_killed_while_making_it_is_filled),
        mailbox_test(looking_at_an_empty_file_leaves_it_empty),
        mailbox_test(reservation_freed_while_others_look_is_not_lost),
        mailbox_test(who_waited_for_a_file_that_is_gone_takes_the_new_one),
        mailbox_test(names_are_found_by_those_who_count),
        mailbox_test(name_that_is_known_before_is_written_with_the_reservation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
