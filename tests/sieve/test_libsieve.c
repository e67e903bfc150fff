/* tests/sieve/test_libsieve.c - scripts put in the words of libsieve, and its answers */
#include "tests/sieve/runs.h"

#include "tests/sieve/complaint_rows.h"

/* ---- what it may be given ------------------------------------------------- */

static const ComplaintRow subset_rows[] = {
    {"whole_of_rfc_3028_and_what_libsieve_adds_to_it",
     "require [\"fileinto\", \"reject\", \"envelope\", \"vacation\", \"regex\", \"subaddress\",\n"
     "         \"comparator-i;octet\"];\n"
     "IF anyof (address :comparator \"i;octet\" :detail \"to\" \"a\\\\b\", not exists [\"a\", "
     "\"b\"],\n"
     "          envelope :domain \"from\" \"\", header :regex \"subject\" "
     "\"^a[.]\\\\.\\\\\\\\b$\",\n"
     "          size :over 2047M, allof (true, false)) { reject \"say \\\"no\\\"\"; stop; }\n"
     "elsif header :matches \"subject\" [\"*a?\", \"b\"] { fileinto \"A \\\"B\\\"\"; keep; }\n"
     "else { vacation :days 3 text:\nI am away.\n.\n; redirect \"a@b.example\"; discard; }",
     {NULL}},
    {"extensions_it_does_not_know_each_in_its_place",
     "require [\"fileinto\", \"copy\",\n \"variables\"]; require \"include\"; include \"x\";",
     {"1:22: the engine libsieve does not support the extension \"copy\"",
      "2:2: the engine libsieve does not support the extension \"variables\"",
      "2:24: the engine libsieve does not support the extension \"include\""}},
    {"extensions_it_knows_but_does_wrong",
     "require [\"imap4flags\", \"relational\", \"comparator-i;ascii-numeric\"]; keep;",
     {"1:10: the engine libsieve does not support the extension \"imap4flags\"",
      "1:24: the engine libsieve does not support the extension \"relational\"",
      "1:38: the engine libsieve does not support the extension \"comparator-i;asc"}},
    {"what_ihave_leaves_unchecked_is_not_looked_at",
     "require \"ihave\"; if ihave \"none\" { nonsense :x; }",
     {"1:9: the engine libsieve does not support the extension \"ihave\""}},
    {"quotation_mark_in_a_key",
     "if header :contains \"subject\" [\"a\",\n \"b\\\"c\"] { keep; }",
     {"2:2: the engine libsieve cannot compare with a string that has a quotation mark"}},
    {"backslash_at_the_end_of_a_key",
     "if header \"subject\" \"a\\\\\" { keep; }",
     {"1:21: the engine libsieve cannot compare with a string that has a backslash at its end"}},
    {"escape_in_a_pattern",
     "if not header :matches \"subject\" \"a\\\\*b\" { keep; }",
     {"1:34: the engine libsieve cannot compare with a string that has a backslash and :matches"}},
    {"regular_expressions_of_perl",
     "require \"regex\"; if header :regex \"subject\" [\"(?i)a\", \"\\\\w\"] { keep; }",
     {"1:46: the engine libsieve cannot compare with a string that has an extension of regular",
      "1:55: the engine libsieve cannot compare with a string that has an extension of regular"}},
    {"size_past_its_integers",
     "if size :under 2G { keep; }",
     {"1:4: the engine libsieve does not know sizes of 2G and more"}},
};

static void
check_subset_row(void **state)
{
    const ComplaintRow *row = *state;
    g_autoptr(GPtrArray) complaints = sieve_complaints_new();
    SieveSettings settings;

    sieve_settings_init(&settings);

    g_autoptr(SieveScript) script = test_compile("main", row->script, &settings);
    bool suits = sieve_script_suits_libsieve(script, complaints);
    guint expected = 0;

    while (row->complaints[expected] != NULL)
        expected++;
    assert_int_equal(complaints->len, expected);
    for (guint i = 0; i < expected; i++) {
        const SieveComplaint *complaint = complaints->pdata[i];
        g_autofree char *text =
            g_strdup_printf("%u:%u: %s", complaint->line, complaint->column, complaint->text);

        assert_true(complaint->is_error);
        if (!g_str_has_prefix(text, row->complaints[i]))
            fail_msg("expected: %s\n    said: %s", row->complaints[i], text);
    }
    assert_int_equal(suits, expected == 0);
    sieve_settings_clear(&settings);
}

/* A script of that many commands. */
static bool
suits_with_commands(unsigned count, bool *is_told_once_out)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GPtrArray) complaints = sieve_complaints_new();
    SieveSettings settings;

    for (unsigned i = 0; i < count; i++)
        g_string_append(text, "keep;\n");
    sieve_settings_init(&settings);

    g_autoptr(SieveScript) script = test_compile("main", text->str, &settings);
    bool suits = sieve_script_suits_libsieve(script, complaints);

    *is_told_once_out = complaints->len == 1;
    sieve_settings_clear(&settings);
    return suits;
}

static void
script_too_long_for_its_parser_is_refused(void **state)
{
    bool is_told_once;

    (void)state;
    assert_true(suits_with_commands(3000, &is_told_once));
    assert_false(suits_with_commands(4000, &is_told_once));
    assert_true(is_told_once);
}

/* ---- what it is given ----------------------------------------------------- */

static const char message[] = "From: \"John Q. Public\" <john+x@Example.com>, broken, g: a@b;\n"
                              "To: \"a b\"@c.example (x)\n"
                              "Subject: =?utf-8?q?=C3=A4?=\n b \n"
                              "Subject: second\n"
                              "X-Empty:\n"
                              "\n"
                              "body\n";

typedef struct {
    const char *behaviour;
    const char *script;
    const char *text;
    const char *fields[4]; /* the values of each, behind "|" */
} RestatedRow;

#define BEGIN "require [\"fileinto\",\"regex\"];"

static const RestatedRow restated_rows[] = {
    {"actions_are_numbers_and_lines_stay",
     "require [\"fileinto\", \"reject\"];\n/* a\n comment */ KEEP;\nfileinto \"A\"; reject "
     "text:\nno\n"
     ".\n;\n\nStop;",
     BEGIN "\n\nfileinto \"0\";\nfileinto \"1\";fileinto \"2\";\n\n\n\n\nstop;stop;",
     {NULL}},
    {"lines_within_a_key_are_counted",
     "if header \"x-none\" \"a\nb\" {}\n\nkeep;",
     BEGIN "if header :is :comparator \"i;ascii-casemap\" \"0\"[\"a\r\nb\"]{}\n\n"
           "fileinto \"0\";stop;",
     {""}},
    {"empty_script_has_one_command", "", BEGIN "stop;", {NULL}},
    {"header_is_unfolded_and_decoded",
     "if header :contains :comparator \"i;octet\" \"SUBJECT\" [\"x\", \"y\\\\z\"] {}",
     BEGIN "if header :contains :comparator \"i;octet\" \"0\"[\"x\",\"y\\z\"]{}stop;",
     {"|\303\244 b|second"}},
    {"names_of_a_list_are_one_field",
     "if not header :matches [\"subject\", \"x-empty\", \"x-none\"] \"*\" {discard;}",
     BEGIN "if not header :matches :comparator \"i;ascii-casemap\" \"0\"[\"*\"]"
           "{fileinto \"0\";}stop;",
     {"|\303\244 b|second|"}},
    {"address_is_read_here",
     "if anyof (address \"from\" \"a\", address :localpart \"to\" \"b\") {} else {keep;}",
     BEGIN "if anyof (header :is :comparator \"i;ascii-casemap\" \"0\"[\"a\"],"
           "header :is :comparator \"i;ascii-casemap\" \"1\"[\"b\"]){}else {fileinto \"0\";}stop;",
     {"|john+x@Example.com|broken|a@b", "|a b"}},
    {"detail_of_those_who_have_one",
     "require \"subaddress\"; if address :detail \"from\" \"x\" {}",
     BEGIN "if header :is :comparator \"i;ascii-casemap\" \"0\"[\"x\"]{}stop;",
     {"|x"}},
    {"envelope_with_its_null_sender",
     "require \"envelope\"; if envelope :domain [\"from\", \"to\"] \"x\" {}",
     BEGIN "if header :is :comparator \"i;ascii-casemap\" \"0\"[\"x\"]{}stop;",
     {"||example.com"}},
    {"exists_asks_for_each_field",
     "if exists [\"to\", \"x-none\", \"x-empty\"] {} elsif true {} elsif false {}",
     BEGIN "if exists [\"0\",\"1\",\"2\"]{}elsif true {}elsif false {}stop;",
     {"|", "", "|"}},
    {"size_is_a_plain_number",
     "if allof (size :over 1M, not not size :under 7) {}",
     BEGIN "if allof (size :over 1048576,not not size :under 7){}stop;",
     {NULL}},
};

typedef struct {
    GString *text;      /* what was asked */
    guint32 numbers[4]; /* what is to be answered */
    guint count;
} Stub;

static bool
answer(void *data, SieveLibsieveTask *task, GError **error)
{
    Stub *stub = data;

    (void)error;
    g_string_append(stub->text, task->text);
    for (size_t i = 0; i < task->field_count; i++) {
        g_string_append(stub->text, "\n# ");
        for (const char *const *value = task->fields[i]; *value != NULL; value++)
            g_string_append_printf(stub->text, "|%s", *value);
    }
    g_array_append_vals(task->actions, stub->numbers, stub->count);
    return true;
}

static char *
run_with(Stub *stub, const char *script, const char *text)
{
    const SieveInput input = {.bytes = (const uint8_t *)text,
                              .len = strlen(text),
                              .virtual_size = strlen(text),
                              .sender = "",
                              .recipient = "ben@example.com"};
    const SieveHost host = {.data = stub, .libsieve = answer};
    SieveSettings settings;
    g_autoptr(GError) error = NULL;
    GString *out = g_string_new(NULL);

    sieve_settings_init(&settings);
    stub->text = g_string_new(NULL);

    g_autoptr(SieveScript) compiled = test_compile("main", script, &settings);
    g_autoptr(SieveRun) run = sieve_run_new(&input, &host, &settings);

    (void)sieve_run_script(run, compiled, &error);

    const GPtrArray *actions = sieve_run_finish(run);

    for (guint i = 0; i < actions->len; i++)
        append_action(out, actions->pdata[i]);
    if (error != NULL)
        g_string_append_printf(out, "; failed: %s", error->message);
    sieve_settings_clear(&settings);
    return g_string_free(out, FALSE);
}

static void
check_restated_row(void **state)
{
    const RestatedRow *row = *state;
    Stub stub = {0};
    g_autofree char *result = run_with(&stub, row->script, message);
    g_autoptr(GString) expected = g_string_new(row->text);

    for (size_t i = 0; row->fields[i] != NULL; i++)
        g_string_append_printf(expected, "\n# %s", row->fields[i]);
    assert_string_equal(stub.text->str, expected->str);
    assert_string_equal(result, "keep implicit");
    g_string_free(stub.text, TRUE);
}

/* ---- what it answers ------------------------------------------------------ */

#define THREE_ACTIONS                       \
    "require [\"fileinto\", \"reject\"];\n" \
    "if true { fileinto \"A\"; }\nkeep;\n"  \
    "if false { reject \"no\"; }\nfileinto \"A\";"

typedef struct {
    const char *behaviour;
    guint32 numbers[4];
    guint count;
    const char *result;
} AnswerRow;

static const AnswerRow answer_rows[] = {
    {"no_action_is_the_implicit_keep", {0}, 0, "keep implicit"},
    {"actions_are_those_of_the_script", {0, 1}, 2, "fileinto A, keep"},
    {"the_same_action_twice_is_done_once", {0, 3}, 2, "fileinto A"},
    {"actions_that_cannot_stand_together_fail", {0, 2}, 2, "keep implicit; failed: main:4: "},
    {"number_that_no_action_has_is_an_error",
     {0, 4},
     2,
     "keep implicit; failed: main:2: libsieve has answered what cannot be"},
    {"numbers_that_go_back_are_an_error",
     {1, 0},
     2,
     "keep implicit; failed: main:3: libsieve has answered what cannot be"},
    {"action_asked_for_twice_is_an_error",
     {1, 1},
     2,
     "keep implicit; failed: main:3: libsieve has answered what cannot be"},
};

static void
check_answer_row(void **state)
{
    const AnswerRow *row = *state;
    Stub stub = {.count = row->count};

    memcpy(stub.numbers, row->numbers, sizeof stub.numbers);
    g_autofree char *result = run_with(&stub, THREE_ACTIONS, message);

    if (!g_str_has_prefix(result, row->result))
        fail_msg("expected: %s\n  result: %s", row->result, result);
    g_string_free(stub.text, TRUE);
}

static void
nul_in_what_is_compared_is_an_error(void **state)
{
    static const uint8_t bytes[] = "Subject: a\0b\n\n";
    Stub stub = {.text = g_string_new(NULL)};
    const SieveInput input = {.bytes = bytes,
                              .len = sizeof bytes - 1,
                              .virtual_size = sizeof bytes,
                              .sender = "",
                              .recipient = ""};
    const SieveHost host = {.data = &stub, .libsieve = answer};
    SieveSettings settings;
    g_autoptr(GError) error = NULL;

    (void)state;
    sieve_settings_init(&settings);

    g_autoptr(SieveScript) script =
        test_compile("main", "keep;\nif header \"subject\" \"a\" {discard;}", &settings);
    g_autoptr(SieveRun) run = sieve_run_new(&input, &host, &settings);

    assert_false(sieve_run_script(run, script, &error));
    assert_int_equal(error->code, SIEVE_ERROR_RUNTIME);
    assert_true(g_str_has_prefix(error->message, "main:2: the message has NUL"));
    sieve_settings_clear(&settings);
    g_string_free(stub.text, TRUE);
}

static void
message_of_2_gib_is_an_error(void **state)
{
    static const uint8_t bytes[] = "Subject: a\n\n";
    const SieveInput input = {.bytes = bytes,
                              .len = sizeof bytes - 1,
                              .virtual_size = (guint64)1 << 31,
                              .sender = "",
                              .recipient = ""};
    Stub stub = {.text = g_string_new(NULL)};
    const SieveHost host = {.data = &stub, .libsieve = answer};
    SieveSettings settings;
    g_autoptr(GError) error = NULL;

    (void)state;
    sieve_settings_init(&settings);

    g_autoptr(SieveScript) script = test_compile("main", "discard;", &settings);
    g_autoptr(SieveRun) run = sieve_run_new(&input, &host, &settings);

    assert_false(sieve_run_script(run, script, &error));
    assert_int_equal(error->code, SIEVE_ERROR_RUNTIME);
    assert_int_equal(stub.text->len, 0);
    sieve_settings_clear(&settings);
    g_string_free(stub.text, TRUE);
}

int
main(void)
{
    GArray *tests = new_tests();
    const struct CMUnitTest single[] = {
        cmocka_unit_test(script_too_long_for_its_parser_is_refused),
        cmocka_unit_test(nul_in_what_is_compared_is_an_error),
        cmocka_unit_test(message_of_2_gib_is_an_error),
    };

    ADD_ROWS(tests, subset_rows, check_subset_row);
    ADD_ROWS(tests, restated_rows, check_restated_row);
    ADD_ROWS(tests, answer_rows, check_answer_row);
    g_array_append_vals(tests, single, G_N_ELEMENTS(single));
    return run_rows("libsieve", tests);
}
