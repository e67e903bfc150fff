/* lda/carry_out.c - turns what should be done with a message into files; see carry_out.h
 *
 *   keep --> deliver -m FOLDER, else the folder of the +detail, else INBOX
 *   fileinto --> the mailbox with the id, or the attribute, or the name; else as keep
 *
 * A folder named by the sender (the detail, or -m ${extension}) is made only where
 * [mail] detail_folder = create says so: strangers could fill a mailbox with folders. One
 * named by a script is made because its owner wants it.
 */
#include "lda/carry_out_parts.h"

#include "lda/header.h"

/* ---- one copy ------------------------------------------------------------- */

/* The letters of the Maildir specification, in its order. */
static const struct {
    char letter;
    const char *flag;
} letters[] = {
    {'D', "\\Draft"}, {'F', "\\Flagged"}, {'R', "\\Answered"}, {'S', "\\Seen"}, {'T', "\\Deleted"}};

static bool
has_flag(char *const *flags, const char *flag)
{
    for (; *flags != NULL; flags++) {
        if (g_ascii_strcasecmp(*flags, flag) == 0)
            return true;
    }
    return false;
}

/* Letters of the system flags. Others that begin with a backslash are not ours to set. */
static void
letters_of(char *const *flags, char *letters_out)
{
    for (size_t i = 0; i < G_N_ELEMENTS(letters); i++) {
        if (has_flag(flags, letters[i].flag))
            *letters_out++ = letters[i].letter;
    }
    *letters_out = '\0';
}

static GPtrArray *
keywords_of(char *const *flags)
{
    GPtrArray *keywords = g_ptr_array_new();

    for (; *flags != NULL; flags++) {
        if (**flags != '\\')
            g_ptr_array_add(keywords, *flags);
    }
    g_ptr_array_add(keywords, NULL);
    return keywords;
}

static MaildirLayout
layout_of(const LdaConfig *config)
{
    return (MaildirLayout){.separator = config->mail.separator[0], .prefix = config->mail.prefix};
}

/* Stages, as options say; folder is that of options or INBOX. */
static MaildirCopy *
stage_reserved(const CarryOut *delivery, Maildir *maildir, Message *message,
               const MaildirCopyOptions *options, GError **error)
{
    MaildirCopy *copy = maildir_stage(maildir, delivery->namer, message, options, error);

    if (copy == NULL)
        room_cancel(delivery->room);
    return copy;
}

/* A folder that there is not, and that nobody makes, has no say in whether there is room. */
static bool
is_missing(Maildir *maildir, const MaildirCopyOptions *options)
{
    bool exists = false;

    return options->folder != NULL && (options->stage_flags & MAILDIR_CREATE_FOLDER) == 0 &&
           maildir_has_folder(maildir, options->folder, &exists, NULL) && !exists;
}

/* Sets aside what S= will say of the copy. */
static bool
reserve(const CarryOut *delivery, Maildir *maildir, Message *message,
        const MaildirCopyOptions *options, GError **error)
{
    const MaildirLayout layout = layout_of(delivery->config);
    RoomCopy copy = {.name = options->name,
                     .octets = strlen(options->headers) + message_size(message)};
    g_autofree char *directory = NULL;
    g_autoptr(GError) refusal = NULL;

    directory = maildir_folder_to_directory(
        &layout, options->folder != NULL ? options->folder : "INBOX", error);
    if (directory == NULL)
        return false;
    copy.directory = directory;
    if (room_reserve(delivery->room, &copy, options->now_us, &refusal))
        return true;
    if (is_missing(maildir, options))
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOENT, "there is no folder '%s'",
                    options->folder);
    else
        g_propagate_error(error, g_steal_pointer(&refusal));
    return false;
}

/* What was in the way is no fault of the folder: another one would not do instead. */
static bool
is_in_the_way_of_all(const GError *error)
{
    return error->domain == QUOTA_ERROR ||
           g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_MFILE) ||
           g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NFILE);
}

MaildirCopy *
carry_out_stage(const CarryOut *delivery, Maildir *maildir, const char *folder,
                const CarryOutCopy *copy, GError **error)
{
    const LdaConfig *config = delivery->config;
    char flags[G_N_ELEMENTS(letters) + 1] = "";
    g_autoptr(GPtrArray) keywords = NULL;
    MaildirCopyOptions options = {
        .folder = folder,
        .headers = copy->headers,
        .flags = flags,
        .stage_flags =
            copy->stage_flags | (config->mail.compress == COMPRESS_GZIP ? MAILDIR_GZIP : 0),
        .gzip_level = (int)config->mail.compress_level,
        .now_us = delivery->now_us,
        .twin = copy->message == delivery->message ? delivery->twin : NULL,
    };

    if (copy->flags != NULL && copy->flags[0] != NULL) {
        letters_of(copy->flags, flags);
        keywords = keywords_of(copy->flags);
        options.keywords = (const char *const *)keywords->pdata;
    }
    if (delivery->room == NULL)
        return maildir_stage(maildir, delivery->namer, copy->message, &options, error);

    g_autofree char *name = maildir_name_for(delivery->namer, copy->message, &options);

    options.name = name;
    if (!reserve(delivery, maildir, copy->message, &options, error))
        return NULL;
    return stage_reserved(delivery, maildir, copy->message, &options, error);
}

/* ---- keep ----------------------------------------------------------------- */

/* The detail as the sender wrote it: folders are case-sensitive, but the map folds. */
static const char *
detail_as_written(const LdaRecipient *recipient, char **copy_out)
{
    const char *detail = recipient->mailbox->detail;
    const char *at = strrchr(recipient->address, '@');
    size_t len = strlen(detail);

    if (at == NULL || (size_t)(at - recipient->address) < len ||
        g_ascii_strncasecmp(at - len, detail, len) != 0)
        return detail;
    return *copy_out = g_strndup(at - len, len);
}

/* Stages in the default folder of this delivery. */
static MaildirCopy *
keep(const CarryOut *delivery, Maildir *maildir, CarryOutCopy *copy, char **note_out,
     GError **error)
{
    const LdaRecipient *recipient = delivery->recipient;
    const char *folder = recipient->folder;
    g_autofree char *written = NULL;
    g_autoptr(GError) reason = NULL;

    if (delivery->config->mail.detail_folder == DETAIL_FOLDER_CREATE)
        copy->stage_flags |= MAILDIR_CREATE_FOLDER;
    if (folder == NULL && recipient->mailbox->detail != NULL &&
        delivery->config->mail.detail_folder != DETAIL_FOLDER_NO)
        folder = detail_as_written(recipient, &written);
    if (folder == NULL || *folder == '\0')
        return carry_out_stage(delivery, maildir, NULL, copy, error);

    MaildirCopy *staged = carry_out_stage(delivery, maildir, folder, copy, &reason);
    if (staged != NULL)
        return staged;
    if (is_in_the_way_of_all(reason)) {
        g_propagate_error(error, g_steal_pointer(&reason));
        return NULL;
    }
    staged = carry_out_stage(delivery, maildir, NULL, copy, error);
    if (staged != NULL)
        *note_out = g_strdup_printf("not in '%s': %s", folder, reason->message);
    return staged;
}

MaildirCopy *
carry_out_keep(const CarryOut *delivery, Maildir *maildir, char **note_out, GError **error)
{
    CarryOutCopy copy = {.message = delivery->message, .headers = delivery->headers};

    return keep(delivery, maildir, &copy, note_out, error);
}

/* ---- what scripts ask for ------------------------------------------------- */

void
effects_note(Effects *effects, const char *format, ...)
{
    va_list args;

    if (effects->notes->len > 0)
        g_string_append(effects->notes, "; ");
    va_start(args, format);
    g_string_append_vprintf(effects->notes, format, args);
    va_end(args);
}

void
effects_remark(Effects *effects, const char *text)
{
    effects_note(effects, "%s", text);
}

/* The body of an edition; in parts, since that of the original may be a mapped file. */
static void
append_body(Message *message, Message *original, const uint8_t *body, size_t len)
{
    enum { PART = 1024 * 1024 };

    for (size_t part; len > 0; body += part, len -= part) {
        part = MIN(len, (size_t)PART);
        message_append(message, body, part);
        message_rest(original);
    }
}

Message *
effects_message(Effects *effects, const SieveEdition *edition, GError **error)
{
    const SieveInput *input = filter_input(effects->filter);
    const LdaConfig *config = effects->delivery.config;
    const MessageOptions options = {.spool_memory = (size_t)config->mail.spool_memory,
                                    .spool_dir = config->mail.spool_dir};
    size_t header_len, body_len;
    const uint8_t *header, *body;
    Message *message;

    if (edition == NULL)
        return effects->delivery.message;
    message = g_hash_table_lookup(effects->messages, edition);
    if (message != NULL)
        return message;
    header_len = header_length((const char *)input->bytes, input->len);
    body = input->bytes + header_len;
    body_len = input->len - header_len;
    header = g_bytes_get_data(edition->header, &header_len);
    if (edition->body != NULL)
        body = g_bytes_get_data(edition->body, &body_len);
    message = message_new(&options);
    message_append(message, header, header_len);
    append_body(message, effects->delivery.message, body, body_len);
    g_hash_table_insert(effects->messages, (void *)edition, message);
    return message_finish(message, error) ? message : NULL;
}

static bool
prepare_copy(Effects *effects, const SieveAction *action, CarryOutCopy *copy, GError **error)
{
    *copy = (CarryOutCopy){
        .message = effects_message(effects, action->edition, error),
        .headers = effects->headers,
        .flags = action->flags,
    };
    return copy->message != NULL;
}

bool
effects_keep(Effects *effects, const SieveAction *action, GError **error)
{
    g_autofree char *note = NULL;
    MaildirCopy *staged;
    CarryOutCopy copy;

    if (effects->in_inbox)
        return true;
    if (!prepare_copy(effects, action, &copy, error))
        return false;
    staged = keep(&effects->delivery, effects->maildir, &copy, &note, error);
    if (staged == NULL)
        return false;
    if (note != NULL)
        effects_note(effects, "%s", note);
    g_ptr_array_add(effects->copies, staged);
    effects->in_inbox = true;
    return true;
}

char *
effects_find_folder(Effects *effects, const char *name, const char *special_use,
                    const char *mailboxid, bool create, MaildirStageFlags *flags_out,
                    GError **error)
{
    const LdaConfig *config = effects->delivery.config;
    char *found = NULL;

    if ((special_use != NULL || mailboxid != NULL) &&
        !filter_find_mailbox(effects->filter, effects->maildir, special_use, mailboxid, &found,
                             error))
        return NULL;
    *flags_out = (create || config->sieve.mailbox_autocreate ? MAILDIR_CREATE_FOLDER : 0) |
                 (config->sieve.mailbox_autosubscribe ? 0 : MAILDIR_NO_SUBSCRIBE);
    return found != NULL ? found : g_strdup(name);
}

/* Two names may lead to one mailbox: it gets one copy of an edition. */
static bool
has_copy_in(const Effects *effects, const char *name)
{
    const MaildirLayout layout = layout_of(effects->delivery.config);
    g_autofree char *directory = maildir_folder_to_directory(&layout, name, NULL);
    g_autofree char *folder =
        directory != NULL ? maildir_directory_to_folder(&layout, directory) : NULL;

    if (folder == NULL) /* it cannot be had at all */
        return false;
    for (guint i = 0; i < effects->copies->len; i++) {
        if (strcmp(maildir_copy_folder(effects->copies->pdata[i]), folder) == 0)
            return true;
    }
    return false;
}

bool
effects_file(Effects *effects, const SieveAction *action, GError **error)
{
    g_autoptr(GError) reason = NULL;
    g_autofree char *folder = NULL;
    MaildirCopy *staged = NULL;
    CarryOutCopy copy;

    if (effects->copies->len + 1 >= EFFECTS_MAX_COPIES) {
        effects_note(effects, "not in '%s': %d copies are enough", action->mailbox,
                     EFFECTS_MAX_COPIES);
        return effects_keep(effects, action, error);
    }
    if (!prepare_copy(effects, action, &copy, error))
        return false;
    folder = effects_find_folder(effects, action->mailbox, action->special_use, action->mailboxid,
                                 action->create, &copy.stage_flags, &reason);
    if (folder != NULL && has_copy_in(effects, folder))
        return true;
    if (folder != NULL)
        staged = carry_out_stage(&effects->delivery, effects->maildir, folder, &copy, &reason);
    if (staged == NULL) {
        g_assert(reason != NULL);
        if (is_in_the_way_of_all(reason)) {
            g_propagate_error(error, g_steal_pointer(&reason));
            return false;
        }
        effects_note(effects, "not in '%s': %s", action->mailbox, reason->message);
        return effects_keep(effects, action, error);
    }
    effects->in_inbox = effects->in_inbox || strcmp(maildir_copy_folder(staged), "INBOX") == 0;
    g_ptr_array_add(effects->copies, staged);
    return true;
}

/* ---- all actions ---------------------------------------------------------- */

/* RFC 5429 section 2.2.2: a reason that SMTP cannot carry is told in a report of its own; ereject
 * prefers the refusal. */
static bool
is_told_in_smtp(const CarryOut *delivery, const SieveAction *action, const char *sender)
{
    return delivery->config->sieve.reject_method == REJECT_SMTP &&
           (action->ereject || delivery->utf8 || *sender == '\0' || g_str_is_ascii(action->reason));
}

static bool
stage_action(Effects *effects, const SieveAction *action, GError **error)
{
    switch (action->kind) {
    case SIEVE_ACTION_KEEP:
        return effects_keep(effects, action, error);
    case SIEVE_ACTION_FILEINTO:
        return effects_file(effects, action, error);
    case SIEVE_ACTION_REJECT:
        if (is_told_in_smtp(&effects->delivery, action, filter_input(effects->filter)->sender))
            effects->refusal = action;
        return true;
    default:
        return true; /* effects_send() and effects_finish() */
    }
}

static void
free_message(void *message)
{
    message_free(message);
}

static void
free_copy(void *copy)
{
    maildir_copy_free(copy);
}

Effects *
effects_stage(const CarryOut *delivery, Maildir *maildir, Filter *filter, GError **error)
{
    g_autoptr(Effects) effects = g_new0(Effects, 1);

    effects->delivery = *delivery;
    effects->headers = g_strdup(delivery->headers);
    effects->maildir = maildir;
    effects->filter = filter;
    effects->actions = filter_actions(filter);
    effects->results = g_new0(char *, effects->actions->len);
    effects->copies = g_ptr_array_new_with_free_func(free_copy);
    effects->messages = g_hash_table_new_full(NULL, NULL, NULL, free_message);
    effects->remembered = g_ptr_array_new_with_free_func(g_free);
    effects->notes = g_string_new(NULL);
    for (guint i = 0; i < effects->actions->len; i++) {
        if (!stage_action(effects, effects->actions->pdata[i], error))
            return NULL;
    }
    return g_steal_pointer(&effects);
}

void
effects_free(Effects *effects)
{
    if (effects == NULL)
        return;
    for (guint i = 0; i < effects->actions->len; i++)
        g_free(effects->results[i]);
    g_free(effects->results);
    g_ptr_array_unref(effects->copies);
    g_hash_table_unref(effects->messages);
    g_ptr_array_unref(effects->remembered);
    g_string_free(effects->notes, TRUE);
    g_free(effects->headers);
    maildir_free(effects->maildir);
    filter_free(effects->filter);
    g_free(effects);
}

const GPtrArray *
effects_copies(const Effects *effects)
{
    return effects->copies;
}

void
effects_withdraw(Effects *effects)
{
    for (guint i = 0; i < effects->copies->len; i++)
        maildir_withdraw(effects->copies->pdata[i]);
}
