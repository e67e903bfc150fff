/* lda/outcome.c - how a delivery to one recipient ended; see outcome.h
 *
 *   GError from map, quota, Maildir ... --> LdaOutcome --> LMTP reply, exit status, log line
 *
 * The tables below are the only place that decides what is permanent, which
 * reply code goes with a status, and what `deliver` exits with. Codes of RFC 3463
 * and the registry of RFC 5248; reply codes after RFC 5321 section 4.2.3; exit
 * statuses as Postfix pipe(8) reads sysexits.h.
 */
#include "lda/outcome.h"

#include <sysexits.h>

#include "quota/quota.h"
#include "schema/mailmap.h"

G_DEFINE_QUARK(lodge_lda_error, lda_error)

/* What is known to be permanent, and the temporary failures that have a better
 * status than "4.3.0 something here does not work". Whatever is not here is
 * deferred, so that a fault we did not foresee leaves the message with the MTA. */
static const struct {
    GQuark (*domain)(void);
    int code;
    const char *status;
} known[] = {
    {mailmap_error_quark, MAILMAP_ERROR_UNKNOWN_ADDRESS, "5.1.1"},
    {mailmap_error_quark, MAILMAP_ERROR_INACTIVE, "5.2.1"},
    {mailmap_error_quark, MAILMAP_ERROR_BAD_ADDRESS, "5.1.3"},
    {mailmap_error_quark, MAILMAP_ERROR_BAD_ROW, "4.3.5"},
    {mailmap_error_quark, MAILMAP_ERROR_SCHEMA, "4.3.5"},
    {quota_error_quark, QUOTA_ERROR_FULL, "5.2.2"},
    {quota_error_quark, QUOTA_ERROR_FULL_FOR_NOW, "4.2.2"},
    {quota_error_quark, QUOTA_ERROR_TOO_BIG, "5.2.3"},
    {lda_error_quark, LDA_ERROR_TOO_BIG, "5.2.3"},
    {lda_error_quark, LDA_ERROR_TOO_MANY_HOPS, "5.4.6"},
    {lda_error_quark, LDA_ERROR_BAD_FOLDER, "4.2.0"},
    {lda_error_quark, LDA_ERROR_NOT_PERMITTED, "4.3.5"},
    {lda_error_quark, LDA_ERROR_CONFIG, "4.3.5"},
    {g_file_error_quark, G_FILE_ERROR_NOSPC, "4.3.1"},
};

static const struct {
    const char *status;
    unsigned reply_code;
    int exit_status;
} renderings[] = {
    {"5.1.1", 550, EX_NOUSER}, {"5.2.2", 552, EX_NOPERM},   {"5.2.3", 552, EX_NOPERM},
    {"5.4.6", 554, EX_NOPERM}, {"4.2.2", 452, EX_TEMPFAIL}, {"4.3.1", 452, EX_TEMPFAIL},
};

static const char *
status_of(const GError *error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(known); i++) {
        if (g_error_matches(error, known[i].domain(), known[i].code))
            return known[i].status;
    }
    return "4.3.0";
}

/* One line for a reply and a log: no control characters, and a length with
 * which the reply stays under the 512 octets of RFC 5321 section 4.5.3.1.5. */
static char *
one_line(const char *text)
{
    enum { TEXT_MAX = 300 };
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    size_t len = strlen(valid);

    for (char *p = valid; *p != '\0'; p++) {
        if (g_ascii_iscntrl(*p))
            *p = ' ';
    }
    if (len > TEXT_MAX) {
        char *end = g_utf8_find_prev_char(valid, valid + TEXT_MAX);

        *(end != NULL ? end : valid) = '\0';
    }
    return g_steal_pointer(&valid);
}

LdaOutcome *
lda_outcome_stored(const char *folder, const char *file)
{
    LdaOutcome *outcome = g_new0(LdaOutcome, 1);

    outcome->status = g_strdup("2.0.0");
    outcome->text = g_strconcat("stored in ", folder, NULL);
    outcome->folder = g_strdup(folder);
    outcome->file = g_strdup(file);
    return outcome;
}

LdaOutcome *
lda_outcome_done(const char *text, const char *folder, const char *file)
{
    LdaOutcome *outcome = g_new0(LdaOutcome, 1);

    outcome->status = g_strdup("2.0.0");
    outcome->text = one_line(text);
    outcome->folder = g_strdup(folder);
    outcome->file = g_strdup(file);
    return outcome;
}

LdaOutcome *
lda_outcome_rejected(const char *reason)
{
    LdaOutcome *outcome = g_new0(LdaOutcome, 1);

    outcome->status = g_strdup("5.7.1");
    outcome->text = one_line(*reason != '\0' ? reason : "the recipient does not want it");
    return outcome;
}

LdaOutcome *
lda_outcome_from_error(const GError *error)
{
    LdaOutcome *outcome = g_new0(LdaOutcome, 1);

    outcome->status = g_strdup(status_of(error));
    outcome->text = one_line(error->message);
    return outcome;
}

LdaOutcome *
lda_outcome_copy(const LdaOutcome *outcome)
{
    LdaOutcome *copy = g_new0(LdaOutcome, 1);

    copy->status = g_strdup(outcome->status);
    copy->text = g_strdup(outcome->text);
    copy->folder = g_strdup(outcome->folder);
    copy->file = g_strdup(outcome->file);
    return copy;
}

void
lda_outcome_free(LdaOutcome *outcome)
{
    if (outcome == NULL)
        return;
    g_free(outcome->status);
    g_free(outcome->text);
    g_free(outcome->folder);
    g_free(outcome->file);
    g_free(outcome);
}

unsigned
lda_outcome_reply_code(const LdaOutcome *outcome)
{
    for (size_t i = 0; i < G_N_ELEMENTS(renderings); i++) {
        if (strcmp(outcome->status, renderings[i].status) == 0)
            return renderings[i].reply_code;
    }
    switch (outcome->status[0]) {
    case '2':
        return 250;
    case '5':
        return 550;
    default:
        return 451;
    }
}

int
lda_outcome_exit_status(const LdaOutcome *outcome)
{
    for (size_t i = 0; i < G_N_ELEMENTS(renderings); i++) {
        if (strcmp(outcome->status, renderings[i].status) == 0)
            return renderings[i].exit_status;
    }
    switch (outcome->status[0]) {
    case '2':
        return EX_OK;
    case '5':
        return EX_NOPERM;
    default:
        return EX_TEMPFAIL;
    }
}
