/* lda/libsieve_child.c - scripts run by Debian's libsieve, in a cage; see libsieve_child.h
 *
 * libsieve.so.1 is opened in the child only: our own process never has it, and need not. There
 * is one context for each run, for what one has learnt of a message it does not forget.
 *
 * libsieve says that it succeeded also when it did not: what counts is that none of its callbacks
 * for errors was called. After a syntax error it runs the rest of the script, so one is enough to
 * make the whole answer an error.
 *
 * The answer: a kind, a line, and either the numbers of actions or a text.
 */
#include "lda/libsieve_child.h"

#ifdef LODGE_WITH_LIBSIEVE

#include <dlfcn.h>
#include <sieve2.h>

#include "lda/cage.h"

enum {
    MAX_CPU_TIME = 2, /* seconds; a run takes 50 microseconds, if it is not exponential */
    MAX_MEMORY = 64 * 1024 * 1024,
    TIMEOUT_MS = 60 * 1000, /* for machines that have no time for anything */
    MAX_ANSWER = 16 * 1024, /* octets: the number of each action of the longest script */
    MAX_ERROR_TEXT = 200,   /* octets */
};

typedef enum { ANSWER_ACTIONS, ANSWER_ERROR, ANSWER_MISSING } AnswerKind;

typedef struct {
    guint32 kind; /* AnswerKind */
    guint32 line;
} AnswerHead;

typedef struct {
    int (*alloc)(sieve2_context_t **context);
    int (*callbacks)(sieve2_context_t *context, sieve2_callback_t *callbacks);
    int (*execute)(sieve2_context_t *context, void *data);
    char *(*errstr)(int code);
    char *(*get_string)(sieve2_context_t *context, char *name);
    int (*get_int)(sieve2_context_t *context, char *name);
    int (*set_string)(sieve2_context_t *context, char *name, char *value);
    int (*set_strings)(sieve2_context_t *context, char *name, char **values);
    int (*set_int)(sieve2_context_t *context, char *name, int value);
} Library;

/* What the child has. */
typedef struct {
    const SieveLibsieveTask *task;
    Library libsieve;
    const char *missing; /* why there is no library */
    GByteArray *actions;
    AnswerHead head;
    GString *failure; /* of the first error */
} Session;

/* ---- callbacks ----------------------------------------------------------- */

static void
fail(Session *session, int line, const char *text)
{
    if (session->failure->len > 0)
        return;
    session->head = (AnswerHead){.kind = ANSWER_ERROR, .line = line > 0 ? (guint32)line : 1};
    g_string_append(session->failure, text != NULL && *text != '\0' ? text : "unknown error");
}

/* The number that libsieve names, which is one of count. */
static bool
get_number(Session *session, sieve2_context_t *context, char *name, guint64 count,
           guint64 *number_out)
{
    const char *text = session->libsieve.get_string(context, name);

    if (text != NULL && g_ascii_string_to_unsigned(text, 10, 0, count, number_out, NULL) &&
        *number_out < count)
        return true;
    fail(session, 0, "it asked for what is not in the script");
    return false;
}

static int
on_script(sieve2_context_t *context, void *data)
{
    Session *session = data;

    return session->libsieve.set_string(context, "script", (char *)session->task->text);
}

static int
on_header(sieve2_context_t *context, void *data)
{
    Session *session = data;
    guint64 number;

    if (get_number(session, context, "header", session->task->field_count, &number))
        (void)session->libsieve.set_strings(context, "body",
                                            (char **)session->task->fields[number]);
    return SIEVE2_OK;
}

static int
on_size(sieve2_context_t *context, void *data)
{
    Session *session = data;

    return session->libsieve.set_int(context, "size", (int)session->task->size);
}

static int
on_fileinto(sieve2_context_t *context, void *data)
{
    Session *session = data;
    guint64 number;
    guint32 octets;

    if (!get_number(session, context, "mailbox", G_MAXUINT32, &number))
        return SIEVE2_ERROR_EXEC;
    octets = (guint32)number;
    g_byte_array_append(session->actions, (const guint8 *)&octets, sizeof octets);
    return SIEVE2_OK;
}

static int
on_error(sieve2_context_t *context, void *data)
{
    Session *session = data;

    fail(session, session->libsieve.get_int(context, "lineno"),
         session->libsieve.get_string(context, "message"));
    return SIEVE2_OK;
}

/* ---- in the child -------------------------------------------------------- */

static void
open_library(void *data)
{
    Session *session = data;
    Library *libsieve = &session->libsieve;
    const struct {
        const char *name;
        void *slot;
    } functions[] = {
        {"sieve2_alloc", &libsieve->alloc},
        {"sieve2_callbacks", &libsieve->callbacks},
        {"sieve2_execute", &libsieve->execute},
        {"sieve2_errstr", &libsieve->errstr},
        {"sieve2_getvalue_string", &libsieve->get_string},
        {"sieve2_getvalue_int", &libsieve->get_int},
        {"sieve2_setvalue_string", &libsieve->set_string},
        {"sieve2_setvalue_stringlist", &libsieve->set_strings},
        {"sieve2_setvalue_int", &libsieve->set_int},
    };
    void *library = dlopen("libsieve.so.1", RTLD_NOW | RTLD_LOCAL);

    for (size_t i = 0; library != NULL && i < G_N_ELEMENTS(functions); i++) {
        void *function = dlsym(library, functions[i].name);

        if (function == NULL)
            library = NULL;
        else
            memcpy(functions[i].slot, &function, sizeof function);
    }
    if (library == NULL)
        session->missing = dlerror();
}

static void
execute(Session *session)
{
    sieve2_callback_t callbacks[] = {
        {SIEVE2_SCRIPT_GETSCRIPT, on_script}, {SIEVE2_MESSAGE_GETHEADER, on_header},
        {SIEVE2_MESSAGE_GETSIZE, on_size},    {SIEVE2_ACTION_FILEINTO, on_fileinto},
        {SIEVE2_ERRCALL_RUNTIME, on_error},   {SIEVE2_ERRCALL_PARSE, on_error},
        {SIEVE2_ERRCALL_HEADER, on_error},    {SIEVE2_ERRCALL_ADDRESS, on_error},
        {SIEVE2_VALUE_FIRST, NULL},
    };
    sieve2_context_t *context = NULL;
    int code = session->libsieve.alloc(&context);

    if (code == SIEVE2_OK)
        code = session->libsieve.callbacks(context, callbacks);
    if (code == SIEVE2_OK)
        code = session->libsieve.execute(context, session);
    if (code != SIEVE2_OK)
        fail(session, 0, session->libsieve.errstr(code));
    /* The process ends: the context is not freed, which is one place less to crash at. */
}

static void
work(void *data, GByteArray *answer)
{
    Session *session = data;

    session->actions = g_byte_array_new();
    session->failure = g_string_new(NULL);
    if (session->missing == NULL)
        execute(session);
    else
        fail(session, 0, session->missing);
    if (session->missing != NULL)
        session->head.kind = ANSWER_MISSING;
    g_byte_array_append(answer, (const guint8 *)&session->head, sizeof session->head);
    if (session->head.kind == ANSWER_ACTIONS)
        g_byte_array_append(answer, session->actions->data, session->actions->len);
    else
        g_byte_array_append(answer, (const guint8 *)session->failure->str,
                            (guint)MIN(session->failure->len, (gsize)MAX_ERROR_TEXT));
}

/* ---- outside ------------------------------------------------------------- */

/* For a line of the log: whatever it is. */
static char *
readable(const char *text, size_t len)
{
    char *valid = g_utf8_make_valid(text, (gssize)len);

    for (char *c = valid; *c != '\0'; c++) {
        if (g_ascii_iscntrl(*c))
            *c = ' ';
    }
    return valid;
}

static bool
set_answered_error(const AnswerHead *head, const char *text, size_t len, GError **error)
{
    g_autofree char *reason = readable(text, len);

    if (head->kind == ANSWER_MISSING)
        g_set_error(error, SIEVE_ERROR, SIEVE_ERROR_TEMPORARY,
                    "libsieve cannot be loaded: %s; install libsieve2-1, or set [sieve] engine = "
                    "lodge",
                    reason);
    else
        g_set_error(error, SIEVE_ERROR, SIEVE_ERROR_RUNTIME, "libsieve: %s", reason);
    return false;
}

static bool
read_answer(GBytes *answer, SieveLibsieveTask *task, GError **error)
{
    size_t len;
    const char *octets = g_bytes_get_data(answer, &len);
    AnswerHead head;

    if (len >= sizeof head) {
        memcpy(&head, octets, sizeof head);
        octets += sizeof head;
        len -= sizeof head;
        task->line = head.line;
        if (head.kind == ANSWER_ERROR || head.kind == ANSWER_MISSING)
            return set_answered_error(&head, octets, len, error);
        if (head.kind == ANSWER_ACTIONS && len % sizeof(guint32) == 0) {
            g_array_append_vals(task->actions, octets, (guint)(len / sizeof(guint32)));
            return true;
        }
    }
    g_set_error(error, SIEVE_ERROR, SIEVE_ERROR_RUNTIME, "libsieve has answered what cannot be");
    return false;
}

static bool
set_run_error(const GError *failure, GError **error)
{
    if (failure->domain == CAGE_ERROR)
        g_set_error(error, SIEVE_ERROR,
                    failure->code == CAGE_ERROR_LIMIT ? SIEVE_ERROR_LIMIT : SIEVE_ERROR_RUNTIME,
                    "libsieve %s", failure->message);
    else
        g_set_error(error, SIEVE_ERROR, SIEVE_ERROR_TEMPORARY, "cannot run libsieve: %s",
                    failure->message);
    return false;
}

bool
libsieve_is_built(void)
{
    return true;
}

bool
libsieve_evaluate(void *data, SieveLibsieveTask *task, GError **error)
{
    Session session = {.task = task};
    const CageTask caged = {.open = open_library, .work = work, .data = &session};
    const CageLimits limits = {
        .cpu_time =
            task->max_cpu_time == 0 ? MAX_CPU_TIME : MIN(task->max_cpu_time, (guint64)MAX_CPU_TIME),
        .memory = MAX_MEMORY,
        .timeout_ms = TIMEOUT_MS,
        .max_answer = MAX_ANSWER,
    };
    g_autoptr(GError) failure = NULL;
    g_autoptr(GBytes) answer = NULL;

    (void)data;
    if (!cage_run(&caged, &limits, &answer, &failure))
        return set_run_error(failure, error);
    return read_answer(answer, task, error);
}

#else

bool
libsieve_is_built(void)
{
    return false;
}

bool
libsieve_evaluate(void *data, SieveLibsieveTask *task, GError **error)
{
    (void)data;
    (void)task;
    g_set_error(error, SIEVE_ERROR, SIEVE_ERROR_TEMPORARY, "lodge was built without libsieve");
    return false;
}

#endif
