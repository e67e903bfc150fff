/* tests/quota/test_history.c - random histories of a mailbox, against a model
 *
 * Deliveries that overlap, give up, or are killed; readers that move mail and remove it, with a
 * line or without; other programs that deliver, count anew, or remove "maildirsize". The model
 * knows what lies in the mailbox and what is set aside. Nothing that passes the limit may be let
 * in, nothing that fits be refused for good or put off, and usage is what lies there. The seed is
 * printed; LODGE_TEST_SEED runs that history again.
 */
#include "tests/quota/mailbox.h"

enum { HISTORIES = 30, STEPS = 100, LIMIT = 5000, OPEN_MAX = 6, FD_MAX = 256 };

typedef struct {
    char *path; /* NULL: gone */
    guint64 octets;
} Mail;

typedef struct {
    Quota *quota; /* NULL: none */
    guint64 octets;
    int mail;        /* of what it published, -1: nothing yet */
    bool is_counted; /* another program has counted that already */
    bool fds[FD_MAX];
} Open;

typedef struct {
    Mailbox *mailbox;
    GRand *random;
    GArray *mails; /* of Mail */
    guint64 stored;
    bool is_off; /* mail was removed without a line since the last count that is known of */
    unsigned step;
    Open open[OPEN_MAX];
} History;

static GPtrArray *killed; /* their memory, which nothing frees: reachable, so no leak */

static unsigned
choose(History *history, unsigned count)
{
    return (unsigned)g_rand_int_range(history->random, 0, (gint32)count);
}

static guint64
some_octets(History *history)
{
    return 1 + choose(history, choose(history, 4) == 0 ? LIMIT : 800);
}

static Mail *
mail_at(const History *history, unsigned index)
{
    return &g_array_index(history->mails, Mail, index);
}

static int
note_mail(History *history, char *path, guint64 octets)
{
    const Mail mail = {.path = path, .octets = octets};

    g_array_append_val(history->mails, mail);
    history->stored += octets;
    return (int)history->mails->len - 1;
}

static bool
is_unsettled(const History *history, int mail)
{
    for (size_t i = 0; i < OPEN_MAX; i++) {
        if (history->open[i].quota != NULL && history->open[i].mail == mail)
            return true;
    }
    return false;
}

/* One that lies there; -1: none was found. */
static int
choose_mail(History *history)
{
    unsigned index;

    if (history->mails->len == 0)
        return -1;
    index = choose(history, history->mails->len);
    return mail_at(history, index)->path == NULL ? -1 : (int)index;
}

/* What deliveries have set aside and not published, or with what another program has counted. */
static guint64
set_aside(const History *history, bool with_counted)
{
    guint64 sum = 0;

    for (size_t i = 0; i < OPEN_MAX; i++) {
        const Open *open = &history->open[i];

        if (open->quota != NULL && (open->mail < 0 || (with_counted && open->is_counted)))
            sum += open->octets;
    }
    return sum;
}

/* ---- deliveries of ours --------------------------------------------------- */

static void
list_descriptors(bool *fds)
{
    for (int fd = 0; fd < FD_MAX; fd++)
        fds[fd] = fcntl(fd, F_GETFD) >= 0;
}

static void
check_refusal(const History *history, guint64 octets, const GError *error)
{
    if (error->domain != QUOTA_ERROR)
        fail_msg("step %u: %s", history->step, error->message);
    if (error->code == QUOTA_ERROR_FULL && history->stored + octets <= LIMIT)
        fail_msg("step %u: what fits is refused: %s", history->step, error->message);
    if (history->stored + set_aside(history, true) + octets <= LIMIT)
        fail_msg("step %u: what fits is put off: %s", history->step, error->message);
}

static void
reserve(History *history, Open *open)
{
    Mailbox *mailbox = history->mailbox;
    Quota *quota = mailbox_open(mailbox);
    g_autoptr(GError) error = NULL;
    bool before[FD_MAX];

    *open = (Open){.octets = some_octets(history), .mail = -1};
    list_descriptors(before);
    if (!quota_reserve(quota, "", open->octets, mailbox->now_us, &error)) {
        quota_free(quota);
        check_refusal(history, open->octets, error);
        return;
    }
    if (history->stored + set_aside(history, false) + open->octets > LIMIT)
        fail_msg("step %u: the limit is passed", history->step);
    list_descriptors(open->fds);
    for (int fd = 0; fd < FD_MAX; fd++)
        open->fds[fd] = open->fds[fd] && !before[fd];
    open->quota = quota;
}

static void
publish(History *history, Open *open)
{
    open->mail = note_mail(history, mailbox_publish(history->mailbox, open->quota, open->octets),
                           open->octets);
}

static void
settle(History *history, Open *open)
{
    g_autoptr(GError) error = NULL;
    QuotaChange change;

    if (!quota_settle(open->quota, history->mailbox->now_us, &change, &error))
        fail_msg("step %u: %s", history->step, error->message);
    g_clear_pointer(&open->quota, quota_free);
}

/* As the kernel does to a process that is killed: its descriptors are closed, and that is all. */
static void
kill_delivery(Open *open)
{
    for (int fd = 0; fd < FD_MAX; fd++) {
        if (open->fds[fd])
            assert_int_equal(close(fd), 0);
    }
    g_ptr_array_add(killed, open->quota);
    open->quota = NULL;
}

static void
step_deliver(History *history)
{
    Open *open = &history->open[choose(history, OPEN_MAX)];
    unsigned fate = choose(history, 8);

    if (open->quota == NULL)
        reserve(history, open);
    else if (fate == 0)
        kill_delivery(open);
    else if (open->mail >= 0)
        settle(history, open);
    else if (fate == 1)
        g_clear_pointer(&open->quota, quota_free);
    else
        publish(history, open);
}

/* ---- others --------------------------------------------------------------- */

/* A line, if there is a file to add it to. */
static void
tell(const History *history, gint64 octets, int messages)
{
    g_autofree char *line = g_strdup_printf("%" G_GINT64_FORMAT " %d\n", octets, messages);

    if (mailbox_has(history->mailbox, "maildirsize"))
        mailbox_append(history->mailbox, "maildirsize", line);
}

static void
step_move(History *history)
{
    int index = choose_mail(history);
    g_autofree char *moved = NULL;
    Mail *mail;

    if (index < 0)
        return;
    mail = mail_at(history, (unsigned)index);
    if (!g_str_has_prefix(mail->path, "new/"))
        return;
    moved = g_strdup_printf("cur/%s:2,S", mail->path + strlen("new/"));
    assert_int_equal(renameat(history->mailbox->fd, mail->path, history->mailbox->fd, moved), 0);
    g_free(mail->path);
    mail->path = g_steal_pointer(&moved);
}

/* What is not told makes the file look old: else a count of less than 15 minutes stands. */
static void
step_remove(History *history)
{
    const struct timespec past[] = {{1000000, 0}, {1000000, 0}};
    int index = choose_mail(history);
    Mail *mail;

    if (index < 0 || is_unsettled(history, index))
        return;
    mail = mail_at(history, (unsigned)index);
    assert_int_equal(unlinkat(history->mailbox->fd, mail->path, 0), 0);
    g_clear_pointer(&mail->path, g_free);
    history->stored -= mail->octets;
    if (choose(history, 3) > 0) {
        tell(history, -(gint64)mail->octets, -1);
        return;
    }
    history->is_off = true;
    (void)utimensat(history->mailbox->fd, "maildirsize", past, 0); /* if there is one */
}

static void
step_foreign_delivery(History *history)
{
    guint64 octets = 1 + choose(history, 200);

    note_mail(history, mailbox_put(history->mailbox, "", octets, ""), octets);
    tell(history, (gint64)octets, 1);
}

static unsigned
count_mails(const History *history)
{
    unsigned count = 0;

    for (unsigned i = 0; i < history->mails->len; i++)
        count += mail_at(history, i)->path != NULL ? 1 : 0;
    return count;
}

static void
step_foreign_count(History *history)
{
    g_autofree char *text =
        g_strdup_printf("%dS\n%" G_GUINT64_FORMAT " %u\n", choose(history, 4) == 0 ? 777 : LIMIT,
                        history->stored, count_mails(history));

    mailbox_write(history->mailbox, "maildirsize", text);
    history->is_off = false;
    for (size_t i = 0; i < OPEN_MAX; i++)
        history->open[i].is_counted = history->open[i].mail >= 0;
}

static void
step_foreign_removal(History *history)
{
    (void)unlinkat(history->mailbox->fd, "maildirsize", 0); /* if there is one */
    history->is_off = false;
}

/* Without what is published and not settled, unless another program counted that. */
static void
step_ask(History *history)
{
    guint64 least = history->stored;
    guint64 most = history->stored;
    QuotaUsage usage = mailbox_usage(history->mailbox);

    for (size_t i = 0; i < OPEN_MAX; i++) {
        const Open *open = &history->open[i];

        if (open->quota == NULL || open->mail < 0)
            continue;
        least -= open->octets;
        most -= open->is_counted ? 0 : open->octets;
    }
    if (usage.octets < least || (usage.octets > most && !history->is_off))
        fail_msg("step %u: %" G_GUINT64_FORMAT " octets are used, not %" G_GUINT64_FORMAT,
                 history->step, usage.octets, most);
}

/* ---- histories ------------------------------------------------------------ */

static void
finish(History *history)
{
    for (size_t i = 0; i < OPEN_MAX; i++) {
        Open *open = &history->open[i];

        if (open->quota != NULL && open->mail >= 0)
            settle(history, open);
        g_clear_pointer(&open->quota, quota_free);
    }
    step_ask(history);
    (void)unlinkat(history->mailbox->fd, "maildirsize", 0); /* if there is one */
    assert_usage(mailbox_usage(history->mailbox), history->stored, count_mails(history));
    if (history->stored <= LIMIT)
        assert_int_equal(mailbox_try(history->mailbox, "", LIMIT - history->stored), -1);
}

static void
run_history(guint32 seed)
{
    void (*const steps[])(History * history) = {
        step_deliver,        step_deliver, step_deliver, step_deliver,          step_deliver,
        step_deliver,        step_deliver, step_deliver, step_deliver,          step_move,
        step_remove,         step_remove,  step_ask,     step_foreign_delivery, step_foreign_count,
        step_foreign_removal};
    g_autoptr(GArray) mails = g_array_new(FALSE, FALSE, sizeof(Mail));
    g_autoptr(GRand) random = g_rand_new_with_seed(seed);
    History history = {.random = random, .mails = mails};
    void *mailbox;

    print_message("LODGE_TEST_SEED=%u\n", seed);
    assert_int_equal(mailbox_setup(&mailbox), 0);
    history.mailbox = mailbox;
    history.mailbox->settings.limits.octets = LIMIT;
    for (; history.step < STEPS; history.step++)
        steps[choose(&history, G_N_ELEMENTS(steps))](&history);
    finish(&history);
    for (unsigned i = 0; i < mails->len; i++)
        g_free(mail_at(&history, i)->path);
    assert_int_equal(mailbox_teardown(&mailbox), 0);
}

static void
random_histories_agree_with_the_model(void **state)
{
    const char *seed = g_getenv("LODGE_TEST_SEED");

    (void)state;
    killed = g_ptr_array_new();
    if (seed != NULL) {
        run_history((guint32)g_ascii_strtoull(seed, NULL, 10));
        return;
    }
    for (unsigned i = 0; i < HISTORIES; i++)
        run_history(g_random_int());
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_histories_agree_with_the_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
