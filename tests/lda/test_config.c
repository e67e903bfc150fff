/* tests/lda/test_config.c - the configuration file, its checks and its overrides */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <glib/gstdio.h>

#include "lda/config.h"
#include "lda/libsieve_child.h"

static char *
write_file(const char *text)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("lodge-config-XXXXXX", &path, NULL);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
    return g_steal_pointer(&path);
}

static LdaConfig *
load_text(const char *text, const char *const *overrides, GError **error)
{
    g_autofree char *path = write_file(text);
    LdaConfig *config = config_load(path, overrides, error);

    (void)g_unlink(path);
    return config;
}

static char *
effective(const LdaConfig *config, const char *name)
{
    size_t count = 0;
    const ConfigSetting *settings = config_settings(&count);

    for (size_t i = 0; i < count; i++) {
        g_autofree char *full = g_strconcat(settings[i].section, ".", settings[i].key, NULL);

        if (strcmp(full, name) == 0)
            return config_format(config, i);
    }
    fail_msg("no such setting: %s", name);
    return NULL;
}

typedef struct {
    const char *behaviour;
    const char *text; /* of the file */
    const char *name; /* setting to look at */
    const char *expected;
} Good;

static const Good good[] = {
    {"empty_file_means_defaults", "", "mail.home", "%d/%n"},
    {"comments_and_blank_lines_are_skipped", "# c\n\n  # d\n[mail]\n\nuser = mail\n", "mail.user",
     "mail"},
    {"file_with_crlf_is_read", "[mail]\r\nuser = mail\r\n", "mail.user", "mail"},
    {"same_section_may_be_opened_twice",
     "[mail]\nuser = a\n[log]\nformat = json\n[mail]\ngroup = b\n", "mail.group", "b"},
    {"size_without_suffix_is_octets", "[mail]\nspool_memory = 512\n", "mail.spool_memory", "512"},
    {"size_suffix_is_read_in_either_case", "[mail]\nspool_memory = 64k\n", "mail.spool_memory",
     "64K"},
    {"size_is_shown_in_its_largest_unit", "[mail]\nspool_memory = 2048M\n", "mail.spool_memory",
     "2G"},
    {"size_of_zero_has_no_unit", "[mail]\nmessage_size_limit = 0\n", "mail.message_size_limit",
     "0"},
    {"time_without_suffix_is_seconds", "[map]\nbusy_timeout = 90\n", "map.busy_timeout", "90s"},
    {"time_in_minutes_is_read", "[lmtp]\ncommand_timeout = 10m\n", "lmtp.command_timeout", "10m"},
    {"time_in_days_is_shown_in_days", "[sieve]\nvacation_min_period = 48h\n",
     "sieve.vacation_min_period", "2d"},
    {"pairs_are_separated_by_semicolons", "[sieve]\nspecial_use = Junk=Spam;Sent=Sent Items ;\n",
     "sieve.special_use", "Junk=Spam; Sent=Sent Items"},
    {"paths_of_scripts_may_be_several", "[sieve]\nbefore = /a.sieve  %h/b\n", "sieve.before",
     "/a.sieve %h/b"},
    {"script_may_be_empty", "[sieve]\nscript =\n", "sieve.script", ""},
    {"directory_of_programs_may_be_empty", "[sieve]\nprogram_dir =\n", "sieve.program_dir", ""},
    {"mode_is_octal", "[lmtp]\nsocket_mode = 600\n", "lmtp.socket_mode", "0600"},
    {"word_is_read_in_either_case", "[mail]\ndetail_folder = Create\n", "mail.detail_folder",
     "create"},
    {"on_means_yes", "[mail]\nper_user_ids = on\n", "mail.per_user_ids", "yes"},
    {"false_means_no", "[map]\nfold_local_part = False\n", "map.fold_local_part", "no"},
    {"list_is_separated_by_blanks_or_semicolons",
     "[lmtp]\nlisten = unix:/a;inet:127.0.0.1:24 inet:[::1]:24 ;\n", "lmtp.listen",
     "unix:/a inet:127.0.0.1:24 inet:[::1]:24"},
    {"list_may_be_empty", "[lmtp]\ntrusted_networks =\n", "lmtp.trusted_networks", ""},
    {"text_may_be_empty", "[map]\nrecipient_delimiter =\n", "map.recipient_delimiter", ""},
    {"hash_inside_a_value_is_part_of_it", "[map]\nrecipient_delimiter = +#\n",
     "map.recipient_delimiter", "+#"},
    {"equals_sign_inside_a_value_is_part_of_it", "[map]\nmailbox_query = SELECT a=b\n",
     "map.mailbox_query", "SELECT a=b"},
    {"blank_at_the_end_survives_when_escaped", "[mail]\nprefix = a\\s\n", "mail.prefix", "a\\s"},
    {"backslash_is_written_back_escaped", "[mail]\nprefix = a\\\\b\n", "mail.prefix", "a\\\\b"},
};

static void
check_good(void **state)
{
    const Good *row = *state;
    g_autoptr(GError) error = NULL;
    g_autoptr(LdaConfig) config = load_text(row->text, NULL, &error);

    if (config == NULL)
        fail_msg("%s", error->message);
    g_autofree char *value = effective(config, row->name);
    assert_string_equal(value, row->expected);
}

typedef struct {
    const char *behaviour;
    const char *text;
    ConfigError code;
    const char *message; /* after the file's name */
} Bad;

static const Bad bad[] = {
    {"misspelt_key_is_answered_with_the_nearest", "[mail]\n\nspool_memori = 1M\n",
     CONFIG_ERROR_UNKNOWN,
     ":3: unknown setting 'spool_memori' in [mail]; did you mean 'spool_memory'?"},
    {"key_of_another_section_is_sent_there", "[mail]\nlisten = unix:/x\n", CONFIG_ERROR_UNKNOWN,
     ":2: unknown setting 'listen' in [mail]; it belongs in [lmtp]"},
    {"key_like_no_other_gets_no_guess", "[mail]\nfrobnicate = 1\n", CONFIG_ERROR_UNKNOWN,
     ":2: unknown setting 'frobnicate' in [mail]"},
    {"misspelt_section_is_answered_with_the_nearest", "[maill]\nroot = /x\n", CONFIG_ERROR_UNKNOWN,
     ":1: unknown section [maill]; did you mean 'mail'?"},
    {"key_set_twice_is_refused", "[mail]\nuser = a\ngroup = b\nuser = c\n", CONFIG_ERROR_VALUE,
     ":4: mail.user is set twice, first in line 2"},
    {"size_with_a_strange_suffix_is_refused", "[mail]\nspool_memory = 1MB\n", CONFIG_ERROR_VALUE,
     ":2: mail.spool_memory: '1MB' is not a size such as 512, 64K, 10M or 2G"},
    {"negative_size_is_refused", "[mail]\nspool_memory = -1\n", CONFIG_ERROR_VALUE,
     ":2: mail.spool_memory: '-1' is not a size such as 512, 64K, 10M or 2G"},
    {"size_past_64_bits_is_refused", "[mail]\nspool_memory = 99999999999G\n", CONFIG_ERROR_VALUE,
     ":2: mail.spool_memory: '99999999999G' is not a size such as 512, 64K, 10M or 2G"},
    {"empty_number_is_refused", "[lmtp]\nmax_errors =\n", CONFIG_ERROR_VALUE,
     ":2: lmtp.max_errors: '' is not a number"},
    {"number_out_of_range_is_refused", "[mail]\ncompress_level = 10\n", CONFIG_ERROR_VALUE,
     ":2: mail.compress_level: '10' is not between 1 and 9"},
    {"time_out_of_range_is_refused_in_units", "[lmtp]\ndata_timeout = 2h\n", CONFIG_ERROR_VALUE,
     ":2: lmtp.data_timeout: '2h' is not between 1s and 1h"},
    {"mode_that_is_not_octal_is_refused", "[lmtp]\nsocket_mode = 0680\n", CONFIG_ERROR_VALUE,
     ":2: lmtp.socket_mode: '0680' is not an octal mode such as 0660"},
    {"unknown_word_is_answered_with_the_list", "[mail]\ncompress = bzip2\n", CONFIG_ERROR_VALUE,
     ":2: mail.compress: 'bzip2' is not one of: no, gzip"},
    {"unknown_preset_is_answered_with_the_list", "[map]\npreset = foo\n", CONFIG_ERROR_VALUE,
     ":2: map.preset: 'foo' is not one of: lodge, tutorial, postfixadmin, iredmail"},
    {"maybe_is_neither_yes_nor_no", "[mail]\nper_user_ids = maybe\n", CONFIG_ERROR_VALUE,
     ":2: mail.per_user_ids: 'maybe' is not yes or no"},
    {"relative_path_is_refused", "[mail]\nroot = mail\n", CONFIG_ERROR_VALUE,
     ":2: mail.root: 'mail' is not an absolute path"},
    {"template_with_an_unknown_letter_is_refused", "[mail]\nhome = %d/%x\n", CONFIG_ERROR_VALUE,
     ":2: mail.home: '%d/%x' is not a path made of text, %u, %n, %d and %%"},
    {"pair_without_a_value_is_refused", "[sieve]\nlists = a\n", CONFIG_ERROR_VALUE,
     ":2: sieve.lists: 'a' is not name=value"},
    {"warning_at_no_percentage", "[quota]\nwarn = 80 101\n", CONFIG_ERROR_VALUE,
     ":2: quota.warn: '101' is not a number from 1 to 100"},
    {"warnings_that_do_not_ascend", "[quota]\nwarn = 80 95 95\n", CONFIG_ERROR_VALUE,
     ":2: quota.warn: '80 95 95' is not a list of ascending numbers"},
    {"nine_warnings", "[quota]\nwarn = 1 2 3 4 5 6 7 8 9\n", CONFIG_ERROR_VALUE,
     ":2: quota.warn: '1 2 3 4 5 6 7 8 9' is not a list of at most 8 numbers"},
    {"rule_of_a_folder_that_is_none", "[quota]\nfolders = Trash=ignore; Junk=10\n",
     CONFIG_ERROR_VALUE,
     ": quota.folders: rule 'Junk=10': '10' is none of ignore, +SIZE, +PERCENT% and max SIZE"},
    {"rule_of_a_folder_with_another_separator", "[quota]\nfolders = a/b=ignore\n",
     CONFIG_ERROR_VALUE,
     ": quota.folders: rule 'a/b=ignore': folder 'a/b' cannot exist: '/' is "
     "not the separator"},
    {"script_with_an_unknown_letter_is_refused", "[sieve]\nafter = /a %x\n", CONFIG_ERROR_VALUE,
     ":2: sieve.after: '%x' is not a path made of text, %u, %n, %d, %h and %%"},
    {"sender_that_is_no_address_is_refused", "[sieve]\nredirect_envelope_from = me\n",
     CONFIG_ERROR_VALUE, ": sieve.redirect_envelope_from: 'me' is not a sender"},
    {"empty_path_where_one_is_needed_is_refused", "[map]\npath =\n", CONFIG_ERROR_VALUE,
     ":2: map.path: '' is not an absolute path"},
    {"home_cannot_be_below_itself", "[mail]\nhome = %h/x\n", CONFIG_ERROR_VALUE,
     ":2: mail.home: '%h/x' is not a path made of text, %u, %n, %d and %%"},
    {"separator_of_two_characters_is_refused", "[mail]\nseparator = ..\n", CONFIG_ERROR_VALUE,
     ":2: mail.separator: '..' is not a single character"},
    {"user_may_not_be_empty", "[mail]\nuser =\n", CONFIG_ERROR_VALUE,
     ":2: mail.user: '' is not allowed: it must not be empty"},
    {"listener_without_a_port_is_refused", "[lmtp]\nlisten = inet:127.0.0.1\n", CONFIG_ERROR_VALUE,
     ":2: lmtp.listen: 'inet:127.0.0.1' is not a listener such as unix:/run/lodge/lmtp, "
     "inet:127.0.0.1:2424 or inet:[::1]:2424"},
    {"bad_listener_after_a_good_one_is_found", "[lmtp]\nlisten = unix:/a  unix:b\n",
     CONFIG_ERROR_VALUE,
     ":2: lmtp.listen: 'unix:b' is not a listener such as unix:/run/lodge/lmtp, "
     "inet:127.0.0.1:2424 or inet:[::1]:2424"},
    {"network_with_too_many_bits_is_refused", "[lmtp]\ntrusted_networks = 10.0.0.0/33\n",
     CONFIG_ERROR_VALUE,
     ":2: lmtp.trusted_networks: '10.0.0.0/33' is not a network such as 127.0.0.0/8 or ::1"},
    {"setting_before_any_section_is_refused", "user = a\n[mail]\n", CONFIG_ERROR_FILE,
     ":1: 'user' stands before the first [section]"},
    {"line_that_is_nothing_is_refused", "[mail]\nuser vmail\n", CONFIG_ERROR_FILE,
     ":2: expected 'key = value', '[section]' or '# comment'"},
    {"line_without_a_key_is_refused", "[mail]\n= vmail\n", CONFIG_ERROR_FILE,
     ":2: expected 'key = value', '[section]' or '# comment'"},
    {"section_without_its_bracket_is_refused", "[mail\n", CONFIG_ERROR_FILE,
     ":1: expected 'key = value', '[section]' or '# comment'"},
    {"text_that_is_not_utf8_is_refused", "[mail]\nuser = \xff\n", CONFIG_ERROR_FILE,
     ": not a text file in UTF-8"},
    {"fewer_workers_at_most_than_at_least_are_refused",
     "[lmtp]\nmin_workers = 8\nmax_workers = 4\n", CONFIG_ERROR_VALUE,
     ": lmtp.min_workers (8) is more than lmtp.max_workers (4)"},
};

static void
check_bad(void **state)
{
    const Bad *row = *state;
    g_autofree char *path = write_file(row->text);
    g_autofree char *expected = g_strconcat(path, row->message, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(LdaConfig) config = config_load(path, NULL, &error);
    g_autoptr(GPtrArray) complaints = config_check(path);

    (void)g_unlink(path);
    assert_null(config);
    assert_string_equal(error->message, expected);
    assert_true(g_error_matches(error, CONFIG_ERROR, (int)row->code));
    assert_int_equal(complaints->len, 1);
    assert_string_equal(complaints->pdata[0], expected);
}

static void
check_collects_every_complaint_in_the_order_of_the_file(void **state)
{
    g_autofree char *path = write_file("[mail]\nusr = x\nroot = y\n[lgo]\nx = 1\n[lmtp]\nz = 1\n");
    g_autoptr(GPtrArray) complaints = config_check(path);
    const int lines[] = {2, 3, 4, 7};

    (void)state;
    (void)g_unlink(path);
    assert_int_equal(complaints->len, G_N_ELEMENTS(lines));
    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autofree char *start = g_strdup_printf("%s:%d: ", path, lines[i]);

        assert_true(g_str_has_prefix(complaints->pdata[i], start));
    }
}

static void
every_default_is_written_as_it_would_be_shown(void **state)
{
    g_autoptr(LdaConfig) config = load_text("", NULL, NULL);
    size_t count = 0;
    const ConfigSetting *settings = config_settings(&count);

    (void)state;
    assert_true(count > 30);
    for (size_t i = 0; i < count; i++) {
        g_autofree char *value = config_format(config, i);

        assert_string_equal(value, settings[i].default_text);
        assert_true(g_str_has_suffix(settings[i].help, "."));
    }
}

static void
defaults_of_the_engine_are_those_it_has_by_itself(void **state)
{
    g_autoptr(LdaConfig) config = load_text("", NULL, NULL);
    const SieveSettings *engine = &config->sieve.engine;
    SieveSettings own;

    (void)state;
    sieve_settings_init(&own);
    assert_int_equal(engine->max_script_size, own.max_script_size);
    assert_int_equal(engine->max_actions, own.max_actions);
    assert_int_equal(engine->max_redirects, own.max_redirects);
    assert_int_equal(engine->max_notifications, own.max_notifications);
    assert_int_equal(engine->max_cpu_time, own.max_cpu_time);
    assert_int_equal(engine->max_steps, own.max_steps);
    assert_int_equal(engine->variables_max_size, own.variables_max_size);
    assert_int_equal(engine->include_max_depth, own.include_max_depth);
    assert_int_equal(engine->include_max_scripts, own.include_max_scripts);
    assert_int_equal(engine->editheader_max_size, own.editheader_max_size);
    assert_int_equal(engine->vacation_min_period, own.vacation_min_period);
    assert_int_equal(engine->vacation_max_period, own.vacation_max_period);
    assert_int_equal(engine->vacation_max_subject, own.vacation_max_subject);
    assert_string_equal(engine->vacation_default_subject, own.vacation_default_subject);
    assert_string_equal(engine->vacation_default_subject_template,
                        own.vacation_default_subject_template);
    assert_string_equal(engine->recipient_delimiter, own.recipient_delimiter);
    assert_true(engine->vacation_check_recipient);
    assert_false(engine->programs);
    sieve_settings_clear(&own);
}

static void
directory_of_programs_makes_programs_available(void **state)
{
    g_autoptr(LdaConfig) config = load_text("[sieve]\nprogram_dir = /usr/lib/x\n", NULL, NULL);

    (void)state;
    assert_true(config->sieve.engine.programs);
}

static void
override_wins_over_the_file_and_the_last_override_over_the_first(void **state)
{
    const char *const overrides[] = {"mail.user=b", "mail.user=c", "map.mailbox_query=SELECT a=b",
                                     NULL};
    g_autoptr(LdaConfig) config = load_text("[mail]\nuser = a\n", overrides, NULL);

    (void)state;
    assert_string_equal(config->mail.user, "c");
    assert_string_equal(config->map.mailbox_query, "SELECT a=b");
}

static void
bad_override_is_named_with_its_fault(void **state)
{
    static const struct {
        const char *override, *message;
    } rows[] = {
        {"mail.usr=x", "-o: unknown setting 'usr' in [mail]; did you mean 'user'?"},
        {"lmpt.listen=x", "-o: unknown section [lmpt]; did you mean 'lmtp'?"},
        {"mail.root=x", "-o: mail.root: 'x' is not an absolute path"},
        {"mail.root", "-o: 'mail.root' is not section.key=value"},
        {"root=x", "-o: 'root=x' is not section.key=value"},
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        const char *const overrides[] = {rows[i].override, NULL};
        g_autoptr(GError) error = NULL;

        assert_null(load_text("", overrides, &error));
        assert_string_equal(error->message, rows[i].message);
    }
}

static void
named_file_must_exist(void **state)
{
    g_autoptr(GError) error = NULL;

    (void)state;
    assert_null(config_load("/nonexistent/lodge.conf", NULL, &error));
    assert_true(g_error_matches(error, CONFIG_ERROR, CONFIG_ERROR_FILE));
    assert_string_equal(error->message,
                        "/nonexistent/lodge.conf: cannot read it: there is no such file");
}

static void
engine_that_is_not_there_is_refused_with_what_to_do(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(LdaConfig) config = load_text("[sieve]\nengine = libsieve\n", NULL, &error);

    (void)state;
    assert_int_equal(config != NULL, libsieve_is_built());
    if (config == NULL) {
        assert_true(g_error_matches(error, CONFIG_ERROR, CONFIG_ERROR_VALUE));
        assert_non_null(strstr(error->message, "where libsieve2-dev is installed"));
    }
}

typedef struct {
    const char *behaviour;
    const char *text, *user, *home;
    const char *expected; /* NULL: refused */
} Expansion;

static const Expansion expansions[] = {
    {"letters_stand_for_user_name_and_domain", "%u=%n@%d", "ana@example.org", NULL,
     "ana@example.org=ana@example.org"},
    {"home_may_have_slashes", "%h/Maildir", "ana@example.org", "/var/vmail/ana",
     "/var/vmail/ana/Maildir"},
    {"two_percent_signs_are_one", "100%%n", "ana@example.org", NULL, "100%n"},
    {"expanded_text_is_not_expanded_again", "%n", "%d@example.org", NULL, "%d"},
    {"local_part_ends_at_the_last_at_sign", "%n", "\"a@b\"@example.org", NULL, "\"a@b\""},
    {"catch_all_has_an_empty_name", "%d/%n", "@example.org", NULL, "example.org/"},
    {"slash_in_the_local_part_is_refused", "%d/%n", "a/b@example.org", NULL, NULL},
    {"dot_dot_as_local_part_is_refused", "%d/%n", "..@example.org", NULL, NULL},
    {"dot_as_domain_is_refused", "%d/%n", "ana@.", NULL, NULL},
    {"dots_within_a_name_are_fine", "%n", "a..b@example.org", NULL, "a..b"},
    {"slash_hidden_in_the_whole_address_is_refused", "%u", "../x@example.org", NULL, NULL},
    {"name_that_is_not_used_does_no_harm", "%d", "a/b@example.org", NULL, "example.org"},
    {"unknown_letter_is_refused", "%x", "ana@example.org", NULL, NULL},
    {"percent_sign_at_the_end_is_refused", "a%", "ana@example.org", NULL, NULL},
    {"home_where_there_is_none_is_refused", "%h", "ana@example.org", NULL, NULL},
};

static void
check_expansion(void **state)
{
    const Expansion *row = *state;
    g_autoptr(GError) error = NULL;
    g_autofree char *result = config_expand(row->text, row->user, row->home, &error);

    if (row->expected != NULL) {
        assert_non_null(result);
        assert_string_equal(result, row->expected);
    } else {
        assert_null(result);
        assert_true(g_error_matches(error, CONFIG_ERROR, CONFIG_ERROR_VALUE));
    }
}

#define ADD_ROWS(rows, function)                                  \
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)               \
        tests[count++] = (struct CMUnitTest)                      \
        {                                                         \
            .name = (rows)[i].behaviour, .test_func = (function), \
            .initial_state = (void *)&(rows)[i]                   \
        }

int
main(void)
{
    const struct CMUnitTest others[] = {
        cmocka_unit_test(check_collects_every_complaint_in_the_order_of_the_file),
        cmocka_unit_test(every_default_is_written_as_it_would_be_shown),
        cmocka_unit_test(defaults_of_the_engine_are_those_it_has_by_itself),
        cmocka_unit_test(directory_of_programs_makes_programs_available),
        cmocka_unit_test(override_wins_over_the_file_and_the_last_override_over_the_first),
        cmocka_unit_test(bad_override_is_named_with_its_fault),
        cmocka_unit_test(named_file_must_exist),
        cmocka_unit_test(engine_that_is_not_there_is_refused_with_what_to_do),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(good) + G_N_ELEMENTS(bad) + G_N_ELEMENTS(expansions) +
                            G_N_ELEMENTS(others)];
    size_t count = 0;

    ADD_ROWS(good, check_good);
    ADD_ROWS(bad, check_bad);
    ADD_ROWS(expansions, check_expansion);
    memcpy(tests + count, others, sizeof others);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
