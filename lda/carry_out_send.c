/* lda/carry_out_send.c - what of a script's actions leaves the mailbox; see carry_out.h
 *
 *   effects_send()     redirect, report of rejection, pipe: before anything is published. The
 *                      message is not ours alone any more once the MTA has taken it, so if what
 *                      follows fails, or we are killed, the retry of the MTA that brought it must
 *                      not send it twice: each is remembered as soon as it is done.
 *   effects_finish()   vacation, notify, notice, duplicates: a failure is logged and no more
 *
 * What no order of steps can exclude is the end between the reply "250" of the MTA to a redirect
 * and the end of the transaction that remembers it: the retry sends it once more. The other order
 * would lose it. Nor can it be excluded between the publishing of the copies and our own reply:
 * the retry stores them once more, but sends nothing.
 *
 * A redirect that the MTA refuses for ever is kept instead: to come back would not help, and the
 * owner would never see the message.
 */
#include "lda/carry_out_parts.h"

#include "lda/identity.h"
#include "lda/programs.h"
#include "lda/submission.h"
#include "lda/user_log.h"

#define DAY (24 * 60 * 60)

enum {
    REDIRECT_DAYS = 7,  /* longer than any MTA tries (Postfix: 5 days) */
    NOTICE_DAYS = 3650, /* once for each version of a script */
};

static gint64
now_s(const Effects *effects)
{
    return effects->delivery.now_us / G_USEC_PER_SEC;
}

static OutgoingContext
outgoing_context(const Effects *effects)
{
    return (OutgoingContext){
        .config = effects->delivery.config,
        .input = filter_input(effects->filter),
        .user_email = filter_user_email(effects->filter),
        .hostname = effects->delivery.hostname,
        .transaction_id = effects->delivery.transaction_id,
        .now_us = effects->delivery.now_us,
    };
}

/* ---- with the rights of the recipient ------------------------------------- */

static bool
take_identity(const Effects *effects, Identity *identity, GError **error)
{
    return identity_take_again(identity, effects->delivery.config,
                               effects->delivery.recipient->mailbox, error);
}

static bool
state_knows(Effects *effects, StateKind kind, const char *key, bool *known_out, GError **error)
{
    Identity identity = {0};
    State *state;
    bool done;

    if (!take_identity(effects, &identity, error))
        return false;
    state = filter_state(effects->filter, error);
    done = state != NULL && state_has(state, kind, key, now_s(effects), known_out, error);
    identity_give_back(&identity);
    return done;
}

static bool
state_remember(Effects *effects, StateKind kind, const char *key, guint64 seconds, GError **error)
{
    Identity identity = {0};
    State *state;
    bool done;

    if (!take_identity(effects, &identity, error))
        return false;
    state = filter_state(effects->filter, error);
    done = state != NULL && state_put(state, kind, key, now_s(effects), seconds, error);
    identity_give_back(&identity);
    return done;
}

static bool
keep_instead(Effects *effects, const SieveAction *action, GError **error)
{
    Identity identity = {0};
    bool done;

    if (!take_identity(effects, &identity, error))
        return false;
    done = effects_keep(effects, action, error);
    identity_give_back(&identity);
    return done;
}

/* The result of pipe :try whose program failed. */
#define TRIED "failed"

/* ---- what must succeed ---------------------------------------------------- */

static bool
is_sent_first(const Effects *effects, const SieveAction *action)
{
    return action->suppressed == NULL && action != effects->refusal &&
           (action->kind == SIEVE_ACTION_REDIRECT || action->kind == SIEVE_ACTION_REJECT ||
            action->kind == SIEVE_ACTION_PIPE);
}

/* This message and that action. The header has the queue id of the MTA, so that another
 * message is not taken for this one. */
static char *
retry_key(const Effects *effects, const SieveAction *action)
{
    size_t len = 0;
    const char *header = message_header(effects->delivery.message, &len);
    g_autofree char *hash =
        g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)header, len);

    return g_strdup_printf("%s %" G_GUINT64_FORMAT " %d %s", hash,
                           message_size(effects->delivery.message), (int)action->kind,
                           action->kind == SIEVE_ACTION_REDIRECT ? action->address
                           : action->kind == SIEVE_ACTION_PIPE   ? action->program
                                                                 : "");
}

/* A memory that cannot be written is no reason to fail what is done: a copy twice is better
 * than none. */
static void
remember_sent(Effects *effects, char *key)
{
    g_autoptr(GError) error = NULL;

    if (!state_remember(effects, STATE_REDIRECT, key, REDIRECT_DAYS * DAY, &error))
        g_warning("a redirect may be repeated: %s", error->message);
    g_ptr_array_add(effects->remembered, key);
}

static void
not_done(Effects *effects, guint index, const char *why)
{
    g_free(effects->results[index]);
    effects->results[index] = g_strconcat("not done: ", why, NULL);
}

/* Something went wrong for good: the owner gets the message after all. */
static bool
give_up(Effects *effects, guint index, const char *why, GError **error)
{
    const SieveAction *action = effects->actions->pdata[index];

    not_done(effects, index, why);
    effects_note(effects, "kept: %s", why);
    return keep_instead(effects, action, error);
}

static bool
hand_over(Effects *effects, const OutgoingMail *mail, GError **error)
{
    g_autofree char *remark = NULL;
    bool sent = submission_send(effects->delivery.config, mail, &remark, error);

    if (remark != NULL)
        effects_note(effects, "%s", remark);
    return sent;
}

static bool
send_mail(Effects *effects, guint index, unsigned *count, GError **error)
{
    const SieveAction *action = effects->actions->pdata[index];
    const OutgoingContext context = outgoing_context(effects);
    g_autofree char *suppressed = NULL;
    g_autoptr(GError) failure = NULL;
    g_autoptr(OutgoingMail) mail = outgoing_compose(&context, action, &suppressed, &failure);

    if (mail == NULL && failure != NULL) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    if (mail == NULL) {
        not_done(effects, index, suppressed);
        return true;
    }
    if (hand_over(effects, mail, &failure)) {
        (*count)++;
        return true;
    }
    if (g_error_matches(failure, SUBMISSION_ERROR, SUBMISSION_ERROR_REFUSED))
        return give_up(effects, index, failure->message, error);
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
}

/* Whether the script gave the message to anybody else, but for programs that have failed too. */
static bool
is_in_other_hands(const Effects *effects, guint index)
{
    for (guint i = 0; i < effects->actions->len; i++) {
        const SieveAction *other = effects->actions->pdata[i];
        bool has_failed = other->try && g_strcmp0(effects->results[i], TRIED) == 0;

        if (i != index && !other->copy && !has_failed && other->kind != SIEVE_ACTION_VACATION &&
            other->kind != SIEVE_ACTION_NOTIFY)
            return true;
    }
    return false;
}

/* A program gets the message as the script left it. That :try forgives a failure is no reason to
 * lose the message: it is as if pipe had not cancelled the keep. */
static bool
pipe_message(Effects *effects, guint index, GError **error)
{
    const SieveAction *action = effects->actions->pdata[index];
    Message *message = effects_message(effects, action->edition, error);
    SieveProgramCall call = {.program = action->program,
                             .arguments = (const char *const *)action->arguments};
    int status = 0;

    if (message == NULL)
        return false;
    call.input = message_bytes(message, error);
    call.input_len = (size_t)message_size(message);
    if (call.input == NULL || !filter_run_program(effects->filter, &call, &status, NULL, error))
        return false;
    if (status == 0) {
        effects->piped++;
        return true;
    }
    if (action->try && is_in_other_hands(effects, index)) {
        effects->results[index] = g_strdup(TRIED);
        return true;
    }
    if (!action->try && program_is_temporary(status)) {
        g_set_error(error, PROGRAM_ERROR, PROGRAM_ERROR_LATER,
                    "program '%s' asks to be tried again", action->program);
        return false;
    }

    g_autofree char *why = g_strdup_printf("program '%s' failed", action->program);

    return give_up(effects, index, why, error);
}

static bool
send_one(Effects *effects, guint index, GError **error)
{
    const SieveAction *action = effects->actions->pdata[index];

    switch (action->kind) {
    case SIEVE_ACTION_REDIRECT:
        return send_mail(effects, index, &effects->redirected, error);
    case SIEVE_ACTION_REJECT:
        return send_mail(effects, index, &effects->reported, error);
    default:
        return pipe_message(effects, index, error);
    }
}

/* Whether an earlier try of the MTA got so far. Without a file of state there was none. */
static bool
was_done(Effects *effects, guint index, const char *key, bool *done_out, GError **error)
{
    *done_out = false;
    if (!filter_has_state(effects->filter))
        return true;
    if (!state_knows(effects, STATE_REDIRECT, key, done_out, error))
        return false;
    if (*done_out)
        effects->results[index] = g_strdup("done by an earlier try");
    return true;
}

bool
effects_send(Effects *effects, GError **error)
{
    for (guint i = 0; i < effects->actions->len; i++) {
        const SieveAction *action = effects->actions->pdata[i];
        g_autofree char *key = NULL;
        bool done = false;

        if (!is_sent_first(effects, action))
            continue;
        key = retry_key(effects, action);
        if (!was_done(effects, i, key, &done, error))
            return false;
        if (done) {
            effects->redirected += action->kind == SIEVE_ACTION_REDIRECT;
            g_ptr_array_add(effects->remembered, g_steal_pointer(&key));
        } else if (!send_one(effects, i, error)) {
            return false;
        } else if (effects->results[i] == NULL) {
            remember_sent(effects, g_steal_pointer(&key));
        }
    }
    return true;
}

/* ---- what may fail -------------------------------------------------------- */

/* An MTA's Received makes its message unlike any other; whoever gets it again did not hear our
 * reply, and the memory expires by itself. Without one a program may send the same octets every
 * night, and means it. */
static void
forget_sent(Effects *effects)
{
    if (message_received_count(effects->delivery.message) > 0)
        return;
    for (guint i = 0; i < effects->remembered->len; i++)
        (void)state_remember(effects, STATE_REDIRECT, effects->remembered->pdata[i], 0,
                             NULL); /* it expires by itself */
}

static void
remember_duplicates(Effects *effects)
{
    const GPtrArray *duplicates = filter_duplicates(effects->filter);

    for (guint i = 0; i < duplicates->len; i++) {
        const SieveDuplicate *duplicate = duplicates->pdata[i];
        g_autoptr(GError) error = NULL;

        if (!state_remember(effects, STATE_DUPLICATE, duplicate->key, duplicate->seconds, &error))
            effects_note(effects, "a duplicate may not be known as one: %s", error->message);
    }
}

/* Sends what may fail; true when it was sent. */
static bool
try_mail(Effects *effects, guint index)
{
    const SieveAction *action = effects->actions->pdata[index];
    const OutgoingContext context = outgoing_context(effects);
    g_autofree char *suppressed = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(OutgoingMail) mail = outgoing_compose(&context, action, &suppressed, &error);
    bool sent = mail != NULL && hand_over(effects, mail, &error);

    if (!sent)
        not_done(effects, index,
                 error != NULL        ? error->message
                 : suppressed != NULL ? suppressed
                                      : "nothing to send");
    if (sent && action->fcc.mailbox != NULL &&
        !effects_store(effects, mail->bytes, &action->fcc, &error))
        effects_note(effects, "no copy in '%s': %s", action->fcc.mailbox, error->message);
    return sent;
}

/* RFC 5230 section 4.2: the handle and the sender, for as long as the script says. */
static void
reply(Effects *effects, guint index)
{
    const SieveAction *action = effects->actions->pdata[index];
    g_autofree char *to = g_utf8_strdown(action->to, -1);
    g_autofree char *key = g_strconcat(action->handle, "\n", to, NULL);
    g_autoptr(GError) error = NULL;
    bool known = false;

    if (action->seconds > 0 && filter_has_state(effects->filter) &&
        !state_knows(effects, STATE_VACATION, key, &known, &error))
        not_done(effects, index, error->message);
    else if (known)
        not_done(effects, index, "answered lately");
    else if (try_mail(effects, index) && action->seconds > 0 &&
             !state_remember(effects, STATE_VACATION, key, action->seconds, &error))
        effects_note(effects, "the next reply to '%s' may come too early: %s", action->to,
                     error->message);
}

/* Once for each version of the script that failed, into the mailbox: no MTA, and no
 * script that fails again, stands in between. */
static void
notify_owner(Effects *effects)
{
    const ScriptLink *link = filter_failed_link(effects->filter);
    const OutgoingContext context = outgoing_context(effects);
    g_autoptr(OutgoingMail) mail = NULL;
    g_autofree char *key = NULL;
    g_autoptr(GError) error = NULL;
    bool known = false;

    if (link == NULL || !link->is_personal || !effects->delivery.config->sieve.error_notice)
        return;
    key = g_strconcat(link->path, "\n", link->version, NULL);
    if (filter_has_state(effects->filter) &&
        !state_knows(effects, STATE_NOTICE, key, &known, &error))
        effects_note(effects, "no notice: %s", error->message);
    if (known || error != NULL)
        return;
    mail = outgoing_notice(&context, filter_script_name(effects->filter),
                           filter_failure(effects->filter));
    /* First the memory: no notice at all is better than one for each message. */
    if (!state_remember(effects, STATE_NOTICE, key, (guint64)NOTICE_DAYS * DAY, &error) ||
        !effects_store(effects, mail->bytes, NULL, &error))
        effects_note(effects, "no notice: %s", error->message);
}

static void
write_user_log(Effects *effects)
{
    const GPtrArray *remarks = filter_remarks(effects->filter);
    Identity identity = {0};
    g_autofree char *path = NULL;
    g_autoptr(GError) error = NULL;

    if (remarks->len == 0 || *effects->delivery.config->sieve.user_log == '\0')
        return;
    path = filter_path(effects->filter, effects->delivery.config->sieve.user_log, &error);
    if (path != NULL && take_identity(effects, &identity, &error))
        (void)user_log_write(path, now_s(effects), remarks, &error);
    identity_give_back(&identity);
    if (error != NULL)
        effects_note(effects, "%s", error->message);
}

void
effects_finish(Effects *effects)
{
    for (guint i = 0; i < effects->actions->len; i++) {
        const SieveAction *action = effects->actions->pdata[i];

        if (action->suppressed != NULL)
            continue;
        if (action->kind == SIEVE_ACTION_VACATION)
            reply(effects, i);
        else if (action->kind == SIEVE_ACTION_NOTIFY)
            (void)try_mail(effects, i);
    }
    remember_duplicates(effects);
    forget_sent(effects);
    notify_owner(effects);
    write_user_log(effects);
}
