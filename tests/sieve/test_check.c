/* tests/sieve/test_check.c - from a tree as written to one that can be run */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sieve/script.h"
#include "tests/sieve/complaint_rows.h"

static const ComplaintRow require_rows[] = {
    {"require_at_the_top",
     "require \"fileinto\"; require [\"copy\"]; fileinto :copy \"a\";",
     {NULL}},
    {"require_behind_a_command",
     "keep;\nrequire \"fileinto\";\nfileinto \"a\";",
     {"2:1: \"require\" must stand at the top"}},
    {"require_in_a_block",
     "if true {\n require \"fileinto\";\n}",
     {"2:2: \"require\" must stand at the top"}},
    {"extension_that_nobody_knows",
     "require \"vnd.example.nothing\";",
     {"1:9: the extension \"vnd.example.nothing\" is not known"}},
    {"extension_with_a_slip",
     "require [\"fileinto\",\n \"imap4flag\"];\naddflag \"a\";",
     {"2:2: unknown extension \"imap4flag\": is \"imap4flags\" meant?"}},
    {"extension_that_is_a_command_of_the_core",
     "require \"discard\";",
     {"1:9: \"discard\" is part of the language: it needs no require"}},
    {"extension_that_is_a_command_of_another",
     "require \"addheader\";",
     {"1:9: \"addheader\" belongs to the extension \"editheader\": require that one"}},
    {"names_of_extensions_have_their_case", "require \"FileInto\";", {"1:9: "}},
    {"old_imapflags",
     "require [\"imapflags\"];\naddflag \"a\";",
     {"1:10: the extension \"imapflags\" is called \"imap4flags\" now"}},
    {"old_notify",
     "require [\"notify\"];\nnotify :method \"mailto\" :options \"a@b\" :message \"c\";",
     {"1:10: the extension \"notify\" is called \"enotify\" now"}},
    {"convert_is_refused", "require \"convert\";", {"1:9: \"convert\" is not offered here"}},
    {"vnd_proton_expire_is_refused",
     "require \"vnd.proton.expire\";",
     {"1:9: \"vnd.proton.expire\" is Proton"}},
    {"mboxmetadata_is_refused", "require \"mboxmetadata\";", {"1:9: \"mboxmetadata\" is not"}},
    {"servermetadata_is_refused", "require \"servermetadata\";", {"1:9: \"servermetadata\" is"}},
    {"programs_without_a_directory",
     "require \"vnd.dovecot.pipe\";",
     {"1:9: the extension \"vnd.dovecot.pipe\" is not offered on this server"}},
    {"tags_of_programs_without_a_directory_are_told_with_them",
     "require \"vnd.dovecot.execute\";\nexecute :output \"a\" \"b\";",
     {"1:9: the extension \"vnd.dovecot.execute\" is not offered on this server"}},

    {"command_without_require_is_told_once",
     "fileinto \"a\";\nfileinto \"b\";",
     {"1:1: \"fileinto\" needs the extension \"fileinto\": add require [\"fileinto\"];"}},
    {"tag_without_require",
     "require \"fileinto\";\nfileinto :copy \"a\";",
     {"2:10: \":copy\" needs the extension \"copy\": add require [\"copy\"];"}},
    {"test_without_require",
     "if envelope \"from\" \"a\" {}",
     {"1:4: \"envelope\" needs the extension \"envelope\""}},
    {"comparator_without_require",
     "if header :comparator \"i;ascii-numeric\" \"a\" \"1\" {}",
     {"1:23: \"i;ascii-numeric\" needs the extension \"comparator-i;ascii-numeric\""}},
    {"comparators_of_the_core_need_none",
     "if header :comparator \"i;octet\" \"a\" \"b\" {} elsif header :comparator "
     "\"i;ascii-casemap\" \"a\" \"b\" {}",
     {NULL}},
    {"unknown_comparator",
     "if header :comparator \"i;nothing\" \"a\" \"b\" {}",
     {"1:23: unknown comparator \"i;nothing\""}},
    {"comparator_without_substrings",
     "require \"comparator-i;ascii-numeric\";\nif header :contains :comparator "
     "\"i;ascii-numeric\" \"a\" \"1\" {}",
     {"2:21: the comparator \"i;ascii-numeric\" knows no parts of a string"}},
};

static const ComplaintRow meaning_rows[] = {
    {"unknown_command_with_a_near_name",
     "discrad;",
     {"1:1: unknown command \"discrad\": is \"discard\" meant?"}},
    {"unknown_command_is_told_once", "frobnicate; frobnicate;", {"1:1: unknown command"}},
    {"what_is_wrong_in_the_block_of_an_unknown_command_is_told",
     "frobnicate {\n keep 5;\n}",
     {"1:1: unknown command", "2:7: one argument too many: \"keep\" takes none"}},
    {"elseif",
     "if true {} elseif true {} else {}",
     {"1:12: unknown command \"elseif\": is \"elsif\""}},
    {"unknown_test", "if foobar \"a\" {}", {"1:4: unknown test \"foobar\""}},
    {"test_without_its_colon_is_a_tag",
     "if contains \"a\" \"b\" {}",
     {"1:4: unknown test \"contains\": is the tag \":contains\" meant?"}},
    {"test_as_a_command",
     "header \"a\" \"b\";",
     {"1:1: \"header\" is a test: it stands behind \"if\""}},
    {"command_as_a_test", "if anyof (true, keep) {}", {"1:17: \"keep\" is a command: a test is"}},
    {"elsif_without_if", "keep;\nelsif true {}", {"2:1: \"elsif\" must follow the block"}},
    {"else_behind_else", "if true {} else {} else {}", {"1:20: \"else\" must follow the block"}},
    {"else_without_if", "else { keep; }", {"1:1: \"else\" must follow the block"}},
    {"if_without_test", "if { keep; }", {"1:1: a test is missing behind \"if\""}},
    {"if_with_parentheses",
     "if (true) { keep; }",
     {"1:1: the test of \"if\" stands without parentheses"}},
    {"if_with_two_tests",
     "if (true, false) { keep; }",
     {"1:1: \"if\" takes one test: join several"}},
    {"anyof_without_parentheses",
     "if anyof true { keep; }",
     {"1:4: the tests of \"anyof\" stand in parentheses"}},
    {"stop_with_an_argument", "stop \"now\";", {"1:6: one argument too many: \"stop\" takes none"}},
    {"keep_with_a_block", "keep { stop; }", {"1:1: \"keep\" takes no block"}},
    {"if_without_block", "if true;", {"1:1: \"if\" must be followed by a block"}},

    {"unknown_tag_with_a_near_name",
     "if header :contain \"a\" \"b\" {}",
     {"1:11: \"header\" does not take \":contain\": is \":contains\" meant?"}},
    {"tag_of_another_command",
     "require \"fileinto\";\nfileinto :over \"a\";",
     {"2:10: \"fileinto\" does not take \":over\""}},
    {"tag_twice", "if header :is :is \"a\" \"b\" {}", {"1:15: \":is\" is given twice"}},
    {"tags_that_exclude_each_other",
     "if header :is :matches \"a\" \"b\" {}",
     {"1:15: only one of \":is\" and \":matches\" can be given"}},
    {"address_parts_exclude_each_other",
     "if address :localpart :domain \"from\" \"b\" {}",
     {"1:23: only one of \":localpart\" and \":domain\""}},
    {"tag_behind_a_positional_argument",
     "if header \"a\" :is \"b\" {}",
     {"1:15: \":is\" must stand before the other arguments of \"header\""}},
    {"tag_without_its_argument",
     "if header :comparator :is \"a\" \"b\" {}",
     {"1:11: \":comparator\" must be followed by a string"}},
    {"tag_with_the_wrong_kind_of_argument",
     "require \"vacation\";\nvacation :days \"7\" \"b\";",
     {"2:10: \":days\" must be followed by a number"}},

    {"argument_missing", "redirect;", {"1:1: an argument is missing: \"redirect\" takes a string"}},
    {"number_for_a_string",
     "redirect 5;",
     {"1:10: \"redirect\" takes a string here, and this is a number"}},
    {"list_for_a_string",
     "redirect [\"a@b.example\"];",
     {"1:10: \"redirect\" takes a string here, and this is a list of strings"}},
    {"string_for_a_number",
     "if size :over \"1K\" {}",
     {"1:15: \"size\" takes a number here, and this is a string"}},
    {"bad_regular_expression",
     "require \"regex\";\nif header :regex \"a\" [\"b\", \"(\"] {}",
     {"2:28: bad regular expression"}},
    {"every_error_is_told",
     "fileinto \"a\";\nfoo;\nif header :is \"a\" {}\nredirect 5;\nkeep",
     {"1:1: ", "2:1: ", "3:4: ", "4:10: ", "5:5: "}},
};

static const ComplaintRow string_rows[] = {
    {"unicode_past_the_last_character",
     "require \"encoded-character\";\nif header \"a\" \"${unicode:200000}\" {}",
     {"2:15: ${unicode:...} has a number that is no character"}},
    {"surrogate",
     "require \"encoded-character\";\nif header \"a\" \"${Unicode:DF01}\" {}",
     {"2:15: ${unicode:...} has a number that is no character"}},
    /* RFC 5228: "MUST NOT raise an error for an out-of-range Unicode value unless the sequence
     * containing it is well-formed" */
    {"number_too_large_in_a_broken_sequence",
     "require \"encoded-character\";\nif header \"a\" \"${unicode:200000 q}\" {}",
     {NULL}},
    {"namespace_that_nobody_knows",
     "require \"variables\";\nif string \"${foo.bar}\" \"b\" {}",
     {"2:11: \"${foo.bar}\" names no variable"}},
    {"global_without_include",
     "require \"variables\";\nif string \"${global.a}\" \"b\" {}",
     {"2:11: \"${global.a}\" needs the extension \"include\""}},
    {"global_has_no_namespaces_below",
     "require [\"variables\", \"include\"];\nif string \"${global.a.b}\" \"b\" {}",
     {"2:11: \"${global.a.b}\" names no variable"}},
    {"global_match_variable",
     "require [\"variables\", \"include\"];\nif string \"${global.12}\" \"b\" {}",
     {"2:11: \"${global.12}\" names no variable"}},
    {"names_are_nothing_without_variables", "if header \"a\" \"${foo.bar}\" {}", {NULL}},
    {"comparator_from_a_variable",
     "require \"variables\";\nif header :comparator \"${a}\" \"b\" \"c\" {}",
     {"2:23: the name of a comparator cannot come from a variable"}},
};

static const ComplaintRow include_rows[] = {
    {"include_with_all_tags",
     "require \"include\";\ninclude :global :once :optional \"a\";\nreturn;",
     {NULL}},
    {"both_locations",
     "require \"include\";\ninclude :global :personal \"a\";",
     {"2:17: only one of \":global\" and \":personal\""}},
    {"name_with_a_slash",
     "require \"include\";\ninclude \"../a\";",
     {"2:9: \"../a\" cannot be the name of a script"}},
    {"name_from_a_variable",
     "require [\"include\", \"variables\"];\ninclude \"${a}\";",
     {"2:9: the name of an included script cannot come from a variable"}},
    {"global_needs_variables_too",
     "require \"include\";\nglobal \"a\";",
     {"2:1: \"global\" needs the extension \"variables\" too"}},
    {"global_match_variable",
     "require [\"include\", \"variables\"];\nglobal [\"a\", \"1\"];",
     {"2:14: \"1\" cannot be the name of a global variable"}},
    {"global_behind_set",
     "require [\"include\", \"variables\"];\nset \"A\" \"b\";\nglobal [\"b\", \"a\"];",
     {"3:14: the variable \"a\" was set before"}},
    {"global_before_set",
     "require [\"include\", \"variables\"];\nglobal \"a\"; set \"A\" \"b\"; global \"B\";",
     {NULL}},
    {"global_with_a_namespace",
     "require [\"include\", \"variables\"];\nglobal \"global.a\";",
     {"2:8: \"global.a\" cannot be the name"}},
};

static const ComplaintRow ihave_rows[] = {
    {"what_an_unknown_extension_guards_is_not_checked",
     "require \"ihave\";\nif ihave \"vnd.x\" { frobnicate :fast; }",
     {NULL}},
    {"a_known_one_needs_no_require",
     "require \"ihave\";\nif ihave \"fileinto\" { fileinto \"a\"; }",
     {NULL}},
    {"it_counts_to_the_end_of_the_script",
     "require \"ihave\";\nif ihave \"fileinto\" {}\nfileinto \"a\";",
     {NULL}},
    {"not_before_the_test",
     "require \"ihave\";\nfileinto \"a\";\nif ihave \"fileinto\" {}",
     {"2:1: \"fileinto\" needs the extension"}},
    {"what_is_guarded_by_a_known_one_is_checked",
     "require \"ihave\";\nif ihave \"fileinto\" { frobnicate; }",
     {"2:23: unknown command"}},
    {"else_of_a_known_one_is_not_checked",
     "require \"ihave\";\nif ihave \"fileinto\" { fileinto \"a\"; } else { frobnicate; }",
     {NULL}},
    {"one_unknown_enables_none",
     "require \"ihave\";\nif ihave [\"fileinto\", \"vnd.x\"] {}\nfileinto \"a\";",
     {"3:1: \"fileinto\" needs the extension"}},
    {"allof_ends_at_the_first_false_test",
     "require \"ihave\";\nif allof (ihave \"vnd.x\", frobnicate) { frob; }",
     {NULL}},
    {"anyof_ends_at_the_first_true_test",
     "require \"ihave\";\nif anyof (ihave \"copy\", frobnicate) { keep; }",
     {NULL}},
    {"not_turns_it_round", "require \"ihave\";\nif not ihave \"copy\" { frobnicate; }", {NULL}},
    {"nothing_behind_a_guard_that_stops_is_checked",
     "require \"ihave\";\nif not ihave \"vnd.x\" { stop; }\nfrobnicate;",
     {NULL}},
    {"nothing_behind_an_error_is_checked",
     "require \"ihave\";\nif not ihave \"vnd.x\" { error \"no x\"; }\nfrobnicate;",
     {NULL}},
    /* RFC 5463 section 4: "The test MUST fail and the extension MUST NOT be enabled" */
    {"variables_cannot_be_had_this_way",
     "require \"ihave\";\nif ihave \"variables\" { frobnicate; }",
     {NULL}},
    {"ihave_from_a_variable",
     "require [\"ihave\", \"variables\"];\nif ihave \"${a}\" {}",
     {"2:10: the name of an extension cannot come from a variable"}},
    {"ihave_needs_require_itself",
     "if ihave \"fileinto\" {}",
     {"1:4: \"ihave\" needs the extension \"ihave\""}},
};

/* ---- values of strings --------------------------------------------------- */

/* The first argument of "redirect" as it is after encoded characters. */
static const struct {
    const char *written, *value;
} encoded[] = {
    /* the examples of RFC 5228 section 2.4.2.4 */
    {"$${hex:40}", "$@"},
    {"${hex: 40 }", "@"},
    {"${HEX: 40}", "@"},
    {"${hex:40", "${hex:40"},
    {"${hex:400}", "${hex:400}"},
    {"${hex:4${hex:30}}", "${hex:40}"},
    {"${unicode:40}", "@"},
    {"${ unicode:40}", "${ unicode:40}"},
    {"${UNICODE:40}", "@"},
    {"${UnICoDE:0000040}", "@"},
    {"${Unicode:40}", "@"},
    {"${Unicode:Cool}", "${Unicode:Cool}"},
    {"${hex:24 24}", "$$"},
    {"${hex:}", "${hex:}"},
    {"${unicode:e4 20AC  1F600}", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
    {"a${hex:62\t63\r\n64}e", "abcde"},
};

static SieveScript *
compile(const char *text)
{
    g_autoptr(GPtrArray) complaints = sieve_complaints_new();
    SieveSettings settings;

    sieve_settings_init(&settings);

    SieveScript *script = sieve_script_compile("main", text, strlen(text), &settings, complaints);

    if (script == NULL)
        fail_msg("%s: %s", text, ((SieveComplaint *)complaints->pdata[0])->text);
    sieve_settings_clear(&settings);
    return script;
}

/* The string that the second command of script, "if string ...", looks at. */
static const SieveString *
tested(const SieveScript *script)
{
    return &sieve_script_first(script)->next->tests[0]->values[0]->strings[0];
}

static void
encoded_characters_are_decoded(void **state)
{
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(encoded); i++) {
        g_autofree char *text = g_strdup_printf(
            "require \"encoded-character\"; if header \"%s\" \"\" {}", encoded[i].written);
        g_autoptr(SieveScript) script = compile(text);

        assert_string_equal(tested(script)->text.bytes, encoded[i].value);
        assert_int_equal(tested(script)->text.len, strlen(encoded[i].value));
    }
}

static void
encoded_zero_octet_is_part_of_the_string(void **state)
{
    g_autoptr(SieveScript) script =
        compile("require \"encoded-character\"; if header \"a${hex:0 62}\" \"\" {}");

    (void)state;
    assert_int_equal(tested(script)->text.len, 3);
    assert_memory_equal(tested(script)->text.bytes, "a\0b", 4);
}

/* The pieces of a string: text as it is, <name> and <number>. */
static const struct {
    const char *written, *pieces;
} variables[] = {
    /* the examples of RFC 5229 section 3 */
    {"&%${}!", ""},
    {"${doh!}", ""},
    {"${full}", "<full>"},
    {"${company}", "<company>"},
    {"${BAD${Company}", "${BAD<company>"},
    {"${President, ${Company} Inc.}", "${President, <company> Inc.}"},
    {"${fo\\o}", "<foo>"},
    {"${fo\\\\o}", ""},
    {"\\${foo}", "<foo>"},
    {"\\\\${foo}", "\\<foo>"},
    {"${0}${007}", "<#0><#7>"},
    {"${32}", "<#32>"},
    {"${1a}", ""},
    {"${global.X}", "<global.x>"},
    {"$${a}$", "$<a>$"},
    {"${a", ""},
    {"${${a}}", "${<a>}"},
    {"${a b}", ""},
    {"${a.}", ""},
    {"${hex:24 7b 61}}", "<a>"},
};

static void
variables_are_found_in_strings(void **state)
{
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(variables); i++) {
        g_autofree char *text = g_strdup_printf(
            "require [\"variables\", \"include\", \"encoded-character\"]; if string \"%s\" \"\" {}",
            variables[i].written);
        g_autoptr(SieveScript) script = compile(text);
        const SieveString *string = tested(script);
        g_autoptr(GString) found = g_string_new(NULL);

        for (size_t k = 0; string->pieces != NULL && k < string->pieces->count; k++) {
            const SievePiece *piece = &string->pieces->items[k];

            if (piece->kind == SIEVE_PIECE_TEXT)
                g_string_append(found, piece->text.bytes);
            else if (piece->kind == SIEVE_PIECE_VARIABLE)
                g_string_append_printf(found, "<%s>", piece->text.bytes);
            else
                g_string_append_printf(found, "<#%u>", piece->number);
        }
        assert_string_equal(found->str, variables[i].pieces);
    }
}

static void
constant_keys_are_made_ready(void **state)
{
    g_autoptr(SieveScript) script =
        compile("require \"variables\"; if header :matches \"a\" [\"*\", \"b\"] {} elsif header "
                "\"a\" [\"b\", \"${c}\"] {}");
    const SieveNode *node = sieve_script_first(script)->next;

    (void)state;
    assert_non_null(node->tests[0]->patterns);
    assert_non_null(node->tests[0]->matcher);
    assert_null(node->next->tests[0]->patterns);
}

static void
required_extensions_are_listed(void **state)
{
    g_autoptr(SieveScript) script = compile("require [\"fileinto\", \"copy\"];");

    (void)state;
    assert_true(sieve_script_has_required(script, "fileinto"));
    assert_true(sieve_script_has_required(script, "copy"));
    assert_false(sieve_script_has_required(script, "variables"));
    assert_int_equal(g_strv_length((char **)sieve_script_requires(script)), 2);
}

/* ---- included scripts ---------------------------------------------------- */

static const struct {
    const char *name, *text;
} library[] = {
    {"good", "require \"include\"; include \"leaf\";"},
    {"leaf", "keep;"},
    {"bad", "keep;\nfoo;"},
    {"loop", "require \"include\"; include \"back\";"},
    {"back", "require \"include\";\ninclude \"loop\";"},
    {"once", "require \"include\"; include :once \"once\";"},
    {"deep1", "require \"include\"; include \"deep2\";"},
    {"deep2", "require \"include\"; include \"deep3\";"},
    {"deep3", "require \"include\"; include \"leaf\";"},
};

static bool
find_in_library(void *data, SieveIncludeFrom from, const char *name, SieveScript **script_out,
                GPtrArray *complaints, GError **error)
{
    (void)from;
    (void)error;
    for (size_t i = 0; i < G_N_ELEMENTS(library); i++)
        if (strcmp(library[i].name, name) == 0)
            *script_out = sieve_script_compile(name, library[i].text, strlen(library[i].text), data,
                                               complaints);
    return true;
}

static const struct {
    const char *behaviour, *script, *complaint;
} include_checks[] = {
    {"good", "include \"good\"; include \"leaf\"; include \"good\";", NULL},
    {"error_in_an_included_script", "include \"bad\";", "bad:2: error: unknown command \"foo\""},
    {"loop", "include \"loop\";", "back:2: error: \"loop\" includes itself"},
    {"once_makes_no_loop", "include \"once\";", NULL},
    {"missing", "include \"none\";", "main:2: warning: there is no personal script \"none\""},
    {"missing_and_optional", "include :optional \"none\";", NULL},
    {"too_deep", "include \"deep1\";", "deep3:1: error: scripts include each other more than 3"},
    {"too_deep_by_a_known_script", "include \"deep2\"; include \"deep1\";",
     "deep1:1: error: scripts include each other more than 3"},
};

static void
included_scripts_are_checked(void **state)
{
    SieveSettings settings;

    (void)state;
    sieve_settings_init(&settings);
    settings.include_max_depth = 3;
    for (size_t i = 0; i < G_N_ELEMENTS(include_checks); i++) {
        const SieveHost host = {.data = &settings, .include = find_in_library};
        g_autofree char *text =
            g_strconcat("require \"include\";\n", include_checks[i].script, NULL);
        g_autoptr(SieveScript) script = compile(text);
        g_autoptr(GPtrArray) complaints = sieve_complaints_new();
        bool is_good = sieve_script_check_includes(script, &host, &settings, complaints);
        g_autofree char *said = NULL;

        assert_int_equal(complaints->len, include_checks[i].complaint != NULL);
        assert_int_equal(is_good, sieve_complaints_errors(complaints) == 0);
        if (complaints->len == 0)
            continue;

        const SieveComplaint *complaint = complaints->pdata[0];

        said = g_strdup_printf("%s:%u: %s: %s", complaint->script, complaint->line,
                               complaint->is_error ? "error" : "warning", complaint->text);
        if (!g_str_has_prefix(said, include_checks[i].complaint))
            fail_msg("%s: said %s", include_checks[i].behaviour, said);
    }
    sieve_settings_clear(&settings);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encoded_characters_are_decoded),
        cmocka_unit_test(encoded_zero_octet_is_part_of_the_string),
        cmocka_unit_test(variables_are_found_in_strings),
        cmocka_unit_test(constant_keys_are_made_ready),
        cmocka_unit_test(required_extensions_are_listed),
        cmocka_unit_test(included_scripts_are_checked),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    RUN_COMPLAINT_ROWS(require_rows);
    RUN_COMPLAINT_ROWS(meaning_rows);
    RUN_COMPLAINT_ROWS(string_rows);
    RUN_COMPLAINT_ROWS(include_rows);
    RUN_COMPLAINT_ROWS(ihave_rows);
    return failed;
}
