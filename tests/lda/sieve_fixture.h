/* tests/lda/sieve_fixture.h - a mail system of one user with scripts, and an MTA that writes down
 * what it gets
 *
 * Each test has its own directory: a map, a mail root, and a program in place of sendmail that
 * appends to "sent", or exits as the file "mta" says, once.
 */
#ifndef LODGE_TESTS_SIEVE_FIXTURE_H
#define LODGE_TESTS_SIEVE_FIXTURE_H

#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <glib/gstdio.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "lda/lda.h"
#include "lda/scripts.h"
#include "lda/state.h"
#include "schema/mapedit.h"
#include "tests/lda/map_rows.h"
#include "tests/scratch.h"

typedef struct {
    char *dir;
    char *home;
    LdaConfig *config;
    Log *log;
    Lda *lda;
    GPtrArray *outcomes; /* of the latest delivery */
} Fixture;

#define MESSAGE                                          \
    "Received: from a by b (Postfix) with ESMTP id Q1\n" \
    "From: Bob <bob@example.com>\n"                      \
    "To: ana@example.org\n"                              \
    "Subject: hello\n"                                   \
    "Message-ID: <1@example.com>\n"                      \
    "\n"                                                 \
    "body\n"

static inline char *
below(const Fixture *fixture, const char *path)
{
    return g_build_filename(fixture->dir, path, NULL);
}

static inline void
write_file(const char *path, const char *text)
{
    g_autofree char *directory = g_path_get_dirname(path);

    assert_int_equal(g_mkdir_with_parents(directory, 0700), 0);
    assert_true(g_file_set_contents(path, text, -1, NULL));
}

static inline void
write_below(const Fixture *fixture, const char *name, const char *text)
{
    g_autofree char *path = below(fixture, name);

    write_file(path, text);
}

static inline char *
read_below(const Fixture *fixture, const char *name)
{
    g_autofree char *path = below(fixture, name);
    char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) ? text : g_strdup("");
}

/* In the home of ana. */
static inline void
write_home(const Fixture *fixture, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(fixture->home, name, NULL);

    write_file(path, text);
}

/* Makes the file look as if it had been written in this instant. */
static inline void
touch_home(const Fixture *fixture, const char *name)
{
    g_autofree char *path = g_build_filename(fixture->home, name, NULL);

    assert_int_equal(utimensat(AT_FDCWD, path, NULL, 0), 0);
}

static inline void
write_script(const Fixture *fixture, const char *text)
{
    write_home(fixture, ".dovecot.sieve", text);
}

static inline void
add_row(const Fixture *fixture, MapeditTable table, const char *key, const char *column,
        const char *value)
{
    g_autofree char *path = below(fixture, "map.db");

    map_row(path, table, key, column, value);
}

/* Reads the configuration again, with more lines in [sieve]. */
static inline void
start(Fixture *fixture, const char *sieve)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *file = below(fixture, "lodge.conf");
    g_autofree char *text =
        g_strdup_printf("[mail]\nroot = %s/mail\nhostname = mail.example.org\n[map]\n"
                        "path = %s/map.db\n[log]\npath = %s/log\n[submission]\n"
                        "sendmail = %s/sendmail\n[sieve]\n%s",
                        fixture->dir, fixture->dir, fixture->dir, fixture->dir, sieve);

    lda_free(fixture->lda);
    log_close(fixture->log);
    config_free(fixture->config);
    assert_true(g_file_set_contents(file, text, -1, NULL));
    fixture->config = config_load(file, NULL, &error);
    if (fixture->config == NULL)
        fail_msg("%s", error->message);
    fixture->log = log_open(fixture->config, "test");
    fixture->lda = lda_new(fixture->config, fixture->log);
}

static inline int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    g_autofree char *map = NULL, *sendmail = NULL, *program = NULL;

    fixture->dir = g_dir_make_tmp("lodge-sieve-XXXXXX", NULL);
    fixture->home = below(fixture, "mail/example.org/ana");
    assert_int_equal(g_mkdir_with_parents(fixture->home, 0700), 0);
    map = below(fixture, "map.db");
    assert_true(mapedit_create(map, NULL));
    add_row(fixture, MAPEDIT_DOMAINS, "example.org", NULL, NULL);
    add_row(fixture, MAPEDIT_USERS, "ana@example.org", NULL, NULL);
    sendmail = below(fixture, "sendmail");
    program = g_strdup_printf("#!/bin/sh\ncd %s\nset -- \"$@\" END\n"
                              "if [ -f mta ]; then code=$(cat mta); rm mta; cat > /dev/null; "
                              "exit $code; fi\n"
                              "{ echo \"ARGS $*\"; cat; } >> sent\n",
                              fixture->dir);
    write_file(sendmail, program);
    assert_int_equal(chmod(sendmail, 0755), 0);
    start(fixture, "");
    *state = fixture;
    return 0;
}

static inline int
tear_down(void **state)
{
    Fixture *fixture = *state;

    g_clear_pointer(&fixture->outcomes, g_ptr_array_unref);
    lda_free(fixture->lda);
    log_close(fixture->log);
    config_free(fixture->config);
    scratch_remove(fixture->dir);
    g_free(fixture->dir);
    g_free(fixture->home);
    g_free(fixture);
    return 0;
}

static inline Message *
message_for(const Fixture *fixture, const char *id, const LdaEnvelope *envelope, const char *text)
{
    Message *message = lda_message_new(fixture->lda, id, envelope);

    message_append(message, text, strlen(text));
    assert_true(message_finish(message, NULL));
    return message;
}

static inline Message *
message_of(const Fixture *fixture, const char *text)
{
    return message_for(fixture, NULL, NULL, text);
}

/* Delivers text from sender to all addresses; the outcomes belong to the fixture. */
static inline void
deliver_to(Fixture *fixture, const char *sender, const char *const *addresses, const char *text)
{
    g_autoptr(LdaEnvelope) envelope = lda_envelope_new(sender);
    g_autofree char *id = lda_transaction_id(fixture->lda);
    g_autoptr(Message) message = NULL;

    for (; *addresses != NULL; addresses++) {
        LdaOutcome *refusal = NULL;
        LdaRecipient *recipient = lda_resolve(fixture->lda, *addresses, &refusal);

        assert_non_null(recipient);
        g_ptr_array_add(envelope->recipients, recipient);
    }
    message = message_for(fixture, id, envelope, text);
    g_clear_pointer(&fixture->outcomes, g_ptr_array_unref);
    fixture->outcomes = lda_deliver(fixture->lda, id, envelope, message, NULL);
}

static inline const LdaOutcome *
deliver_text(Fixture *fixture, const char *sender, const char *address, const char *text)
{
    const char *const addresses[] = {address, NULL};

    deliver_to(fixture, sender, addresses, text);
    return fixture->outcomes->pdata[0];
}

static inline const LdaOutcome *
deliver(Fixture *fixture)
{
    return deliver_text(fixture, "bob@example.com", "ana@example.org", MESSAGE);
}

/* Files in a box ("new", ".Lists/cur") of ana's Maildir. */
static inline unsigned
count_in(const Fixture *fixture, const char *box)
{
    g_autofree char *path = g_build_filename(fixture->home, "Maildir", box, NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    unsigned count = 0;

    while (dir != NULL && g_dir_read_name(dir) != NULL)
        count++;
    return count;
}

/* How often word stands in text. */
static inline unsigned
count_words(const char *text, const char *word)
{
    unsigned count = 0;

    for (; (text = strstr(text, word)) != NULL; text++)
        count++;
    return count;
}

/* Messages that the MTA took. */
static inline unsigned
count_sent(const Fixture *fixture)
{
    g_autofree char *sent = read_below(fixture, "sent");

    return count_words(sent, "ARGS ");
}

static inline bool
log_has(const Fixture *fixture, const char *text)
{
    g_autofree char *log = read_below(fixture, "log");

    return strstr(log, text) != NULL;
}

static inline void
become_nobody(void)
{
    if (geteuid() != 0)
        return;
    if (setgroups(0, NULL) != 0 || setresgid(65534, 65534, 65534) != 0 ||
        setresuid(65534, 65534, 65534) != 0)
        abort();
    (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* the leak checker needs to look at us */
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

#endif
