/* tests/lmtp/test_command.c - lines and the commands they are
 *
 * The grammar as clients meet it is shown by the transcripts; here is what the
 * parser hands over, and half lines, which never reach it from a socket.
 */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "lmtp/command.h"

typedef struct {
    const char *behaviour;
    const char *line;
    LmtpVerb verb;
    LmtpRefusal refusal;
    const char *address;
    guint64 size;
} Row;

static const Row rows[] = {
    {"verb_in_any_case", "dAtA", LMTP_DATA, LMTP_ACCEPTED, NULL, 0},
    {"trailing_blanks_are_dropped", "RSET \t ", LMTP_RSET, LMTP_ACCEPTED, NULL, 0},
    {"prefix_of_a_verb_is_none", "DAT", LMTP_VERBS, LMTP_UNKNOWN_COMMAND, NULL, 0},
    {"verb_with_a_suffix_is_none", "DATAS", LMTP_VERBS, LMTP_UNKNOWN_COMMAND, NULL, 0},
    {"empty_line_is_no_command", "", LMTP_VERBS, LMTP_UNKNOWN_COMMAND, NULL, 0},
    {"blank_line_is_no_command", "   ", LMTP_VERBS, LMTP_UNKNOWN_COMMAND, NULL, 0},
    {"null_sender_is_the_empty_address", "MAIL FROM:<>", LMTP_MAIL, LMTP_ACCEPTED, "", 0},
    {"size_is_read", "MAIL FROM:<a@b.example> SIZE=12", LMTP_MAIL, LMTP_ACCEPTED, "a@b.example",
     12},
    {"size_past_64_bits_is_the_largest", "MAIL FROM:<> SIZE=99999999999999999999", LMTP_MAIL,
     LMTP_ACCEPTED, "", G_MAXUINT64},
    {"label_without_colon_is_refused", "MAIL FROM <a@b.example>", LMTP_MAIL, LMTP_MAIL_SYNTAX, NULL,
     0},
    {"label_cut_short_is_refused", "RCPT T", LMTP_RCPT, LMTP_RCPT_SYNTAX, NULL, 0},
    {"path_cut_short_is_refused", "RCPT TO:<", LMTP_RCPT, LMTP_BAD_RECIPIENT, NULL, 0},
    {"chunk_size_is_read", "BDAT 18446744073709551615", LMTP_BDAT, LMTP_ACCEPTED, NULL,
     G_MAXUINT64},
    {"refused_bdat_is_still_bdat", "BDAT x", LMTP_BDAT, LMTP_BDAT_SYNTAX, NULL, 0},
    {"signed_chunk_size_is_refused", "BDAT +5", LMTP_BDAT, LMTP_BDAT_SYNTAX, NULL, 0},
    {"helo_is_known_and_refused", "HELO x", LMTP_VERBS, LMTP_SMTP_GREETING, NULL, 0},
};

static void
check_row(void **state)
{
    const Row *row = *state;
    g_autoptr(LmtpCommand) command = lmtp_command_parse(row->line, strlen(row->line));

    assert_int_equal(command->verb, row->verb);
    assert_int_equal(command->refusal, row->refusal);
    if (row->address != NULL)
        assert_string_equal(command->address, row->address);
    assert_true(command->size == row->size);
}

static void
line_is_read_no_further_than_its_length(void **state)
{
    g_autoptr(LmtpCommand) command = lmtp_command_parse("NOOPX", 4);

    (void)state;
    assert_int_equal(command->verb, LMTP_NOOP);
    assert_int_equal(command->refusal, LMTP_ACCEPTED);
}

static void
every_verb_has_a_name(void **state)
{
    (void)state;
    for (unsigned verb = 0; verb < LMTP_VERBS; verb++) {
        const char *name = lmtp_verb_name(verb);
        g_autoptr(LmtpCommand) command = lmtp_command_parse(name, strlen(name));

        assert_int_equal(command->verb, verb);
    }
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(rows) + 2] = {
        cmocka_unit_test(line_is_read_no_further_than_its_length),
        cmocka_unit_test(every_verb_has_a_name),
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[2 + i] = (struct CMUnitTest){
            .name = rows[i].behaviour, .test_func = check_row, .initial_state = (void *)&rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
