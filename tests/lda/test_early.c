/* tests/lda/test_early.c - a large message is written to the first recipient's mailbox while it
 * arrives, and becomes his copy if it can */
#include "tests/lda/sieve_fixture.h"

#define SMALL_MEMORY "\n[mail]\nspool_memory = 10000\n"
#define ANA "ana@example.org"
#define EVA "eva@example.org"

typedef enum {
    NO_MAILDIR = 1 << 0, /* there is none before the message */
    ABANDONED = 1 << 1,  /* the client goes away */
    OTHER_NAME = 1 << 2, /* the header is longer in the end than was expected */
    MBOX_LINE = 1 << 3,  /* a line before the message is removed */
    IN_MEMORY = 1 << 4,  /* it is a small one */
    NOT_BEGUN = 1 << 5,  /* expected: no file in tmp/ while it arrives */
    OTHER_FILE = 1 << 6, /* expected: what is stored is not the file that was begun */
    COMPRESSED = 1 << 7,
} Traits;

typedef struct {
    const char *behaviour;
    const char *settings;      /* NULL: SMALL_MEMORY only */
    const char *script;        /* NULL: none */
    const char *recipients[3]; /* NULL: ana */
    Traits traits;
    const char *boxes[3]; /* of ana, where it is to be then */
} Row;

static const Row rows[] = {
    {"message_becomes_the_copy", NULL, NULL, {NULL}, 0, {"new"}},
    {"message_becomes_the_copy_of_the_first_and_the_others_have_their_own",
     NULL,
     NULL,
     {ANA, EVA},
     0,
     {"new"}},
    {"message_becomes_the_copy_of_all_when_it_names_none",
     SMALL_MEMORY "delivered_to = never\n",
     NULL,
     {ANA, EVA},
     0,
     {"new"}},
    {"second_recipient_has_a_copy_of_his_own", NULL, NULL, {EVA, ANA}, OTHER_FILE, {"new"}},
    {"message_in_memory_is_not_begun", NULL, NULL, {NULL}, IN_MEMORY | NOT_BEGUN, {"new"}},
    {"mailbox_that_is_not_there_is_made_by_the_delivery",
     NULL,
     NULL,
     {NULL},
     NO_MAILDIR | NOT_BEGUN,
     {"new"}},
    {"copy_that_will_be_compressed_is_not_begun",
     SMALL_MEMORY "compress = gzip\n",
     NULL,
     {NULL},
     NOT_BEGUN | COMPRESSED,
     {"new"}},
    {"mailbox_of_another_owner_is_not_written_to_early",
     SMALL_MEMORY "per_user_ids = yes\n",
     NULL,
     {NULL},
     NOT_BEGUN,
     {"new"}},
    {"message_becomes_the_copy_in_a_folder",
     NULL,
     "require [\"fileinto\", \"mailbox\"]; fileinto :create \"Large\";",
     {NULL},
     0,
     {".Large/new"}},
    {"two_copies_for_one_mailbox_are_one_file",
     NULL,
     "require [\"fileinto\", \"mailbox\", \"body\"];"
     "if body :contains \"line 999 \" { fileinto :create \"Large\"; keep; }",
     {NULL},
     0,
     {".Large/new", "new"}},
    {"flags_are_in_the_name",
     NULL,
     "require \"imap4flags\"; setflag \"\\\\Seen\"; keep;",
     {NULL},
     0,
     {"cur"}},
    {"copy_that_a_script_edits_is_another_file",
     NULL,
     "require \"editheader\"; addheader :last \"X-New\" \"a\"; keep;",
     {NULL},
     OTHER_FILE,
     {"new"}},
    {"message_that_is_discarded_leaves_nothing", NULL, "discard;", {NULL}, 0, {NULL}},
    {"message_that_is_rejected_leaves_nothing",
     NULL,
     "require \"reject\"; reject \"no\";",
     {NULL},
     0,
     {NULL}},
    {"message_that_finds_no_room_leaves_nothing",
     SMALL_MEMORY "[quota]\nbytes = 20K\n",
     NULL,
     {NULL},
     0,
     {NULL}},
    {"message_that_is_too_large_leaves_nothing",
     SMALL_MEMORY "message_size_limit = 100K\n",
     NULL,
     {NULL},
     0,
     {NULL}},
    {"message_that_never_ends_leaves_nothing", NULL, NULL, {NULL}, ABANDONED, {NULL}},
    {"headers_of_another_length_make_it_another_file",
     NULL,
     NULL,
     {NULL},
     OTHER_NAME | OTHER_FILE,
     {"new"}},
    {"mbox_line_makes_it_another_file", NULL, NULL, {NULL}, MBOX_LINE | OTHER_FILE, {"new"}},
};

static char *
make_text(const Row *row)
{
    g_autoptr(GString) text = g_string_new((row->traits & MBOX_LINE) != 0 ? "From x y\n" : "");

    g_string_append(text, "Subject: large\n\n");
    for (unsigned i = 0; i < ((row->traits & IN_MEMORY) != 0 ? 100 : 10000); i++)
        g_string_append_printf(text, "line %u of it\n", i);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* The only file in the box, 0 when there is none; its content as it is stored. */
static ino_t
look_into(const Fixture *fixture, const char *box, char **content_out)
{
    g_autofree char *path = g_build_filename(fixture->home, "Maildir", box, NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name = dir != NULL ? g_dir_read_name(dir) : NULL;
    struct stat st;

    if (name == NULL)
        return 0;

    g_autofree char *file = g_build_filename(path, name, NULL);

    assert_null(g_dir_read_name(dir));
    assert_int_equal(stat(file, &st), 0);
    if (content_out != NULL)
        assert_true(g_file_get_contents(file, content_out, NULL, NULL));
    return st.st_ino;
}

static void
remove_all_in(const Fixture *fixture, const char *box)
{
    g_autofree char *path = g_build_filename(fixture->home, "Maildir", box, NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);

    for (const char *name; (name = g_dir_read_name(dir)) != NULL;) {
        g_autofree char *file = g_build_filename(path, name, NULL);

        assert_int_equal(unlink(file), 0);
    }
}

static LdaEnvelope *
make_envelope(const Fixture *fixture, const Row *row)
{
    static const char *const ana_only[] = {ANA, NULL};
    const char *const *addresses = row->recipients[0] != NULL ? row->recipients : ana_only;
    LdaEnvelope *envelope = lda_envelope_new("bob@example.com");

    for (; *addresses != NULL; addresses++) {
        LdaOutcome *refusal = NULL;
        LdaRecipient *recipient = lda_resolve(fixture->lda, *addresses, &refusal);

        assert_non_null(recipient);
        g_ptr_array_add(envelope->recipients, recipient);
    }
    return envelope;
}

static void
prepare(Fixture *fixture, const Row *row)
{
    add_row(fixture, MAPEDIT_USERS, EVA, NULL, NULL);
    start(fixture, "");
    if ((row->traits & NO_MAILDIR) == 0) {
        deliver_text(fixture, "bob@example.com", ANA, MESSAGE);
        deliver_text(fixture, "bob@example.com", EVA, MESSAGE);
        remove_all_in(fixture, "new");
    }
    if (row->script != NULL)
        write_script(fixture, row->script);
    start(fixture, row->settings != NULL ? row->settings : SMALL_MEMORY);
}

static void
end(Fixture *fixture, const Row *row, const char *id, LdaEnvelope *envelope, Message *message)
{
    LdaRecipient *first = envelope->recipients->pdata[0];
    g_autoptr(GError) failure = NULL;

    (void)message_finish(message, &failure);
    if ((row->traits & OTHER_NAME) != 0) {
        g_free(first->address);
        first->address = g_strdup("ana.with.a.longer.name@example.org");
    }
    g_clear_pointer(&fixture->outcomes, g_ptr_array_unref);
    fixture->outcomes = lda_deliver(fixture->lda, id, envelope, message, failure);
}

static void
check_stored(const Fixture *fixture, const Row *row, const char *text, ino_t begun)
{
    for (const char *const *box = row->boxes; *box != NULL; box++) {
        g_autofree char *content = NULL;
        ino_t stored = look_into(fixture, *box, &content);

        if (content == NULL) {
            fail_msg("nothing is stored in %s", *box);
            return;
        }
        if ((row->traits & COMPRESSED) == 0) {
            assert_true(g_str_has_prefix(content, "Return-Path: <bob@example.com>\n"));
            assert_true(g_str_has_suffix(content, strchr(text, '\n') + 1));
            assert_non_null(strstr(content, "+0000\nSubject: large\n"));
        }
        assert_int_equal(stored == begun, (row->traits & (OTHER_FILE | NOT_BEGUN)) == 0);
    }
}

static void
check_row(void **state)
{
    const Row *row = *state;
    void *fresh = NULL;

    assert_int_equal(set_up(&fresh), 0);

    Fixture *fixture = fresh;

    prepare(fixture, row);

    g_autofree char *text = make_text(row);
    g_autoptr(LdaEnvelope) envelope = make_envelope(fixture, row);
    Message *message = lda_message_new(fixture->lda, "id1", envelope);

    message_append(message, text, strlen(text));

    ino_t begun = look_into(fixture, "tmp", NULL);

    if (row->recipients[0] == NULL)
        assert_int_equal(begun != 0, (row->traits & NOT_BEGUN) == 0);
    if ((row->traits & ABANDONED) == 0)
        end(fixture, row, "id1", envelope, message);
    message_free(message);
    check_stored(fixture, row, text, begun);
    assert_int_equal(count_in(fixture, "tmp"), 0);
    if (row->boxes[0] == NULL)
        assert_int_equal(count_in(fixture, "new"), 0);
    tear_down(&fresh);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(rows)];

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[i] = (struct CMUnitTest){
            .name = rows[i].behaviour, .test_func = check_row, .initial_state = (void *)&rows[i]};
    (void)g_setenv("TZ", "UTC", TRUE);
    become_nobody();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
