/* sieve/fuzz_generated.c - generated scripts over generated messages
 *
 * The input is a list of choices: each octet picks the next rule of a small grammar, so that nearly
 * every input is a script that compiles, of commands, tests and tags in any combination,
 * and a message made of the words the scripts look for. Two runs of one script over one
 * message must say the same, and in the end something is done with the message.
 */
#include "sieve/sieve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_NESTING = 4, MAX_COMMANDS = 60 };

typedef struct {
    const uint8_t *at, *end;
    unsigned commands; /* so far */
} Choices;

/* A number below n; 0 when there are no choices any more. */
static unsigned
choose(Choices *choices, unsigned n)
{
    return choices->at == choices->end ? 0 : *choices->at++ % n;
}

#define CHOOSE(choices, list) ((list)[choose((choices), G_N_ELEMENTS(list))])

/* ---- words -------------------------------------------------------------------- */

static const char *const values[] = {
    "",
    "hello",
    "a",
    "*",
    "?*",
    "h*l?",
    "${1}",
    "${a}${0}",
    "${a}",
    "ana@example.org",
    "ben",
    "example",
    "5",
    "-1",
    "18446744073709551616",
    "\\\\*",
    "*a*a*a*b",
    "gr\xc3\xbc\xc3\x9f",
    "\xff\xfe",
    "${global.g}",
    "l",
    "text/plain",
    "[a-c]+",
    "text",
    "Re: ${2}",
    "2024",
    "+0100",
    "INBOX",
    "(",
    "${3}${a}${a}${a}",
};

static const char *const fields[] = {
    "subject",      "from",    "to",     "received", "date", "x",        "cc",
    "content-type", "list-id", "x-spam", "sender",   "bcc",  "reply-to", "content-disposition"};

static const char *const variables[] = {"a", "b", "global.g", "c"};

static void
append_value(Choices *choices, GString *out)
{
    g_string_append_printf(out, "\"%s\"", CHOOSE(choices, values));
}

static void
append_list(Choices *choices, GString *out, const char *const *words, unsigned word_count)
{
    unsigned count = 1 + choose(choices, 3);

    g_string_append(out, "[");
    for (unsigned i = 0; i < count; i++)
        g_string_append_printf(out, "%s\"%s\"", i > 0 ? "," : "",
                               words[choose(choices, word_count)]);
    g_string_append(out, "] ");
}

#define APPEND_LIST(choices, out, words) append_list((choices), (out), (words), G_N_ELEMENTS(words))

/* ---- tests -------------------------------------------------------------------- */

/* Match type and comparator; true for :regex, whose keys are to be expressions. */
static bool
append_match(Choices *choices, GString *out)
{
    static const char *const types[] = {":is ",    ":contains ",     ":matches ",      ":matches ",
                                        ":regex ", ":value \"ge\" ", ":count \"lt\" ", ""};
    static const char *const comparators[] = {"", "", ":comparator \"i;octet\" ",
                                              ":comparator \"i;unicode-casemap\" ",
                                              ":comparator \"i;ascii-casemap\" "};

    const char *type = CHOOSE(choices, types);

    g_string_append(out, type);
    g_string_append(out, CHOOSE(choices, comparators));
    return strcmp(type, ":regex ") == 0;
}

static void
append_keys(Choices *choices, GString *out, bool are_expressions)
{
    static const char *const expressions[] = {
        "([a-z]+)@(.*)", "^(a|b|l)+$", "h(.)llo",          "${a}",
        "(x)?",          ".*.*.*b",    "[[:alpha:]]{2,5}", "a+b|c*"};

    if (are_expressions)
        APPEND_LIST(choices, out, expressions);
    else
        APPEND_LIST(choices, out, values);
}

static void
append_header_test(Choices *choices, GString *out)
{
    static const char *const tests[] = {"header ",
                                        "header :index 1 ",
                                        "header :index 2 :last ",
                                        "header :mime ",
                                        "header :mime :anychild :subtype ",
                                        "header :mime :param \"filename\" ",
                                        "address :domain ",
                                        "address :detail ",
                                        "address "};

    static const char *const address_fields[] = {"from", "to", "cc", "bcc", "sender", "reply-to"};
    const char *test = CHOOSE(choices, tests);

    g_string_append(out, test);

    bool is_regex = append_match(choices, out);

    if (g_str_has_prefix(test, "address"))
        APPEND_LIST(choices, out, address_fields);
    else
        APPEND_LIST(choices, out, fields);
    append_keys(choices, out, is_regex);
}

static void
append_other_test(Choices *choices, GString *out)
{
    static const char *const matching[] = {"envelope \"from\" ",
                                           "envelope :user \"to\" ",
                                           "string \"${a}\" ",
                                           "string [\"${1}\", \"x\"] ",
                                           "hasflag ",
                                           "hasflag [\"a\", \"b\"] ",
                                           "environment \"name\" ",
                                           "date \"date\" \"year\" ",
                                           "currentdate \"weekday\" ",
                                           "body ",
                                           "body :text ",
                                           "body :content \"text\" ",
                                           "body :raw ",
                                           "date :zone \"+0200\" \"received\" \"iso8601\" "};
    static const char *const plain[] = {
        "true",
        "false",
        "size :over 100",
        "size :under 1K",
        "exists [\"subject\", \"x\"]",
        "exists :mime :anychild \"x\"",
        "duplicate",
        "spamtest :is \"1\"",
        "duplicate :handle \"${a}\" :uniqueid \"${1}\" :seconds 5 :last",
        "mailboxexists [\"INBOX\", \"${a}\"]",
        "ihave \"fileinto\"",
        "valid_notify_method \"mailto:a@b.c\"",
        "specialuse_exists \"\\\\Junk\""};

    if (choose(choices, 3) == 0) {
        g_string_append(out, CHOOSE(choices, plain));
        return;
    }

    /* The tags stand behind the name. */
    const char *test = CHOOSE(choices, matching);
    const char *blank = strchr(test, ' ');

    g_string_append_len(out, test, blank - test + 1);

    bool is_regex = append_match(choices, out);

    g_string_append(out, blank + 1);
    append_keys(choices, out, is_regex);
}

static void
append_test(Choices *choices, GString *out, unsigned depth)
{
    unsigned rule = choose(choices, depth >= MAX_NESTING ? 2 : 5);

    if (rule == 0) {
        append_header_test(choices, out);
    } else if (rule == 1) {
        append_other_test(choices, out);
    } else if (rule == 2) {
        g_string_append(out, "not ");
        append_test(choices, out, depth + 1);
    } else {
        g_string_append(out, rule == 3 ? "allof (" : "anyof (");
        for (unsigned i = 0, count = 1 + choose(choices, 3); i < count; i++) {
            g_string_append(out, i > 0 ? ", " : "");
            append_test(choices, out, depth + 1);
        }
        g_string_append(out, ")");
    }
}

/* ---- commands ----------------------------------------------------------------- */

static void
append_set(Choices *choices, GString *out)
{
    static const char *const modifiers[] = {"",           ":lower ",         ":upperfirst :lower ",
                                            ":length ",   ":quotewildcard ", ":quoteregex ",
                                            ":encodeurl "};

    g_string_append_printf(out, "set %s\"%s\" ", CHOOSE(choices, modifiers),
                           CHOOSE(choices, variables));
    append_value(choices, out);
    g_string_append(out, ";\n");
}

static void
append_action(Choices *choices, GString *out)
{
    static const char *const actions[] = {
        "keep;",
        "keep :flags [\"\\\\Seen\", \"${a}\"];",
        "discard;",
        "fileinto \"${a}\";",
        "fileinto :copy :create \"A.${1}\";",
        "fileinto :specialuse \"\\\\Junk\" \"INBOX\";",
        "redirect \"a@b.c\";",
        "redirect :copy \"${a}\";",
        "redirect :copy \"${1}@example.org\";",
        "stop;",
        "addflag [\"${a}\", \"\\\\Flagged\"];",
        "setflag \"a\" \"x y ${1}\";",
        "removeflag \"x\";",
        "reject \"no ${a}\";",
        "vacation :days 3 :subject \"${a}\" :addresses \"ben@example.com\" \"away ${1}\";",
        "notify :message \"${a}\" \"mailto:a@b.c?subject=${1}\";",
        "addheader \"X-A\" \"${a}\";",
        "addheader :last \"X-B\" \"${0}\";",
        "deleteheader :index 1 :contains \"received\" \"by\";",
        "deleteheader \"subject\";",
        "foreverypart { extracttext :first 10 \"a\"; }",
        "foreverypart { if header :mime :type \"content-type\" \"text\" { replace \"${a}\"; } }",
        "foreverypart { foreverypart { break; } }",
        "enclose :subject \"${a}\" \"${1}\";",
        "replace :subject \"${a}\" \"${1}\";",
        "debug_log \"${a}${1}${global.g}\";",
        "return;",
    };

    g_string_append(out, CHOOSE(choices, actions));
    g_string_append_c(out, '\n');
}

static void append_commands(Choices *choices, GString *out, unsigned depth);

static void
append_if(Choices *choices, GString *out, unsigned depth)
{
    g_string_append(out, "if ");
    append_test(choices, out, 0);
    g_string_append(out, " {\n");
    append_commands(choices, out, depth + 1);
    g_string_append(out, "}\n");
    if (choose(choices, 3) == 0) {
        g_string_append(out, "elsif ");
        append_test(choices, out, 0);
        g_string_append(out, " {\n");
        append_commands(choices, out, depth + 1);
        g_string_append(out, "}\n");
    }
    if (choose(choices, 3) == 0) {
        g_string_append(out, "else {\n");
        append_commands(choices, out, depth + 1);
        g_string_append(out, "}\n");
    }
}

static void
append_commands(Choices *choices, GString *out, unsigned depth)
{
    for (unsigned i = 0, count = 1 + choose(choices, 6);
         i < count && choices->commands++ < MAX_COMMANDS; i++) {
        unsigned rule = choose(choices, 4);

        if (rule == 0 && depth < MAX_NESTING)
            append_if(choices, out, depth);
        else if (rule == 1)
            append_set(choices, out);
        else
            append_action(choices, out);
    }
}

static GString *
generate_script(Choices *choices)
{
    GString *out = g_string_new(
        "require [\"fileinto\", \"copy\", \"envelope\", \"body\", \"variables\", \"vacation\","
        "\"relational\", \"imap4flags\", \"subaddress\", \"date\", \"index\", \"editheader\","
        "\"environment\", \"mailbox\", \"mime\", \"foreverypart\", \"extracttext\", \"replace\","
        "\"enclose\", \"duplicate\", \"regex\", \"enotify\", \"spamtest\", \"reject\", \"include\","
        "\"special-use\", \"vnd.dovecot.debug\", \"ihave\", \"comparator-i;unicode-casemap\"];\n");

    choices->commands = 0;
    append_commands(choices, out, 0);
    return out;
}

/* ---- message ------------------------------------------------------------------ */

static void
append_field(Choices *choices, GString *out)
{
    static const char *const contents[] = {
        "hello",
        "Ana <ana@example.org>",
        "ben+x@example.com, \"q x\"@y.z, grp: a@b.c, d@e.f;",
        "=?utf-8?q?gr=C3=BC=C3=9F?= =?iso-8859-1?b?5Pb8?=",
        "from a by b; Mon, 1 Jan 2024 10:00:00 +0100",
        "Mon, 1 Jan 2024 10:00:00 +0100 (CET)",
        "folded\n\tvalue\n and more",
        "a@b (",
        "\"abc",
        "multipart/mixed; boundary=b",
        "text/html; charset=iso-8859-1",
        "attachment; filename*=utf-8''a%20b.exe",
        "",
        "\xff\xfe\xe4",
        "<x.lists.example.org>",
    };
    const char *name = CHOOSE(choices, fields);

    g_string_append_printf(out, "%s:%s%s\n", name, choose(choices, 4) == 0 ? "" : " ",
                           CHOOSE(choices, contents));
}

/* What choices are left stands at the end as it is. */
static GString *
generate_message(Choices *choices)
{
    static const char *const bodies[] = {
        "text\n",
        "--b\nContent-Type: text/plain\n\nhello\n--b\nContent-Type: text/html\n\n<p>a&amp;b\n",
        "--b\nContent-Transfer-Encoding: base64\n\naGVsbG8=\n--b--\nrest\n",
        "--b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\n--b--\n",
        "--b\nContent-Type: message/rfc822\n\nSubject: inner\n\nbody\n--b--\n",
    };
    GString *out = g_string_new(NULL);

    for (unsigned i = 0, count = choose(choices, 12); i < count; i++)
        append_field(choices, out);
    g_string_append(out, choose(choices, 8) == 0 ? "" : "\n");
    g_string_append(out, CHOOSE(choices, bodies));
    g_string_append_len(out, (const char *)choices->at, choices->end - choices->at);
    return out;
}

/* ---- runs --------------------------------------------------------------------- */

static bool
is_duplicate(void *data, const char *key, bool *duplicate_out, GError **error)
{
    (void)data;
    (void)error;
    *duplicate_out = key[0] < '8';
    return true;
}

static void
trace(void *data, const char *script, unsigned line, const char *text)
{
    g_assert(line > 0);
    g_string_append_printf(data, "%s:%u: %s\n", script, line, text);
}

static void
append_actions(GString *out, const GPtrArray *actions)
{
    for (guint i = 0; i < actions->len; i++) {
        const SieveAction *action = actions->pdata[i];

        g_string_append_printf(out, "%d %s %s %u\n", (int)action->kind,
                               action->mailbox != NULL ? action->mailbox : "",
                               action->address != NULL ? action->address : "", action->line);
        for (size_t k = 0; action->flags[k] != NULL; k++)
            g_string_append(out, action->flags[k]);
    }
}

static void
look_at_variable(void *data, const char *name, SieveText value)
{
    g_string_append_printf(data, "%s=%.*s\n", name, (int)value.len, value.bytes);
}

static bool
has_keep(const GPtrArray *actions)
{
    for (guint i = 0; i < actions->len; i++)
        if (((const SieveAction *)actions->pdata[i])->kind == SIEVE_ACTION_KEEP)
            return true;
    return false;
}

/* Everything that can be told of one run. */
static GString *
run_once(SieveScript *script, const GString *message, const SieveSettings *settings)
{
    GString *out = g_string_new(NULL);
    const SieveHost host = {.data = out,
                            .now_us = G_GINT64_CONSTANT(1700000000000000),
                            .is_duplicate = is_duplicate,
                            .trace = trace};
    const SieveInput input = {.bytes = (const uint8_t *)message->str,
                              .len = message->len,
                              .virtual_size = message->len,
                              .sender = "ana@example.org",
                              .recipient = "ben+x@example.com"};
    g_autoptr(SieveRun) run = sieve_run_new(&input, &host, settings);
    g_autoptr(GError) error = NULL;

    int succeeded = 0;

    while (succeeded < 2 && sieve_run_keep_in_force(run) && sieve_run_script(run, script, &error))
        succeeded++;

    const GPtrArray *actions = sieve_run_finish(run);

    g_assert(actions->len > 0);
    if (error != NULL) {
        g_assert(error->domain == SIEVE_ERROR && error->code != SIEVE_ERROR_TEMPORARY);
        g_string_append(out, error->message);
        /* The actions of a script that failed are void; those of one before it are not. */
        g_assert(has_keep(actions));
        g_assert(succeeded > 0 ||
                 (actions->len == 1 && ((const SieveAction *)actions->pdata[0])->implicit));
    }
    append_actions(out, actions);
    sieve_run_variables(run, look_at_variable, out);
    return out;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Choices choices = {.at = data, .end = data + size};
    SieveSettings settings;
    g_autoptr(GPtrArray) complaints = sieve_complaints_new();
    g_autoptr(GString) text = generate_script(&choices);
    g_autoptr(GString) message = generate_message(&choices);

    sieve_settings_init(&settings);
    settings.max_steps = 200 * 1000;
    settings.max_cpu_time = 0;

    g_autoptr(SieveScript) script =
        sieve_script_compile("generated", text->str, text->len, &settings, complaints);

    if (script != NULL) {
        g_autoptr(GString) first = run_once(script, message, &settings);
        g_autoptr(GString) second = run_once(script, message, &settings);

        g_assert(g_string_equal(first, second));
    } else if (getenv("FUZZ_VERBOSE") != NULL) {
        for (guint i = 0; i < complaints->len; i++)
            g_printerr("%s\n", ((const SieveComplaint *)complaints->pdata[i])->text);
    }
    sieve_settings_clear(&settings);
    return 0;
}
